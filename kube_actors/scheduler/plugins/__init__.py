"""The built-in plugins, one a file, and the default profile made of them."""

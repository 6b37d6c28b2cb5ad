"""Every built-in kind as a frozen struct, one module per group version, imported only when somebody asks.

The modules are generated (see scripts/generate_types.py); `_base` holds what they share.
"""

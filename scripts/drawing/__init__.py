"""The project's pictures: what they show is taken from tables, imports and runs, never from a hand."""

"""Custom resources: their definitions, schemas, conversion and everything by which they are served.

Nothing here is imported before there is a CustomResourceDefinition, except `book` and `naming`, which are small.
"""

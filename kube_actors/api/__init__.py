"""The Kubernetes vocabulary, without I/O.

Owns the object types and everything that can be said about objects without asking anybody: codec, schema and
resource tables, selectors, quantities, names, patches, errors, times, conditions, owners, and the messages in which
components talk. It never sends, stores or waits. Import from its modules; this package itself stays empty so that
importing it costs nothing.
"""

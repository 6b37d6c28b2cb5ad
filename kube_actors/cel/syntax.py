"""The syntax tree of an expression.

Owns the node classes. Macros are nodes of their own (Comprehension, Bind, OptionalMap), not loops over accumulators.
`at` is the place in the source that an error about the node points to.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Node(Struct, eq=False):
    at: int


class Literal(Node, eq=False):
    value: Any
    kind: str


class Ident(Node, eq=False):
    name: str


class Select(Node, eq=False):
    operand: Node
    field: str
    test: bool = False
    optional: bool = False
    escaped: bool = False
    """Whether the field was written in backquotes."""


class Call(Node, eq=False):
    """A function, method or operator; operators are named like "_+_"."""

    name: str
    args: list[Node]
    target: Node | None = None


class ListLiteral(Node, eq=False):
    items: list[Node]
    optional: frozenset[int] = frozenset()


class Entry(Struct, eq=False):
    at: int
    key: Node
    value: Node
    optional: bool = False


class MapLiteral(Node, eq=False):
    entries: list[Entry]


class FieldInit(Struct, eq=False):
    at: int
    name: str
    value: Node
    optional: bool = False


class StructLiteral(Node, eq=False):
    name: str
    fields: list[FieldInit]


class Comprehension(Node, eq=False):
    """A loop: macro is all, exists, existsOne, filter, map, transformList, transformMap or transformMapEntry.

    second is the name of the second loop variable, "" when there is one; guard filters map and transform macros.
    """

    macro: str
    range: Node
    first: str
    second: str
    body: Node
    guard: Node | None = None


class Bind(Node, eq=False):
    name: str
    value: Node
    body: Node


class OptionalMap(Node, eq=False):
    """optMap and, when flat, optFlatMap."""

    target: Node
    name: str
    body: Node
    flat: bool

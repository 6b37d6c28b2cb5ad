"""Macros: calls that are syntax, not functions.

Owns which calls are macros and the nodes they become: has, all, exists, exists_one, map, filter, their two-variable
forms, transformList, transformMap, transformMapEntry, cel.bind, optMap and optFlatMap. It checks no types.
"""

from __future__ import annotations

from typing import Final

from kube_actors.cel.errors import Problem
from kube_actors.cel.syntax import Bind, Call, Comprehension, Ident, MapLiteral, Node, OptionalMap, Select

_ONE: Final = {
    "all": "all",
    "exists": "exists",
    "exists_one": "existsOne",
    "existsOne": "existsOne",
    "filter": "filter",
}
_TWO: Final = {"all": "all", "exists": "exists", "existsOne": "existsOne", "exists_one": "existsOne"}
_TRANSFORMS: Final = frozenset({"transformList", "transformMap", "transformMapEntry"})


class MacroError(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(at, message)


def free(at: int, name: str, args: list[Node]) -> Node:
    """The node for name(args)."""
    if name == "has" and len(args) == 1:
        operand = args[0]
        if isinstance(operand, Select) and not operand.test and not operand.optional:
            return Select(at, operand.operand, operand.field, test=True, escaped=operand.escaped)
        raise MacroError(operand.at, "invalid argument to has() macro")
    return Call(at, name, args)


def member(at: int, target: Node, name: str, args: list[Node]) -> Node:
    """The node for target.name(args)."""
    count = len(args)
    if name in _ONE and count == 2:
        return Comprehension(at, _ONE[name], target, _variable(args[0]), "", args[1])
    if name in _TWO and count == 3:
        first, second = _pair(args)
        return Comprehension(at, _TWO[name], target, first, second, args[2])
    if name == "map" and count in {2, 3}:
        guard = args[1] if count == 3 else None
        return Comprehension(at, "map", target, _variable(args[0]), "", args[-1], guard)
    if name in _TRANSFORMS and count in {3, 4}:
        first, second = _pair(args)
        guard = args[2] if count == 4 else None
        if name == "transformMapEntry" and not (isinstance(args[-1], MapLiteral)):
            raise MacroError(args[-1].at, "transformMapEntry() requires a map literal with one entry")
        return Comprehension(at, name, target, first, second, args[-1], guard)
    if name in {"optMap", "optFlatMap"} and count == 2:
        return OptionalMap(at, target, _variable(args[0]), args[1], name == "optFlatMap")
    if name == "bind" and count == 3 and isinstance(target, Ident) and target.name == "cel":
        if not isinstance(args[0], Ident):
            raise MacroError(args[0].at, "cel.bind() variable names must be simple identifiers")
        return Bind(at, args[0].name, args[1], args[2])
    return Call(at, name, args, target)


def _variable(node: Node) -> str:
    if not isinstance(node, Ident):
        raise MacroError(node.at, "argument must be a simple name")
    return node.name


def _pair(args: list[Node]) -> tuple[str, str]:
    first, second = _variable(args[0]), _variable(args[1])
    if first == second:
        raise MacroError(args[1].at, f"duplicate variable name: {first}")
    return first, second

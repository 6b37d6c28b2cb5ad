"""What steps cost at run time, in cel-go's units (about one per node, a tenth per character traversed).

Owns the charges of calls while an expression runs. The estimate made when a rule is written is in estimate.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sized
from typing import Any, Final

TRAVERSAL: Final = 0.1
REGEX: Final = 0.25
LIST_BASE: Final = 10
MAP_BASE: Final = 30
STRUCT_BASE: Final = 40
CHECK: Final = 350_000
"""An authorizer's check."""

Charge = Callable[[list[Any]], int]


def size(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 1


def _one(args: list[Any]) -> int:
    return 1


def _walk(factor: float, which: int = 0) -> Charge:
    return lambda args: math.ceil(size(args[which]) * factor) if len(args) > which else 1


def _regex(args: list[Any]) -> int:
    return math.ceil((1 + size(args[0])) * TRAVERSAL) * math.ceil(size(args[1]) * REGEX)


def _contains(args: list[Any]) -> int:
    return math.ceil(size(args[0]) * TRAVERSAL) * math.ceil(size(args[1]) * TRAVERSAL)


def _least(args: list[Any]) -> int:
    return max(1, math.ceil(min(size(args[0]), size(args[1])) * TRAVERSAL)) if len(args) == 2 else 1


def _sum(args: list[Any]) -> int:
    if len(args) == 2 and isinstance(args[0], (str, bytes)):
        return math.ceil((size(args[0]) + size(args[1])) * TRAVERSAL)
    return 1


_CHARGES: Final[dict[str, Charge]] = {
    "check": lambda args: CHECK,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _walk(1)),
    **dict.fromkeys(
        ("url", "isURL", "lowerAscii", "upperAscii", "substring", "trim", "string", "bytes"), _walk(TRAVERSAL)
    ),
    **dict.fromkeys(("cidr", "ip", "isIP", "isCIDR", "quantity", "isQuantity", "format"), _walk(TRAVERSAL)),
    **dict.fromkeys(("replace", "split", "join"), _walk(2 * TRAVERSAL)),
    **dict.fromkeys(("startsWith", "endsWith"), _walk(TRAVERSAL, 1)),
    **dict.fromkeys(("find", "findAll", "matches"), _regex),
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _least),
    "contains": _contains,
    "_+_": _sum,
    "@in": _walk(1, 1),
}


def charges(name: str) -> Charge:
    """What a call of this function costs, given its arguments."""
    return _CHARGES.get(name, _one)

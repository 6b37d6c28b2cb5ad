"""Functions as the checker and the interpreter see them: a name, signatures, and what computes each.

Owns the registry's shapes and the small language in which signatures are written: "string.startsWith(string) -> bool"
is a method, "size(list(A)) -> int" a function, A, B, K and V stand for any type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kube_actors.api.quantity import Quantity
from kube_actors.cel import types
from kube_actors.cel.types import Type
from kube_actors.cel.values import Duration, Optional, Timestamp, TypeValue, Uint

Implementation = Callable[..., Any]


class Overload:
    """One signature. params of a method begin with its target."""

    __slots__ = ("call", "member", "name", "params", "result")

    def __init__(self, name: str, params: tuple[Type, ...], result: Type, member: bool, call: Implementation) -> None:
        self.name = name
        self.params = params
        self.result = result
        self.member = member
        self.call = call


Registry = dict[str, list[Overload]]

_NAMES: Final[dict[str, Type]] = {
    kind.kind: kind
    for kind in (
        types.DYN, types.NULL, types.BOOL, types.INT, types.UINT, types.DOUBLE, types.STRING, types.BYTES,
        types.TIMESTAMP, types.DURATION,
    )
} | {letter: types.param(letter) for letter in "ABKV"}  # fmt: skip


def declare(registry: Registry, functions: Mapping[str, Implementation]) -> None:
    """Add functions given by their signatures."""
    for signature, call in functions.items():
        overload = _read(signature, call)
        registry.setdefault(overload.name, []).append(overload)


def _read(signature: str, call: Implementation) -> Overload:
    head, _, result = signature.rpartition(" -> ")
    opening = _argument_list(head)
    name, args = head[:opening], head[opening + 1 : -1]
    params = [read_type(part) for part in _split(args)]
    target, dot, method = name.rpartition(".")
    member = bool(dot) and not target.startswith("@")
    if member:
        params.insert(0, read_type(target))
        name = method
    return Overload(name.removeprefix("@"), tuple(params), read_type(result), member, call)


def _argument_list(head: str) -> int:
    """Where the parenthesis that the last one closes begins."""
    depth = 0
    for at in range(len(head) - 1, -1, -1):
        depth += (head[at] == ")") - (head[at] == "(")
        if depth == 0:
            return at
    raise ValueError(head)


def _split(args: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(args):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(args[start:at].strip())
            start = at + 1
    if args[start:].strip():
        parts.append(args[start:].strip())
    return parts


def read_type(text: str) -> Type:
    known = _NAMES.get(text)
    if known is not None:
        return known
    family, opening, inner = text.partition("(")
    if opening:
        params = tuple(read_type(part) for part in _split(inner[:-1]))
        return Type(family, params)
    return _NAMES.setdefault(text, types.opaque(text))


_CLASSES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "bytes": bytes,
    "list": list,
    "timestamp": Timestamp,
    "duration": Duration,
    "optional": Optional,
    "type": TypeValue,
    "double": float,
    "bool": bool,
}


def matches(kind: Type, value: Any) -> bool:
    """Whether a value may be passed where this type is declared; decides among overloads when types were dyn."""
    match kind.kind:
        case "dyn" | "param":
            return True
        case "null":
            return value is None
        case "int":
            return isinstance(value, int) and not isinstance(value, (bool, Uint))
        case "uint":
            return isinstance(value, Uint)
        case "map" | "object":
            return isinstance(value, Mapping)
        case "string":
            return isinstance(value, str) and not isinstance(value, TypeValue)
        case "opaque" if kind.name == "kubernetes.Quantity":
            return isinstance(value, Quantity)
        case "opaque":
            return getattr(value, "cel_type", None) == kind.name
    return isinstance(value, _CLASSES[kind.kind])

"""Static types of CEL: what an expression is known to be before it runs.

Owns the types, how they print in messages, and which type may stand where another is asked for. An object type's
fields are found on first use, since schemas may be recursive. This module knows no expressions and no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

MAX_DEPTH: Final = 64
"""How deep two types are compared; deeper ones count as equal."""


class Type:
    """One type. kind says which family: a scalar's own name, "list", "map", "optional", "type", "param",
    "object" or "opaque". name is how it prints when it is an object, opaque type or parameter."""

    __slots__ = ("_fields", "flavour", "kind", "limits", "list_keys", "name", "params")

    def __init__(
        self,
        kind: str,
        params: tuple[Type, ...] = (),
        name: str = "",
        fields: Callable[[], Mapping[str, Field]] | None = None,
    ) -> None:
        self.kind = kind
        self.params = params
        self.name = name
        self._fields = fields
        self.flavour = ""
        """A list's own equality and sum: "set" or "map" as its schema says."""
        self.list_keys: tuple[str, ...] = ()
        self.limits: int | None = None
        """The largest number of elements, entries, characters that the schema allows; None when unknown."""

    @property
    def fields(self) -> Mapping[str, Field]:
        assert self._fields is not None, f"{self} has no fields"
        return self._fields()

    @property
    def closed(self) -> bool:
        """Whether this is an object with known fields."""
        return self._fields is not None

    def __str__(self) -> str:
        if self.kind == "optional":
            return f"optional_type({self.params[0]})"
        if self.kind in {"list", "map", "type"} and self.params:
            return f"{self.kind}({', '.join(map(str, self.params))})"
        return self.name or self.kind

    __repr__ = __str__


class Field:
    """One field of an object: the key it has in the data, and its type."""

    __slots__ = ("key", "type")

    def __init__(self, key: str, type: Type) -> None:
        self.key = key
        self.type = type


DYN: Final = Type("dyn")
NULL: Final = Type("null")
BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
TIMESTAMP: Final = Type("timestamp")
DURATION: Final = Type("duration")
ERROR: Final = Type("error", name="!error!")


def list_of(element: Type, limit: int | None = None) -> Type:
    made = Type("list", (element,))
    made.limits = limit
    return made


def map_of(key: Type, value: Type, limit: int | None = None) -> Type:
    made = Type("map", (key, value))
    made.limits = limit
    return made


def optional_of(value: Type) -> Type:
    return Type("optional", (value,))


def type_of(value: Type) -> Type:
    return Type("type", (value,))


def opaque(name: str) -> Type:
    return Type("opaque", name=name)


def param(name: str) -> Type:
    return Type("param", name=name)


def object_of(name: str, fields: Mapping[str, Type] | Callable[[], Mapping[str, Field]]) -> Type:
    """An object with these fields; a callable gives them when they are first asked for."""
    if callable(fields):
        return Type("object", name=name, fields=fields)
    known = {key: Field(key, kind) for key, kind in fields.items()}
    return Type("object", name=name, fields=lambda: known)


def limited(kind: Type, limit: int | None) -> Type:
    """The same type with a largest size."""
    made = Type(kind.kind, kind.params, kind.name, kind._fields)
    made.limits, made.flavour, made.list_keys = limit, kind.flavour, kind.list_keys
    return made


Binding = dict[str, Type]


def assignable(wanted: Type, given: Type, binding: Binding, depth: int = 0) -> bool:
    """Whether given may stand where wanted is asked for; free parameters on either side are bound as they are met."""
    wanted, given = resolve(wanted, binding), resolve(given, binding)
    if wanted is given or depth > MAX_DEPTH or _free(wanted, given):
        return True
    if wanted.kind == "param":
        return _bind(wanted, given, binding)
    if given.kind == "param":
        return _bind(given, wanted, binding)
    if given.kind == "null":
        return wanted.kind in {"null", "object", "opaque", "timestamp", "duration", "optional"}
    if wanted.kind != given.kind:
        return False
    if wanted.kind in {"object", "opaque"}:
        return wanted.name == given.name
    if wanted.kind == "type" or not wanted.params or not given.params:
        return True
    return all(assignable(w, g, binding, depth + 1) for w, g in zip(wanted.params, given.params, strict=True))


def _free(wanted: Type, given: Type) -> bool:
    loose = {"dyn", "error"}
    return (wanted.kind in loose and given.kind != "param") or (given.kind in loose and wanted.kind != "param")


def _bind(name: Type, value: Type, binding: Binding) -> bool:
    if _mentions(value, name.name, binding):
        return value.kind == "param"
    binding[name.name] = value
    return True


def _mentions(kind: Type, name: str, binding: Binding) -> bool:
    kind = resolve(kind, binding)
    return (kind.kind == "param" and kind.name == name) or any(_mentions(inner, name, binding) for inner in kind.params)


def resolve(kind: Type, binding: Binding) -> Type:
    """What a parameter is bound to, if it is one and bound."""
    while kind.kind == "param" and kind.name in binding:
        kind = binding[kind.name]
    return kind


def substitute(kind: Type, binding: Binding, free_to_dyn: bool = False) -> Type:
    """The type with its bound parameters put in; the free ones stay, or become dyn."""
    kind = resolve(kind, binding)
    if kind.kind == "param":
        return DYN if free_to_dyn else kind
    if not kind.params or not _open(kind):
        return kind
    made = Type(kind.kind, tuple(substitute(inner, binding, free_to_dyn) for inner in kind.params), kind.name)
    made.limits, made.flavour, made.list_keys = kind.limits, kind.flavour, kind.list_keys
    return made


def _open(kind: Type) -> bool:
    return kind.kind == "param" or any(_open(inner) for inner in kind.params)


def same(one: Type, other: Type) -> bool:
    """Whether both are one type, dyn being only itself."""
    if one.kind != other.kind or one.name != other.name or len(one.params) != len(other.params):
        return False
    return all(same(a, b) for a, b in zip(one.params, other.params, strict=True))

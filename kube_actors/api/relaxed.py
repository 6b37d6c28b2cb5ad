"""Repairs plain data that Go would read and strict decoding would not.

Go's decoder takes null for "not there", gives every missing field its zero value, and takes a number for a
quantity. This module makes plain data say that, guided by the struct's own annotations. It never touches data
that is already right, and never guesses: a string for a number stays wrong.
"""

from __future__ import annotations

import functools
import types
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

_ZERO: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False}


class _Shape(Struct, frozen=True):
    """What an annotation says, as far as repairs look at it."""

    kind: str  # "struct", "list", "map", "quantity", "plain"
    struct: type[Struct] | None = None
    element: _Shape | None = None
    zero: Any = None


class _FieldShape(Struct, frozen=True):
    shape: _Shape
    required: bool


def _shape(hint: Any) -> _Shape:
    origin = get_origin(hint)
    if origin is Annotated:
        base, *notes = get_args(hint)
        return _Shape("quantity", zero="0") if "quantity" in notes else _shape(base)
    if origin in (Union, types.UnionType):
        first = next(arm for arm in get_args(hint) if arm is not types.NoneType)
        found = _shape(first)
        return (
            found if len(get_args(hint)) == 2 and types.NoneType in get_args(hint) else _Shape("plain", zero=found.zero)
        )
    if origin is tuple:
        return _Shape("list", element=_shape(get_args(hint)[0]))
    if origin is dict:
        return _Shape("map", element=_shape(get_args(hint)[1]))
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _Shape("struct", struct=hint)
    return _Shape("plain", zero=_ZERO.get(hint))


@functools.cache
def _fields(struct: type[Struct]) -> dict[str, _FieldShape]:
    hints = get_type_hints(struct, include_extras=True)
    return {
        field.encode_name: _FieldShape(
            _shape(hints[field.name]), field.default is NODEFAULT and field.default_factory is NODEFAULT
        )
        for field in msgspec.structs.fields(struct)
        if get_origin(hints[field.name]) is not ClassVar
    }


def relax(value: Any, struct: type[Struct]) -> Any:
    """A copy of `value` that decodes strictly to `struct` whenever Go would decode it."""
    return _relax(value, _Shape("struct", struct=struct))


def _relax(value: Any, shape: _Shape) -> Any:
    if value is None:
        return _zero(shape)
    if shape.kind == "struct" and isinstance(value, dict) and shape.struct is not None:
        return _relax_struct(value, shape.struct)
    if shape.element is not None:
        if shape.kind == "list" and isinstance(value, list):
            return [_relax(item, shape.element) for item in value]
        if shape.kind == "map" and isinstance(value, dict):
            return {str(key): _relax(item, shape.element) for key, item in value.items()}
    if shape.kind == "quantity" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _relax_struct(value: dict[str, Any], struct: type[Struct]) -> dict[str, Any]:
    fields = _fields(struct)
    repaired = {
        name: _relax(item, fields[name].shape) if name in fields else item
        for name, item in value.items()
        if item is not None
    }
    for name, field in fields.items():
        if field.required and name not in repaired:
            repaired[name] = _zero(field.shape)
    return repaired


def _zero(shape: _Shape) -> Any:
    if shape.struct is not None:
        return _relax_struct({}, shape.struct)
    if shape.kind == "list":
        return []
    return {} if shape.kind == "map" else shape.zero

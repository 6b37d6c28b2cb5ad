"""Bodies that come as Kubernetes' protobuf, turned into JSON.

kubectl sends what it creates by name as protobuf and nothing else. Only reading is done: answers are JSON, which every
such client takes as well. Owns the envelope and the wire format; field numbers come from a generated table, types from
the schema table. What neither knows is skipped, as protobuf wants it.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kube_actors.api import errors, schema
from kube_actors.api.schema import Definition, Type
from kube_actors.api.time import format_micro_time, format_time

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_DEPTH = 64
_SIGN = 1 << 63

Value = int | bytes


class Malformed(Exception):
    """The bytes are no protobuf of Kubernetes."""


def to_json(body: bytes) -> bytes:
    """The object in an envelope as JSON. Raises a 400."""
    try:
        return msgspec.json.encode(decode(body))
    except (Malformed, IndexError, struct.error, UnicodeDecodeError) as error:
        raise errors.bad_request(f"the body is no protobuf object of Kubernetes: {error}") from None


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope as plain data. Raises Malformed."""
    if not body.startswith(_MAGIC):
        raise Malformed("it does not begin as one")
    envelope = {number: value for number, value in _fields(body[len(_MAGIC) :]) if isinstance(value, bytes)}
    types = {number: value.decode() for number, value in _fields(envelope.get(1, b"")) if isinstance(value, bytes)}
    api_version, kind = types.get(1, ""), types.get(2, "")
    group, _, version = api_version.rpartition("/")
    # DeleteOptions and its like belong to every group.
    found = schema.for_kind(group, version, kind) or schema.for_kind("", "v1", kind)
    if found is None:
        raise Malformed(f"no kind {kind!r} in {api_version!r}")
    return {"kind": kind, "apiVersion": api_version, **_message(found, envelope.get(2, b""), 0)}


@functools.cache
def _numbers() -> dict[str, dict[str, str]]:
    path = Path(__file__).with_name("field_numbers.json")
    return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message; fixed-width values as their bytes."""
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise Malformed(f"wire type {wire}")
        if position + size > end:
            raise Malformed("it is cut short")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise Malformed("a number is too long")


def _message(definition: Definition, data: bytes, depth: int, name: str = "") -> dict[str, Any]:
    """One message; name is that of the inlined message whose fields stand in this definition."""
    if depth > _DEPTH:
        raise Malformed("it is nested too deeply")
    numbers = _numbers().get(name or definition.name, {})
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        key = numbers.get(str(number))
        if key is None:
            continue
        if key.startswith("!"):
            found.update(_message(definition, _bytes(value), depth + 1, key[1:]))
            continue
        field = definition.fields.get(key)
        if field is None:
            continue
        kind = field.type
        if kind.kind == "list" and kind.element is not None:
            found.setdefault(key, []).append(_value(kind.element, value, depth))
        elif kind.kind == "map" and kind.element is not None:
            entry = dict(_fields(_bytes(value)))
            name_of_entry = _bytes(entry.get(1, b"")).decode()
            found.setdefault(key, {})[name_of_entry] = _value(kind.element, entry.get(2, b""), depth)
        else:
            found[key] = _value(kind, value, depth)
    return found


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("a number stands where bytes belong")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise Malformed("bytes stand where a number belongs")
    return value - (_SIGN << 1) if value & _SIGN else value


def _value(kind: Type, value: Value, depth: int) -> Any:
    match kind.kind:
        case "ref":
            definition = schema.struct_of(kind)
            assert definition is not None, "a reference names a definition"
            return _message(definition, _bytes(value), depth + 1)
        case "string":
            return _bytes(value).decode()
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "int32" | "int64":
            return _int(value)
        case "bool":
            return bool(_int(value))
        case "double":
            return struct.unpack("<d", _bytes(value))[0]
        case "list":
            # A list inside a map is wrapped in a message of its own.
            assert kind.element is not None
            return [_value(kind.element, each, depth) for number, each in _fields(_bytes(value)) if number == 1]
        case _:
            return _special(kind.kind, dict(_fields(_bytes(value))))


def _special(kind: str, parts: dict[int, Value]) -> Any:
    """The types that are messages on this wire and scalars in JSON."""
    match kind:
        case "quantity":
            return _bytes(parts.get(1, b"")).decode() or "0"
        case "intorstring":
            return _bytes(parts.get(3, b"")).decode() if parts.get(1) else _int(parts.get(2, 0))
        case "time" | "microtime":
            if not parts:
                return None
            seconds = _int(parts.get(1, 0)) + _int(parts.get(2, 0)) / 1e9
            return format_time(seconds) if kind == "time" else format_micro_time(seconds)
        case _:
            raw = _bytes(parts.get(1, b""))
            try:
                return msgspec.json.decode(raw) if raw else None
            except msgspec.DecodeError:
                raise Malformed("a raw part is no JSON") from None

"""Bytes to objects and back, with one cached decoder a type.

An object is a frozen struct, or a dict when the kind has no struct here. Nothing else in this package touches JSON
of objects, so that each revision is decoded once and in one way.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable
from typing import Any, TypeVar, cast

import msgspec

from kube_actors.api.errors import Status
from kube_actors.api.resources import Resource, struct_for, struct_for_kind

from .answers import ObjectList
from .errors import ProtocolError

T = TypeVar("T")


@functools.cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.cache
def _list_decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(ObjectList[kind])  # type: ignore[valid-type]


def decode(data: bytes, kind: type[T]) -> T:
    """One object. ProtocolError when it is not what its kind says."""
    return cast(T, _decode(data, _decoder(cast(Hashable, kind))))


def decode_list(data: bytes, kind: type[T]) -> ObjectList[T]:
    """A list of objects."""
    return cast(ObjectList[T], _decode(data, _list_decoder(cast(Hashable, kind))))


def _decode(data: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as first:
        # Go servers write null for an empty list or struct; our structs have no room for it.
        pruned = msgspec.json.encode(without_nulls(msgspec.json.decode(data)))
        try:
            return decoder.decode(pruned)
        except msgspec.ValidationError:
            raise ProtocolError(f"not an object of its kind: {first}") from first
    except msgspec.DecodeError as error:
        raise ProtocolError(f"not JSON: {error}") from error


def without_nulls(value: Any) -> Any:
    """The same without members that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return value


def encode(value: Any) -> bytes:
    """A struct, dict or list as JSON; bytes are taken as encoded already."""
    return value if isinstance(value, bytes) else msgspec.json.encode(value)


def type_of(resource: Resource, subresource: str = "") -> type[Any]:
    """What a resource's (or sub-resource's) body decodes into: its struct, or dict."""
    if not subresource:
        return struct_for(resource) or dict
    known = resource.subresources.get(subresource)
    if known is None or known.kind == resource.kind:
        return struct_for(resource) or dict
    group, version = (known.group, known.version) if known.version else (resource.group, resource.version)
    return struct_for_kind(group, version, known.kind) or dict


def decode_or_status(data: bytes, kind: type[T]) -> T | Status:
    """A deletion's answer: the object if it is still there, a Status if it is gone."""
    head = _decoder(_Kind).decode(data)
    return decode(data, Status) if head.kind == "Status" else decode(data, kind)


class _Kind(msgspec.Struct):
    kind: str = ""

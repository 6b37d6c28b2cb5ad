"""Bytes to objects and back, for any kind: a struct, a Dynamic where a kind has no struct, or a dict.

A thin layer over `api.codec`, which owns the rules; here stands only what depends on a type being chosen at run
time. Whatever cannot be read becomes a ProtocolError: to a client, the server's answer is then no answer.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from kube_actors.api import codec
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.errors import Status
from kube_actors.api.resources import Resource, struct_for, struct_for_kind

from .answers import ObjectList
from .errors import ProtocolError

T = TypeVar("T")


def decode(data: bytes, kind: type[T]) -> T:
    """One object. ProtocolError when it is not what its kind says."""
    try:
        if kind is Dynamic:
            return cast(T, Dynamic(codec.decode_dict(data)))
        if kind is dict:
            return cast(T, codec.decode_dict(data))
        return cast(T, codec.decode(data, cast(Any, kind)))
    except codec.CodecError as error:
        raise ProtocolError(f"not a {kind.__name__}: {error}") from error


def decode_list(data: bytes, kind: type[T]) -> ObjectList[T]:
    """A list of objects, each read as one object is: a decoder of whole lists would be built for every kind anew,
    which costs more than most lists do, and a component begins with twenty lists that are mostly empty."""
    try:
        metadata, items = codec.split_list(data)
    except codec.CodecError as error:
        raise ProtocolError(f"not a list: {error}") from error
    return ObjectList(items=tuple(decode(item, kind) for item in items), metadata=metadata)


def encode(value: Any) -> bytes:
    """A struct, Dynamic, dict or list as JSON; bytes are taken as encoded already."""
    return value if isinstance(value, bytes) else codec.encode(value)


def type_of(resource: Resource, subresource: str = "") -> type[Any]:
    """What a resource's (or sub-resource's) body decodes into."""
    known = resource.subresources.get(subresource)
    if known is None or known.kind == resource.kind:
        return struct_for(resource) or Dynamic
    group, version = (known.group, known.version) if known.version else (resource.group, resource.version)
    return struct_for_kind(group, version, known.kind) or Dynamic


def decode_or_status(data: bytes, kind: type[T]) -> T | Status:
    """A deletion's answer: the object if it is still there, a Status if it is gone."""
    try:
        _, name = codec.head_of(data)
    except codec.CodecError as error:
        raise ProtocolError(f"not an object: {error}") from error
    return decode(data, Status) if name == "Status" else decode(data, kind)

"""Bytes to objects and back: JSON for the wire and the store, typed structs or plain dicts in the program.

Owns the cached decoders and the encoding of lists as a join of bytes. Decoding is strict first and fast; what
only Go would accept (null for a list, a missing required field, a number for a quantity) is repaired on a slow
path, as Go reads it. This module never changes an object's meaning and knows no defaults.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from kube_actors.api.dynamic import Dynamic
from kube_actors.api.relaxed import relax
from kube_actors.api.resources import struct_for_kind
from kube_actors.api.types._base import Object
from kube_actors.api.types.meta_v1 import ListMeta

T = TypeVar("T", bound=Struct)


class CodecError(ValueError):
    """These bytes are not what they should be; the text says where."""


_encode = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder().decode


@functools.cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def prepare(kind: type[Struct]) -> None:
    """Make ready to decode a kind, so that its first object does not wait for that (some milliseconds for a Pod)."""
    _decoder(kind)


def encode(value: Any) -> bytes:
    """The JSON of a struct, a Dynamic or plain data."""
    return _encode(value.content if type(value) is Dynamic else value)


def decode(data: bytes, kind: type[T]) -> T:
    """One object of a known type."""
    try:
        decoder: msgspec.json.Decoder[T] = _decoder(kind)
        return decoder.decode(data)
    except msgspec.ValidationError:
        return convert(decode_plain(data), kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error


def decode_plain(data: bytes) -> Any:
    """Plain data; every call gives new dicts, which the caller owns."""
    try:
        return _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error
    except RecursionError as error:
        raise CodecError("exceeded max depth") from error


def decode_dict(data: bytes) -> dict[str, Any]:
    """A plain JSON object."""
    value = decode_plain(data)
    if not isinstance(value, dict):
        raise CodecError(f"expected an object, got {type(value).__name__}")
    return value


def convert(value: Any, kind: type[T]) -> T:
    """Plain data to a struct."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(relax(value, kind), kind)
    except msgspec.ValidationError as error:
        raise CodecError(f"{kind.__name__}: {error}") from error


def to_dict(value: Any) -> dict[str, Any]:
    """A new plain dict with JSON names, which the caller owns."""
    found: dict[str, Any] = _decode_plain(encode(value))
    return found


def copy_plain(value: Any) -> Any:
    """A deep copy of plain data."""
    return msgspec.to_builtins(value)


class _Head(Struct):
    api_version: str = msgspec.field(default="", name="apiVersion")
    kind: str = ""


def head_of(data: bytes) -> tuple[str, str]:
    """apiVersion and kind, without decoding the rest."""
    try:
        head = _decoder(_Head).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error
    return head.api_version, head.kind


def struct_named(api_version: str, kind: str) -> type[Object] | None:
    """The built-in struct that an object's apiVersion and kind name, or None."""
    group, _, version = api_version.rpartition("/")
    return struct_for_kind(group, version, kind)


def decode_any(data: bytes) -> Object | Dynamic:
    """An object of whatever kind it says it is; kinds that are not built in become a Dynamic."""
    struct = struct_named(*head_of(data))
    return Dynamic(decode_dict(data)) if struct is None else decode(data, struct)


def convert_any(value: dict[str, Any]) -> Object | Dynamic:
    """As decode_any, from plain data. A Dynamic takes the dict over: the caller gives it up."""
    struct = struct_named(str(value.get("apiVersion", "")), str(value.get("kind", "")))
    return Dynamic(value) if struct is None else convert(value, struct)


class _RawList(Struct):
    metadata: ListMeta = ListMeta()
    items: list[msgspec.Raw] | None = None


def split_list(data: bytes) -> tuple[ListMeta, list[bytes]]:
    """A list's metadata and the bytes of its items, undecoded."""
    try:
        read = _decoder(_RawList).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error
    return read.metadata, [bytes(item) for item in read.items or ()]


def join_list(
    api_version: str,
    kind: str,
    items: Sequence[bytes],
    *,
    resource_version: str = "",
    continue_: str = "",
    remaining: int | None = None,
) -> bytes:
    """The bytes of a list object (`kind` is the list's own) around items that are encoded already."""
    meta = ListMeta(resource_version=resource_version, continue_=continue_, remaining_item_count=remaining or None)
    head = {"kind": kind, "apiVersion": api_version, "metadata": meta}
    return b'%b,"items":[%b]}' % (_encode(head)[:-1], b",".join(items))


def type_head(api_version: str, kind: str) -> bytes:
    """How the bytes of an encoded object begin; a list's items are sent without it."""
    return _encode({"kind": kind, "apiVersion": api_version})[:-1] + b","


def without_type(items: Iterable[bytes], api_version: str, kind: str) -> list[bytes]:
    """Items as a list of a built-in kind carries them: without kind and apiVersion, where these come first."""
    head = type_head(api_version, kind)
    size = len(head)
    return [b"{" + item[size:] if item.startswith(head) else item for item in items]

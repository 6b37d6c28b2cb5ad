"""The compact schema table: for every built-in definition, its fields and how they merge.

Owns reading `definitions.json` (generated beside the types) and the shape in which strategic merge, server-side
apply, pruning and the OpenAPI documents look at a schema. A custom resource's schema is brought into the same
shape by whoever serves it, through `Type.inline`. This module never validates or changes an object.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

SCALARS = frozenset(
    {"string", "bytes", "int32", "int64", "double", "bool", "quantity", "intorstring", "time", "microtime"}
)
FREE = frozenset({"any", "raw", "fields"})
"""Kinds under which everything is kept as it is."""

_SCHEMA_VERSION = "v1.36.0"


class Type(Struct, frozen=True):
    """What a field or an element holds.

    kind is one of SCALARS, FREE, "list", "map" (of `element`) or "ref" (a struct: the definition named `ref`,
    or `inline` when it has no name).
    """

    kind: str
    element: Type | None = None
    ref: str = ""
    inline: Definition | None = None


class Field(Struct, frozen=True, kw_only=True):
    """One field. list_type is "atomic", "set" or "map", "" meaning atomic; patch_strategy e.g. ("merge",)."""

    name: str
    type: Type
    required: bool = False
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: tuple[str, ...] = ()
    patch_merge_key: str = ""


class Definition(Struct, frozen=True, kw_only=True):
    """One struct. kinds are its (group, version, kind), empty for what is no top-level kind.

    preserve_unknown keeps fields that are not listed (custom resources only).
    """

    name: str
    fields: dict[str, Field] = {}
    kinds: tuple[tuple[str, str, str], ...] = ()
    map_type: str = ""
    preserve_unknown: bool = False


class Described(Struct, frozen=True):
    """The prose of one definition, for `kubectl explain`."""

    description: str = ""
    fields: dict[str, str] = {}


class SchemaError(LookupError):
    """There is no such definition."""


class _RawField(Struct):
    type: Any
    required: bool = False
    list_type: str = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: str = ""
    patch_strategy: str = ""
    patch_merge_key: str = ""


class _RawDefinition(Struct):
    fields: dict[str, _RawField] = {}
    gvk: tuple[tuple[str, str, str], ...] = ()
    map_type: str = ""


class _Table(Struct):
    kinds: dict[str, str]
    definitions: dict[str, msgspec.Raw]


@functools.cache
def _table() -> _Table:
    return msgspec.json.decode(Path(__file__).with_name("definitions.json").read_bytes(), type=_Table)


@functools.cache
def _decoder() -> msgspec.json.Decoder[_RawDefinition]:
    return msgspec.json.Decoder(_RawDefinition)


def _type(raw: Any) -> Type:
    if isinstance(raw, str):
        return _scalar(raw)
    if "ref" in raw:
        return Type("ref", ref=raw["ref"])
    kind = "list" if "list" in raw else "map"
    return Type(kind, element=_type(raw[kind]))


@functools.cache
def _scalar(kind: str) -> Type:
    return Type(kind)


@functools.cache
def definition(name: str) -> Definition:
    """The definition with this full name, e.g. `io.k8s.api.core.v1.PodSpec`; SchemaError when there is none."""
    raw = _table().definitions.get(name)
    if raw is None:
        raise SchemaError(name)
    read = _decoder().decode(raw)
    fields = {
        key: Field(
            name=key,
            type=_type(field.type),
            required=field.required,
            list_type=field.list_type,
            list_map_keys=field.list_map_keys,
            map_type=field.map_type,
            patch_strategy=tuple(field.patch_strategy.split(",")) if field.patch_strategy else (),
            patch_merge_key=field.patch_merge_key,
        )
        for key, field in read.fields.items()
    }
    return Definition(name=name, fields=fields, kinds=read.gvk, map_type=read.map_type)


def names() -> tuple[str, ...]:
    """Every definition's full name, sorted."""
    return tuple(_table().definitions)


def for_kind(group: str, version: str, kind: str) -> Definition | None:
    """The definition of a top-level built-in kind, or None."""
    name = _table().kinds.get(f"{group}/{version}/{kind}")
    return None if name is None else definition(name)


def struct_of(kind: Type) -> Definition | None:
    """The definition that a "ref" type stands for; None for every other type."""
    if kind.kind != "ref":
        return None
    return kind.inline if kind.inline is not None else definition(kind.ref)


@functools.cache
def descriptions() -> dict[str, Described]:
    """The prose of all definitions, from the package kubernetes-validate; empty when it is not installed."""
    found = importlib.util.find_spec("kubernetes_validate")
    if found is None or found.origin is None:
        return {}
    path = Path(found.origin).parent / "kubernetes-json-schema" / f"{_SCHEMA_VERSION}-local" / "_definitions.json"
    if not path.exists():
        return {}
    source = msgspec.json.decode(path.read_bytes(), type=_Source)
    return {
        name: Described(entry.description, {key: field.description for key, field in entry.properties.items()})
        for name, entry in source.definitions.items()
    }


class _SourceField(Struct):
    description: str = ""


class _SourceEntry(Struct):
    description: str = ""
    properties: dict[str, _SourceField] = {}


class _Source(Struct):
    definitions: dict[str, _SourceEntry] = msgspec.field(name="$defs")

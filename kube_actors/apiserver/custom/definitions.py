"""A structural schema in the shape in which the built-in kinds' schemas are looked at.

For server-side apply, `kubectl explain` and whoever walks fields by `api.schema`. Owns the translation only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kube_actors.api.resources import Resource
from kube_actors.api.schema import Definition, Field, Type

_SCALARS = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}
_ANY = Type("any")
_META = Type("ref", ref="io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
_STRING = Type("string")


def of(resource: Resource, schema: Mapping[str, Any]) -> Definition:
    """The definition of a root kind."""
    name = f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{resource.kind}"
    found = _struct(schema, name)
    implicit = {
        "apiVersion": Field(name="apiVersion", type=_STRING),
        "kind": Field(name="kind", type=_STRING),
        "metadata": Field(name="metadata", type=_META),
    }
    return Definition(
        name=name,
        fields={**found.fields, **implicit},
        kinds=(resource.gvk,),
        map_type=found.map_type,
        preserve_unknown=found.preserve_unknown,
    )


def _struct(schema: Mapping[str, Any], name: str) -> Definition:
    required = set(schema.get("required") or ())
    return Definition(
        name=name,
        fields={
            key: _field(key, inner, name, key in required) for key, inner in (schema.get("properties") or {}).items()
        },
        map_type=schema.get("x-kubernetes-map-type", ""),
        preserve_unknown=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
    )


def _field(key: str, schema: Mapping[str, Any], name: str, required: bool) -> Field:
    return Field(
        name=key,
        type=_type(schema, f"{name}.{key}"),
        required=required,
        list_type=schema.get("x-kubernetes-list-type", ""),
        list_map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=schema.get("x-kubernetes-map-type", ""),
    )


def _type(schema: Mapping[str, Any], name: str) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return Type("intorstring")
    kind = schema.get("type", "")
    if kind == "array":
        items = schema.get("items")
        return Type("list", element=_type(items, name) if isinstance(items, Mapping) else _ANY)
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            return Type("map", element=_type(values, name))
        if schema.get("properties") or not schema.get("x-kubernetes-preserve-unknown-fields"):
            return Type("ref", inline=_struct(schema, name))
        return _ANY
    return Type(_SCALARS[kind]) if kind in _SCALARS else _ANY

"""Definitions of the schema table as OpenAPI schemas, with everything that they refer to.

Owns the translation of types and of Kubernetes' extensions (list types, merge keys, kinds). Descriptions are those of
the published schema where it is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from kube_actors.api import schema
from kube_actors.api.resources import Resource
from kube_actors.api.schema import Definition, Field, Type

JSONObject = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_NAMED_SCALARS = {
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "intorstring": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "time": _META + "Time",
    "microtime": _META + "MicroTime",
    "raw": "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "fields": _META + "FieldsV1",
}
_SCALARS: dict[str, JSONObject] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "any": {},
}
_NAMED: dict[str, JSONObject] = {
    _NAMED_SCALARS["quantity"]: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    _NAMED_SCALARS["intorstring"]: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    _NAMED_SCALARS["time"]: {"type": "string", "format": "date-time"},
    _NAMED_SCALARS["microtime"]: {"type": "string", "format": "date-time"},
    _NAMED_SCALARS["raw"]: {"type": "object"},
    _NAMED_SCALARS["fields"]: {"type": "object"},
    _META + "Patch": {"type": "object"},
}
_NAMED_V2: dict[str, JSONObject] = {
    _NAMED_SCALARS["quantity"]: {"type": "string"},
    _NAMED_SCALARS["intorstring"]: {"type": "string", "format": "int-or-string"},
}
PATCH = _META + "Patch"


class Writer:
    """Gathers the schemas of one document: whatever is referred to is written as well."""

    def __init__(self, prefix: str, *, version: int) -> None:
        self.version = version
        self._prefix = prefix
        self._written: dict[str, JSONObject] = {}
        self._waiting: list[str] = []
        self._custom: dict[str, Callable[[], JSONObject]] = {}
        self._custom_names: dict[tuple[str, str, str], str] = {}

    def declare(self, resource: Resource) -> None:
        """Make a custom resource's kind and list known, by which paths then refer to them."""
        from kube_actors.apiserver.custom import openapi  # lazy: nothing of it is needed while nothing is custom

        for kind, write in ((resource.kind, openapi.kind_schema), (resource.list_kind, openapi.list_schema)):
            name = openapi.name_of(resource, kind)
            self._custom_names[resource.group, resource.version, kind] = name
            self._custom[name] = functools.partial(write, resource, self.ref, self.version)

    def is_custom(self, gvk: tuple[str, str, str]) -> bool:
        return gvk in self._custom_names

    def ref(self, name: str) -> JSONObject:
        """A reference to a definition, which will be in the document."""
        if name not in self._written:
            self._written[name] = {}
            self._waiting.append(name)
        return {"$ref": self._prefix + name}

    def kind(self, group: str, version: str, kind: str) -> JSONObject:
        """A reference to a kind; any object when the table does not have it."""
        custom = self._custom_names.get((group, version, kind))
        if custom is not None:
            return self.ref(custom)
        found = schema.for_kind(group, version, kind)
        return {"type": "object"} if found is None else self.ref(found.name)

    def schemas(self) -> JSONObject:
        """All that has been referred to, by name."""
        while self._waiting:
            name = self._waiting.pop()
            self._written[name] = self._definition(name)
        return dict(sorted(self._written.items()))

    def _definition(self, name: str) -> JSONObject:
        if name in self._custom:
            return self._custom[name]()
        described = schema.descriptions().get(name)
        named = (_NAMED_V2.get(name) if self.version == 2 else None) or _NAMED.get(name)
        text = described.description if described is not None else ""
        if named is not None:
            return {**({"description": text} if text else {}), **named}
        found = schema.definition(name)
        fields = described.fields if described is not None else {}
        result: JSONObject = {"description": text} if text else {}
        result["type"] = "object"
        required = [field.name for field in found.fields.values() if field.required]
        if required:
            result["required"] = required
        result["properties"] = {
            key: self._property(field, fields.get(key, "")) for key, field in sorted(found.fields.items())
        }
        result.update(_extensions_of(found))
        return result

    def _property(self, field: Field, text: str) -> JSONObject:
        found = self._type(field.type)
        if text:
            # A reference may not have siblings, so it is wrapped where something is to be said of it.
            found = {"allOf": [found]} if "$ref" in found and self.version == 3 else dict(found)
            found["description"] = text
        extensions = _extensions(field)
        return {**found, **extensions} if extensions else found

    def _type(self, kind: Type) -> JSONObject:
        if kind.kind == "list":
            assert kind.element is not None
            return {"type": "array", "items": self._type(kind.element)}
        if kind.kind == "map":
            assert kind.element is not None
            return {"type": "object", "additionalProperties": self._type(kind.element)}
        if kind.kind == "ref":
            return self.ref(kind.ref) if kind.ref else {"type": "object"}
        named = _NAMED_SCALARS.get(kind.kind)
        return self.ref(named) if named is not None else dict(_SCALARS[kind.kind])


def _extensions(field: Field) -> JSONObject:
    found: JSONObject = {}
    if field.list_type:
        found["x-kubernetes-list-type"] = field.list_type
    if field.list_map_keys:
        found["x-kubernetes-list-map-keys"] = list(field.list_map_keys)
    if field.map_type:
        found["x-kubernetes-map-type"] = field.map_type
    if field.patch_strategy:
        found["x-kubernetes-patch-strategy"] = ",".join(field.patch_strategy)
    if field.patch_merge_key:
        found["x-kubernetes-patch-merge-key"] = field.patch_merge_key
    return found


def _extensions_of(found: Definition) -> JSONObject:
    result: JSONObject = {}
    if found.kinds:
        result["x-kubernetes-group-version-kind"] = [
            {"group": group, "kind": kind, "version": version} for group, version, kind in found.kinds
        ]
    if found.map_type:
        result["x-kubernetes-map-type"] = found.map_type
    return result

"""A custom resource's schema as it is published: for OpenAPI v3 nearly as declared, for v2 without what v2 cannot say.

Owns what is left out, and the fields and texts that every resource has. Who refers to whom is the writer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kube_actors.api import schema as kinds
from kube_actors.api.resources import Resource

JSONObject = dict[str, Any]
Schema = Mapping[str, Any]
Ref = Callable[[str], JSONObject]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf", "not")
_CONVENTIONS: Final = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"


def name_of(resource: Resource, kind: str) -> str:
    """The full name of a definition: com.example.v1.Widget."""
    return f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{kind}"


def kind_schema(resource: Resource, ref: Ref, version: int) -> JSONObject:
    """One object."""
    declared = resource.structural
    if not declared or (version == 2 and declared.get(_PRESERVE)):
        found: JSONObject = {"type": "object"}
    else:
        found = _published(declared, ref, version)
        found["properties"] = {**(found.get("properties") or {}), **_implicit(ref, "ObjectMeta", version)}
    found["x-kubernetes-group-version-kind"] = [_gvk(resource, resource.kind)]
    return found


def list_schema(resource: Resource, ref: Ref, version: int) -> JSONObject:
    """A list of objects."""
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_implicit(ref, "ListMeta", version),
            "items": {
                "description": f"List of {resource.plural}. More info: {_CONVENTIONS}",
                "type": "array",
                "items": ref(name_of(resource, resource.kind)),
            },
        },
        "x-kubernetes-group-version-kind": [_gvk(resource, resource.list_kind)],
    }


def _gvk(resource: Resource, kind: str) -> JSONObject:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _implicit(ref: Ref, meta: str, version: int) -> JSONObject:
    """apiVersion, kind and metadata, in the words that built-in kinds have for them."""
    owner = "io.k8s.api.core.v1.Pod" if meta == "ObjectMeta" else "io.k8s.api.core.v1.PodList"
    described = kinds.descriptions().get(owner)
    texts = described.fields if described is not None else {}
    reference = ref(_META + meta)
    text = texts.get("metadata", "")
    if text:
        reference = {"description": text, **({"allOf": [reference]} if version == 3 else reference)}
    found: JSONObject = {"metadata": reference}
    for key in ("apiVersion", "kind"):
        found[key] = {**({"description": texts[key]} if texts.get(key) else {}), "type": "string"}
    return found


def _published(declared: Schema, ref: Ref, version: int) -> JSONObject:
    found = {key: value for key, value in declared.items() if key not in _JUNCTORS or version == 3}
    hidden = version == 2 and (declared.get("nullable") or declared.get(_PRESERVE))
    if hidden:
        for key in ("items", "properties", "additionalProperties"):
            found.pop(key, None)
        if declared.get("nullable"):
            for key in ("type", "nullable", "enum", "required", "default"):
                found.pop(key, None)
    if version == 2:
        _without_v3(found)
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), Mapping):
            found[key] = _published(found[key], ref, version)
    if found.get("properties"):
        found["properties"] = {key: _published(inner, ref, version) for key, inner in found["properties"].items()}
    if declared.get(_EMBEDDED) and not hidden:
        found["properties"] = {**(found.get("properties") or {}), **_implicit(ref, "ObjectMeta", version)}
        found["required"] = list(dict.fromkeys([*(found.get("required") or ()), "apiVersion", "kind"]))
    return found


def _without_v3(found: JSONObject) -> None:
    """An integer or a string has no type that v2 could name."""
    if found.get("x-kubernetes-int-or-string"):
        found.pop("type", None)

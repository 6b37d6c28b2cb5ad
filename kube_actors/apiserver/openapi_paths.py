"""The paths of an OpenAPI document: one operation for each verb of each resource.

Owns which parameters an operation names; kubectl asks these documents whether a server validates fields, and which
kind a path is about. Written for machines, so operations have no prose.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kube_actors.api import messages
from kube_actors.api.resources import Resource, Subresource
from kube_actors.apiserver.openapi_schemas import PATCH, Writer

JSONObject = dict[str, Any]

_LIST = (
    ("allowWatchBookmarks", "boolean"), ("continue", "string"), ("fieldSelector", "string"),
    ("labelSelector", "string"), ("limit", "integer"), ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"), ("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
)  # fmt: skip
_WRITE = (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
_DELETE = (
    ("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
)  # fmt: skip

# verb -> (method, action, parameters, what the body is: "", "object", "patch" or "options", whether a list answers)
_COLLECTION = {
    "list": ("get", "list", _LIST, "", True),
    "create": ("post", "post", _WRITE, "object", False),
    "deletecollection": ("delete", "deletecollection", (*_DELETE, *_LIST), "options", False),
}
_ITEM = {
    "get": ("get", "get", (), "", False),
    "update": ("put", "put", _WRITE, "object", False),
    "patch": ("patch", "patch", (*_WRITE, ("force", "boolean")), "patch", False),
    "delete": ("delete", "delete", _DELETE, "options", False),
    "create": ("post", "post", _WRITE, "object", False),
}
PATCHES = (messages.APPLY_PATCH, messages.JSON_PATCH, messages.MERGE_PATCH, messages.STRATEGIC_PATCH)


def paths(resources: Iterable[Resource], writer: Writer) -> JSONObject:
    """Every path of these resources."""
    found: JSONObject = {}
    for resource in resources:
        if resource.custom:
            writer.declare(resource)
        base = f"{resource.path}/namespaces/{{namespace}}" if resource.namespaced else resource.path
        collection = f"{base}/{resource.plural}"
        gvk = resource.gvk
        _add(found, collection, _operations(_COLLECTION, resource.verbs, gvk, resource.list_kind, writer), resource)
        verbs = [verb for verb in resource.verbs if verb != "create"]
        _add(found, f"{collection}/{{name}}", _operations(_ITEM, verbs, gvk, "", writer), resource)
        if resource.namespaced and "list" in resource.verbs:
            listed = _operations(_COLLECTION, ("list",), gvk, resource.list_kind, writer)
            found[f"{resource.path}/{resource.plural}"] = listed
        for sub in resource.subresources.values():
            operations = _operations(_ITEM, sub.verbs, _kind_of(resource, sub), "", writer)
            _add(found, f"{collection}/{{name}}/{sub.name}", operations, resource)
    return dict(sorted(found.items()))


def _kind_of(resource: Resource, sub: Subresource) -> tuple[str, str, str]:
    return (sub.group, sub.version, sub.kind) if sub.version else (resource.group, resource.version, sub.kind)


def _add(found: JSONObject, path: str, operations: JSONObject, resource: Resource) -> None:
    if not operations:
        return
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    found[path] = {**operations, "parameters": [_in_path(name) for name in names]} if names else operations


def _in_path(name: str) -> JSONObject:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operations(
    table: dict[str, Any], verbs: Iterable[str], gvk: tuple[str, str, str], list_kind: str, writer: Writer
) -> JSONObject:
    group, version, kind = gvk
    found: JSONObject = {}
    for verb in verbs:
        if verb not in table:
            continue
        method, action, parameters, body, listed = table[verb]
        answer = writer.kind(group, version, list_kind if listed else kind)
        operation: JSONObject = {
            "parameters": [_parameter(name, of, writer) for name, of in parameters],
            "responses": {"200": _response(answer, writer)},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": version},
        }
        _add_body(operation, body, gvk, writer)
        found[method] = operation
    return found


def _parameter(name: str, of: str, writer: Writer) -> JSONObject:
    """Query parameters are unique by nature of a map; dryRun is said once like everything else."""
    if writer.version == 2:
        return {"name": name, "in": "query", "type": of, "uniqueItems": True}
    return {"name": name, "in": "query", "schema": {"type": of, "uniqueItems": True}}


def _response(answer: JSONObject, writer: Writer) -> JSONObject:
    if writer.version == 2:
        return {"description": "OK", "schema": answer}
    return {"description": "OK", "content": {messages.JSON: {"schema": answer}}}


def _add_body(operation: JSONObject, body: str, gvk: tuple[str, str, str], writer: Writer) -> None:
    if not body:
        return
    shape = {
        "object": lambda: writer.kind(*gvk),
        "patch": lambda: writer.ref(PATCH),
        "options": lambda: writer.kind("", "v1", "DeleteOptions"),
    }[body]()
    types = (PATCHES[:-1] if writer.is_custom(gvk) else PATCHES) if body == "patch" else ("*/*",)
    if writer.version == 2:
        operation["consumes"] = list(types)
        operation["parameters"].append({"name": "body", "in": "body", "required": body != "options", "schema": shape})
    else:
        content = {media_type: {"schema": shape} for media_type in types}
        operation["requestBody"] = {"content": content, **({"required": True} if body != "options" else {})}

"""Merging an apply configuration into an object, by the kind's own schema: maps by key, lists by their type.

Owns the merge that mutating policies do, which has no managers and no conflicts: what is named is set, nothing is
removed. An atomic list, map or struct may not be named, since that would remove what others put there.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import schema
from kube_actors.api.resources import Resource
from kube_actors.apiserver.admission.chain import JSONObject
from kube_actors.apiserver.admission.evaluation import Failed


def apply(resource: Resource, obj: JSONObject, applied: JSONObject) -> JSONObject:
    """The object with the configuration merged in. Raises Failed."""
    definition = schema.for_kind(resource.group, resource.version, resource.kind)
    if definition is None:
        return dict(_untyped(obj, applied))
    merged = _struct(definition, obj, applied, "")
    return {**merged, "kind": obj["kind"], "apiVersion": obj["apiVersion"]}


def _untyped(live: Any, applied: Any) -> Any:
    if not isinstance(live, dict) or not isinstance(applied, dict):
        return applied
    found = dict(live)
    for key, value in applied.items():
        found[key] = _untyped(live[key], value) if key in live else value
    return found


def _struct(definition: schema.Definition, live: Any, applied: Any, path: str) -> JSONObject:
    if not isinstance(applied, dict):
        raise Failed(f"error applying patch: {path}: expected map, got {applied!r}")
    found: JSONObject = dict(live) if isinstance(live, dict) else {}
    for key, value in applied.items():
        field = definition.fields.get(key)
        at = f"{path}.{key}"
        if field is None:
            raise Failed(f"error applying patch: failed to convert patch object to typed object: {at}: field not "
                         "declared in schema")  # fmt: skip
        found[key] = _value(field, found.get(key), value, at)
    return found


def _value(field: schema.Field, live: Any, applied: Any, path: str) -> Any:
    kind = field.type
    if kind.kind == "list" and kind.element is not None:
        if field.list_type == "map" and isinstance(applied, list):
            return _keyed(kind.element, field.list_map_keys, live, applied, path)
        if field.list_type == "set" and isinstance(applied, list):
            known = list(live) if isinstance(live, list) else []
            return known + [item for item in applied if item not in known]
        raise _atomic(path)
    if kind.kind == "map" and kind.element is not None:
        if field.map_type == "atomic":
            raise _atomic(path)
        if not isinstance(applied, dict):
            raise Failed(f"error applying patch: {path}: expected map, got {applied!r}")
        return {**(live if isinstance(live, dict) else {}), **applied}
    definition = schema.struct_of(kind)
    if definition is None:
        return applied
    if field.map_type == "atomic" or definition.map_type == "atomic":
        raise _atomic(path)
    return _struct(definition, live, applied, path)


def _keyed(element: schema.Type, keys: tuple[str, ...], live: Any, applied: list[Any], path: str) -> list[Any]:
    def key_of(item: Any) -> tuple[str, ...]:
        return tuple(str(item.get(key, "TCP" if key == "protocol" else "")) for key in keys)

    definition = schema.struct_of(element)
    found = [item for item in live if isinstance(item, dict)] if isinstance(live, list) else []
    places = {key_of(item): at for at, item in enumerate(found)}
    for index, item in enumerate(applied):
        if not isinstance(item, dict):
            raise Failed(f"error applying patch: {path}[{index}]: expected map, got {item!r}")
        at = places.get(key_of(item))
        before = found[at] if at is not None else {}
        merged = _struct(definition, before, item, path) if definition is not None else _untyped(before, item)
        if at is None:
            places[key_of(item)] = len(found)
            found.append(merged)
        else:
            found[at] = merged
    return found


def _atomic(path: str) -> Failed:
    return Failed(
        f"error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {path}"
    )

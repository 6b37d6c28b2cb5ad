"""Declarative apply for `Cluster.apply`: what was applied last, what is wanted now, and the patch between.

The way of `kubectl apply`: the last applied manifest is kept in an annotation; what stood in it and is no longer
wanted is removed, everything else in the manifest is set, and what others have set is left alone. Pure functions on
dicts; sending is `Cluster`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kube_actors.api import schema

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def annotated(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with itself in the last-applied annotation."""
    metadata = dict(manifest.get("metadata") or {})
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    bare = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    encoded = msgspec.json.encode(bare).decode() + "\n"
    return {**manifest, "metadata": {**metadata, "annotations": {**annotations, LAST_APPLIED: encoded}}}


def last_applied(live: Mapping[str, Any]) -> dict[str, Any]:
    """What was applied last, from the live object's annotation; {} when nothing was, or it cannot be read."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = msgspec.json.decode(text) if isinstance(text, str) else None
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def patch(last: Mapping[str, Any], wanted: Mapping[str, Any], definition: schema.Definition | None) -> dict[str, Any]:
    """The patch that makes `wanted` true where `last` was applied before.

    With a definition it is a strategic merge patch (lists with a merge key lose just the elements that are no
    longer wanted); without one (custom resources) a JSON merge patch.
    """
    result: dict[str, Any] = {key: None for key in last if key not in wanted}
    for key, value in wanted.items():
        field = definition.fields.get(key) if definition is not None else None
        result.update(_field(key, last.get(key), value, field, typed=definition is not None))
    return result


def _field(key: str, last: Any, wanted: Any, field: schema.Field | None, *, typed: bool) -> dict[str, Any]:
    if isinstance(wanted, Mapping):
        inner = schema.struct_of(field.type) if field is not None else None
        before = last if isinstance(last, Mapping) else {}
        # Below a map of strings and the like there is no struct, but keys are still removed one by one.
        return {key: patch(before, wanted, inner or (_NO_FIELDS if typed else None))}
    if isinstance(wanted, list) and isinstance(last, list) and field is not None and "merge" in field.patch_strategy:
        return _merged_list(key, last, wanted, field)
    return {key: wanted}


_NO_FIELDS = schema.Definition(name="")


def _merged_list(key: str, last: list[Any], wanted: list[Any], field: schema.Field) -> dict[str, Any]:
    merge_key = field.patch_merge_key
    if not merge_key:
        gone = [value for value in last if value not in wanted]
        return {key: wanted, **({f"$deleteFromPrimitiveList/{key}": gone} if gone else {})}
    element = schema.struct_of(field.type.element) if field.type.element is not None else None
    before = {item.get(merge_key): item for item in last if isinstance(item, Mapping)}
    now = {item.get(merge_key) for item in wanted if isinstance(item, Mapping)}
    items = [
        patch(before.get(item.get(merge_key), {}), item, element) if isinstance(item, Mapping) else item
        for item in wanted
    ]
    removed = [{merge_key: name, "$patch": "delete"} for name in before if name not in now]
    return {key: items + removed}

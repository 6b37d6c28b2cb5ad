"""Merging an apply configuration into an object, as server-side apply merges, but without managers and conflicts.

Owns what a mutating policy may not do: name an atomic list, map or struct, which would remove what others put there.
What is named is set, nothing is removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kube_actors.api import merging
from kube_actors.api.merge_types import ANYTHING, ListType, MapType, MergeType
from kube_actors.apiserver.admission.chain import JSONObject
from kube_actors.apiserver.admission.evaluation import Failed
from kube_actors.apiserver.kinds import Kind


def apply(kind: Kind, obj: JSONObject, applied: JSONObject) -> JSONObject:
    """The object with the configuration merged in. Raises Failed."""
    shape = kind.merge_type
    problems = merging.check(shape, applied)
    if problems:
        text = merging.check_text(problems)
        raise Failed(f"error applying patch: failed to convert patch object to typed object: {text}")
    whole = sorted(set(_atomic(shape, applied, "")))
    if whole:
        raise Failed(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            f"{', '.join(whole)}"
        )
    merged = merging.merge(shape, obj, applied)
    return {**merged, "kind": obj["kind"], "apiVersion": obj["apiVersion"]}


def _atomic(kind: MergeType, value: Any, path: str) -> Iterator[str]:
    """Where a value names something that has one owner as a whole."""
    if isinstance(kind, MapType) and isinstance(value, dict):
        for key, item in value.items():
            yield from _atomic(kind.fields[key], item, f"{path}.{key}")
    elif isinstance(kind, ListType) and isinstance(value, list):
        for item in value:
            yield from _atomic(kind.element or ANYTHING, item, path)
    elif kind.atomic and kind.form in ("list", "map") and isinstance(value, dict | list):
        yield path

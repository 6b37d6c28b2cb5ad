"""What server-side apply does to values: merging an applied object into a live one, and taking fields away.

Owns the walks that only apply needs, over the types of `merge_types`: merge, removal, the check of an applied object
and the names that count as owned on the way to a field. Never changes its arguments; results share what they keep.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api.fieldsets import MEMBER, FieldSet, as_member, element_text, is_member
from kube_actors.api.gotext import go_syntax, go_type, value_text
from kube_actors.api.merge_types import ANYTHING, AtomicMap, DeducedType, ListType, MapType, MergeType, Untypable

ABSENT: Any = object()
JSONObject = dict[str, Any]


def merge(kind: MergeType, live: Any, applied: Any) -> Any:
    """The applied value over the live one; either may be ABSENT. Nothing is ever removed by this."""
    if isinstance(kind, DeducedType):
        if not isinstance(applied, dict) or not isinstance(live, dict):
            return live if applied is ABSENT else applied
        kind = kind.as_map
    empty = live is ABSENT or not live
    if kind.atomic or (empty and (applied is ABSENT or not applied)):
        return live if applied is ABSENT else applied
    if isinstance(kind, MapType):
        return _merge_map(kind, live if isinstance(live, dict) else {}, applied if isinstance(applied, dict) else {})
    assert isinstance(kind, ListType)
    return _merge_list(kind, live if isinstance(live, list) else [], applied if isinstance(applied, list) else [])


def _merge_map(kind: MapType, live: JSONObject, applied: JSONObject) -> Any:
    out: JSONObject = {}
    for key, value in live.items():
        merged = merge(kind.fields[key], value, applied.get(key, ABSENT)) if key in applied else value
        if merged is not ABSENT:
            out[key] = merged
    for key, value in applied.items():
        if key not in live:
            merged = merge(kind.fields[key], ABSENT, value)
            if merged is not ABSENT:
                out[key] = merged
    return out or ABSENT


def _merge_list(kind: ListType, live: list[Any], applied: list[Any]) -> Any:
    """Elements that both have stand in the applied order; those of one side stay next to their neighbours."""
    wanted = {kind.path_element(item): item for item in applied}
    order = list(wanted)
    names = [kind.path_element(item) for item in live]
    seen: JSONObject = {}
    for name, item in zip(names, live, strict=True):
        # An element that the live list has twice takes nothing over from either.
        seen[name] = ABSENT if name in seen else item
    shared = [name for name in order if name in seen]
    out: list[Any] = []
    done: set[str] = set()
    left = right = 0

    def take(name: str) -> None:
        merged = merge(kind.item, seen.get(name, ABSENT), wanted[name])
        if merged is not ABSENT:
            out.append(merged)
        done.add(name)
        if shared and shared[0] == name:
            shared.pop(0)

    while left < len(names) or right < len(order):
        if left < len(names):
            name = names[left]
            if name not in wanted:
                out.append(live[left])
                left += 1
                continue
            if name in done or (shared and shared[0] != name and right < len(order) and order[right] != name):
                left += 1
                continue
        if right < len(order):
            name = order[right]
            if left < len(names) and names[left] == name:
                left += 1
            take(name)
            right += 1
        else:
            left += 1
    return out or ABSENT


def remove(kind: MergeType, value: Any, doomed: FieldSet) -> Any:
    """The value without the fields of a set; None when nothing is left of it."""
    if isinstance(kind, DeducedType):
        kind = kind.as_map if isinstance(value, dict) else ANYTHING
    if isinstance(kind, MapType):
        return _remove_from_map(kind, value, doomed) if isinstance(value, dict) else None
    if isinstance(kind, ListType):
        return _remove_from_list(kind, value, doomed) if isinstance(value, list) else None
    return value if kind.form in ("scalar", "anything") else None


def _remove_from_map(kind: MapType, value: JSONObject, doomed: FieldSet) -> Any:
    out: JSONObject = {}
    for key, item in value.items():
        node = doomed.get("f:" + key)
        if node is None:
            out[key] = item
        elif not is_member(node):
            out[key] = remove(kind.fields[key], item, node)
    return out or None


def _remove_from_list(kind: ListType, value: list[Any], doomed: FieldSet) -> Any:
    out: list[Any] = []
    for item in value:
        node = doomed.get(kind.path_element(item))
        if node is None:
            out.append(item)
        elif not is_member(node):
            out.append(remove(kind.item, item, node))
    return out or None


def with_named(kind: MergeType, fields: FieldSet) -> FieldSet:
    """The set with every declared field that leads to a member as a member too."""
    below_map = kind.as_map if isinstance(kind, DeducedType) else kind
    out: FieldSet = {}
    for key, node in fields.items():
        if key == MEMBER or not node:
            out[key] = node
            continue
        child: MergeType = ANYTHING
        named = False
        if key.startswith("f:") and isinstance(below_map, MapType | AtomicMap):
            child = below_map.fields[key[2:]]
            named = key[2:] in below_map.fields.declared
        elif key.startswith("k:") and isinstance(below_map, ListType):
            child = below_map.item
        deeper = with_named(child, node)
        out[key] = as_member(deeper) if named else deeper
    return out


def check(kind: MergeType, value: Any) -> list[str]:
    """What is wrong with an applied object, as Kubernetes' typed values say it."""
    found: list[str] = []
    _check(kind, value, "", found)
    return found


def check_text(problems: list[str]) -> str:
    """Several problems as one message."""
    return problems[0] if len(problems) == 1 else "\n".join(["errors:", *(f"  {problem}" for problem in problems)])


def _check(kind: MergeType, value: Any, path: str, found: list[str]) -> None:
    def complain(text: str) -> None:
        found.append(f"{path}: {text}" if path else text)

    if kind.form in ("anything", "deduced") or (value is None and kind.form != "scalar"):
        return
    if kind.form == "scalar":
        problem = _scalar_problem(kind.scalar, value)
        if problem:
            complain(problem)
    elif kind.form == "list":
        if not isinstance(value, list):
            complain(f"expected list, got &{{{value_text(value)}}}")
            return
        _check_list(kind, value, path, found)
    elif not isinstance(value, dict):
        complain(f"expected map, got &{{{value_text(value)}}}")
    elif isinstance(kind, MapType | AtomicMap):
        for key, item in value.items():
            if key not in kind.fields.declared and kind.fields.element is None:
                found.append(f"{path}.{key}: field not declared in schema")
            else:
                _check(kind.fields[key], item, f"{path}.{key}", found)


def _check_list(kind: MergeType, value: list[Any], path: str, found: list[str]) -> None:
    item_type = kind.element or ANYTHING
    seen: set[str] = set()
    for index, item in enumerate(value):
        element = f"i:{index}"
        if isinstance(kind, ListType):
            try:
                element = kind.path_element(item)
            except Untypable as error:
                found.append(f"{path}: element {index}: {error}")
                continue
            if element in seen:
                found.append(f"{path}: duplicate entries for key {element_text(element)}")
            seen.add(element)
        _check(item_type, item, path + element_text(element), found)


def _scalar_problem(wanted: str, value: Any) -> str:
    if value is None or not wanted:
        return ""
    if wanted == "string":
        shown = go_syntax(value)
        return "" if isinstance(value, str) else f"expected string, got &value.valueUnstructured{{Value:{shown}}}"
    if wanted == "boolean":
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{value_text(value)}}}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected numeric (int or float), got {go_type(value)}"
    return ""

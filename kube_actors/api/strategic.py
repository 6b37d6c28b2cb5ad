"""Strategic merge patch: a merge patch that knows lists, guided by the schema table.

Owns the directives ($patch, $retainKeys, $setElementOrder, $deleteFromPrimitiveList) and the order of merged
lists. A patch never changes its arguments: the result is new all through. Refusals are ApiErrors with the codes
that Kubernetes gives them, 400 for a malformed directive and a bare 500 for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from kube_actors.api import errors
from kube_actors.api.codec import copy_plain
from kube_actors.api.gotext import value_text
from kube_actors.api.schema import Definition, Field, Type, struct_of

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder"
DELETE_PRIMITIVE = "$deleteFromPrimitiveList"

_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
_BAD_SET_ORDER = "invalid patch format of setElementOrder list"

Map = dict[str, Any]


def apply_strategic_patch(document: Map, patch: Map, definition: Definition) -> Map:
    """The document of a built-in kind after the patch; what the patch does not name may be the document's own."""
    named = document.keys() if any(key.startswith("$") for key in patch) else patch.keys()
    owned = {key: copy_plain(value) if key in named else value for key, value in document.items()}
    return _merge_map(owned, copy_plain(patch), definition)


def _merge_map(original: Map, patch: Map, definition: Definition | None) -> Map:
    """Merge into `original`, which this call owns, as it owns `patch`."""
    if PATCH in patch:
        return _directed_map(patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, definition)
    for key, value in patch.items():
        if key.startswith(DELETE_PRIMITIVE + "/"):
            _delete_primitives(original, _target_of(key, _BAD_PRIMITIVE_LIST), value)
        elif value is None:
            original.pop(key, None)
        elif key in original and isinstance(value, dict) and isinstance(original[key], dict):
            original[key] = _merge_child_map(original[key], value, _field(definition, key))
        elif key in original and isinstance(value, list) and isinstance(original[key], list):
            original[key] = _merge_list(original[key], value, _field(definition, key))
        else:
            original[key] = _plain(value)
    return original


def _directed_map(patch: Map) -> Map:
    directive = patch[PATCH]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != PATCH}
    if directive == "delete":
        return {}
    return _bad_directive(patch)


def _bad_directive(patch: Map) -> NoReturn:
    raise errors.server_failure(f"unknown patch type: {value_text(patch[PATCH])} in map: {value_text(patch)}")


def _field(definition: Definition | None, key: str) -> Field | None:
    return None if definition is None else definition.fields.get(key)


def _struct(kind: Type | None) -> Definition | None:
    return None if kind is None else struct_of(kind)


def _strategy(field: Field | None) -> str:
    """merge, replace or nothing; retainKeys goes along with either and says nothing about merging."""
    return next((s for s in field.patch_strategy if s != "retainKeys"), "") if field is not None else ""


def _merge_child_map(original: Map, patch: Map, field: Field | None) -> Map:
    if _strategy(field) == "replace":
        return patch
    return _merge_map(original, patch, _struct(field.type) if field is not None else None)


def _plain(value: Any) -> Any:
    """A patch value that meets nothing in the original: without directives and nulls."""
    if isinstance(value, dict):
        if value.get(PATCH) == "delete":
            return {}
        return {
            key: _plain(item)
            for key, item in value.items()
            if item is not None and not key.startswith((PATCH, RETAIN_KEYS, SET_ORDER + "/", DELETE_PRIMITIVE + "/"))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directive(item)]
    return value


def _is_directive(item: Any) -> bool:
    """An element that only says something about the list: {"$patch": "replace"} or a deletion."""
    return isinstance(item, dict) and (item.get(PATCH) == "delete" or item.keys() == {PATCH})


def _target_of(key: str, complaint: str) -> str:
    parts = key.split("/")
    if len(parts) != 2:
        raise errors.bad_request(complaint)
    return parts[1]


def _retain_keys(original: Map, patch: Map) -> None:
    if RETAIN_KEYS not in patch:
        return
    kept = patch.pop(RETAIN_KEYS)
    if not isinstance(kept, list):
        raise errors.bad_request(_BAD_RETAIN_KEYS)
    for key, value in patch.items():
        directive = key.startswith((DELETE_PRIMITIVE + "/", SET_ORDER + "/"))
        if value is not None and not directive and key not in kept:
            raise errors.bad_request(_BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in kept]:
        del original[key]


def _delete_primitives(original: Map, key: str, doomed: Any) -> None:
    if not isinstance(doomed, list):
        raise errors.bad_request(_BAD_PRIMITIVE_LIST)
    if isinstance(original.get(key), list):
        original[key] = [item for item in original[key] if item not in doomed]


def _merge_ordered_lists(original: Map, patch: Map, definition: Definition | None) -> None:
    """Merge every list that the patch gives an order, and take both out of the patch."""
    for directive in [key for key in patch if key.startswith(SET_ORDER + "/")]:
        order = patch.pop(directive)
        key = _target_of(directive, _BAD_SET_ORDER)
        before, change = original.get(key), patch.pop(key, None)
        if not isinstance(order, list) or not isinstance(change or [], list) or not isinstance(before or [], list):
            raise errors.bad_request(_BAD_SET_ORDER)
        field = _field(definition, key)
        identify = _identity(field.patch_merge_key if field is not None else "")
        _check_order(change or [], order, identify)
        if before is None and change is None:
            continue
        if before is None or change is None:
            merged = before or _plain(change or [])
        else:
            merged = _merge_list(before, change, field)
        original[key] = _in_order(merged, order, before or [], identify)


def _check_order(change: list[Any], order: list[Any], identify: Callable[[Any], Any]) -> None:
    """What the patch changes must stand in the order list, in the same order."""
    wanted = [identify(item) for item in change if not _is_directive(item)]
    position = 0
    for item in order:
        if position < len(wanted) and wanted[position] == identify(item):
            position += 1
    if position < len(wanted):
        raise errors.server_failure(
            f"The order in patch list:\n{value_text(change)}\n doesn't match {SET_ORDER} list:\n{value_text(order)}\n"
        )


def _identity(merge_key: str) -> Callable[[Any], Any]:
    """What makes two elements the same: their merge key, or for scalars the value."""

    def identify(item: Any) -> Any:
        if not merge_key:
            return item
        if not isinstance(item, dict) or merge_key not in item:
            raise errors.server_failure(f"map: {value_text(item)} does not contain declared merge key: {merge_key}")
        return item[merge_key]

    return identify


def _merge_list(original: list[Any], patch: list[Any], field: Field | None) -> list[Any]:
    if field is None or _strategy(field) != "merge":
        return patch
    if not original and not patch:
        return original
    if not all(isinstance(item, dict) for item in [*original, *patch]):
        return _merge_scalars(original, patch)
    if not field.patch_merge_key:
        raise errors.server_failure(f"cannot merge lists without merge key for {field.name}")
    identify = _identity(field.patch_merge_key)
    original, patch, replaced = _without_directives(original, patch, identify)
    if replaced:
        return patch
    merged = list(original)
    places = {_hashable(identify(item)): position for position, item in enumerate(original)}
    element = _struct(field.type.element)
    for item in patch:
        place = places.get(_hashable(identify(item)))
        if place is None:
            places[_hashable(identify(item))] = len(merged)
            merged.append(_plain(item))
        else:
            merged[place] = _merge_map(merged[place], item, element)
    return _in_order(merged, patch, original, identify)


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else value_text(value)


def _merge_scalars(original: list[Any], patch: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for item in [*original, *patch]:
        if item not in merged:
            merged.append(item)
    return _in_order(merged, patch, original, _identity(""))


def _without_directives(
    original: list[Any], patch: list[Any], identify: Callable[[Any], Any]
) -> tuple[list[Any], list[Any], bool]:
    """The original without what the patch deletes, the patch without directives, and whether it replaces."""
    rest = []
    replaced = False
    for item in patch:
        directive = item.get(PATCH)
        if directive is None:
            rest.append(item)
        elif directive == "delete":
            doomed = identify(item)
            original = [other for other in original if identify(other) != doomed]
        elif directive == "replace":
            replaced = True
        elif directive == "merge":
            raise errors.server_failure("merging lists cannot yet be specified in the patch")
        else:
            _bad_directive(item)
    return original, rest, replaced


def _in_order(
    merged: list[Any], order: list[Any], server_order: list[Any], identify: Callable[[Any], Any]
) -> list[Any]:
    """Elements named in `order` keep that order; the others are put before the first element that the server
    had behind them, and at the end when there is none."""
    ranks: dict[Any, int] = {}
    for rank, item in enumerate(order):
        ranks.setdefault(_hashable(identify(item)), rank)
    places: dict[Any, int] = {}
    for place, item in enumerate(server_order):
        places.setdefault(_hashable(identify(item)), place)
    keyed = [(_hashable(identify(item)), item) for item in merged]
    named = sorted((pair for pair in keyed if pair[0] in ranks), key=lambda pair: ranks[pair[0]])
    others = [pair for pair in keyed if pair[0] not in ranks]
    others.sort(key=lambda pair: places.get(pair[0], len(places)))
    result = []
    while others and named:
        left, right = places.get(others[0][0]), places.get(named[0][0])
        first = left is not None and right is not None and left < right
        result.append((others if first else named).pop(0)[1])
    return result + [item for _, item in named + others]

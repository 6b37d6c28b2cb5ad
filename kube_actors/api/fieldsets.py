"""Sets of field paths, as FieldsV1 writes them: which fields of an object a manager owns.

A set is a tree of plain dicts whose keys are path elements: `f:NAME` a field, `k:{...}` the list element with these
keys, `v:VALUE` an element of a set, `i:N` an index. A node is a member of the set when it is empty or holds ".".
Owns the algebra, which never changes its arguments (results share what did not change), and the check of what clients
send. Knows nothing of kinds, managers or requests.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

FieldSet = dict[str, Any]
"""The children of the root; the root itself is never a member."""

MEMBER = "."
MAX_DEPTH = 200
ELEMENTS = 4096
"""Path elements that are remembered as text."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder().decode


class FieldSetError(ValueError):
    """This is no FieldsV1."""


def is_member(node: FieldSet) -> bool:
    return not node or MEMBER in node


def as_member(node: FieldSet | None) -> FieldSet:
    """The node, itself a member too."""
    if not node:
        return {}
    return node if MEMBER in node else {MEMBER: {}, **node}


def _children(node: FieldSet) -> FieldSet:
    return {key: value for key, value in node.items() if key != MEMBER} if MEMBER in node else node


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    if member:
        return {MEMBER: {}, **children} if children else {}
    return children or None


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in either. Gives left itself when it has everything."""
    out: FieldSet | None = None
    for key, node in right.items():
        mine = left.get(key)
        if mine is not None:
            if mine is node:
                continue
            node = _union_node(mine, node)
            if node is mine:
                continue
        if out is None:
            out = dict(left)
        out[key] = node
    return left if out is None else out


def _union_node(mine: FieldSet, other: FieldSet) -> FieldSet:
    if not other:
        return as_member(mine) if mine else mine
    return union(mine, other) if mine else as_member(other)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in both."""
    if len(right) < len(left):
        left, right = right, left
    out: FieldSet = {}
    for key, node in left.items():
        other = right.get(key)
        if other is None or key == MEMBER:
            continue
        member = (not node or MEMBER in node) and (not other or MEMBER in other)
        below = intersection(node, other) if node and other else None
        if below:
            out[key] = {MEMBER: {}, **below} if member else below
        elif member:
            out[key] = {}
    return out


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in left alone. Taking away a field leaves what is below it, and taking away what is below leaves it.

    Gives left itself when there is nothing to take away.
    """
    out: FieldSet | None = None
    for key, other in right.items():
        node = left.get(key)
        if node is None or key == MEMBER:
            continue
        rest = _difference_node(node, other)
        if rest is node:
            continue
        if out is None:
            out = dict(left)
        if rest is None:
            del out[key]
        else:
            out[key] = rest
    return left if out is None else out


def _difference_node(node: FieldSet, other: FieldSet) -> FieldSet | None:
    if not node:
        return None if is_member(other) else node
    rest = difference(node, other) if other else node
    if MEMBER in rest and is_member(other):
        rest = {key: value for key, value in rest.items() if key != MEMBER}
    if not rest:
        return None
    return {} if len(rest) == 1 and MEMBER in rest else rest


def without(left: FieldSet, right: FieldSet) -> FieldSet:
    """What is in left and neither in right nor below a member of right. Gives left itself when nothing goes."""
    out: FieldSet | None = None
    for key, other in right.items():
        node = left.get(key)
        if node is None:
            continue
        if is_member(other):
            rest: FieldSet | None = None
        else:
            below = without(node, other)
            if below is node:
                continue
            rest = below or None
        if out is None:
            out = dict(left)
        if rest is None:
            del out[key]
        else:
            out[key] = rest
    return left if out is None else out


def within(left: FieldSet, right: FieldSet) -> FieldSet:
    """What of left is a member of right, below one, or on the way to one; the element `*` of right stands for any."""
    out: FieldSet = {}
    for key, node in left.items():
        other = right.get(key, right.get("*"))
        if other is None:
            continue
        if not other:
            out[key] = node
            continue
        found = _node(is_member(node), within(_children(node), other))
        if found is not None:
            out[key] = found
    return out


def of_paths(paths: Iterable[tuple[str, ...]]) -> FieldSet:
    """A set from paths of elements."""
    out: FieldSet = {}
    for path in paths:
        node: FieldSet = {}
        for element in reversed(path[1:]):
            node = {element: node}
        out = union(out, {path[0]: node})
    return out


def contains(fields: FieldSet, path: tuple[str, ...]) -> bool:
    node = fields
    for element in path:
        found = node.get(element)
        if found is None:
            return False
        node = found
    return is_member(node)


def paths(fields: FieldSet, lead: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every member, those of one level before those below them."""
    ordered = sorted(key for key in fields if key != MEMBER)
    for key in ordered:
        if is_member(fields[key]):
            yield (*lead, key)
    for key in ordered:
        if fields[key]:
            yield from paths(fields[key], (*lead, key))


def key_element(keys: dict[str, Any]) -> str:
    """The element for the list item with these keys."""
    return "k:" + _encode(keys, order="sorted").decode()


@functools.lru_cache(ELEMENTS)
def text_key_element(name: str, value: str) -> str:
    """The same for one key whose value is a string, as nearly all are."""
    return key_element({name: value})


def value_element(value: Any) -> str:
    return "v:" + _encode(value).decode()


def path_text(path: Iterable[str]) -> str:
    """As messages spell a path: .spec.containers[name="c"].image"""
    return "".join(element_text(element) for element in path)


def element_text(element: str) -> str:
    prefix, rest = element[:2], element[2:]
    if prefix == "f:":
        return "." + rest
    if prefix == "k:":
        return "[" + ",".join(f"{name}={_encode(value).decode()}" for name, value in _decode(rest).items()) + "]"
    return f"[={rest}]" if prefix == "v:" else f"[{rest}]"


def checked(fields: Any, depth: int = 0) -> FieldSet:
    """A set that a client has sent, in canonical form. Raises FieldSetError.

    Elements of a kind that we do not know are dropped, as Kubernetes drops them.
    """
    if not isinstance(fields, dict) or depth > MAX_DEPTH:
        raise FieldSetError("a set of fields is an object")
    out: FieldSet = {}
    for key, value in fields.items():
        if key == MEMBER:
            if depth:
                out[MEMBER] = {}
            continue
        element = _checked_element(key)
        if element is not None:
            node = checked(value, depth + 1)
            out[element] = {} if node.keys() == {MEMBER} else node
    return out


def _checked_element(element: str) -> str | None:
    if len(element) < 2 or element[1] != ":":
        raise FieldSetError(f"missing colon: {element}")
    prefix, rest = element[0], element[2:]
    try:
        if prefix == "f":
            return element
        if prefix == "k":
            keys = _decode(rest.encode())
            if not isinstance(keys, dict):
                raise FieldSetError(f"keys are an object: {element}")
            return key_element(keys)
        if prefix == "v":
            return value_element(_decode(rest.encode()))
        return f"i:{int(rest)}" if prefix == "i" else None
    except (msgspec.DecodeError, ValueError) as error:
        raise FieldSetError(f"{element}: {error}") from error

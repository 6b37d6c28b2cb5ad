"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386) on plain data, as Kubernetes applies them.

Owns both languages and their refusals, which are ApiErrors. A patch never changes its arguments: the result is
new all through, so whoever gets it may go on changing it. Where Kubernetes departs from the RFCs (a replace may
add, an index may be negative), so does this module. Strategic merge lives in `strategic`.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api.codec import CodecError, copy_plain, decode_plain, encode
from kube_actors.api.gotext import cannot_unmarshal, syntax_error

MAX_OPERATIONS = 10000

_MAP_TYPE = "map[string]interface {}"


def decode_json_patch(body: bytes) -> list[Any]:
    """The operations in a request body."""
    operations = _decoded(body, "")
    if not isinstance(operations, list):
        raise errors.bad_request(cannot_unmarshal(operations, "jsonpatch.Patch"))
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise errors.request_entity_too_large(message)
    return operations


def decode_merge_patch(body: bytes) -> dict[str, Any]:
    """The object in the body of a merge patch or a strategic merge patch."""
    patch = _decoded(body, "error decoding patch: ")
    if patch is None:
        raise errors.bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding patch: " + cannot_unmarshal(patch, _MAP_TYPE))
    return patch


def _decoded(body: bytes, lead: str) -> Any:
    try:
        return decode_plain(body)
    except CodecError as error:
        raise errors.bad_request(lead + (syntax_error(body) or str(error))) from error


def apply_merge_patch(document: Any, patch: Any, *, owned: bool = False) -> Any:
    """Objects merge field by field, null deletes, everything else replaces.

    Whoever owns the document may let the result keep what is not patched, instead of a copy of it.
    """
    if not isinstance(patch, dict):
        return copy_plain(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply_merge_patch(merged.get(name), value, owned=owned)
    if owned:
        return merged
    return {name: value if name in patch else copy_plain(value) for name, value in merged.items()}


COPIED_BYTES = 3 * 1024 * 1024
"""What the copy operations of one JSON patch may copy in all: each can double the document."""


class _Refused(Exception):
    """An operation does not apply; Kubernetes does not tell the client why."""


def apply_json_patch(document: Any, operations: list[Any]) -> Any:
    """The document after all operations; 422 as soon as one does not apply."""
    root = {"": copy_plain(document)}
    copied = 0
    try:
        for operation in operations:
            if isinstance(operation, dict) and operation.get("op") == "copy":
                copied += len(encode(_get(root, _source(operation))))
                if copied > COPIED_BYTES:
                    raise _Refused("what is copied grows beyond all bounds")
            _apply(root, operation)
    except _Refused as refused:
        raise errors.unprocessable() from refused
    return root[""]


def _apply(root: dict[str, Any], operation: Any) -> None:
    if not isinstance(operation, dict):
        raise _Refused("an operation is an object")
    path = operation.get("path")
    if not isinstance(path, str):
        raise _Refused("an operation needs a path")
    kind = operation.get("op")
    if kind == "add":
        _add(root, path, copy_plain(_value(operation)))
    elif kind == "remove":
        _remove(root, path)
    elif kind == "replace":
        _replace(root, path, copy_plain(_value(operation)))
    elif kind == "move":
        value = _get(root, _source(operation))
        _remove(root, _source(operation))
        _add(root, path, value)
    elif kind == "copy":
        _add(root, path, copy_plain(_get(root, _source(operation))))
    elif kind == "test":
        _test(root, path, operation.get("value"))
    else:
        raise _Refused(f"unknown operation {kind!r}")


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise _Refused("the operation needs a value")
    return operation["value"]


def _source(operation: dict[str, Any]) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        raise _Refused("the operation needs a source")
    return source


def _locate(root: dict[str, Any], path: str) -> tuple[Any, str]:
    """The container that a path ends in, and the last key. What precedes the first slash does not count."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    if len(parts) < 2:
        raise _Refused("the path names no field")
    container = root[""]
    for part in parts[1:-1]:
        container = _child(container, part)
        if not isinstance(container, dict | list):
            raise _Refused(f"there is nothing at {path}")
    if not isinstance(container, dict | list):
        raise _Refused(f"there is nothing at {path}")
    return container, parts[-1]


def _child(container: Any, key: str) -> Any:
    """What a container holds under a key; a missing field counts as null, a missing element does not."""
    if isinstance(container, dict):
        return container.get(key)
    return container[_index(key, len(container), len(container) - 1)]


def _index(key: str, size: int, last: int) -> int:
    """A list index; negative ones count from the end (`size`)."""
    try:
        position = int(key)
    except ValueError:
        raise _Refused(f"{key!r} is no index") from None
    if position < 0:
        position += size
    if not 0 <= position <= last:
        raise _Refused(f"index {key} is out of bounds")
    return position


def _get(root: dict[str, Any], path: str) -> Any:
    if path == "":
        return root[""]
    container, key = _locate(root, path)
    return _child(container, key)


def _add(root: dict[str, Any], path: str, value: Any) -> None:
    container, key = _locate(root, path)
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(key, len(container) + 1, len(container)), value)


def _replace(root: dict[str, Any], path: str, value: Any) -> None:
    if path == "":
        root[""] = value
        return
    container, key = _locate(root, path)
    if isinstance(container, dict):
        container[key] = value
    else:
        container[_index(key, len(container), len(container) - 1)] = value


def _remove(root: dict[str, Any], path: str) -> None:
    container, key = _locate(root, path)
    if isinstance(container, list):
        del container[_index(key, len(container), len(container) - 1)]
    elif key in container:
        del container[key]
    else:
        raise _Refused(f"there is nothing at {path}")


def _test(root: dict[str, Any], path: str, value: Any) -> None:
    if not _same(_get(root, path), value):
        raise _Refused(f"{path} is something else")


def _same(left: Any, right: Any) -> bool:
    """JSON equality: unlike Python's, it tells true from 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)

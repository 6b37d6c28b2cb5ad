"""What a structural schema does to an object: metadata is read as such, what is unknown is pruned, defaults are set.

Owns reading a custom object (root and embedded), the names of unknown and repeated fields, and defaulting with its
treatment of null. It validates nothing; what it gives is a fresh dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kube_actors.api import field_errors as fields
from kube_actors.apiserver.shape import Duplicates, Place, WrongType, compiled, go_kind

JSONObject = dict[str, Any]
Schema = Mapping[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_IMPLICIT: Final = frozenset({"apiVersion", "kind", "metadata"})
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"


class BadMetadata(Exception):
    """metadata, apiVersion or kind of an object or embedded object is of a wrong type."""


def read(value: Any, schema: Schema, problems: list[str]) -> JSONObject:
    """A root object, pruned and with typed metadata. Raises WrongType as decoding does."""
    if not isinstance(value, dict):
        raise WrongType(f"json: cannot unmarshal {go_kind(value)} into Go value of type map[string]interface {{}}")
    repeated: list[str] = []
    unknown: list[str] = []
    found = _object(value, schema, "", unknown, repeated, root=True)
    problems.extend(sorted(repeated))
    problems.extend(sorted(unknown))
    return found


def _note(value: JSONObject, path: str, repeated: list[str]) -> None:
    if type(value) is Duplicates:
        repeated.extend(f'duplicate field "{_child(path, key)}"' for key in value.repeated)


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _object(
    value: JSONObject, schema: Schema, path: str, unknown: list[str], repeated: list[str], root: bool = False
) -> JSONObject:
    _note(value, path, repeated)
    resource = root or bool(schema.get(_EMBEDDED))
    properties: Schema = schema.get("properties") or {}
    values = schema.get("additionalProperties")
    keeps = bool(schema.get(_PRESERVE)) or values is True
    out: JSONObject = {}
    for key, item in value.items():
        below = _child(path, key)
        if resource and key in _IMPLICIT:
            if item is not None or not root:
                got = _implicit(key, item, path, unknown, repeated, root)
                if got is not None:
                    out[key] = got
        elif key in properties:
            out[key] = prune(item, properties[key], below, unknown, repeated)
        elif isinstance(values, Mapping):
            out[key] = prune(item, values, below, unknown, repeated)
        elif keeps:
            out[key] = _kept(item, below, repeated)
        else:
            unknown.append(f'unknown field "{below}"')
            _kept(item, below, repeated)
    return out


def _implicit(key: str, item: Any, path: str, unknown: list[str], repeated: list[str], root: bool) -> Any:
    if key != "metadata":
        if item is not None and not isinstance(item, str):
            if root:
                raise WrongType(f"json: cannot unmarshal {go_kind(item)} into Go struct field .{key} of type string")
            raise WrongType(str(fields.invalid(_child(path, key), item, "must be a string")))
        return item
    return metadata(item, path, unknown, repeated, root)


def metadata(item: Any, path: str, unknown: list[str], repeated: list[str], root: bool) -> JSONObject | None:
    """An ObjectMeta, its unknown fields dropped; raises WrongType."""
    if item is None:
        return None
    where = _child(path, "metadata")
    try:
        if not isinstance(item, dict):
            raise WrongType(f"json: cannot unmarshal {go_kind(item)} into Go value of type v1.ObjectMeta")
        found: list[str] = []
        got = compiled(_META).read(item, Place(None, "", "ObjectMeta"), found)
    except WrongType as error:
        text = str(error).replace("field io.k8s.apimachinery.pkg.apis.meta.v1.", "field ")
        if root:
            raise WrongType(text) from None
        raise WrongType(str(fields.invalid(where, item, text))) from None
    for problem in found:
        kind, _, rest = problem.partition(' "')
        (repeated if kind.startswith("duplicate") else unknown).append(f'{kind} "{where}.{rest}')
    return got


def prune(value: Any, schema: Schema, path: str, unknown: list[str], repeated: list[str]) -> Any:
    """A value without what its schema does not know."""
    if isinstance(value, dict):
        return _object(value, schema, path, unknown, repeated)
    if isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, Mapping):
            return [prune(item, items, f"{path}[{at}]", unknown, repeated) for at, item in enumerate(value)]
        return _kept(value, path, repeated)
    return value


def _kept(value: Any, path: str, repeated: list[str]) -> Any:
    if isinstance(value, dict):
        _note(value, path, repeated)
        return {key: _kept(item, _child(path, key), repeated) for key, item in value.items()}
    if isinstance(value, list):
        return [_kept(item, f"{path}[{at}]", repeated) for at, item in enumerate(value)]
    return value


# -- defaults -------------------------------------------------------------------------------------------------------


def has_defaults(schema: Schema) -> bool:
    """Whether anything below has a default: decides whether stored objects must be looked at when read."""
    if schema.get("default") is not None:
        return True
    below = list((schema.get("properties") or {}).values())
    below += [
        inner for inner in (schema.get("items"), schema.get("additionalProperties")) if isinstance(inner, Mapping)
    ]
    return any(has_defaults(inner) for inner in below)


def default(value: Any, schema: Schema) -> None:
    """Fill in defaults below a value, in place."""
    if isinstance(value, dict):
        properties: Schema = schema.get("properties") or {}
        for key, inner in properties.items():
            if inner.get("default") is not None and (key not in value or (value[key] is None and not _nullable(inner))):
                value[key] = fresh(inner["default"])
            if key in value:
                default(value[key], inner)
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            for key, item in value.items():
                if item is None and values.get("default") is not None and not _nullable(values):
                    value[key] = item = fresh(values["default"])
                default(item, values)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, Mapping):
            for at, item in enumerate(value):
                if item is None and items.get("default") is not None and not _nullable(items):
                    value[at] = item = fresh(items["default"])
                default(item, items)


def drop_nulls(value: Any, schema: Schema) -> None:
    """Remove null fields that may not be null and have no default, in place."""
    if isinstance(value, dict):
        properties: Schema = schema.get("properties") or {}
        for key in [key for key, item in value.items() if item is None]:
            inner = properties.get(key)
            if inner is not None and not _nullable(inner) and inner.get("default") is None:
                del value[key]
        for key, item in value.items():
            below = properties.get(key, schema.get("additionalProperties"))
            if isinstance(below, Mapping):
                drop_nulls(item, below)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, Mapping):
            for item in value:
                drop_nulls(item, items)


def _nullable(schema: Schema) -> bool:
    if schema.get("nullable"):
        return True
    # Without a type anything goes, null included.
    return not schema.get("type") and bool(schema.get(_PRESERVE))


def fresh(value: Any) -> Any:
    """A copy of the caller's own."""
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    if isinstance(value, list):
        return [fresh(item) for item in value]
    return value

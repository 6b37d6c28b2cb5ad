"""Types from schemas: of a custom resource's structural schema, and of a built-in kind.

Owns the translation, the escaping of property names that CEL cannot spell, and the largest sizes by which costs are
estimated. It reads schemas and changes none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from kube_actors.api import schema as kinds
from kube_actors.cel import types
from kube_actors.cel.types import Field, Type

MAX_REQUEST_BYTES: Final = 3 * 1024 * 1024
_RESERVED: Final = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip
_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPES: Final = {".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SMALLEST: Final = {"string": 2, "integer": 1, "number": 1, "boolean": 4, "object": 2, "array": 2}
_FORMATS: Final = {"date": (types.TIMESTAMP, 12), "date-time": (types.TIMESTAMP, 22), "duration": (types.DURATION, 32)}


def escape(name: str) -> str | None:
    """How CEL spells a property: itself, with __dot__ and the like, or None when it cannot."""
    if name in _RESERVED:
        return f"__{name}__"
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in name.replace("__", "__underscores__"))
    return escaped if _IDENTIFIER.fullmatch(escaped) else None


def of_structural(schema: Mapping[str, Any], name: str, root: bool = False) -> Type:
    """The type of a structural schema; root also has apiVersion, kind and metadata."""
    if root or schema.get("x-kubernetes-embedded-resource"):
        return _resource(schema, name)
    return _structural(schema, name)


def _resource(schema: Mapping[str, Any], name: str) -> Type:
    def fields() -> Mapping[str, Field]:
        found = dict(_properties(schema.get("properties") or {}, name))
        for key in ("apiVersion", "kind"):
            found[key] = Field(key, types.STRING)
        meta = types.object_of(f"{name}.metadata", _METADATA)
        found["metadata"] = Field("metadata", meta)
        return found

    return types.object_of(name, functools.cache(fields))


_METADATA: Final[Mapping[str, Type]] = {"name": types.STRING, "generateName": types.STRING}


def _structural(schema: Mapping[str, Any], name: str) -> Type:
    if schema.get("x-kubernetes-int-or-string"):
        return types.limited(types.DYN, MAX_REQUEST_BYTES - 2)
    kind = schema.get("type", "")
    match kind:
        case "array":
            return _list(schema, name)
        case "object":
            return _object(schema, name)
        case "string":
            return _string(schema)
        case "boolean":
            return types.BOOL
        case "integer":
            return types.INT
        case "number":
            return types.DOUBLE
    return types.limited(types.DYN, MAX_REQUEST_BYTES - 2)


def _string(schema: Mapping[str, Any]) -> Type:
    form = schema.get("format", "")
    if form in _FORMATS:
        return types.limited(_FORMATS[form][0], _FORMATS[form][1])
    declared = schema.get("maxLength")
    base = types.BYTES if form == "byte" else types.STRING
    if declared is not None:
        return types.limited(base, declared * 4)
    options = schema.get("enum")
    if options:
        return types.limited(base, max(len(str(option)) for option in options))
    return types.limited(base, MAX_REQUEST_BYTES - 2)


def _list(schema: Mapping[str, Any], name: str) -> Type:
    items = schema.get("items") or {}
    element = of_structural(items, f"{name}.@idx")
    limit = schema.get("maxItems")
    if limit is None:
        limit = (MAX_REQUEST_BYTES - 2) // (smallest(items) + 1)
    made = types.list_of(element, limit)
    made.flavour = schema.get("x-kubernetes-list-type", "")
    made.list_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    return made


def _object(schema: Mapping[str, Any], name: str) -> Type:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        limit = schema.get("maxProperties")
        if limit is None:
            limit = (MAX_REQUEST_BYTES - 2) // (smallest(values) + 6)
        key = types.limited(types.STRING, MAX_REQUEST_BYTES)
        return types.map_of(key, of_structural(values, f"{name}.@elem"), limit)
    properties = schema.get("properties") or {}
    if values is True or (schema.get("x-kubernetes-preserve-unknown-fields") and not properties):
        return types.limited(types.DYN, MAX_REQUEST_BYTES - 2)
    made = types.object_of(name, functools.cache(lambda: _properties(properties, name)))
    return types.limited(made, MAX_REQUEST_BYTES)


def _properties(properties: Mapping[str, Any], name: str) -> dict[str, Field]:
    found = {}
    for key, schema in properties.items():
        spelled = escape(key)
        if spelled is not None:
            found[spelled] = Field(key, of_structural(schema, f"{name}.{key}"))
    return found


def smallest(schema: Mapping[str, Any]) -> int:
    """The fewest bytes that a value of this schema takes in JSON; bounds how many fit into one request."""
    if schema.get("x-kubernetes-int-or-string"):
        return 1
    kind = schema.get("type", "")
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]][1]
    if kind == "object":
        required = set(schema.get("required") or ())
        total = 2
        for key, inner in (schema.get("properties") or {}).items():
            if key in required and "default" not in inner:
                total += len(key) + smallest(inner) + 3
        return total
    return _SMALLEST.get(kind, 1)


_SCALARS: Final[dict[str, Type]] = {
    "string": types.STRING,
    "bytes": types.BYTES,
    "int32": types.INT,
    "int64": types.INT,
    "double": types.DOUBLE,
    "bool": types.BOOL,
    "quantity": types.DYN,
    "intorstring": types.DYN,
    "time": types.TIMESTAMP,
    "microtime": types.TIMESTAMP,
}


def of_kind(group: str, version: str, kind: str, name: str = "") -> Type:
    """The type of a built-in kind, or dyn when there is none such; name is how it and its parts are called."""
    definition = kinds.for_kind(group, version, kind)
    return types.DYN if definition is None else _definition(definition, name or kind)


def _definition(definition: kinds.Definition, name: str) -> Type:
    def fields() -> dict[str, Field]:
        found = {}
        for key, field in definition.fields.items():
            spelled = escape(key)
            if spelled is not None:
                kind = _kind(field.type, f"{name}.{key}")
                found[spelled] = Field(key, _flavoured(kind, field))
        return found

    return types.object_of(name, functools.cache(fields))


def _flavoured(kind: Type, field: kinds.Field) -> Type:
    if kind.kind != "list" or field.list_type not in {"set", "map"}:
        return kind
    made = types.list_of(kind.params[0])
    made.flavour, made.list_keys = field.list_type, field.list_map_keys
    return made


def _kind(kind: kinds.Type, name: str) -> Type:
    if kind.kind == "list" and kind.element is not None:
        return types.list_of(_kind(kind.element, name))
    if kind.kind == "map" and kind.element is not None:
        return types.map_of(types.STRING, _kind(kind.element, name))
    definition = kinds.struct_of(kind)
    if definition is not None:
        return _definition(definition, name)
    return _SCALARS.get(kind.kind, types.DYN)


class Structs(Mapping[str, Type]):
    """Typed literals by path: `Object`, `Object.spec`, `Object.spec.template`... of one root type, found on demand.

    An element of a list or a value of a map is named like the field that holds it.
    """

    def __init__(self, root: Type, *others: Type) -> None:
        self._root = root
        self._others = {kind.name: kind for kind in others}

    def __getitem__(self, name: str) -> Type:
        if name in self._others:
            return self._others[name]
        first, _, rest = name.partition(".")
        if first != self._root.name:
            raise KeyError(name)
        kind = self._root
        for part in rest.split(".") if rest else ():
            if kind.kind != "object" or not kind.closed or part not in kind.fields:
                raise KeyError(name)
            kind = _element(kind.fields[part].type)
        if kind.kind != "object" or not kind.closed:
            raise KeyError(name)
        return kind

    def __iter__(self) -> Any:
        return iter((self._root.name, *self._others))

    def __len__(self) -> int:
        return 1 + len(self._others)


def _element(kind: Type) -> Type:
    while kind.kind in {"list", "map"} and kind.params:
        kind = kind.params[-1]
    return kind

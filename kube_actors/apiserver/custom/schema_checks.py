"""Whether a schema may stand in a definition: OpenAPI v3, structural, with sound defaults and rules that compile.

Owns the rules of structural schemas in kube-apiserver's words, list and map types, defaults, and CEL's compile errors
and cost limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import FieldError
from kube_actors.apiserver.custom import structural, values
from kube_actors.apiserver.custom.strategy import has_rules

Schema = Mapping[str, Any]
Problems = list[FieldError]

MAX_DEPTH: Final = 100
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED: Final = ("id", "patternProperties", "definitions", "dependencies", "$ref", "additionalItems")
_JUNCTORS: Final = ("allOf", "oneOf", "anyOf")
_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_INT_STRING: Final = "x-kubernetes-int-or-string"


def check(schema: Schema, path: str) -> Problems:
    """What is wrong with a version's schema."""
    if _depth(schema) > MAX_DEPTH:
        return [fields.forbidden(path, f"schema is nested deeper than {MAX_DEPTH}")]
    problems = _open_api(schema, path)
    if not problems:
        problems += sorted([*_invariants(schema, "root", path), *_complete(schema, schema, path)], key=str)
    if not problems:
        problems += list(_defaults(schema, path))
    if not problems and has_rules(schema):
        from kube_actors.apiserver.custom import rule_checks  # lazy: CEL is loaded for the first rule, not before

        problems += rule_checks.check(schema, path)
    return problems


def _depth(schema: Any, level: int = 0) -> int:
    if level > MAX_DEPTH or not isinstance(schema, Mapping):
        return level
    return max((_depth(inner, level + 1) for _, inner in _children(schema, "")), default=level)


def _children(schema: Schema, path: str) -> Iterator[tuple[str, Any]]:
    """Every schema directly below, with its path."""
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), Mapping):
            yield f"{path}.{key}", schema[key]
    for key, inner in (schema.get("properties") or {}).items():
        yield f"{path}.properties[{key}]", inner
    for name in _JUNCTORS:
        for at, inner in enumerate(schema.get(name) or ()):
            yield f"{path}.{name}[{at}]", inner


def formats_of(schema: Schema) -> set[str]:
    """Every format that is named."""
    found = {schema["format"]} if isinstance(schema.get("format"), str) and schema["format"] else set()
    for _, inner in _children(schema, ""):
        if isinstance(inner, Mapping):
            found |= formats_of(inner)
    return found


def _open_api(schema: Schema, path: str) -> Problems:
    problems = [fields.forbidden(f"{path}.{key}", f"{key} is not supported") for key in _UNSUPPORTED if schema.get(key)]
    kind = schema.get("type", "")
    if kind == "null":
        problems.append(fields.forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
    elif kind and kind not in _TYPES:
        problems.append(fields.not_supported(f"{path}.type", kind, _TYPES))
    if isinstance(schema.get("items"), list):
        problems.append(fields.forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        problems.append(fields.forbidden(f"{path}.uniqueItems", text))
    extra = schema.get("additionalProperties")
    if schema.get("properties") and extra is not None and extra is not True:
        text = "additionalProperties and properties are mutual exclusive"
        problems.append(fields.forbidden(f"{path}.additionalProperties", text))
    problems += _lists_and_maps(schema, path)
    for below, inner in _children(schema, path):
        problems += _open_api(inner, below)
    return problems


def _of_type(path: str, kind: str, text: str) -> FieldError:
    return fields.invalid(f"{path}.type", kind, text) if kind else fields.required(f"{path}.type", text)


def _lists_and_maps(schema: Schema, path: str) -> Problems:
    problems: Problems = []
    map_type, list_type = schema.get("x-kubernetes-map-type"), schema.get("x-kubernetes-list-type")
    kind = schema.get("type", "")
    if map_type is not None:
        where = f"{path}.x-kubernetes-map-type"
        if kind != "object":
            text = "must be object if x-kubernetes-map-type is specified"
            problems.append(
                fields.invalid(f"{path}.type", kind, text) if kind else fields.required(f"{path}.type", text)
            )
        if map_type not in {"atomic", "granular"}:
            problems.append(fields.not_supported(where, map_type, ["atomic", "granular"]))
    keys = schema.get("x-kubernetes-list-map-keys") or []
    if list_type is not None:
        if kind != "array":
            text = "must be array if x-kubernetes-list-type is specified"
            problems.append(
                fields.invalid(f"{path}.type", kind, text) if kind else fields.required(f"{path}.type", text)
            )
        if list_type not in {"atomic", "set", "map"}:
            where = f"{path}.x-kubernetes-list-type"
            problems.append(fields.not_supported(where, list_type, ["atomic", "map", "set"]))
    where = f"{path}.x-kubernetes-list-map-keys"
    if keys and list_type != "map":
        problems.append(
            fields.invalid(
                f"{path}.x-kubernetes-list-type", list_type, "must be map if x-kubernetes-list-map-keys is non-empty"
            )
        )
    if list_type == "map":
        problems += _list_map(schema, keys, path, where)
    items = schema.get("items")
    if list_type == "set" and isinstance(items, Mapping):
        problems += _set_items(items, path)
    return problems


def _list_map(schema: Schema, keys: list[str], path: str, where: str) -> Problems:
    if not keys:
        return [fields.required(where, "must not be empty if x-kubernetes-list-type is map")]
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return [fields.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")]
    problems: Problems = []
    if items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        problems.append(fields.invalid(f"{path}.items.type", items.get("type", ""), text))
    if len(set(keys)) != len(keys):
        problems.append(fields.invalid(where, keys, "must not contain duplicate entries"))
    properties, required = items.get("properties") or {}, items.get("required") or ()
    if any(key not in properties for key in keys):
        problems.append(fields.invalid(where, keys, "entries must all be names of item properties"))
    for key in keys:
        inner = properties.get(key)
        if inner is None:
            continue
        below = f"{path}.items.properties[{key}]"
        if inner.get("type") in {"array", "object"}:
            text = "items of type array or object are not allowed as x-kubernetes-list-map-keys"
            problems.append(fields.invalid(f"{below}.type", inner["type"], text))
        if inner.get("default") is None and key not in required:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            problems.append(fields.required(f"{below}.default", text))
        if inner.get("nullable"):
            problems.append(fields.forbidden(f"{below}.nullable", "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"))  # fmt: skip # noqa: E501
    return problems


def _set_items(items: Schema, path: str) -> Problems:
    kind = items.get("type", "")
    if items.get("nullable"):
        return [fields.forbidden(f"{path}.items.nullable", "cannot be nullable when x-kubernetes-list-type is set")]
    if kind == "array" and items.get("x-kubernetes-list-type") not in {None, "atomic"}:
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        return [fields.invalid(f"{path}.items.x-kubernetes-list-type", items["x-kubernetes-list-type"], text)]
    if kind == "object" and items.get("x-kubernetes-map-type") != "atomic":
        text = "must be atomic as item of a list with x-kubernetes-list-type=set"
        return [fields.invalid(f"{path}.items.x-kubernetes-map-type", items.get("x-kubernetes-map-type"), text)]
    return []


_MISSING_TYPE: Final = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _invariants(schema: Schema, level: str, path: str) -> Problems:
    """The invariants of a structural schema, outside junctors."""
    problems: Problems = []
    kind = schema.get("type", "")
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and not isinstance(items, Mapping):
        problems.append(fields.required(f"{path}.items", "must be specified"))
    if isinstance(items, Mapping):
        problems += _invariants(items, "item", f"{path}.items")
    for key, inner in (schema.get("properties") or {}).items():
        problems += _invariants(inner, "field", f"{path}.properties[{key}]")
    if extra is not None:
        if level == "root":
            problems.append(fields.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(extra, Mapping):
            problems += _invariants(extra, "field", f"{path}.additionalProperties")
    for key in (_PRESERVE, _EMBEDDED):
        if schema.get(_INT_STRING) and schema.get(key):
            problems.append(fields.invalid(f"{path}.{key}", True, f"must be false if {_INT_STRING} is true"))
    problems += _value_validation(schema, path)
    problems += _type_and_metadata(schema, kind, level, path)
    return problems


def _type_and_metadata(schema: Schema, kind: str, level: str, path: str) -> Problems:
    problems: Problems = []
    embedded = bool(schema.get(_EMBEDDED))
    if embedded and kind != "object":
        text = f"must be object if {_EMBEDDED} is true"
        problems.append(fields.invalid(f"{path}.type", kind, text) if kind else fields.required(f"{path}.type", text))
    elif not kind and not schema.get(_INT_STRING) and not schema.get(_PRESERVE):
        problems.append(fields.required(f"{path}.type", _MISSING_TYPE[level]))
    if embedded and schema.get("additionalProperties") is not None:
        problems.append(fields.forbidden(f"{path}.additionalProperties", f"must not be used if {_EMBEDDED} is set"))
    if level == "root" and kind and kind != "object":
        problems.append(fields.invalid(f"{path}.type", kind, "must be object at the root"))
    properties = schema.get("properties") or {}
    if level == "root" or embedded:
        for key in ("kind", "apiVersion"):
            if key in properties and properties[key].get("type") != "string":
                found = properties[key].get("type", "")
                problems.append(fields.invalid(f"{path}.properties[{key}].type", found, "must be string"))
        if "metadata" in properties:
            problems += _metadata(properties["metadata"], level, f"{path}.properties[metadata]")
    if embedded and not schema.get(_PRESERVE) and not properties:
        text = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
        problems.append(fields.required(f"{path}.properties", text))
    return problems


def _metadata(schema: Schema, level: str, path: str) -> Problems:
    problems: Problems = []
    if schema.get("type") != "object":
        problems.append(fields.invalid(f"{path}.type", schema.get("type", ""), "must be object"))
    if level == "root":
        others = set(schema.get("properties") or {}) - {"name", "generateName"}
        structure = {
            key for key in ("items", "additionalProperties", "nullable", "title", "description") if schema.get(key)
        }
        structure |= {key for key in schema if key.startswith("x-kubernetes-")}
        structure -= {"description", "title"}
        if others or structure:
            text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            problems.append(fields.forbidden(path, text))
    return problems


def _value_validation(schema: Schema, path: str) -> Problems:
    problems: Problems = []
    int_or_string = bool(schema.get(_INT_STRING))
    for name in _JUNCTORS:
        for at, inner in enumerate(schema.get(name) or ()):
            below = f"{path}.{name}[{at}]"
            if int_or_string and name == "anyOf" and list(schema["anyOf"]) == _INT_OR_STRING:
                continue
            skips = int_or_string and name == "allOf" and at == 0 and inner.get("anyOf") == _INT_OR_STRING
            problems += _nested({k: v for k, v in inner.items() if k != "anyOf"} if skips else inner, below)
    if isinstance(schema.get("not"), Mapping):
        problems += _nested(schema["not"], f"{path}.not")
    form = schema.get("pattern")
    if form and values.pattern(form) is None:
        text = f"must be a valid regular expression, but isn't: error parsing regexp: {_go_regexp(form)}"
        problems.append(fields.invalid(f"{path}.pattern", form, text))
    return problems


def _go_regexp(text: str) -> str:
    """The commonest mistakes in the words of Go's parser."""
    import re  # lazy: only to find out what is wrong

    try:
        re.compile(text)
    except re.error as error:
        found = str(error)
        if "unterminated subpattern" in found:
            return f"missing closing ): `{text}`"
        if "unbalanced parenthesis" in found:
            return f"unexpected ): `{text}`"
        if "unterminated character set" in found:
            return f"missing closing ]: `{text[error.pos or 0 :]}`"
        if "nothing to repeat" in found:
            return f"missing argument to repetition operator: `{text[error.pos or 0]}`"
        return f"invalid or unsupported Perl syntax: `{text}`"
    return f"invalid expression: `{text}`"


_EMPTY: Final = {"type": "empty", "title": "empty", "description": "empty", "default": "undefined", "nullable": "false",
                 "externalDocs": "undefined", "additionalProperties": "undefined", _PRESERVE: "false",
                 _EMBEDDED: "false", _INT_STRING: "false", "x-kubernetes-list-map-keys": "empty",
                 "x-kubernetes-list-type": "undefined", "x-kubernetes-map-type": "undefined",
                 "x-kubernetes-validations": "empty"}  # fmt: skip


def _nested(schema: Schema, path: str) -> Problems:
    """Below a junctor only values may be restricted, nothing declared."""
    problems = _value_validation(schema, path)
    if isinstance(schema.get("items"), Mapping):
        problems += _nested(schema["items"], f"{path}.items")
    for key, inner in (schema.get("properties") or {}).items():
        problems += _nested(inner, f"{path}.properties[{key}]")
    for key, how in _EMPTY.items():
        if schema.get(key):
            problems.append(fields.forbidden(f"{path}.{key}", f"must be {how} to be structural"))
    if "metadata" in (schema.get("properties") or {}):
        text = "must not be specified in a nested context"
        problems.append(fields.forbidden(f"{path}.properties[metadata]", text))
    return problems


def _complete(schema: Schema, main: Schema, path: str, root: str = "") -> Problems:
    """What junctors speak of must be declared outside them."""
    root = root or path
    problems: Problems = []
    for name in _JUNCTORS:
        for at, inner in enumerate(schema.get(name) or ()):
            problems += _declared(inner, main, f"{path}.{name}[{at}]", root)
    if isinstance(schema.get("not"), Mapping):
        problems += _declared(schema["not"], main, f"{path}.not", root)
    if schema is main:
        for key, inner in (schema.get("properties") or {}).items():
            problems += _complete(inner, inner, f"{path}.properties[{key}]")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), Mapping):
                problems += _complete(schema[key], schema[key], f"{path}.{key}")
    return problems


def _declared(nested: Schema, main: Schema, path: str, root: str) -> Problems:
    problems = _complete(nested, main, path, root) if nested is not main else []
    declared = main.get("properties") or {}
    extra = main.get("additionalProperties")
    for key, inner in (nested.get("properties") or {}).items():
        below, there = f"{path}.properties[{key}]", f"{root}.properties[{key}]"
        if key in declared:
            problems += _declared(inner, declared[key], below, there)
        elif isinstance(extra, Mapping):
            problems += _declared(inner, extra, below, f"{root}.additionalProperties")
        else:
            problems.append(fields.required(there, f"because it is defined in {below}"))
    if isinstance(nested.get("items"), Mapping):
        if isinstance(main.get("items"), Mapping):
            problems += _declared(nested["items"], main["items"], f"{path}.items", f"{root}.items")
        else:
            problems.append(fields.required(f"{root}.items", f"because it is defined in {path}.items"))
    return problems


def _defaults(schema: Schema, path: str, root: bool = True) -> Iterator[FieldError]:
    """Defaults must be valid by themselves and name nothing unknown."""
    value = schema.get("default")
    if value is not None:
        where = f"{path}.default"
        if root:
            yield fields.forbidden(where, "must not be set at the root")
            return
        unknown: list[str] = []
        pruned = structural.prune(structural.fresh(value), schema, "", unknown, [])
        if unknown or not values.same(pruned, value):
            yield fields.invalid(where, value, "must not have unknown fields")
        else:
            filled = structural.fresh(value)
            structural.default(filled, schema)
            for problem in values.validate(filled, schema):
                inner = "" if problem.field in {fields.NO_FIELD, ""} else f".{problem.field}"
                yield FieldError(problem.reason, where + inner, problem.value, problem.detail)
    for key, inner in (schema.get("properties") or {}).items():
        if root and key == "metadata":
            continue
        yield from _defaults(inner, f"{path}.properties[{key}]", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield from _defaults(schema[key], f"{path}.{key}", False)

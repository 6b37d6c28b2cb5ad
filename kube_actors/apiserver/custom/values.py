"""Validation of a value by its schema, in the words of kube-apiserver.

Owns types, bounds, patterns, enumerations, formats, required and forbidden fields, and the four junctors; also that
sets and maps in list form have no element twice. On an update what has not changed is not complained about. Rules in
CEL are `rules`'s.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any, Final

from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import NO_FIELD, FieldError
from kube_actors.apiserver.custom import formats

Schema = Mapping[str, Any]
JSONObject = dict[str, Any]

MISSING: Final = object()
_EXACT: Final = Context(prec=1000, Emax=100_000, traps=[])
"""Digits enough for the quotient of any two doubles."""
_INT_RANGES: Final = {"int32": 1 << 31, "int64": 1 << 63}


def validate(value: Any, schema: Schema, path: str = "", old: Any = MISSING) -> list[FieldError]:
    """What is wrong with the value; parts equal to the old ones are left alone."""
    if old is not MISSING and same(value, old):
        return []
    if value is None and schema.get("nullable"):
        return []
    problems = _typed(value, schema, path)
    problems += _junctors(value, schema, path)
    if isinstance(value, str):
        problems += _text(value, schema, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        problems += _number(value, schema, path)
    elif isinstance(value, list):
        problems += _list(value, schema, path, old)
    options = schema.get("enum")
    if options and not any(same(value, option) for option in options):
        problems.append(fields.not_supported(_field(path), value, [_text_of(option) for option in options]))
    if isinstance(value, dict):
        problems += _object(value, schema, path, old)
    return problems


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(key in b and same(item, b[key]) for key, item in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def _text_of(option: Any) -> str:
    return option if isinstance(option, str) else fields.go_json(option)


def _field(path: str) -> str:
    return path or NO_FIELD


def type_of(value: Any) -> str:
    """The JSON type as messages name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _typed(value: Any, schema: Schema, path: str) -> list[FieldError]:
    found = type_of(value)
    if schema.get("x-kubernetes-int-or-string"):
        if found in {"integer", "string"}:
            return []
        return [_wrong_type(path, "integer,string", found)]
    wanted = schema.get("type", "")
    problems = []
    if wanted and found != wanted and not (wanted == "number" and found == "integer"):
        problems.append(_wrong_type(path, wanted, found))
    form = schema.get("format", "")
    if form and isinstance(value, str) and wanted in {"", "string"} and not formats.satisfied(form, value):
        problems.append(
            fields.type_invalid(_field(path), value, f"{path} in body must be of type {form}: {fields.quote(value)}")
        )
    return problems


def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
    return fields.type_invalid(_field(path), found, f'{path} in body must be of type {wanted}: "{found}"')


def _body(path: str, value: Any, what: str) -> FieldError:
    return fields.invalid(_field(path), value, f"{path} in body {what}")


@functools.lru_cache(maxsize=1024)
def pattern(text: str) -> re.Pattern[str] | None:
    """A compiled pattern; None when Python cannot read it."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return None


def _text(value: str, schema: Schema, path: str) -> list[FieldError]:
    problems = []
    longest, shortest, form = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    if longest is not None and len(value) > longest:
        problems.append(fields.too_long(_field(path), longest))
    if shortest is not None and len(value) < shortest:
        problems.append(_body(path, value, f"should be at least {shortest} chars long"))
    if form:
        compiled = pattern(form)
        if compiled is not None and compiled.search(value) is None:
            problems.append(_body(path, value, f"should match '{form}'"))
    return problems


def _go(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"


def _number(value: float, schema: Schema, path: str) -> list[FieldError]:
    problems = []
    wanted, form = schema.get("type", ""), schema.get("format", "")
    bound = _INT_RANGES.get(form)
    outside = bound is not None and not -bound <= value < bound
    if (wanted == "integer" and not float(value).is_integer()) or (outside and wanted in {"integer", "number"}):
        kind = f"{form} format" if form else "default format"
        problems.append(
            fields.invalid(NO_FIELD, "", f"Checked value must be of type {wanted} ({kind}) in {path}"),
        )
    step = schema.get("multipleOf")
    if step and _EXACT.remainder(Decimal(str(value)), Decimal(str(step))) != 0:
        problems.append(_body(path, value, f"should be a multiple of {_go(step)}"))
    most, least = schema.get("maximum"), schema.get("minimum")
    if most is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            problems.append(_body(path, value, f"should be less than {_go(most)}"))
        elif not schema.get("exclusiveMaximum") and value > most:
            problems.append(_body(path, value, f"should be less than or equal to {_go(most)}"))
    if least is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            problems.append(_body(path, value, f"should be greater than {_go(least)}"))
        elif not schema.get("exclusiveMinimum") and value < least:
            problems.append(_body(path, value, f"should be greater than or equal to {_go(least)}"))
    return problems


def _list(value: list[Any], schema: Schema, path: str, old: Any) -> list[FieldError]:
    problems: list[FieldError] = []
    items = schema.get("items")
    if isinstance(items, Mapping):
        before = correlate(value, old, schema)
        for at, item in enumerate(value):
            problems += validate(item, items, f"{path}[{at}]", before(at))
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        problems.append(_body(path, len(value), f"should have at least {least} items"))
    if most is not None and len(value) > most:
        problems.append(fields.too_many(_field(path), len(value), most))
    if schema.get("uniqueItems") and any(same(a, b) for at, a in enumerate(value) for b in value[:at]):
        problems.append(_body(path, value, "shouldn't contain duplicates"))
    return problems


def correlate(value: list[Any], old: Any, schema: Schema) -> Callable[[int], Any]:
    """Which old element stands for a new one: by key in maps, none elsewhere."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return lambda at: MISSING
    known = {key_of(item, keys): item for item in old if isinstance(item, dict)}
    return lambda at: known.get(key_of(value[at], keys), MISSING) if isinstance(value[at], dict) else MISSING


def key_of(item: JSONObject, keys: list[str]) -> tuple[str, ...]:
    return tuple(fields.go_json(item.get(key)) for key in keys)


def _object(value: JSONObject, schema: Schema, path: str, old: Any) -> list[FieldError]:
    problems: list[FieldError] = []
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        problems.append(_body(path, len(value), f"should have at least {least} properties"))
    if most is not None and len(value) > most:
        problems.append(fields.too_many(_field(path), len(value), most))
    before = old if isinstance(old, dict) else {}
    properties: Schema = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for key, item in value.items():
        inner = properties.get(key, extra)
        below = f"{path}.{key}" if path else key
        if isinstance(inner, Mapping):
            problems += validate(item, inner, below, before.get(key, MISSING))
        elif inner is False:
            problems.append(_body(path, value, f"is a forbidden property: {below}"))
    for key in schema.get("required") or ():
        if key not in value:
            problems.append(fields.required(f"{path}.{key}" if path else key))
    return problems


def _junctors(value: Any, schema: Schema, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if schema.get("anyOf"):
        tried = [validate(value, inner, path) for inner in schema["anyOf"]]
        if all(tried):
            problems += [_composite(f'"{path}" must validate at least one schema (anyOf)'), *_best(tried)]
    if schema.get("oneOf"):
        tried = [validate(value, inner, path) for inner in schema["oneOf"]]
        valid = tried.count([])
        if valid != 1:
            how = "Found none valid" if not valid else f"Found {valid} valid alternatives"
            problems.append(_composite(f'"{path}" must validate one and only one schema (oneOf). {how}'))
            if not valid:
                problems += _best(tried)
    if schema.get("allOf"):
        tried = [validate(value, inner, path) for inner in schema["allOf"]]
        failed = [problem for found in tried for problem in found]
        if failed:
            valid = tried.count([])
            extra = "" if valid else ". None validated"
            problems += [*failed, _composite(f'"{path}" must validate all the schemas (allOf){extra}')]
    forbidden = schema.get("not")
    if isinstance(forbidden, Mapping) and not validate(value, forbidden, path):
        problems.append(_composite(f'"{path}" must not validate the schema (not)'))
    return problems


def _composite(text: str) -> FieldError:
    return fields.invalid(NO_FIELD, "", text)


def _best(tried: list[list[FieldError]]) -> list[FieldError]:
    """The errors of the alternative that came nearest: the first with the fewest."""
    return min(tried, key=len)


def list_types(value: Any, schema: Schema, path: str = "") -> list[FieldError]:
    """Elements that stand twice in a set or under one key in a map."""
    problems: list[FieldError] = []
    if isinstance(value, dict):
        properties: Schema = schema.get("properties") or {}
        for key, item in value.items():
            inner = properties.get(key, schema.get("additionalProperties"))
            if isinstance(inner, Mapping):
                problems += list_types(item, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        problems += _repeated(value, schema, path)
        items = schema.get("items")
        if isinstance(items, Mapping):
            for at, item in enumerate(value):
                problems += list_types(item, items, f"{path}[{at}]")
    return problems


def _repeated(value: list[Any], schema: Schema, path: str) -> list[FieldError]:
    kind = schema.get("x-kubernetes-list-type", "")
    if kind not in {"set", "map"}:
        return []
    keys = schema.get("x-kubernetes-list-map-keys") or []
    seen: set[Any] = set()
    problems = []
    for at, item in enumerate(value):
        if kind == "map":
            if not isinstance(item, dict):
                continue
            shown = {key: item[key] for key in keys if key in item}
        else:
            shown = item
        mark = fields.go_json(shown)
        if mark in seen:
            problems.append(fields.duplicate(f"{path}[{at}]", shown))
        seen.add(mark)
    return problems

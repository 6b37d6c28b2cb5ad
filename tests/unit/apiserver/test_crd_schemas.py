"""Laws of structural schemas: pruning and defaulting settle, validation never crashes, paths find what they name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.apiserver.custom import checks, formats, jsonpath, schema_checks, structural, values

NAMES = st.sampled_from(["a", "b", "c", "items", "x-y"])
SCALARS = st.sampled_from(
    [
        {"type": "string", "maxLength": 3},
        {"type": "string", "enum": ["p", "q"], "default": "p"},
        {"type": "integer", "minimum": 0},
        {"type": "integer", "default": 7},
        {"type": "boolean", "nullable": True},
        {"type": "number", "multipleOf": 0.5},
        {"x-kubernetes-int-or-string": True},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda p: {"type": "object", "properties": p}, st.dictionaries(NAMES, inner, max_size=3)),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda i: {"type": "object", "additionalProperties": i}, inner),
    ),
    max_leaves=6,
)
ROOTS = st.builds(lambda p: {"type": "object", "properties": p}, st.dictionaries(NAMES, SCHEMAS, max_size=3))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 9), st.floats(-2, 2), st.sampled_from(["", "p", "long"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


@settings(max_examples=60, deadline=None)
@given(ROOTS, OBJECTS)
def test_reading_and_defaulting_settle(schema: dict[str, Any], value: dict[str, Any]) -> None:
    first = structural.read(value, schema, [])
    structural.drop_nulls(first, schema)
    structural.default(first, schema)
    problems: list[str] = []
    again = structural.read(structural.fresh(first), schema, problems)
    structural.drop_nulls(again, schema)
    structural.default(again, schema)
    assert again == first and not problems


@settings(max_examples=60, deadline=None)
@given(ROOTS, OBJECTS, OBJECTS)
def test_validation_says_something_or_nothing(
    schema: dict[str, Any], value: dict[str, Any], old: dict[str, Any]
) -> None:
    problems = values.validate(value, schema)
    assert all(str(problem) for problem in problems)
    assert values.validate(value, schema, "", value) == []
    assert len(values.validate(value, schema, "", old)) <= len(problems)


@settings(max_examples=40, deadline=None)
@given(ROOTS)
def test_structural_schemas_are_accepted(schema: dict[str, Any]) -> None:
    assert schema_checks.check(schema, "s") == []


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "items", "properties", "default", "enum", "anyOf", "not", "required",
    "x-kubernetes-list-type", "x-kubernetes-validations", "additionalProperties", "pattern"]), VALUES, max_size=3))  # fmt: skip # noqa: E501
def test_any_schema_of_the_right_shape_is_judged(found: dict[str, Any]) -> None:
    schema = {key: value for key, value in found.items() if SHAPES.get(key, lambda v: True)(value)}
    assert isinstance(schema_checks.check({**schema, "type": "object"}, "s"), list)


SHAPES: dict[str, Any] = {
    "properties": lambda v: isinstance(v, dict) and all(isinstance(i, dict) for i in v.values()),
    "enum": lambda v: isinstance(v, list),
    "anyOf": lambda v: isinstance(v, list) and all(isinstance(i, dict) and not i for i in v),
    "required": lambda v: isinstance(v, list),
    "x-kubernetes-validations": lambda v: False,
    "x-kubernetes-list-type": lambda v: isinstance(v, str),
    "pattern": lambda v: isinstance(v, str),
    "not": lambda v: v == {},
    "items": lambda v: v == {},
    "additionalProperties": lambda v: v == {},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        (".l[0].n", ["x"]),
        (".l[*].n", ["x", "y"]),
        ('.l[?(@.n=="y")].v', [2]),
        (".m['k.e']", [3]),
        (".m.k\\.e", [3]),
        (".l[-1].n", ["y"]),
        (".nope", []),
        ("{.a.b}", [1]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    value = {"a": {"b": 1}, "l": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "m": {"k.e": 3}}
    assert jsonpath.find(path, value) == found


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(formats.SUPPORTED)), st.text(max_size=20))
def test_every_format_judges_every_text(name: str, text: str) -> None:
    assert formats.satisfied(name, text) in (True, False)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2024-01-01T00:00:00Z", "2024-01-01"),
        ("date", "2024-01-01", "2024-13-01"),
        ("ipv6", "::1", "1.2.3.4"),
        ("uuid", "a8098c1a-f86e-11da-bd1a-00112444be1e", "x"),
        ("duration", "1h30m", "soon"),
        ("email", "a@b.example", "a"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("isbn13", "978-3-16-148410-0", "978-3-16-148410-1"),
        ("creditcard", "4111111111111111", "4111111111111112"),
    ],
)
def test_formats(name: str, good: str, bad: str) -> None:
    assert formats.satisfied(name, good) and not formats.satisfied(name, bad)


@pytest.mark.parametrize(("value", "fits"), [(0.3, True), (0.25, False), (1e300, True), (5e-324, False), (7, True)])
def test_multiples_are_exact_decimals(value: float, fits: bool) -> None:
    assert (values.validate(value, {"type": "number", "multipleOf": 0.1}) == []) is fits


def test_a_rule_that_costs_too_much_is_refused_with_its_factor() -> None:
    rule = {"rule": "self.all(x, self.all(y, x == y))"}
    schema = {"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [rule]}
    found = schema_checks.check({"type": "object", "properties": {"a": schema}}, "s")
    assert "estimated rule cost exceeds budget by factor of more than 100x" in str(found[0])
    bounded = {**schema, "maxItems": 10, "items": {"type": "string", "maxLength": 5}}
    assert schema_checks.check({"type": "object", "properties": {"a": bounded}}, "s") == []


def test_parts_that_differ_by_version_are_named_there() -> None:
    good = {"openAPIV3Schema": {"type": "object"}}
    bad = {"openAPIV3Schema": {"type": "string"}}
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": good},
        {"name": "v2", "served": True, "storage": False, "schema": bad},
    ]
    names = {"plural": "as", "singular": "a", "kind": "A", "listKind": "AList"}
    spec = {
        "group": "x.io",
        "scope": "Cluster",
        "names": names,
        "versions": versions,
        "conversion": {"strategy": "None"},
    }
    crd = {"metadata": {"name": "as.x.io"}, "spec": spec, "status": {"storedVersions": ["v1"]}}
    assert [problem.field for problem in checks.created(crd)] == ["spec.versions[1].schema.openAPIV3Schema.type"]

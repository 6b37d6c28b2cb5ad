"""Laws of the codec, over random objects of every built-in kind, drawn from the schema table."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api import codec, schema
from kube_actors.api.relaxed import relax
from kube_actors.api.resources import struct_for_kind

SCALARS = {
    "string": st.text("ab", max_size=3),
    "bytes": st.just("eA=="),
    "int32": st.integers(-5, 5),
    "int64": st.integers(-(2**40), 2**40),
    "double": st.floats(-5, 5, allow_nan=False).map(lambda number: round(number, 2) + 0.5),
    "bool": st.booleans(),
    "quantity": st.sampled_from(["1", "100m", "2Gi"]),
    "intorstring": st.integers(0, 9) | st.sampled_from(["25%", "http"]),
    "time": st.just("2026-11-24T15:04:05Z"),
    "microtime": st.just("2026-11-24T15:04:05.000001Z"),
    "any": st.just({"any": [1, "x"]}),
    "raw": st.just({"raw": {"a": 1}}),
    "fields": st.just({"f:spec": {}}),
}


def value_of(draw, kind, depth):
    if kind.kind in SCALARS:
        return draw(SCALARS[kind.kind])
    if kind.kind == "list":
        return [value_of(draw, kind.element, depth - 1) for _ in range(draw(st.integers(0, 2)))]
    if kind.kind == "map":
        return {key: value_of(draw, kind.element, depth - 1) for key in draw(st.sets(st.sampled_from("kl")))}
    return object_of(draw, schema.struct_of(kind), depth - 1)


def object_of(draw, definition, depth):
    chosen = set()
    if depth > 0 and definition.fields:
        chosen = draw(st.sets(st.sampled_from(sorted(definition.fields)), max_size=4))
    return {
        name: value_of(draw, field.type, depth)
        for name, field in definition.fields.items()
        if field.required or name in chosen
    }


def kinds():
    found = {schema.definition(name).kinds[:1] for name in schema.names()}
    every = sorted(gvk for (gvk,) in filter(None, found))
    return [gvk for gvk in every if struct_for_kind(*gvk) is not None]


@st.composite
def objects(draw):
    group, version, kind = draw(st.sampled_from(KINDS))
    content = object_of(draw, schema.for_kind(group, version, kind), 5)
    content |= {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
    return struct_for_kind(group, version, kind), content


KINDS = kinds()


def test_nearly_every_definition_with_a_kind_has_a_struct():
    assert len(KINDS) > 150


@settings(max_examples=120, deadline=None)
@given(objects())
def test_a_round_trip_is_stable_and_loses_nothing_but_emptiness(found):
    struct, content = found
    decoded = codec.decode(json.dumps(content).encode(), struct)
    encoded = codec.encode(decoded)
    again = codec.decode(encoded, struct)
    assert again == decoded
    assert codec.encode(again) == encoded
    assert less_empty(content) == less_empty(json.loads(encoded))


def less_empty(value):
    """Drops what is empty, all the way up, the texts and numbers that stand for absence, and the names of kinds,
    which a decoded object always knows."""
    if isinstance(value, dict):
        kept = {key: less_empty(item) for key, item in value.items() if key not in ("kind", "apiVersion")}
        return {key: item for key, item in kept.items() if item not in ({}, [], "") and item is not None and item != 0}
    return [less_empty(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=80, deadline=None)
@given(objects())
def test_repairs_leave_a_right_object_alone(found):
    struct, content = found
    assert codec.convert(relax(content, struct), struct) == codec.convert(content, struct)


@settings(max_examples=80, deadline=None)
@given(objects(), st.data())
def test_nulls_mean_absence(found, data):
    struct, content = found
    names = [name for name in content if name not in ("kind", "apiVersion")]
    if not names:
        return
    name = data.draw(st.sampled_from(names))
    absent = {key: value for key, value in content.items() if key != name}
    assert codec.convert(content | {name: None}, struct) == codec.convert(absent, struct)


@pytest.mark.parametrize("gvk", KINDS, ids="/".join)
def test_every_kind_names_itself(gvk):
    struct = struct_for_kind(*gvk)
    assert codec.convert({}, struct).kind == gvk[2]
    assert struct.gvk == gvk

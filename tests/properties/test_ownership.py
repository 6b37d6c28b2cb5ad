"""Laws of field sets and of server-side apply."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api import fieldsets, merge_types, merging, ownership
from kube_actors.api.codec import copy_plain, decode_plain, encode
from kube_actors.api.fieldsets import difference, intersection, union
from kube_actors.api.ownership import Conflicts

ELEMENTS = ["f:a", "f:b", "f:c", 'k:{"name":"x"}', 'v:"y"', "i:0"]
PATHS = st.lists(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3).map(tuple), max_size=6)
SETS = PATHS.map(fieldsets.of_paths)

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "n": {"type": "integer"},
                "text": {"type": "string"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "atomic": {"type": "array", "items": {"type": "integer"}},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "v": {"type": "integer"}, "w": {"type": "integer"}},
                    },
                },
            },
        }
    },
}
KIND = merge_types.of_structural(SCHEMA)
SMALL = st.integers(0, 2)
PART = st.fixed_dictionaries({"name": st.sampled_from("pqr")}, optional={"v": SMALL, "w": SMALL})
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "n": SMALL,
        "text": st.sampled_from("xyz"),
        "labels": st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), min_size=1),
        "set": st.lists(st.sampled_from("stu"), unique=True, min_size=1),
        "atomic": st.lists(SMALL, max_size=2),
        "parts": st.lists(PART, unique_by=lambda part: part["name"], min_size=1, max_size=3),
    },
)
CONFIG = SPEC.map(lambda spec: {"spec": spec} if spec else {"spec": {"n": 0}})


class OneVersion:
    def typed(self, obj, version):
        return KIND, obj

    def back(self, obj, version):
        return obj


def members(fields):
    return set(fieldsets.paths(fields))


def apply(live, config, managers, name, force=True):
    manager = ownership.manager_for(name, ownership.APPLY, "v1", "")
    return ownership.applied(OneVersion(), "v1", live, config, managers, manager, force=force)


def fields_of(managers, name):
    found = [owned.fields for manager, owned in managers.items() if manager.name == name]
    return found[0] if found else {}


@given(SETS, SETS)
def test_sets_of_paths_are_sets(left, right):
    before = copy_plain(left), copy_plain(right)
    assert members(union(left, right)) == members(left) | members(right)
    assert members(intersection(left, right)) == members(left) & members(right)
    assert members(difference(left, right)) == members(left) - members(right)
    assert (left, right) == before


@given(SETS, SETS)
def test_taking_away_with_what_is_below(left, right):
    gone = members(right)
    below = {path for path in members(left) if any(path[: len(lead)] == lead for lead in gone)}
    assert members(fieldsets.without(left, right)) == members(left) - below


@given(PATHS)
def test_a_set_comes_back_from_its_text(paths):
    fields = fieldsets.of_paths(paths)
    assert members(fields) == set(paths)
    assert all(fieldsets.contains(fields, path) for path in paths)
    assert fieldsets.checked(decode_plain(encode(fields))) == fields


@given(CONFIG)
def test_the_first_apply_gives_what_was_applied_and_owns_it(config):
    new, managers = apply({}, config, {}, "one")
    assert new == config
    assert members(fields_of(managers, "one")) == members(KIND.field_set(config))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), CONFIG), min_size=1, max_size=4))
def test_applying_again_changes_nothing(steps):
    live, managers = {}, {}
    for name, config in steps:
        live, managers = apply(live, config, managers, name)
        again, same = apply(live, config, managers, name)
        assert again is live
        assert same == managers


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), CONFIG), min_size=1, max_size=4))
def test_what_was_applied_last_is_there_and_what_nobody_applies_is_not(steps):
    live, managers = {}, {}
    for name, config in steps:
        live, managers = apply(live, config, managers, name)
        assert merging.merge(KIND, live, config) == live
        wanted = fieldsets.union(fields_of(managers, "one"), fields_of(managers, "two"))
        assert members(KIND.field_set(live)) <= members(merging.with_named(KIND, wanted))


@settings(max_examples=60)
@given(CONFIG, CONFIG, CONFIG)
def test_giving_up_fields_never_takes_another_managers(first, others, last):
    live, managers = apply({}, first, {}, "one")
    live, managers = apply(live, others, managers, "two")
    kept = fields_of(managers, "two")
    live, managers = apply(live, last, managers, "one", force=True)
    mine = members(fields_of(managers, "two"))
    there = members(KIND.field_set(live))
    changed = members(KIND.field_set(last))
    lost = {path for path in members(kept) - mine if path not in changed}
    assert not lost
    assert {path for path in members(kept) - changed if len(path) > 2} <= there


@settings(max_examples=60)
@given(CONFIG, CONFIG)
def test_managers_of_different_fields_can_come_in_any_order(first, second):
    mine, yours = members(KIND.field_set(first)), members(KIND.field_set(second))
    if mine & yours:
        return
    one, managers_one = apply({}, first, {}, "one", force=False)
    try:
        one, managers_one = apply(one, second, managers_one, "two", force=False)
    except Conflicts:
        raise AssertionError("nobody else owns these fields") from None
    two, managers_two = apply({}, second, {}, "two", force=False)
    two, managers_two = apply(two, first, managers_two, "one", force=False)
    assert members(KIND.field_set(one)) == members(KIND.field_set(two))
    assert {k: v.fields for k, v in managers_one.items()} == {k: v.fields for k, v in managers_two.items()}


@given(CONFIG, CONFIG)
def test_a_write_owns_what_it_changed_and_nobody_else_does(old, new):
    version = "v1"
    managers = ownership.updated(
        OneVersion(), version, {}, old, {}, ownership.manager_for("a", "Update", version, ""), now="1"
    )
    after = ownership.updated(
        OneVersion(), version, old, new, managers, ownership.manager_for("b", "Update", version, ""), now="2"
    )
    assert not members(fields_of(after, "a")) & members(fields_of(after, "b"))
    changed, _ = KIND.diff(old, new) if old != new else ({}, None)
    assert members(fields_of(after, "b")) == members(changed or {})
    assert ownership.decode(decode_plain(encode(ownership.encode(after))), trusted=False) == after

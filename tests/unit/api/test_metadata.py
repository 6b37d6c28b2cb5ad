"""Times, conditions and owners."""

import pytest

from kube_actors.api import conditions, owners
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.time import TimeError, age, format_micro_time, format_time, normal_micro_time, parse_time
from kube_actors.api.types.apps_v1 import DeploymentCondition, ReplicaSet
from kube_actors.api.types.core_v1 import NodeCondition, Pod, PodCondition
from kube_actors.api.types.meta_v1 import ObjectMeta


def test_times():
    assert format_time(1795532645.9) == "2026-11-24T15:04:05Z"
    assert format_micro_time(1795532645.123456) == "2026-11-24T15:04:05.123456Z"
    assert format_micro_time(1795532645.9999999) == "2026-11-24T15:04:06.000000Z"
    assert format_time(0) == "1970-01-01T00:00:00Z"
    assert format_time(-1) == "1969-12-31T23:59:59Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-11-24T15:04:05Z", 1795532645.0),
        ("2026-11-24T15:04:05.5Z", 1795532645.5),
        ("2026-11-24T16:04:05+01:00", 1795532645.0),
        ("2026-11-24T10:34:05-04:30", 1795532645.0),
        ("2026-11-24T15:04:05.123456789Z", 1795532645.123456789),
    ],
)
def test_parsing(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("0001-01-01T00:00:00.000005Z", "0001-01-01T00:00:00.000005Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2026-11-24T16:04:05.5+01:00", "2026-11-24T15:04:05.500000Z"),
        ("2026-11-24T15:04:05.9999999Z", "2026-11-24T15:04:05.999999Z"),
        ("2026-11-24T15:04:05Z", "2026-11-24T15:04:05.000000Z"),
    ],
)
def test_micro_times_keep_every_microsecond(text, normal):
    assert normal_micro_time(text) == normal


@pytest.mark.parametrize(
    "text",
    ["", "0001-01-01T00:00:00+01:00", "now", "2026-11-24", "2026-11-24T15:04:05", "2026-13-24T15:04:05Z", "٢026"],
)
def test_what_is_no_time(text):
    with pytest.raises(TimeError):
        parse_time(text)


def test_age():
    assert age("1970-01-01T00:00:10Z", 15) == 5
    assert age("1970-01-01T00:00:10Z", 5) == 0
    assert age(None, 5) == 0


def test_a_new_condition_gets_its_times():
    (found,) = conditions.set_condition((), DeploymentCondition(type="Available", status="True"), "T1")
    assert (found.last_transition_time, found.last_update_time) == ("T1", "T1")
    assert conditions.is_true((found,), "Available")
    assert conditions.find((found,), "Progressing") is None


def test_transition_time_follows_the_status_only():
    first = conditions.set_condition((), PodCondition(type="Ready", status="True"), "T1")
    second = conditions.set_condition(first, PodCondition(type="Ready", status="True", reason="R"), "T2")
    assert (second[0].last_transition_time, second[0].reason) == ("T1", "R")
    third = conditions.set_condition(second, PodCondition(type="Ready", status="False"), "T3")
    assert third[0].last_transition_time == "T3"


def test_saying_the_same_changes_nothing():
    first = conditions.set_condition((), NodeCondition(type="Ready", status="True"), "T1")
    again = conditions.set_condition(first, NodeCondition(type="Ready", status="True", last_heartbeat_time="T2"), "T2")
    assert again == first
    assert conditions.remove(first, "Ready") == ()


def test_order_is_kept():
    found = tuple(PodCondition(type=kind, status="True") for kind in "abc")
    changed = conditions.set_condition(found, PodCondition(type="b", status="False"), "T")
    assert [condition.type for condition in changed] == ["a", "b", "c"]


def test_owners():
    replica_set = ReplicaSet(metadata=ObjectMeta(name="r", uid="u1"))
    reference = owners.controller_reference(replica_set)
    pod = Pod(metadata=ObjectMeta(name="p", owner_references=(reference,)))
    assert owners.controller_of(pod) == reference
    assert (reference.api_version, reference.kind, reference.block_owner_deletion) == ("apps/v1", "ReplicaSet", True)
    assert owners.is_controlled_by(pod, replica_set)
    assert not owners.is_controlled_by(Pod(), replica_set)
    assert owners.is_owned_by(pod, "u1")
    assert owners.group_of(reference) == "apps"


def test_owner_lists():
    widget = Dynamic({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "uid": "u2"}})
    plain = owners.owner_reference(widget)
    assert (plain.controller, plain.block_owner_deletion) == (None, None)
    managing = owners.controller_reference(widget)
    assert owners.with_owner((plain,), managing) == (managing,)
    assert owners.with_owner((), plain) == (plain,)
    assert owners.without_owner((plain,), "u2") == ()

"""The patch of a declarative apply: sets what is wanted, removes what was applied and is no longer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api import schema
from kube_actors.assembly.apply import LAST_APPLIED, annotated, last_applied, patch

DEPLOYMENT = schema.for_kind("apps", "v1", "Deployment")


def deployment(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {**spec, "template": {"spec": {"containers": list(containers)}}},
    }


def test_a_container_that_is_no_longer_wanted_is_deleted_by_its_merge_key() -> None:
    before = deployment({"name": "a", "image": "x"}, {"name": "b", "image": "y"}, replicas=3)
    after = deployment({"name": "a", "image": "z"})
    spec = patch(before, after, DEPLOYMENT)["spec"]
    assert spec["replicas"] is None
    assert spec["template"]["spec"]["containers"] == [
        {"name": "a", "image": "z"},
        {"name": "b", "$patch": "delete"},
    ]


def test_a_label_that_is_no_longer_wanted_is_removed_and_others_are_left_alone() -> None:
    before = {"metadata": {"labels": {"app": "web", "tier": "front"}}}
    after = {"metadata": {"labels": {"app": "web"}}}
    assert patch(before, after, DEPLOYMENT) == {"metadata": {"labels": {"app": "web", "tier": None}}}


def test_elements_of_a_merged_list_of_strings_are_deleted_one_by_one() -> None:
    before = {"metadata": {"finalizers": ["a", "b"]}}
    after = {"metadata": {"finalizers": ["b"]}}
    assert patch(before, after, DEPLOYMENT)["metadata"] == {
        "finalizers": ["b"],
        "$deleteFromPrimitiveList/finalizers": ["a"],
    }


def test_without_a_schema_lists_are_replaced() -> None:
    before = {"spec": {"items": [{"name": "a"}, {"name": "b"}], "old": 1}}
    after = {"spec": {"items": [{"name": "b"}]}}
    assert patch(before, after, None) == {"spec": {"items": [{"name": "b"}], "old": None}}


@pytest.mark.parametrize("annotation", [None, "{broken", "[]"])
def test_nothing_applied_before_is_an_empty_manifest(annotation: str | None) -> None:
    annotations = {} if annotation is None else {LAST_APPLIED: annotation}
    assert last_applied({"metadata": {"annotations": annotations}}) == {}


json_maps = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), json_maps, max_size=3))
def test_what_was_applied_can_be_read_back(spec: dict[str, Any]) -> None:
    manifest = {"kind": "Widget", "metadata": {"name": "w"}, "spec": spec}
    live = annotated(annotated(manifest))
    assert last_applied(live) == {"kind": "Widget", "metadata": {"name": "w", "annotations": {}}, "spec": spec}


@given(st.dictionaries(st.text(max_size=2), json_maps, max_size=4), st.dictionaries(st.text(max_size=2), json_maps))
def test_merging_the_patch_onto_what_was_applied_gives_what_is_wanted(last: Any, wanted: Any) -> None:
    assert merge(last, patch(last, wanted, None)) == wanted


def merge(target: Any, change: Any) -> Any:
    """JSON merge patch, RFC 7386."""
    if not isinstance(change, dict):
        return change
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged

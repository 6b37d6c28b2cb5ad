"""Laws of patches."""

from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api import patches, schema
from kube_actors.api.codec import copy_plain
from kube_actors.api.strategic import apply_strategic_patch

POD = schema.for_kind("", "v1", "Pod")
scalars = st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
)
documents = st.dictionaries(st.sampled_from("abcd"), values)


def difference(old, new):
    """The merge patch from old to new."""
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict):
            before = old.get(key)
            patch[key] = difference(before if isinstance(before, dict) else {}, value)
        else:
            patch[key] = value
    return patch


@given(documents, documents)
def test_a_merge_patch_leads_anywhere(old, new):
    before = copy_plain(old)
    assert patches.apply_merge_patch(old, difference(old, new)) == new
    assert old == before


@given(documents, st.sampled_from("abcd"), values)
def test_what_is_added_can_be_tested_and_removed(document, key, value):
    added = patches.apply_json_patch(document, [{"op": "add", "path": f"/{key}", "value": value}])
    patches.apply_json_patch(added, [{"op": "test", "path": f"/{key}", "value": value}])
    removed = patches.apply_json_patch(added, [{"op": "remove", "path": f"/{key}"}])
    assert removed == {name: item for name, item in document.items() if name != key}


containers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcde"), "image": st.sampled_from("xyz")}),
    unique_by=lambda container: container["name"],
)


def pod(items):
    return {"spec": {"containers": items}}


@given(containers, containers)
def test_strategic_merge_of_lists(old, change):
    result = apply_strategic_patch(pod(old), pod(change), POD)["spec"]["containers"]
    found = {container["name"]: container["image"] for container in result}
    assert found == {c["name"]: c["image"] for c in old} | {c["name"]: c["image"] for c in change}
    assert len(result) == len(found)
    for order in (change, [c for c in old if c["name"] not in {d["name"] for d in change}]):
        places = [[c["name"] for c in result].index(item["name"]) for item in order]
        assert places == sorted(places)


@given(containers, containers)
def test_strategic_merge_twice_is_once(old, change):
    once = apply_strategic_patch(pod(old), pod(change), POD)
    assert apply_strategic_patch(once, pod(change), POD) == once


@given(containers, containers)
def test_deleted_elements_are_gone(old, doomed):
    patch = pod([{"name": container["name"], "$patch": "delete"} for container in doomed])
    result = apply_strategic_patch(pod(old), patch, POD)["spec"]["containers"]
    assert result == [c for c in old if c["name"] not in {d["name"] for d in doomed}]

"""Custom resources: definitions come into force, objects are pruned, defaulted, validated, and go with them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import JSON_PATCH, MERGE_PATCH
from kube_actors.store.memory import MemoryStore
from tests.kit.apiserver import RunningAPIServer, running_apiserver

SPEC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1, "default": 3},
        "mode": {"type": "string", "enum": ["a", "b"]},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "port": {"x-kubernetes-int-or-string": True},
    },
    "x-kubernetes-validations": [{"rule": "self.size < 100", "message": "too big"}],
}


def version(name: str = "v1", *, storage: bool = True, **more: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": SPEC, "status": {"type": "object", "properties": {"n": {"type": "integer"}}}}}  # fmt: skip # noqa: E501
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def definition(*versions: dict[str, Any], plural: str = "widgets", kind: str = "Widget", **more: Any) -> dict[str, Any]:
    names = {"plural": plural, "kind": kind, "shortNames": more.pop("short_names", [])}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": list(versions) or [version()]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {**spec, **more},
    }


def widget(name: str = "w", api_version: str = "example.com/v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name}, "spec": spec}


async def establish(api: RunningAPIServer, crd: dict[str, Any]) -> None:
    await api.create(crd)
    with trio.fail_after(5):
        while not condition(await api.get("crd", crd["metadata"]["name"]), "Established"):
            await trio.testing.wait_all_tasks_blocked()


def condition(crd: dict[str, Any], kind: str) -> bool:
    return any(one["type"] == kind and one["status"] == "True" for one in crd["status"]["conditions"] or ())


async def refused(action: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await action
    return caught.value.message


async def test_objects_are_pruned_defaulted_and_validated(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition(version(subresources={"status": {}})))
        made = await api.create({**widget(bogus=1, free={"x": 1}, port="http"), "status": {"n": 1}})
        assert made["spec"] == {"size": 3, "free": {"x": 1}, "port": "http"}
        assert "status" not in made
        assert made["metadata"]["generation"] == 1
        assert 'supported values: "a", "b"' in await refused(api.create(widget("x", mode="c")))
        assert "spec: Invalid value: too big" in await refused(api.create(widget("x", size=100)))
        twice = [{"name": "p"}, {"name": "p"}]
        assert 'spec.parts[1]: Duplicate value: {"name":"p"}' in await refused(api.create(widget("x", parts=twice)))
        strict = await refused(api.create(widget("x", bogus=1), field_validation="Strict"))
        assert strict.endswith('strict decoding error: unknown field "spec.bogus"')


async def test_a_finalizer_of_an_object_needs_no_domain(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition())
        held = widget()
        held["metadata"]["finalizers"] = ["test-finalizer"]
        assert (await api.create(held))["metadata"]["finalizers"] == ["test-finalizer"]
        patch = {"metadata": {"finalizers": ["test-finalizer", "another"]}}
        found = await api.ask("patch", "Widget", "default", "w", body=patch, content_type=MERGE_PATCH)
        assert found["metadata"]["finalizers"] == ["test-finalizer", "another"]
        held["metadata"] = {"name": "x", "finalizers": ["not a name"]}
        with pytest.raises(ApiError, match="name part must consist of"):
            await api.create(held)


async def test_status_is_written_apart_and_generation_counts_the_rest(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition(version(subresources={"status": {}})))
        await api.create(widget())
        patch: dict[str, Any] = {"content_type": MERGE_PATCH}
        one = await api.ask("patch", "Widget", "", "w", body={"status": {"n": 1}}, **patch)
        assert "status" not in one
        two = await api.ask("patch", "Widget", "", "w", body={"status": {"n": 1}}, subresource="status", **patch)
        assert two["status"] == {"n": 1} and two["metadata"]["generation"] == 1
        three = await api.ask("patch", "Widget", "", "w", body={"spec": {"size": 5}}, **patch)
        assert three["metadata"]["generation"] == 2 and three["status"] == {"n": 1}


async def test_scale_follows_its_paths(autojump_clock: MockClock) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.n"}
    async with running_apiserver() as api:
        await establish(api, definition(version(subresources={"status": {}, "scale": paths})))
        await api.create(widget())
        scale = await api.ask("get", "Widget", "", "w", subresource="scale")
        assert (scale["kind"], scale["spec"], scale["status"]) == ("Scale", {"replicas": 3}, {"replicas": 0})
        scale["spec"]["replicas"] = 7
        assert (await api.ask("update", "Widget", "", "w", subresource="scale", body=scale))["spec"] == {"replicas": 7}
        assert (await api.get("Widget", "w"))["spec"]["size"] == 7


async def test_defaults_are_seen_on_objects_stored_before_them(autojump_clock: MockClock) -> None:
    crd = definition()
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] = True
    async with running_apiserver() as api:
        await establish(api, crd)
        await api.create(widget())
        change = [{"op": "replace", "path": "/spec/versions/0/schema", "value": version()["schema"]}]
        await api.ask("patch", "crd", "", "widgets.example.com", body=change, content_type=JSON_PATCH)
        assert (await api.get("Widget", "w"))["spec"] == {"size": 3}
        assert (await api.list("Widget"))["items"][0]["spec"] == {"size": 3}


async def test_every_version_shows_the_same_objects(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition(version("v1"), version("v2", storage=False)))
        await api.create(widget(api_version="example.com/v2"))
        for name in ("v1", "v2"):
            got = await api.get(f"example.com/{name}/Widget", "w")
            assert got["apiVersion"] == f"example.com/{name}"
        stream = (await api.watch("example.com/v2/Widget", resource_version="0")).stream
        assert b'"apiVersion":"example.com/v2"' in (await stream.receive_batch())[0].object
        stream.close()


async def test_fields_of_a_definition_select(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition(version(selectableFields=[{"jsonPath": ".spec.mode"}])))
        await api.create(widget("a", mode="a"))
        await api.create(widget("b", mode="b"))
        found = await api.list("Widget", field_selector="spec.mode=b")
        assert [item["metadata"]["name"] for item in found["items"]] == ["b"]
        assert await refused(api.list("Widget", field_selector="spec.size=1")) == "field label not supported: spec.size"


async def test_names_in_use_are_not_accepted_twice(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition(short_names=["wi"]))
        await api.create(definition(plural="wits", kind="Wit", short_names=["wi"]))
        await trio.testing.wait_all_tasks_blocked()
        second = await api.get("crd", "wits.example.com")
        conditions = {one["type"]: (one["status"], one["reason"]) for one in second["status"]["conditions"]}
        assert conditions == {"NamesAccepted": ("False", "ShortNamesConflict"), "Established": ("False", "NotAccepted")}
        await api.delete("crd", "widgets.example.com")
        with trio.fail_after(60):
            while not condition(await api.get("crd", "wits.example.com"), "Established"):
                await trio.testing.wait_all_tasks_blocked(0.01)


async def test_a_definition_goes_after_its_objects(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition())
        made = widget()
        made["metadata"]["finalizers"] = ["example.com/hold"]
        await api.create(made)
        gone = await api.delete("crd", "widgets.example.com")
        assert gone["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
        await trio.sleep(20)
        assert "while custom resource definition is terminating" in await refused(api.create(widget("late")))
        waiting = await api.get("crd", "widgets.example.com")
        assert {one["reason"] for one in waiting["status"]["conditions"]} >= {"InstanceDeletionInProgress"}
        release: dict[str, Any] = {"metadata": {"finalizers": None}}
        await api.ask("patch", "Widget", "", "w", body=release, content_type=MERGE_PATCH)
        await trio.sleep(20)
        assert (await api.list("crd"))["items"] == []
        assert api.server.resources.by_kind("example.com", "v1", "Widget") is None


async def test_custom_kinds_come_back_from_the_store(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running_apiserver(store=store) as api:
        await establish(api, definition())
        await api.create(widget())
    async with running_apiserver(store=store) as again:
        await trio.testing.wait_all_tasks_blocked()
        assert (await again.get("Widget", "w"))["spec"] == {"size": 3}


async def test_another_server_on_the_store_serves_at_once(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running_apiserver(store=store) as one, running_apiserver(store=store) as other:
        await establish(one, definition())
        await one.create(widget())
        request = one.request("get", "Widget", "", "w")
        assert (await other.server.handle(request)).status == 200  # type: ignore[union-attr]


async def test_what_did_not_change_is_not_complained_about(autojump_clock: MockClock) -> None:
    loose = definition()
    loose = copy.deepcopy(loose)
    del loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["mode"]["enum"]
    async with running_apiserver() as api:
        await establish(api, loose)
        await api.create(widget(mode="zz"))
        change = [{"op": "replace", "path": "/spec/versions/0/schema", "value": version()["schema"]}]
        await api.ask("patch", "crd", "", "widgets.example.com", body=change, content_type=JSON_PATCH)
        patch: dict[str, Any] = {"content_type": MERGE_PATCH}
        assert (await api.ask("patch", "Widget", "", "w", body={"spec": {"size": 4}}, **patch))["spec"]["size"] == 4
        assert "Unsupported value" in await refused(api.ask("patch", "Widget", "", "w", body={"spec": {"mode": "yy"}}, **patch))  # fmt: skip # noqa: E501


async def test_watches_end_with_their_definition(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await establish(api, definition())
        stream = (await api.watch("Widget", resource_version="0")).stream
        await api.create(widget())
        assert [event.type for event in await stream.receive_batch()] == ["ADDED"]
        await api.delete("crd", "widgets.example.com")
        assert [event.type for event in await stream.receive_batch()] == ["DELETED"]
        with trio.fail_after(60):
            assert not await stream.receive_batch()


async def test_unknown_fields_of_schemas_are_dropped_at_every_depth(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        crd = definition()
        items = {"type": "object", "additionalProperties": {"type": "string", "bogus": 1}, "nullable": False}
        schema = {"type": "object", "properties": {"l": {"type": "array", "items": items}}}
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
        await api.create(crd, field_validation="Strict", dry_run=("All",))
        made = await api.create(crd)
        kept = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["l"]["items"]
        assert kept == {"type": "object", "additionalProperties": {"type": "string"}}

"""Every built-in kind through its whole life, as the conformance tests of the API do: create, get, list, watch,
all kinds of patches, update, status, delete, and delete a collection by labels.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, WatchAnswer
from kube_actors.api.resources import Resource, builtin
from tests.kit.apiserver import RunningAPIServer, running_apiserver
from tests.kit.minimal import bodies, name_of

BODIES = bodies()
RESOURCES = {resource.name: resource for resource in reversed(builtin()) if resource.name in BODIES}
# An event of a young server may well carry this label too: nobody else's does.
LABELS = {"lifecycle": "this"}
SELECTOR = "lifecycle=this"


@pytest.fixture
async def api() -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


class Life:
    """One kind on one server."""

    def __init__(self, api: RunningAPIServer, resource: Resource) -> None:
        self.api = api
        self.resource = resource
        self.kind = f"{resource.api_version}/{resource.kind}"
        self.namespace = "default" if resource.namespaced else ""

    def body(self, number: int) -> dict[str, Any]:
        metadata = {"name": name_of(self.resource.name, number), "labels": LABELS}
        content = json.loads(json.dumps(BODIES[self.resource.name]))
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, "metadata": metadata, **content}

    async def create(self, number: int) -> dict[str, Any]:
        return await self.api.create(self.body(number))

    async def get(self, number: int, **more: Any) -> dict[str, Any]:
        return await self.api.get(self.kind, name_of(self.resource.name, number), self.namespace, **more)

    async def listed(self, namespace: str = "") -> list[str]:
        found = await self.api.list(self.kind, namespace, label_selector=SELECTOR)
        assert found["kind"] == self.resource.list_kind and found["metadata"]["resourceVersion"]
        return sorted(item["metadata"]["name"] for item in found["items"])

    async def patch(self, number: int, media: str, body: Any, subresource: str = "") -> dict[str, Any]:
        name = name_of(self.resource.name, number)
        return await self.api.ask(
            "patch", self.kind, self.namespace, name, body=body, content_type=media, subresource=subresource
        )

    async def release(self) -> None:
        """Take off what protects a deleted object, as its controllers would."""
        for item in (await self.api.list(self.kind, label_selector=SELECTOR))["items"]:
            metadata = item["metadata"]
            if metadata.get("finalizers"):
                body = {"metadata": {"finalizers": None}}
                await self.api.ask(
                    "patch", self.kind, self.namespace, metadata["name"], body=body, content_type=MERGE_PATCH
                )
            if self.resource.plural == "namespaces" and metadata.get("deletionTimestamp"):
                await self.api.ask(
                    "update",
                    self.kind,
                    name=metadata["name"],
                    subresource="finalize",
                    body={**item, "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": []}},
                )


async def events_of(watch: WatchAnswer, count: int) -> list[tuple[str, str]]:
    """The types and names of the next events."""
    found: list[tuple[str, str]] = []
    with trio.fail_after(5):
        while len(found) < count:
            for event in await watch.stream.receive_batch():
                found.append((event.type, json.loads(event.object)["metadata"]["name"]))
    return found


@pytest.mark.parametrize("name", sorted(RESOURCES))
async def test_a_life(name: str, autojump_clock: MockClock, api: RunningAPIServer) -> None:
    life = Life(api, RESOURCES[name])
    start = (await api.list(life.kind))["metadata"]["resourceVersion"]
    watch = await api.watch(life.kind, label_selector=SELECTOR, resource_version=start)
    made = await life.create(1)
    assert made["metadata"]["uid"] and made["metadata"]["creationTimestamp"] and made["kind"] == life.resource.kind
    assert await life.get(1) == made
    with pytest.raises(ApiError) as taken:
        await life.create(1)
    assert taken.value.reason == "AlreadyExists"
    assert await life.listed() == await life.listed(life.namespace) == [name_of(name, 1)]

    await _patched_and_updated(life)
    events = await events_of(watch, 5)
    assert events == [("ADDED", name_of(name, 1))] + [("MODIFIED", name_of(name, 1))] * 4

    await life.create(2)
    await life.create(3)
    assert await events_of(watch, 2) == [("ADDED", name_of(name, 2)), ("ADDED", name_of(name, 3))]
    await api.delete(life.kind, name_of(name, 1), life.namespace, grace_seconds=0)
    await life.release()
    assert await life.listed() == [name_of(name, 2), name_of(name, 3)]
    if "deletecollection" in life.resource.verbs:
        await api.ask("deletecollection", life.kind, life.namespace, label_selector=SELECTOR, grace_seconds=0)
        await life.release()
        assert await life.listed() == []
    watch.stream.close()


async def _patched_and_updated(life: Life) -> None:
    """Each kind of patch, then a PUT, each of which changes something."""
    by_merge = await life.patch(1, MERGE_PATCH, {"metadata": {"annotations": {"merged": "yes"}}})
    assert by_merge["metadata"]["annotations"]["merged"] == "yes"
    by_strategy = await life.patch(1, STRATEGIC_PATCH, {"metadata": {"annotations": {"strategic": "yes"}}})
    assert by_strategy["metadata"]["annotations"]["merged"] == "yes"
    operations = [{"op": "add", "path": "/metadata/annotations/jsoned", "value": "yes"}]
    by_json = await life.patch(1, JSON_PATCH, operations)
    changed = {**by_json, "metadata": {**by_json["metadata"], "annotations": {"updated": "yes"}}}
    updated = await life.api.update(changed)
    assert _own(updated) == {"updated": "yes"}
    with pytest.raises(ApiError) as stale:
        await life.api.update(changed)
    assert stale.value.reason == "Conflict"


def _own(obj: dict[str, Any]) -> dict[str, str]:
    """The annotations but the one with which the server counts a DaemonSet's templates."""
    return {key: value for key, value in obj["metadata"]["annotations"].items() if "deprecated" not in key}


STATUS = sorted(name for name, resource in RESOURCES.items() if "status" in resource.subresources)


@pytest.mark.parametrize("name", STATUS)
async def test_a_status_is_its_own(name: str, autojump_clock: MockClock, api: RunningAPIServer) -> None:
    life = Life(api, RESOURCES[name])
    made = await life.create(1)
    assert await life.get(1, subresource="status") == made
    # What the status write says of the rest is not taken, and the other way round.
    body = {"metadata": {"annotations": {"by": "status"}}, **({"spec": made["spec"]} if "spec" in made else {})}
    patched = await life.patch(1, MERGE_PATCH, body, "status")
    assert _own(patched) == {"by": "status"}
    assert patched.get("spec") == made.get("spec")
    put = await api.ask("update", life.kind, life.namespace, name_of(name, 1), subresource="status", body=patched)
    assert put["metadata"]["uid"] == made["metadata"]["uid"]
    assert put["metadata"].get("generation") == made["metadata"].get("generation")


def test_no_kind_is_forgotten() -> None:
    whole = {"create", "update", "delete", "watch"}
    lived = {resource.name for resource in builtin() if whole <= set(resource.verbs)}
    left = lived - RESOURCES.keys()
    # Written by other rules than these bodies know: they have tests of their own.
    assert left == {
        "apiservices.apiregistration.k8s.io",
        "certificatesigningrequests.certificates.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
    }

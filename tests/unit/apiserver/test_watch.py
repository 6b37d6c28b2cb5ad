"""Watches: initial state, selectors, bookmarks, timeouts, 410, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.messages import WatchAnswer
from kube_actors.apiserver import limits
from tests.kit.apiserver import RunningAPIServer, running_apiserver


@pytest.fixture
async def api() -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


async def drain(watch: WatchAnswer) -> list[tuple[str, str]]:
    """Everything until the watch ends by itself, as (type, name)."""
    found = []
    while batch := await watch.stream.receive_batch():
        found += [(event.type, json.loads(event.object)["metadata"].get("name", "")) for event in batch]
    return found


async def test_state_first_then_changes(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(config_map("a"))
    watch = await api.watch("ConfigMap", timeout_seconds=5)
    made = await api.create(config_map("b"))
    await api.update({**made, "data": {"k": "v"}})
    await api.delete("ConfigMap", "a")
    assert await drain(watch) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]


async def test_watch_from_a_list_misses_nothing_and_repeats_nothing(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    await api.create(config_map("a"))
    listed = await api.list("ConfigMap")
    await api.create(config_map("b"))
    watch = await api.watch("ConfigMap", resource_version=listed["metadata"]["resourceVersion"], timeout_seconds=5)
    await api.create(config_map("c"))
    assert await drain(watch) == [("ADDED", "b"), ("ADDED", "c")]


async def test_selectors_turn_changes_into_added_and_deleted(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    watch = await api.watch("ConfigMap", label_selector="l=1", timeout_seconds=5)
    made = await api.create(config_map("a"))
    made["metadata"]["labels"] = {"l": "1"}
    made = await api.update(made)
    made["metadata"]["labels"] = {"l": "2"}
    await api.update(made)
    assert await drain(watch) == [("ADDED", "a"), ("DELETED", "a")]


async def test_initial_events_end_with_an_annotated_bookmark(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(config_map("a"))
    watch = await api.watch(
        "ConfigMap",
        send_initial_events=True,
        resource_version_match="NotOlderThan",
        allow_watch_bookmarks=True,
        timeout_seconds=5,
    )
    batch = await watch.stream.receive_batch()
    assert [event.type for event in batch] == ["ADDED", "BOOKMARK"]
    end = json.loads(batch[1].object)
    assert end["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["metadata"]["resourceVersion"] == str(api.store.revision)


async def test_bookmarks_tell_how_far_the_watch_is(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    watch = await api.watch("ConfigMap", resource_version=str(api.store.revision), allow_watch_bookmarks=True)
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
    batch = await watch.stream.receive_batch()
    assert [event.type for event in batch] == ["BOOKMARK"]
    assert batch[0].revision == api.store.revision
    assert trio.current_time() >= limits.BOOKMARK_SECONDS
    watch.stream.close()
    assert list(await watch.stream.receive_batch()) == []


async def test_compacted_revision_is_gone(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    for name in "abc":
        await api.create(config_map(name))
    await api.store.compact(api.store.revision)
    watch = await api.watch("ConfigMap", resource_version="2")
    (event,) = await watch.stream.receive_batch()
    assert event.type == "ERROR"
    assert json.loads(event.object)["code"] == 410
    assert list(await watch.stream.receive_batch()) == []


async def test_slow_reader_is_gone(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    watch = await api.watch("ConfigMap", resource_version=str(api.store.revision))
    made = await api.create(config_map("a"))
    for number in range(limits.WATCH_EVENTS + 1):
        made = await api.update({**made, "data": {"n": str(number)}})
    (event,) = await watch.stream.receive_batch()
    assert event.type == "ERROR"
    assert json.loads(event.object)["code"] == 410


async def test_watchers_share_the_stored_bytes(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    watches = [await api.watch("ConfigMap", timeout_seconds=5) for _ in range(2)]
    await api.create(config_map("a"))
    first, second = [(await watch.stream.receive_batch())[0].object for watch in watches]
    assert first is second


async def test_a_pod_goes_from_the_unbound_to_its_node_and_wakes_no_other(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    fields = ("spec.nodeName=", "spec.nodeName=n1", "spec.nodeName=n2", "spec.nodeName!=n1")
    now = str(api.store.revision)
    watches = [
        await api.watch("Pod", resource_version=now, timeout_seconds=5, field_selector=field) for field in fields
    ]
    body = {"containers": [{"name": "c", "image": "web"}]}
    await api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": body})
    pod = await api.get("Pod", "web")
    await api.update({**pod, "metadata": {**pod["metadata"], "labels": {"a": "b"}}})
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}
    await api.create({"apiVersion": "v1", "kind": "Binding", **binding})
    await api.delete("Pod", "web", body={"gracePeriodSeconds": 0})
    found: list[list[tuple[str, str]]] = [[] for _ in watches]

    async def read(number: int) -> None:
        found[number] = await drain(watches[number])

    async with trio.open_nursery() as nursery:
        for number in range(len(watches)):
            nursery.start_soon(read, number)
    assert found == [
        [("ADDED", "web"), ("MODIFIED", "web"), ("DELETED", "web")],
        [("ADDED", "web"), ("DELETED", "web")],
        [],
        [("ADDED", "web"), ("MODIFIED", "web"), ("DELETED", "web")],
    ]

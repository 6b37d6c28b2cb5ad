"""The event recorder against the real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from kube_actors.api.types.core_v1 import Event, Node, ObjectReference
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client import Client, EventRecorder
from kube_actors.client.limits import EVENT_PATIENCE_SECONDS, EVENT_QUEUE_CAPACITY, EVENT_QUIET_SECONDS
from tests.kit.apiserver import RunningAPIServer

WEB = ObjectReference(api_version="v1", kind="Pod", namespace="default", name="web", uid="123")


@pytest.fixture
async def recorder(api: RunningAPIServer, client: Client) -> AsyncIterator[EventRecorder]:
    found = EventRecorder(client, api.system, "kubelet", "node-1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        yield found
        nursery.cancel_scope.cancel()


async def written(recorder: EventRecorder) -> None:
    while not recorder.idle:
        await trio.testing.wait_all_tasks_blocked(2 * EVENT_QUIET_SECONDS)


async def test_an_event_says_who_what_when_and_about_whom(client: Client, recorder: EventRecorder) -> None:
    recorder.event(WEB, "Warning", "BackOff", "Back-off restarting failed container")
    await written(recorder)
    (event,) = (await client.list(Event, namespace="default")).items
    assert event.metadata.name.startswith("web.")
    assert (event.type, event.reason, event.message, event.count) == (
        "Warning",
        "BackOff",
        "Back-off restarting failed container",
        1,
    )
    assert event.source is not None
    assert (event.source.component, event.source.host) == ("kubelet", "node-1")
    assert event.reporting_component == "kubelet"
    assert event.involved_object == WEB
    assert event.first_timestamp == event.last_timestamp != None  # noqa: E711


async def test_the_same_again_is_counted(
    autojump_clock: trio.testing.MockClock, client: Client, recorder: EventRecorder
) -> None:
    for _ in range(3):
        recorder.event(WEB, "Normal", "Pulled", "image is here")
        await trio.sleep(10)
    (event,) = (await client.list(Event, namespace="default")).items
    assert event.count == 3
    assert (event.first_timestamp or "") < (event.last_timestamp or "")


async def test_events_about_objects_without_a_namespace_stand_in_default(
    client: Client, recorder: EventRecorder
) -> None:
    node = await client.create(Node(metadata=ObjectMeta(name="node-1")))
    recorder.event(node, "Normal", "Starting", "Starting kubelet.")
    await written(recorder)
    (event,) = (await client.list(Event, namespace="default")).items
    assert event.involved_object.uid == node.metadata.uid
    assert event.involved_object.namespace is None


async def test_an_event_that_was_deleted_is_written_anew(client: Client, recorder: EventRecorder) -> None:
    recorder.event(WEB, "Normal", "Pulled", "image is here")
    await written(recorder)
    await client.delete_collection(Event, namespace="default")
    recorder.event(WEB, "Normal", "Pulled", "image is here")
    await written(recorder)
    assert len((await client.list(Event, namespace="default")).items) == 1
    assert recorder.statistics().created == 2


async def test_a_refused_event_is_given_up(client: Client, recorder: EventRecorder) -> None:
    recorder.event(ObjectReference(kind="Pod", namespace="nowhere", name="x"), "Normal", "A", "b")
    recorder.event(WEB, "Normal", "Pulled", "image is here")
    await written(recorder)
    assert recorder.statistics().failed == 1
    assert len((await client.list(Event)).items) == 1


async def test_what_does_not_fit_is_dropped_and_counted(api: RunningAPIServer, client: Client) -> None:
    recorder = EventRecorder(client, api.system, "kubelet")
    for number in range(EVENT_QUEUE_CAPACITY + 7):
        recorder.event(WEB, "Normal", "Pulled", str(number))
    assert recorder.statistics().dropped == 7


async def test_an_event_lets_the_other_work_go_first(client: Client, recorder: EventRecorder) -> None:
    recorder.event(WEB, "Normal", "Pulled", "image is here")
    for _ in range(50):
        await client.list(Event, namespace="default")
    assert recorder.statistics().created == 0
    await written(recorder)
    assert recorder.statistics().created == 1


async def test_an_event_does_not_wait_for_ever(
    mock_clock: trio.testing.MockClock, client: Client, recorder: EventRecorder
) -> None:
    recorder.event(WEB, "Normal", "Pulled", "image is here")
    for _ in range(10):
        await trio.lowlevel.checkpoint()
    mock_clock.jump(EVENT_PATIENCE_SECONDS)
    for _ in range(100):
        await trio.lowlevel.checkpoint()
    assert recorder.statistics().created == 1

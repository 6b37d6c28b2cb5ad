"""Events for many watchers: written at once where that can be, else by the watch's own task; each once, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio.testing

from kube_actors.apiserver import Authenticator, HttpFace, Token, limits
from kube_actors.wire import Headers, HttpRequest, StreamResponse
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver

WATCH = "watch=1&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"


class Watcher:
    """One client: what was written to it, and by which way."""

    def __init__(self) -> None:
        self.at_once: list[dict[str, Any]] = []
        self.by_task: list[dict[str, Any]] = []
        self.everything: list[dict[str, Any]] = []
        self.busy = False

    def send_now(self, data: bytes) -> bool:
        if not self.busy:
            self._take(self.at_once, data)
        return not self.busy

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._take(self.by_task, data)

    def _take(self, into: list[dict[str, Any]], data: bytes) -> None:
        lines = [json.loads(line) for line in data.splitlines()]
        into += lines
        self.everything += lines

    async def run(self, face: HttpFace, query: str = WATCH) -> None:
        http = HttpRequest(
            method="GET",
            target="",
            path="/api/v1/namespaces/default/configmaps",
            query=query,
            headers=Headers.of(("Authorization", "Bearer t")),
        )
        answer = await face(http)
        assert isinstance(answer, StreamResponse)
        assert answer.lend is not None
        answer.lend(self.send_now)
        await answer.produce(self.send)

    def names(self) -> list[str]:
        return [f"{each['type']} {each['object']['metadata']['name']}" for each in self.everything]


def face_of(api: RunningAPIServer) -> HttpFace:
    access = api.server.core.access
    access.authenticator = Authenticator(api.system.clock, [Token("t", TESTER)])
    return HttpFace(api.server.handle, access, api.system, api.server.at_once)


async def make(api: RunningAPIServer, name: str, **labels: str) -> None:
    metadata = {"name": name, "labels": labels}
    await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    await trio.testing.wait_all_tasks_blocked()


async def test_whoever_can_take_it_gets_it_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        face, watchers = face_of(api), [Watcher() for _ in range(250)]
        for watcher in watchers:
            nursery.start_soon(watcher.run, face)
        chosen = Watcher()
        nursery.start_soon(chosen.run, face, f"{WATCH}&labelSelector=a%3Db")
        await trio.testing.wait_all_tasks_blocked()
        watchers[7].busy = True
        await make(api, "one")
        watchers[7].busy = False
        await make(api, "two", a="b")
        for watcher in watchers:
            assert watcher.names() == ["ADDED one", "ADDED two"]
            assert len(watcher.by_task) == (1 if watcher is watchers[7] else 0)
        assert chosen.names() == ["ADDED two"]
        nursery.cancel_scope.cancel()


async def test_a_burst_is_the_tasks_own(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        watcher = Watcher()
        nursery.start_soon(watcher.run, face_of(api))
        await trio.testing.wait_all_tasks_blocked()
        watcher.busy = True
        count = limits.DELIVERED_EVENTS + 10

        async def write(number: int) -> None:
            await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}})

        async with trio.open_nursery() as writers:
            for number in range(count):
                writers.start_soon(write, number)
        await trio.testing.wait_all_tasks_blocked()
        watcher.busy = False
        await make(api, "last")
        revisions = [int(each["object"]["metadata"]["resourceVersion"]) for each in watcher.everything]
        assert len(revisions) == count + 1
        assert revisions == sorted(set(revisions))
        assert watcher.names()[-1] == "ADDED last"
        nursery.cancel_scope.cancel()


async def test_when_nobody_delivers_the_tasks_do(autojump_clock: trio.testing.MockClock) -> None:
    """A watch outlives the server that it was asked of; its events then come by its own task."""
    async with trio.open_nursery() as nursery:
        watcher = Watcher()
        async with running_apiserver() as api:
            nursery.start_soon(watcher.run, face_of(api))
            await trio.testing.wait_all_tasks_blocked()
            store = api.store
            await make(api, "one")
            handle = api.server.handle
            asked = api.request("create", "ConfigMap", body={"metadata": {"name": "two"}})
        await handle(asked)
        await trio.testing.wait_all_tasks_blocked()
        assert store.statistics().watches >= 1
        assert watcher.names() == ["ADDED one", "ADDED two"]
        assert [each["object"]["metadata"]["name"] for each in watcher.by_task] == ["two"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seconds", [3])
async def test_it_ends_when_its_time_is_up(autojump_clock: trio.testing.MockClock, seconds: int) -> None:
    async with running_apiserver() as api:
        watcher = Watcher()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watcher.run, face_of(api), f"{WATCH}&timeoutSeconds={seconds}")
            await trio.testing.wait_all_tasks_blocked()
            await make(api, "one")
        assert watcher.names() == ["ADDED one"]

"""A key that takes long to look at rests between looks, and its last news is still acted on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import trio

from kube_actors.actors import System
from kube_actors.actors.clock import VirtualClock
from kube_actors.api.types.core_v1 import ConfigMap
from kube_actors.client import Client, EventRecorder, InformerFactory, ItemBackoff, WorkQueue
from kube_actors.controllers.caches import SharedCaches
from kube_actors.controllers.contract import NOTHING, Caches, Plan, Source
from kube_actors.controllers.runner import Runner, Written
from tests.kit.apiserver import running_apiserver


class BusyClock(VirtualClock):
    """Time that also passes while a controller thinks."""

    spent = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.spent


class Slow:
    """A controller whose every look takes a while."""

    name = component = "slow"
    workers = 1

    def __init__(self, clock: BusyClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.news = 0
        self.known = 0
        self.looks = 0

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=ConfigMap),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return ()

    def observe(self, key: str, caches: Caches, now: float) -> str:
        self._clock.spent += self._seconds
        self.looks += 1
        self.known = self.news
        return key

    def plan(self, observed: str) -> Plan:
        return NOTHING


class Keys:
    """A feed of keys that a test adds."""

    def __init__(self, controller: Slow, caches: SharedCaches) -> None:
        self.controller: Any = controller
        self.caches = caches
        self.written: dict[str, list[Written]] = {}
        self.queue: WorkQueue[str] | None = WorkQueue("slow", ItemBackoff())

    async def open(self) -> WorkQueue[str]:
        assert self.queue is not None
        return self.queue


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.1, 20, 35), (0.001, 200, 201)])
async def test_looks_leave_time_for_others(seconds: float, least: int, most: int, autojump_clock: Any) -> None:
    clock = BusyClock()
    system = System(clock=clock)
    async with running_apiserver() as api, trio.open_nursery() as nursery:
        client: Client = api.client()
        slow = Slow(clock, seconds)
        feed = Keys(slow, SharedCaches(InformerFactory(client, system)))
        nursery.start_soon(Runner(feed, client, system, EventRecorder(client, system, "slow")).run)
        assert feed.queue is not None
        for _ in range(200):
            slow.news += 1
            feed.queue.add("n/x")
            await trio.sleep(0.05)
        await trio.sleep(5)
        assert slow.known == slow.news
        assert least <= slow.looks <= most, slow.looks
        nursery.cancel_scope.cancel()

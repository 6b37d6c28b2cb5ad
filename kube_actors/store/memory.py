"""The store in memory: the machine and a feed, no more.

Owns nothing that outlives the process. Its calls do not give up the processor, save for one checkpoint in
`YIELD_EVERY` calls (see the contract).
"""

import trio

from kube_actors.store.contract import (
    WATCH_CAPACITY,
    YIELD_EVERY,
    Draft,
    Entry,
    Event,
    Page,
    Retention,
    StoreClosed,
    StoreStatistics,
)
from kube_actors.store.feed import Feed, Watch
from kube_actors.store.machine import Machine, decide_delete, decide_put


class MemoryStore:
    """The `Store` for embedding and tests."""

    def __init__(self, *, retention: Retention | None = None) -> None:
        self._machine = Machine(retention=retention)
        self._feed = Feed(self._machine.revision)
        self._calls = 0
        self._closed = False

    @property
    def revision(self) -> int:
        return self._machine.revision

    @property
    def compacted(self) -> int:
        return self._machine.compacted

    async def get(self, key: str) -> Entry | None:
        await self._enter()
        return self._machine.get(key)

    async def list(self, prefix: str, *, revision: int = 0, after: str = "", limit: int = 0) -> Page:
        await self._enter()
        return self._machine.list(prefix, revision=revision, after=after, limit=limit)

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        await self._enter()
        machine = self._machine
        return self._commit(decide_put(machine.get(key), key, draft, expect, machine.revision + 1))

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        await self._enter()
        machine = self._machine
        return self._commit(decide_delete(machine.get(key), key, last, expect, machine.revision + 1))

    def watch(self, prefix: str, *, after: int, capacity: int = WATCH_CAPACITY) -> Watch:
        self._check_open()
        return self._feed.open(prefix, after, self._machine.since(prefix, after), capacity)

    async def compact(self, revision: int) -> None:
        await self._enter()
        self._machine.compact(revision)

    def statistics(self) -> StoreStatistics:
        machine = self._machine
        return StoreStatistics(
            revision=machine.revision,
            compacted=machine.compacted,
            keys=len(machine),
            value_bytes=machine.value_bytes,
            history_events=machine.history_events,
            history_bytes=machine.history_bytes,
            watches=len(self._feed),
            writes_waiting=0,
        )

    async def aclose(self) -> None:
        self._closed = True
        self._feed.close(StoreClosed("the store is closed"))
        await trio.lowlevel.checkpoint()

    def _commit(self, event: Event) -> Entry:
        entry = self._machine.apply(event)
        self._machine.retire()
        self._feed.publish(event)
        return entry

    async def _enter(self) -> None:
        self._calls += 1
        if self._calls % YIELD_EVERY == 0:
            await trio.lowlevel.checkpoint()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")

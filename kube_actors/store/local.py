"""What all engines have in common: the state in this process, and the watches on it.

Owns the machine and the feed of one engine. Never writes: where a write goes first is what makes an engine.
"""

import trio

from kube_actors.store.contract import (
    WATCH_CAPACITY,
    YIELD_EVERY,
    Entry,
    Event,
    Filed,
    Page,
    StoreClosed,
    StoreStatistics,
)
from kube_actors.store.feed import Feed, Watch
from kube_actors.store.machine import Machine


class LocalStore:
    """The reading half of a `Store`."""

    reads_wait = False
    """Whether what is here may be behind what others have written, so that a read has to ask first."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._feed = Feed(machine.revision)
        self._calls = 0
        self._closed = False

    @property
    def revision(self) -> int:
        return self._machine.revision

    @property
    def compacted(self) -> int:
        return self._machine.compacted

    async def get(self, key: str) -> Entry | None:
        await self._enter_read()
        return self._machine.get(key)

    def peek(self, key: str) -> Entry | None:
        """As `get`, without waiting; only where reads need not wait."""
        self._check_open()
        return self._machine.get(key)

    async def list(self, prefix: str, *, revision: int = 0, after: str = "", limit: int = 0) -> Page:
        await self._enter_read()
        return self._machine.list(prefix, revision=revision, after=after, limit=limit)

    def watch(self, prefix: str, *, after: int, capacity: int = WATCH_CAPACITY, filed: Filed | None = None) -> Watch:
        self._check_open()
        return self._feed.open(prefix, after, self._machine.since(prefix, after), capacity, filed)

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
            writes_waiting=self._writes_waiting(),
        )

    def _publish(self, event: Event) -> Entry:
        """A write is committed: from here on everybody sees it."""
        entry = self._machine.apply(event)
        self._feed.publish(event)
        return entry

    def _writes_waiting(self) -> int:
        return 0

    async def _enter_read(self) -> None:
        await self._enter()

    async def _enter(self) -> None:
        self._calls += 1
        if self._calls % YIELD_EVERY == 0:
            await trio.lowlevel.checkpoint()
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")

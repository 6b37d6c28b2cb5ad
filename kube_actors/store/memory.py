"""The store in memory: the machine and a feed, no more.

Owns nothing that outlives the process. Its calls do not give up the processor, save for one checkpoint in
`YIELD_EVERY` calls (see the contract).
"""

import trio

from kube_actors.store.contract import Draft, Entry, Event, Retention, StoreClosed
from kube_actors.store.local import LocalStore
from kube_actors.store.machine import Machine, decide_delete, decide_put


class MemoryStore(LocalStore):
    """The `Store` for embedding and tests."""

    def __init__(self, *, retention: Retention | None = None) -> None:
        super().__init__(Machine(retention=retention))

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        await self._enter()
        machine = self._machine
        return self._commit(decide_put(machine.get(key), key, draft, expect, machine.revision + 1))

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        await self._enter()
        machine = self._machine
        return self._commit(decide_delete(machine.get(key), key, last, expect, machine.revision + 1))

    async def compact(self, revision: int) -> None:
        await self._enter()
        self._machine.compact(revision)

    async def aclose(self) -> None:
        self._closed = True
        self._feed.close(StoreClosed("the store is closed"))
        await trio.lowlevel.checkpoint()

    def _commit(self, event: Event) -> Entry:
        entry = self._publish(event)
        self._machine.retire()
        return entry

"""The durable store: the machine in memory, every write in an SQLite log before anybody sees it.

Owns the writer thread and the writes that are not durable yet. Never shows a reader or watcher anything that a power
cut could take back. One commit is in flight at a time; the writes that arrive meanwhile gather into the next one, so
the disk is waited for once per group, not once per write.

Compare and swap is decided against the state that the waiting writes will make, so that writers of one key queue up
behind each other as writers of many keys do. A conflict with a waiting write is not reported until that write is
durable. If a commit fails, its writes and all that gathered behind it fail with the same error, since they were
decided on top of it; the state goes back to what is durable, and the next write tries the disk again.

History is in the log too: watches go on across a restart from any revision that has not been compacted.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

import trio

from kube_actors.store.contract import (
    Draft,
    Entry,
    Event,
    Retention,
    RevisionConflict,
    StoreClosed,
    StoreError,
)
from kube_actors.store.local import LocalStore
from kube_actors.store.machine import Machine, decide_delete, decide_put
from kube_actors.store.sqlite_log import SqliteLog


class _Batch:
    """Writes that share one commit, and the wait for it."""

    __slots__ = ("compacted", "dead", "error", "events", "settled", "wanted")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.dead: tuple[int, ...] = ()
        self.compacted = 0
        self.settled = trio.Event()
        self.error: StoreError | None = None
        self.wanted = False


class SqliteStore(LocalStore):
    """The `Store` in one file. Made by `open`, in a running trio program."""

    def __init__(self, log: SqliteLog, machine: Machine) -> None:
        super().__init__(machine)
        self._writer = _Writer(log, trio.lowlevel.current_trio_token(), self._settle)
        self._gathering = _Batch()
        self._in_flight: _Batch | None = None
        self._submitting = False
        self._waiting: dict[str, tuple[Event, _Batch]] = {}
        self._newest = machine.revision
        self._dead: tuple[int, ...] = ()

    @classmethod
    async def open(cls, path: str, *, retention: Retention | None = None, max_pages: int = 0) -> "SqliteStore":
        """Raises StoreError naming the cause: in use, damaged, newer, no such folder."""

        def load() -> tuple[SqliteLog, Machine]:
            log = SqliteLog(path, max_pages=max_pages)
            try:
                return log, log.load(retention)
            except StoreError:
                log.close()
                raise

        return cls(*await trio.to_thread.run_sync(load))

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        return await self._write(key, lambda current: decide_put(current, key, draft, expect, self._newest + 1))

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        return await self._write(key, lambda current: decide_delete(current, key, last, expect, self._newest + 1))

    async def compact(self, revision: int) -> None:
        await self._enter()
        self._dead += self._machine.compact(revision)
        if self._dead:
            await self._durable(self._gathering)

    async def aclose(self) -> None:
        """Waits for the writes that were accepted, then gives the file back."""
        self._closed = True
        with trio.CancelScope(shield=True):
            while self._in_flight is not None or self._submitting:
                await (self._in_flight or self._gathering).settled.wait()
            await self._writer.aclose()
        self._feed.close(StoreClosed("the store is closed"))

    async def _write(self, key: str, decide: Callable[[Entry | None], Event]) -> Entry:
        await self._enter()
        while (event := await self._decided(key, decide)) is None:
            self._check_open()
        batch = self._gathering
        batch.events.append(event)
        self._waiting[key] = event, batch
        self._newest = event.revision
        await self._durable(batch)
        return event.entry()

    async def _decided(self, key: str, decide: Callable[[Entry | None], Event]) -> Event | None:
        """The event to write; None if the outcome of a waiting write had to be waited for first."""
        if key not in self._waiting:
            return decide(self._machine.get(key))
        ahead, batch = self._waiting[key]
        try:
            return decide(None if ahead.deleted else ahead.entry())
        except RevisionConflict:
            await batch.settled.wait()
            return None

    async def _durable(self, batch: _Batch) -> None:
        batch.wanted = True
        if self._in_flight is None and not self._submitting:
            # On the loop's next round, so that all tasks ready in this one share the commit.
            self._submitting = True
            self._writer.token.run_sync_soon(self._submit)
        await batch.settled.wait()
        if batch.error is not None:
            raise type(batch.error)(*batch.error.args) from batch.error

    def _submit(self) -> None:
        self._submitting = False
        batch, self._gathering = self._gathering, _Batch()
        batch.dead, self._dead = self._dead, ()
        batch.compacted = self._machine.compacted
        self._in_flight = batch
        self._writer.commit(batch)

    def _settle(self, batch: _Batch) -> None:
        """A commit has ended, well or not: publish it or take it back, then start the next."""
        self._in_flight = None
        if batch.error is None:
            for event in batch.events:
                self._publish(event)
            self._dead += self._machine.retire()
        else:
            behind, self._gathering = self._gathering, _Batch()
            behind.error = batch.error
            self._dead = batch.dead + self._dead
            self._waiting.clear()
            self._newest = self._machine.revision
            behind.settled.set()
        batch.settled.set()
        if self._gathering.wanted:
            self._submit()

    def _publish(self, event: Event) -> Entry:
        ahead, _ = self._waiting[event.key]
        if ahead is event:
            del self._waiting[event.key]
        return super()._publish(event)

    def _writes_waiting(self) -> int:
        return self._newest - self._machine.revision


class _Writer:
    """The thread that makes batches durable, one after the other, and reports each on the event loop."""

    def __init__(self, log: SqliteLog, token: trio.lowlevel.TrioToken, settled: Callable[[_Batch], None]) -> None:
        self.token = token
        self._log = log
        self._settled = settled
        self._batches: SimpleQueue[_Batch | None] = SimpleQueue()
        self._ended = trio.Event()
        # A daemon: a program that dies without closing its store must not hang; what it acknowledged is on disk.
        self._thread = threading.Thread(target=self._run, name=f"store {log.path}", daemon=True)
        self._thread.start()

    def commit(self, batch: _Batch) -> None:
        self._batches.put(batch)

    async def aclose(self) -> None:
        self._batches.put(None)
        await self._ended.wait()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (batch := self._batches.get()) is not None:
                self._commit(batch)
                self.token.run_sync_soon(self._settled, batch)
            self._log.close()
            self.token.run_sync_soon(self._ended.set)
        except trio.RunFinishedError:
            self._log.close()  # the program's loop has ended; nobody is left to tell

    def _commit(self, batch: _Batch) -> None:
        try:
            self._log.commit(batch.events, batch.dead, batch.compacted)
        except StoreError as error:
            batch.error = error
        except Exception as error:
            # A bug of ours: the writers must hear of it; a dead thread would leave them waiting for ever.
            batch.error = StoreError(f"commit failed: {error!r}")

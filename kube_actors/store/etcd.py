"""The store in etcd: several processes, on several hosts, share one.

Owns a replica of the keys under its root, fed by one watch of all of them, and serves reads and watches from it. Never
answers from the replica before it has caught up: a read first asks etcd for its newest write, a write returns once
the replica shows it. So reads are as fresh as etcd's own, whoever wrote.

A value is kept as `SLOT:` + head + tail, and its revision is put in on arrival, since only etcd knows it beforehand.
Every write also puts one mark beside the keys, in the same transaction: the mark's revision is that of the newest write
(etcd counts the writes of other roots too), and its value is the last state that a delete shows.

When the connection breaks, the replica goes on from its newest revision once etcd is back. If etcd was compacted beyond
it meanwhile, the replica is loaded anew and the open watches end with `Compacted`.
"""

from collections.abc import Iterator
from itertools import groupby

import trio

from kube_actors.store.contract import (
    FIRST_REVISION,
    Compacted,
    Draft,
    Entry,
    Event,
    FutureRevision,
    Retention,
    RevisionConflict,
    StoreClosed,
    StoreError,
)
from kube_actors.store.etcd_gateway import (
    CODE_OUT_OF_RANGE,
    Gateway,
    GatewayError,
    KeyValue,
    WatchAnswer,
    WatchedEvent,
)
from kube_actors.store.local import LocalStore
from kube_actors.store.machine import Machine

DEFAULT_ROOT = "/kube-actors"
LOAD_PAGE = 1000
RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
CATCH_UP_SECONDS = 10.0


class EtcdStore(LocalStore):
    """The `Store` in etcd. Made by `open`, in a running trio program."""

    def __init__(self, gateway: Gateway, root: str, retention: Retention | None) -> None:
        super().__init__(Machine(retention=retention))
        self._gateway = gateway
        self._retention = retention
        self._root = root.encode() + b":"  # ends the root, so that no root begins another
        self._end = self._root[:-1] + bytes([self._root[-1] + 1])
        self._mark = self._root + b"\0newest"
        self._moved = trio.Event()
        self._scope = trio.CancelScope()
        self._connection = trio.CancelScope()
        self._ended = trio.Event()
        self._failure: StoreError | None = None

    reads_wait = True

    @classmethod
    async def open(cls, url: str, *, retention: Retention | None = None) -> "EtcdStore":
        """`url` is http://HOST:PORT or http://HOST:PORT/ROOT. Raises StoreError if etcd does not answer."""
        scheme, separator, rest = url.partition("://")
        host, slash, root = rest.partition("/")
        if not separator or not host:
            raise StoreError(f"{url!r} is not the address of an etcd: say http://HOST:PORT")
        gateway = Gateway(f"{scheme}://{host}")
        store = cls(gateway, slash + root.rstrip("/") if root else DEFAULT_ROOT, retention)
        trio.lowlevel.spawn_system_task(store._follow, name=f"store {url}")
        try:
            new_mark: dict[str, object] = {"request_put": {"key": store._mark}}
            await gateway.txn([_modified_is(store._mark, 0)], [new_mark], [])
            await store._catch_up()
        except BaseException:
            with trio.CancelScope(shield=True):
                await store.aclose()
            raise
        return store

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        await self._enter()
        name = self._name(key)
        value = b"%d:%b%b" % (len(draft.head), draft.head, draft.tail)
        put: dict[str, object] = {"key": name, "value": value, "prev_kv": True}
        compare = [] if expect is None else [_modified_is(name, expect)]
        revision, previous = await self._commit(key, compare, {"request_put": put}, b"")
        created = previous.created if previous else revision
        return Entry(key, draft.stamp(revision), created, revision, len(draft.head))

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        await self._enter()
        name = self._name(key)
        compare = [_exists(name)] if expect is None else [_exists(name), _modified_is(name, expect)]
        shown = b"" if last is None else b"%d:%b%b" % (len(last.head), last.head, last.tail)
        gone: dict[str, object] = {"request_delete_range": {"key": name, "prev_kv": True}}
        revision, previous = await self._commit(key, compare, gone, shown)
        assert previous is not None, "the transaction demanded that the key exists"
        draft = last or previous.draft()
        return Entry(key, draft.stamp(revision), previous.created, revision, len(draft.head))

    async def compact(self, revision: int) -> None:
        await self._enter_read()
        if revision > self._machine.revision:
            raise FutureRevision(revision, self._machine.revision)
        if revision <= self._machine.compacted:
            return
        try:
            await self._gateway.compact(revision)
        except GatewayError as error:
            if error.code != CODE_OUT_OF_RANGE:  # which here means: another process has compacted further
                raise
        self._machine.compact(revision)

    async def aclose(self) -> None:
        self._closed = True
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()
            await self._gateway.aclose()
        self._feed.close(StoreClosed("the store is closed"))

    async def _enter_read(self) -> None:
        await self._enter()
        await self._catch_up()
        self._check_open()

    async def _catch_up(self) -> None:
        mark = (await self._gateway.range(self._mark)).kvs
        await self._reach(mark[0].mod_revision if mark else FIRST_REVISION)

    async def _reach(self, revision: int) -> None:
        """Waits until the replica shows the write of that revision."""
        with trio.move_on_after(CATCH_UP_SECONDS):
            while self._machine.revision < revision:
                if self._failure is not None:
                    raise StoreError(*self._failure.args) from self._failure
                self._check_open()
                await self._moved.wait()
            return
        self._connection.cancel()  # a connection that is open and silent: take another
        raise StoreError(f"etcd at {self._gateway.url} does not report its writes")

    async def _commit(
        self, key: str, compare: list[dict[str, object]], write: dict[str, object], shown: bytes
    ) -> tuple[int, Entry | None]:
        """One write with its mark; its revision and what was there before. Raises RevisionConflict."""
        mark: dict[str, object] = {"request_put": {"key": self._mark, "value": shown}}
        look: dict[str, object] = {"request_range": {"key": self._name(key)}}
        answer = await self._gateway.txn(compare, [mark, write], [look])
        if not answer.succeeded:
            found = answer.responses[0].response_range
            kvs = found.kvs if found else ()
            raise RevisionConflict(key, self._entry(kvs[0]) if kvs else None)
        await self._reach(answer.header.revision)
        part = answer.responses[1]
        previous = part.response_put.prev_kv if part.response_put else None
        if part.response_delete_range and part.response_delete_range.prev_kvs:
            previous = part.response_delete_range.prev_kvs[0]
        return answer.header.revision, self._entry(previous) if previous else None

    async def _follow(self) -> None:
        """The replica's task: follows etcd, through every broken connection, until the store is closed."""
        failed = 0
        try:
            with self._scope:
                while True:
                    before = self._machine.revision
                    with trio.CancelScope() as self._connection:
                        try:
                            await self._follow_once()
                        except GatewayError:
                            pass  # whoever waits asks etcd as well, and hears the reason from it
                    failed = failed + 1 if self._machine.revision == before else 0
                    await trio.sleep(RECONNECT_SECONDS[min(failed, len(RECONNECT_SECONDS) - 1)])
        except Exception as error:
            # A system task must not raise. The replica is over; whoever reads, writes or watches hears why.
            self._failure = StoreError(f"the replica of etcd at {self._gateway.url} broke: {error!r}")
            self._feed.close(self._failure)
        finally:
            self._wake()
            self._ended.set()

    async def _follow_once(self) -> None:
        start = self._machine.revision + 1
        async with self._gateway.watch(self._root, self._end, start) as connection:
            reload_at = 0
            while not reload_at:
                for answer in await connection.receive():
                    reload_at = reload_at or self._take(answer)
        await self._reload(reload_at)

    def _take(self, answer: WatchAnswer) -> int:
        """Publishes one answer's events; not 0 if compaction is ahead: the revision to load the replica at."""
        if answer.compact_revision:
            return answer.compact_revision
        if answer.canceled:
            raise GatewayError(f"etcd at {self._gateway.url} ended a watch: {answer.cancel_reason}")
        for revision, group in groupby(answer.events, key=lambda event: event.kv.mod_revision):
            events = list(group)
            mark = next((event.kv for event in events if event.kv.key == self._mark), None)
            writes = [event for event in events if event.kv.key != self._mark]
            if not writes:
                if mark is None or mark.create_revision != revision:
                    return answer.header.revision  # compaction has left a delete's mark without its delete
                self._machine.advance(revision)  # the root is new
                self._feed.revision = revision
            for event in self._events(revision, writes, mark):
                self._publish(event)
            self._machine.retire()
        if answer.events:
            self._wake()
        return 0

    def _events(self, revision: int, writes: list[WatchedEvent], mark: KeyValue | None) -> Iterator[Event]:
        for write in writes:
            key = write.kv.key[len(self._root) :].decode()
            previous = self._machine.get(key)
            if write.type != "DELETE":
                slot, draft = self._parsed(write.kv)
            elif previous is None:
                continue
            elif mark is not None and mark.value:
                slot, draft = self._parsed(mark)
            else:
                slot, draft = previous.slot, previous.draft()
            yield Event(key, revision, draft.stamp(revision), write.type == "DELETE", previous, slot)

    async def _reload(self, revision: int) -> None:
        """The replica anew, as of `revision`: what came before has been compacted."""
        entries: list[Entry] = []
        name = self._root
        while True:
            page = await self._gateway.range(name, self._end, revision=revision, limit=LOAD_PAGE)
            entries += [self._entry(kv) for kv in page.kvs if kv.key != self._mark]
            if not page.more:
                break
            name = page.kvs[-1].key + b"\0"
        late = Compacted(self._machine.revision, revision)
        self._machine = Machine(entries=entries, revision=revision, compacted=revision, retention=self._retention)
        self._feed.close(late)
        self._feed.revision = revision
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    def _name(self, key: str) -> bytes:
        return self._root + key.encode()

    def _parsed(self, kv: KeyValue) -> tuple[int, Draft]:
        digits, colon, rest = kv.value.partition(b":")
        if not colon or not digits.isdigit() or int(digits) > len(rest):
            raise StoreError(f"{kv.key!r} in etcd at {self._gateway.url} was not written by this store")
        return int(digits), Draft(rest[: int(digits)], rest[int(digits) :])

    def _entry(self, kv: KeyValue) -> Entry:
        slot, draft = self._parsed(kv)
        key = kv.key[len(self._root) :].decode()
        return Entry(key, draft.stamp(kv.mod_revision), kv.create_revision, kv.mod_revision, slot)


def _modified_is(name: bytes, revision: int) -> dict[str, object]:
    return {"key": name, "target": "MOD", "result": "EQUAL", "mod_revision": revision}


def _exists(name: bytes) -> dict[str, object]:
    return {"key": name, "target": "MOD", "result": "GREATER", "mod_revision": 0}

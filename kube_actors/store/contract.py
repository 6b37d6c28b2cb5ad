"""The store contract: what every engine promises, and the values that cross the boundary.

Owns the `Store` and `WatchStream` protocols, their frozen values and their errors. Never does I/O, never
looks into a value, and knows nothing of what is stored: keys are text, values are bytes.

**Revisions.** An empty store has revision 1. Every write (put or delete) takes the next number, exactly one
more than the write before it (etcd shared with foreign writers: at least one more), so revisions order all
writes of the store. `Entry.created` is the revision that made the key, `Entry.modified` the one that last
changed it.

**The revision stands inside the value.** A writer hands in a `Draft(head, tail)`; the engine stores `head +
str(revision) + tail`, built once. Readers and watchers of one revision get the same bytes object.

**Keys** order by code point. A prefix is plain text: "/a/b" also covers "/a/bc"; end it with "/" to mean a
folder.

**Compare and swap.** `expect=None` writes whatever is there; 0 demands that the key does not exist; n
demands that `modified == n`. Anything else raises `RevisionConflict` and changes nothing. Deleting a key
that does not exist is a conflict with `current=None`, whatever was expected. A conflict always names
committed state.

**Reads** see committed writes only, and every write that returned before the read began. A list at a past
revision shows exactly what the store held then; pages of one list are consistent when each asks for the
first page's revision.

**Watches.** `watch(prefix, after=r)` yields every event under the prefix with a revision greater than r,
once each, in revision order, from the past (history since compaction) on into the future without a seam: a
watch that starts at the revision of a list misses nothing and repeats nothing. `Compacted` and
`FutureRevision` are raised by `watch` itself where the engine can know at once, else by the first receive.

A watch never delays a writer. It holds at most `capacity` live events besides the history that it began
with; one more and its buffer is dropped and the next receive raises `WatchOverrun`. The reader lists again
or watches from the last revision that it received. Wake-ups coalesce: `receive_batch` takes everything that
has gathered.

**Compaction.** `compact(r)` forgets what was superseded at or before r: lists at a revision below r and
watches after a revision below r raise `Compacted`. Current values and watches already open are not touched.
An engine may also compact by itself to keep its history within `Retention`.

**Cancellation.** A cancelled `put` or `delete` may have been written or not; a cancelled receive loses no
event.

**Scheduling.** An engine in memory answers without giving up the processor, but makes a real checkpoint at
least once in `YIELD_EVERY` calls, so that no loop over store calls can starve other tasks. The checkpoint
comes before the effect: a call cancelled there did nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Protocol, Self

import msgspec

FIRST_REVISION = 1
"""Revision of an empty store."""

WATCH_CAPACITY = 4096
"""Live events that a watch holds for its reader before it is overrun."""

YIELD_EVERY = 64
"""Calls to an engine in memory between two checkpoints."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A value with a slot for its revision, which only the engine knows."""

    head: bytes
    tail: bytes

    def stamp(self, revision: int) -> bytes:
        return b"%b%d%b" % (self.head, revision, self.tail)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One key's value at one revision. `slot` is where the revision's digits begin in `value`."""

    key: str
    value: bytes
    created: int
    modified: int
    slot: int

    def draft(self) -> Draft:
        """The value with its revision taken out again."""
        end = self.slot + len(str(self.modified))
        return Draft(self.value[: self.slot], self.value[end:])


class Event(msgspec.Struct, frozen=True, gc=False):
    """One write. Of a delete, `value` is the last state stamped with the delete's own revision."""

    key: str
    revision: int
    value: bytes
    deleted: bool
    previous: Entry | None
    slot: int = 0

    def entry(self) -> Entry:
        """The state that this event shows; of a delete, the last one."""
        created = self.previous.created if self.previous else self.revision
        return Entry(self.key, self.value, created, self.revision, self.slot)


class Page(msgspec.Struct, frozen=True):
    """Part of a list: `more` says that `remaining` entries follow the last one here."""

    entries: Sequence[Entry]
    revision: int
    more: bool
    remaining: int


class Retention(msgspec.Struct, frozen=True):
    """How much history an engine keeps before it compacts by itself."""

    events: int = 20_000
    value_bytes: int = 32 * 1024 * 1024


class StoreStatistics(msgspec.Struct, frozen=True):
    """A store's size now: `value_bytes` are current values; history is what compaction would forget."""

    revision: int
    compacted: int
    keys: int
    value_bytes: int
    history_events: int
    history_bytes: int
    watches: int
    writes_waiting: int


class WatchStatistics(msgspec.Struct, frozen=True):
    prefix: str
    pending: int
    capacity: int
    ended: bool = False
    """The next receive raises."""


class StoreError(Exception):
    """Base of everything that a store raises on purpose."""


class RevisionConflict(StoreError):
    """The key is not at the expected revision; `current` is what is there, None if nothing."""

    def __init__(self, key: str, current: Entry | None) -> None:
        at = f"at revision {current.modified}" if current else "absent"
        super().__init__(f"{key} is {at}")
        self.key = key
        self.current = current


class Compacted(StoreError):
    """The history asked for is gone; `oldest` is the oldest revision that still answers."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} has been compacted; the oldest is {oldest}")
        self.revision = revision
        self.oldest = oldest


class FutureRevision(StoreError):
    """The revision asked for has not been written yet."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is in the future; the newest is {current}")
        self.revision = revision
        self.current = current


class WatchOverrun(StoreError):
    """The watch's reader was too slow; its buffer is gone. `position` is the last revision handed out."""

    def __init__(self, prefix: str, position: int) -> None:
        super().__init__(f"watch of {prefix!r} was overrun after revision {position}")
        self.prefix = prefix
        self.position = position


class StoreFull(StoreError):
    """No room on the disk: the write did not happen. Reads go on, and so do writes once there is room."""


class StoreClosed(StoreError):
    """The store, or this watch of it, has been closed."""


class WatchStream(Protocol):
    """Events of one watch, for one reader at a time. `async for` ends when the stream is closed."""

    async def receive(self) -> Event:
        """The next event. Raises WatchOverrun, Compacted, StoreClosed."""
        ...

    async def receive_batch(self) -> list[Event]:
        """All events that have gathered, at least one; waits for the first."""
        ...

    @property
    def position(self) -> int:
        """Every event under the prefix up to this revision has been received (for bookmarks)."""
        ...

    def statistics(self) -> WatchStatistics: ...

    def close(self) -> None:
        """Frees the stream at once; a waiting receive raises StoreClosed. May be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Event: ...


Sorter = Callable[[Event], Iterable[str]]
"""Says under which words an event is to be filed: each word once. It must not raise, and it should be one object for
many watches, since these share its one look at an event."""

Filed = tuple[Sorter, str]
"""A sorter, and the word that a watch wants."""


class Store(Protocol):
    """A revisioned key-value store, as the module's contract says."""

    @property
    def revision(self) -> int:
        """The newest committed revision (etcd: the newest that this process has seen)."""
        ...

    @property
    def compacted(self) -> int:
        """History at or before this revision has been forgotten; 0 if none."""
        ...

    async def get(self, key: str) -> Entry | None: ...

    async def list(self, prefix: str, *, revision: int = 0, after: str = "", limit: int = 0) -> Page:
        """Entries under the prefix in key order, beyond the key `after`; revision 0: newest; limit 0: all.

        Raises Compacted, FutureRevision.
        """
        ...

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        """Raises RevisionConflict, StoreFull."""
        ...

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        """The last state, stamped with the delete's revision: `last` if given, else the value that was there.

        Raises RevisionConflict, StoreFull.
        """
        ...

    def watch(
        self, prefix: str, *, after: int, capacity: int = WATCH_CAPACITY, filed: Filed | None = None
    ) -> WatchStream:
        """Raises Compacted, FutureRevision. `filed` may leave out what the sorter does not file under the word; whoever
        gives it still looks for himself, since history and what a store cannot file come whole.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Raises FutureRevision; a revision that is already compacted is no error."""
        ...

    def statistics(self) -> StoreStatistics: ...

    async def aclose(self) -> None:
        """Ends every watch with StoreClosed and frees everything. May be called again."""
        ...

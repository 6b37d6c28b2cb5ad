"""The store's state as a pure machine: current values, history since compaction, compare and swap.

Owns what the store holds and held. Never waits, never does I/O, never reads a clock: every engine that keeps its state
in this process is a thin shell around it. A write is decided first (`decide_put`, `decide_delete`: pure functions that
make an `Event`) and applied second, so that an engine may make it durable in between.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from operator import attrgetter

from kube_actors.store.contract import (
    FIRST_REVISION,
    Compacted,
    Draft,
    Entry,
    Event,
    FutureRevision,
    Page,
    Retention,
    RevisionConflict,
)
from kube_actors.store.keys import SortedKeys

_key_of, _revision_of = attrgetter("key"), attrgetter("revision")

RETENTION_SLACK = 1.25
"""History is trimmed once it is this much over its limit, so that trimming costs little per write."""


def decide_put(current: Entry | None, key: str, draft: Draft, expect: int | None, revision: int) -> Event:
    """The event that writes `draft` at `revision`. Raises RevisionConflict."""
    if expect is not None and expect != (current.modified if current else 0):
        raise RevisionConflict(key, current)
    return Event(key, revision, draft.stamp(revision), False, current, len(draft.head))


def decide_delete(current: Entry | None, key: str, last: Draft | None, expect: int | None, revision: int) -> Event:
    """The event that deletes `key` at `revision`. Raises RevisionConflict."""
    if current is None or (expect is not None and expect != current.modified):
        raise RevisionConflict(key, current)
    draft = last or current.draft()
    return Event(key, revision, draft.stamp(revision), True, current, len(draft.head))


class Machine:
    """State of one store. `apply` is the only way in which it changes forward, `compact` the only way it forgets."""

    def __init__(
        self,
        *,
        entries: Iterable[Entry] = (),
        revision: int = FIRST_REVISION,
        compacted: int = 0,
        retention: Retention | None = None,
    ) -> None:
        self.revision = revision
        self.compacted = compacted
        self.retention = retention or Retention()
        self.value_bytes = 0
        self.history_bytes = 0
        self._entries = {entry.key: entry for entry in entries}
        self._keys = SortedKeys(self._entries)
        self._history: list[Event] = []
        self.value_bytes = sum(len(entry.value) for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def history_events(self) -> int:
        return len(self._history)

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def apply(self, event: Event) -> Entry:
        """Takes the next write in: its revision is beyond the newest one, and its `previous` is what is here."""
        assert event.revision > self.revision, f"{event.revision} does not follow {self.revision}"
        previous, entry = event.previous, event.entry()
        self.revision = event.revision
        if event.deleted:
            del self._entries[event.key]
            self._keys.remove(event.key)
        else:
            if previous is None:
                self._keys.add(event.key)
            self._entries[event.key] = entry
            self.value_bytes += len(event.value)
        if previous is not None:
            self.value_bytes -= len(previous.value)
        self._history.append(event)
        self.history_bytes += len(event.value)
        return entry

    def advance(self, revision: int) -> None:
        """Nothing was written up to `revision`: the numbers in between belong to somebody else."""
        self.revision = max(self.revision, revision)

    def list(self, prefix: str, *, revision: int = 0, after: str = "", limit: int = 0) -> Page:
        """See the contract. A past revision costs a look at every event since."""
        if revision in (0, self.revision):
            keys, entries = self._keys.take(prefix, after, limit), self._entries
            left = self._keys.count(prefix, after) - len(keys) if limit else 0
            return Page(list(map(entries.__getitem__, keys)), self.revision, left > 0, left)
        self.check_readable(revision)
        then = self._undone(prefix, revision)
        found = list(islice(self._walk_then(prefix, after, then), limit or None))
        left = self._count_then(prefix, after, then) - len(found)
        return Page(found, revision, left > 0, left)

    def since(self, prefix: str, after: int) -> tuple[Event, ...]:
        """Events under the prefix with a revision greater than `after`, in order."""
        self.check_readable(after)
        if after == self.revision:
            return ()
        return tuple(event for event in self._events_after(after) if event.key.startswith(prefix))

    def check_readable(self, revision: int) -> None:
        """Raises Compacted or FutureRevision unless everything after `revision` is known."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)

    def compact(self, revision: int) -> tuple[int, ...]:
        """Forgets what was superseded at or before `revision`; returns the revisions that nothing shows any more."""
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision <= self.compacted:
            return ()
        count = self._place_after(revision)
        gone = self._history[:count]
        del self._history[:count]
        self.compacted = revision
        self.history_bytes -= sum(len(event.value) for event in gone)
        dead = [event.previous.modified for event in gone if event.previous is not None]
        dead += [event.revision for event in gone if event.deleted]
        return tuple(dead)

    def retire(self) -> tuple[int, ...]:
        """Compacts as far as the retention asks; cheap to call after every write."""
        events, value_bytes = self.retention.events, self.retention.value_bytes
        if len(self._history) <= events * RETENTION_SLACK and (self.history_bytes <= value_bytes * RETENTION_SLACK):
            return ()
        drop, size = max(len(self._history) - events, 0), self.history_bytes
        size -= sum(len(event.value) for event in self._history[:drop])
        while size > value_bytes:
            size -= len(self._history[drop].value)
            drop += 1
        return self.compact(self._history[drop - 1].revision)

    def _events_after(self, revision: int) -> Iterator[Event]:
        return islice(self._history, self._place_after(revision), None)

    def _place_after(self, revision: int) -> int:
        """Where in the history the first event after `revision` stands; revisions may have gaps."""
        return bisect_right(self._history, revision, key=_revision_of)

    def _undone(self, prefix: str, revision: int) -> dict[str, Entry | None]:
        """What each key under the prefix that was written after `revision` held at it."""
        then: dict[str, Entry | None] = {}
        for event in self._events_after(revision):
            if event.key not in then and event.key.startswith(prefix):
                then[event.key] = event.previous
        return then

    def _walk_then(self, prefix: str, after: str, then: dict[str, Entry | None]) -> Iterator[Entry]:
        unchanged = (self._entries[key] for key in self._keys.walk(prefix, after) if key not in then)
        changed = sorted((entry for key, entry in then.items() if entry is not None and key > after), key=_key_of)
        return merge(unchanged, changed, key=_key_of)

    def _count_then(self, prefix: str, after: str, then: dict[str, Entry | None]) -> int:
        count = self._keys.count(prefix, after)
        for key, entry in then.items():
            if key > after:
                count += (entry is not None) - (key in self._entries)
        return count

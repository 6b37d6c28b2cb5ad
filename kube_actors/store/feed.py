"""Fan-out of committed events to watches, with a bound for each.

Owns the open watches of one engine and their buffers. Never decides what is committed and never waits for a reader:
a reader that falls behind is overrun. Finding the watches of a key costs the same with one watch or a thousand on
other prefixes: folders of the key are looked up by name, other prefixes by their length within their folder. Among the
watches of one prefix, those that are filed (see `Sorter`) cost nothing while their word does not come.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import trio

from kube_actors.store.contract import (
    YIELD_EVERY,
    Event,
    Filed,
    Sorter,
    StoreClosed,
    StoreError,
    WatchOverrun,
    WatchStatistics,
)
from kube_actors.store.stream import Stream

FOLDERS = 1024
"""Folders whose watches are remembered."""


class Watch(Stream):
    """The `WatchStream` of every engine that keeps its state in this process."""

    __slots__ = (
        "_capacity",
        "_error",
        "_feed",
        "_handed",
        "_notified",
        "_parked",
        "_pending",
        "_receives",
        "_room",
        "filed",
        "notify",
        "prefix",
    )

    def __init__(
        self, feed: "Feed", prefix: str, after: int, backlog: Iterable[Event], capacity: int, filed: Filed | None
    ) -> None:
        self.prefix = prefix
        self.filed = filed
        self._feed = feed
        self._pending = deque(backlog)
        self._capacity = capacity
        self._room = capacity + len(self._pending)
        self._handed = after
        self._error: StoreError | None = None
        self._parked: trio.lowlevel.Task | None = None
        self._receives = 0
        self._notified = False
        self.notify: Callable[[], None] | None = None
        """Called in place of waking a reader that waits, once until it has woken or the events were taken. Whoever sets
        it will `take` them, or `wake` the reader; the end of the watch wakes it all the same."""

    @property
    def position(self) -> int:
        if self._error is None and not self._pending and self._handed < self._feed.revision:
            self._handed = self._feed.revision
        return self._handed

    async def receive(self) -> Event:
        self._receives += 1
        if not self._pending:
            await self._wait()
        elif self._receives % YIELD_EVERY == 0:
            await trio.lowlevel.checkpoint()
        self._raise_error()
        event = self._pending.popleft()
        self._handed = event.revision
        self._room = max(self._capacity, self._room - 1)
        return event

    async def receive_batch(self) -> list[Event]:
        if self._pending:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait()
        self._raise_error()
        assert self._pending, "a watch has one reader at a time"
        batch = list(self._pending)
        self._pending.clear()
        self._handed = batch[-1].revision
        self._room = self._capacity
        return batch

    def waiting(self) -> Sequence[Event]:
        """What has gathered while the reader waits; nothing if he is awake, for then it is his."""
        return tuple(self._pending) if self._parked is not None else ()

    def take(self) -> None:
        """What is `waiting` has been taken in the reader's stead, who goes on waiting."""
        self._notified = False
        if self._parked is not None and self._pending:
            self._handed = self._pending[-1].revision
            self._pending.clear()
            self._room = self._capacity

    @property
    def gathered(self) -> int:
        """Events that wait for the reader."""
        return len(self._pending)

    def statistics(self) -> WatchStatistics:
        return WatchStatistics(self.prefix, len(self._pending), self._capacity, self._error is not None)

    def close(self) -> None:
        if self._error is None:
            self.fail(StoreClosed(f"watch of {self.prefix!r} is closed"))

    def push(self, event: Event) -> None:
        """For the feed: one more event, or the end of this watch if there is no room for it."""
        if len(self._pending) >= self._room:
            self.fail(WatchOverrun(self.prefix, self._handed))
            return
        self._pending.append(event)
        if self.notify is None:
            self.wake()
        elif self._parked is not None and not self._notified:
            self._notified = True
            self.notify()

    def fail(self, error: StoreError) -> None:
        """For the feed: drops the buffer and ends the watch with `error`."""
        self._feed.forget(self)
        self._pending.clear()
        self._error = error
        self.wake()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)

    def wake(self) -> None:
        """Let a reader that waits see what there is."""
        self._notified = False
        if self._parked is not None:
            trio.lowlevel.reschedule(self._parked)
            self._parked = None

    async def _wait(self) -> None:
        if self._error is not None:
            await trio.lowlevel.checkpoint()
            return
        if self._parked is not None:
            raise trio.BusyResourceError("a watch has one reader at a time")
        self._parked = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


class _Shelf:
    """The watches of one prefix: those that want everything, and the others by what they want."""

    __slots__ = ("drawers", "plain")

    def __init__(self) -> None:
        self.plain: dict[Watch, None] = {}
        self.drawers: dict[Sorter, dict[str, dict[Watch, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self.plain or self.drawers)

    def __iter__(self) -> Iterator[Watch]:
        yield from self.plain
        for words in self.drawers.values():
            for watches in words.values():
                yield from watches

    def add(self, watch: Watch) -> None:
        if watch.filed is None:
            self.plain[watch] = None
        else:
            sorter, word = watch.filed
            self.drawers.setdefault(sorter, {}).setdefault(word, {})[watch] = None

    def remove(self, watch: Watch) -> bool:
        """Whether it was there."""
        if watch.filed is None:
            return self.plain.pop(watch, self) is None
        sorter, word = watch.filed
        words = self.drawers.get(sorter, {})
        watches = words.get(word, {})
        if watches.pop(watch, self) is not None:
            return False
        if not watches:
            del words[word]
        if not words:
            del self.drawers[sorter]
        return True

    def concerned(self, event: Event) -> list[Watch]:
        """Who gets an event."""
        found = list(self.plain)
        for sorter, words in self.drawers.items():
            for word in sorter(event):
                found.extend(words.get(word, ()))
        return found


class Feed:
    """All watches of one engine. `revision` is the newest that has been published."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self._by_prefix: dict[str, _Shelf] = {}
        self._lengths: dict[str, dict[int, int]] = {}
        self._shelves: dict[str, tuple[_Shelf, ...]] = {}
        """The shelves for keys of a folder, until watches come or go."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def open(
        self, prefix: str, after: int, backlog: Iterable[Event], capacity: int, filed: Filed | None = None
    ) -> Watch:
        """A watch that begins with `backlog`, the events after `after` and up to `revision`."""
        watch = Watch(self, prefix, after, backlog, capacity, filed)
        self._shelves.clear()
        self._by_prefix.setdefault(prefix, _Shelf()).add(watch)
        self._count += 1
        folder, rest = _split(prefix)
        if rest:
            lengths = self._lengths.setdefault(folder, {})
            lengths[len(prefix)] = lengths.get(len(prefix), 0) + 1
        return watch

    def forget(self, watch: Watch) -> None:
        shelf = self._by_prefix.get(watch.prefix)
        if shelf is None or not shelf.remove(watch):
            return
        self._count -= 1
        self._shelves.clear()
        if not shelf:
            del self._by_prefix[watch.prefix]
        folder, rest = _split(watch.prefix)
        if rest:
            lengths = self._lengths[folder]
            lengths[len(watch.prefix)] -= 1
            if not lengths[len(watch.prefix)]:
                del lengths[len(watch.prefix)]
            if not lengths:
                del self._lengths[folder]

    def publish(self, event: Event) -> None:
        self.revision = event.revision
        if self._count:
            for watch in self._watches_of(event):
                watch.push(event)

    def close(self, error: StoreError) -> None:
        for shelf in list(self._by_prefix.values()):
            for watch in list(shelf):
                watch.fail(error)

    def _watches_of(self, event: Event) -> list[Watch]:
        folder = event.key[: event.key.rfind("/") + 1]
        shelves = self._shelves.get(folder)
        if shelves is None:
            shelves = tuple([self._by_prefix[prefix] for prefix in self._prefixes_in_use(event.key)])
            if not self._lengths:  # with other prefixes than folders, keys of one folder differ
                if len(self._shelves) >= FOLDERS:
                    self._shelves.clear()
                self._shelves[folder] = shelves
        return [watch for shelf in shelves for watch in shelf.concerned(event)]

    def _prefixes_in_use(self, key: str) -> Iterator[str]:
        by_prefix, by_folder = self._by_prefix, self._lengths
        cut = 0
        while True:
            folder = key[:cut]
            if folder in by_prefix:
                yield folder
            for length in by_folder.get(folder, ()):
                if length <= len(key) and key[:length] in by_prefix and "/" not in key[cut:length]:
                    yield key[:length]
            cut = key.find("/", cut) + 1
            if not cut:
                return


def _split(prefix: str) -> tuple[str, str]:
    """The folder that a prefix lies in, with its slash, and what stands behind it."""
    cut = prefix.rfind("/") + 1
    return prefix[:cut], prefix[cut:]

"""A queue of keys to work on: a key waits once, and is worked on by one worker at a time.

`QueueMachine` is the pure part: what waits, what is being worked on, what is due when. `WorkQueue` adds waiting.
A key added while it is being worked on waits until `done`, then comes again; so no change is lost and no two
workers ever hold the same key. The queue has no capacity of its own: it never holds more than one entry a key,
and keys name objects that exist or did a moment ago.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

import trio
from msgspec import Struct

from kube_actors.actors import idle_moment

from . import limits
from .errors import QueueShutDown
from .ratelimits import ItemBackoff, RateLimiter

K = TypeVar("K", bound=Hashable)


class QueueStatistics(Struct, frozen=True, kw_only=True):
    """depth: keys ready; delayed: keys that wait for their time; the rest are counts since the start."""

    name: str
    depth: int
    delayed: int
    processing: int
    high_water: int
    added: int
    handled: int
    retried: int


class QueueMachine(Generic[K]):
    """The pure state of a work queue; times come in as arguments."""

    def __init__(self) -> None:
        self.ready: deque[K] = deque()
        self.dirty: set[K] = set()
        self.processing: set[K] = set()
        self.shutting_down = False
        self.added = self.handled = self.high_water = 0
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._number = 0

    def add(self, key: K) -> bool:
        """Note that key needs work; whether a worker can have it at once."""
        if self.shutting_down or key in self.dirty:
            return False
        self.added += 1
        self.dirty.add(key)
        if key in self.processing:
            return False
        self._make_ready(key)
        return True

    def add_at(self, key: K, when: float) -> bool:
        """Have key added at a time, if it is not already to be added sooner; whether this is now the next due."""
        if self.shutting_down:
            return False
        known = self._due.get(key)
        if known is not None and known <= when:
            return False
        before = self.next_due()
        self._due[key] = when
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, key))
        return before is None or when < before

    def advance(self, now: float) -> int:
        """Add what has become due; how many keys became ready."""
        ready = 0
        while (when := self.next_due()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            ready += self.add(key)
        return ready

    def next_due(self) -> float | None:
        """When the next delayed key is due."""
        while self._heap:
            when, _, key = self._heap[0]
            if self._due.get(key) == when:
                return when
            heapq.heappop(self._heap)  # superseded by an earlier time
        return None

    def take(self) -> K | None:
        """The key that has been ready longest, now being worked on."""
        if not self.ready:
            return None
        key = self.ready.popleft()
        self.dirty.discard(key)
        self.processing.add(key)
        return key

    def done(self, key: K) -> bool:
        """The work on key ended; whether it is ready again at once."""
        if key not in self.processing:
            raise ValueError(f"{key!r} is not being worked on")
        self.processing.discard(key)
        self.handled += 1
        if key not in self.dirty:
            return False
        self._make_ready(key)
        return True

    def shut_down(self) -> None:
        """Take nothing more; what is ready can still be taken."""
        self.shutting_down = True
        self._due.clear()
        self._heap.clear()

    @property
    def delayed(self) -> int:
        return len(self._due)

    def _make_ready(self, key: K) -> None:
        self.ready.append(key)
        self.high_water = max(self.high_water, len(self.ready))

    def check(self) -> None:
        """Assert what must always hold."""
        waiting = set(self.ready)
        assert len(waiting) == len(self.ready), "a key is ready twice"
        assert not waiting & self.processing, "a key is ready while it is being worked on"
        assert self.dirty >= waiting, "a ready key is not dirty"
        assert self.dirty - waiting <= self.processing, "a dirty key is neither ready nor being worked on"
        assert {key for _, _, key in self._heap} >= set(self._due), "a delayed key is not on the heap"


class WorkQueue(Generic[K]):
    """Keys for workers. `get` waits; everything else returns at once."""

    def __init__(self, name: str = "queue", limiter: RateLimiter[K] | None = None) -> None:
        self.name = name
        self._machine: QueueMachine[K] = QueueMachine()
        self._limiter: RateLimiter[K] = limiter if limiter is not None else ItemBackoff()
        self._waiters = trio.lowlevel.ParkingLot()
        self._retried = 0

    def add(self, key: K) -> None:
        """Have key worked on soon, once, however often it is added before."""
        if self._machine.add(key):
            self._waiters.unpark()

    def add_after(self, key: K, seconds: float) -> None:
        """Have key added after a while; the earliest of several times counts."""
        if seconds <= 0:
            self.add(key)
        elif self._machine.add_at(key, trio.current_time() + seconds):
            # Every waiter sleeps until the next due time it knows of, and that has just changed.
            self._waiters.unpark_all()

    def add_rate_limited(self, key: K) -> float:
        """Have key added again after a failure; the pause in seconds, which grows from failure to failure."""
        self._retried += 1
        delay = self._limiter.delay(key, trio.current_time())
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """End key's back-off. It is still worked on if it waits."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """How often key failed since it was last forgotten."""
        return self._limiter.failures(key)

    async def get(self, *, patience_seconds: float = 0.0) -> K:
        """Wait for a key to work on; call `done` with it afterwards. QueueShutDown at the end.

        With patience and few keys ready, the key is given in the next idle moment, when no more news of it is under
        way: many changes in a row then cost one look. A long queue has that effect of itself.
        """
        await trio.lowlevel.checkpoint()
        patient = patience_seconds > 0.0
        while True:
            # Keys beyond the one this worker takes are somebody else's to take.
            for _ in range(self._machine.advance(trio.current_time()) - 1):
                self._waiters.unpark()
            if patient and 0 < len(self._machine.ready) <= limits.FEW_KEYS:
                patient = False
                await idle_moment(patience_seconds)
                continue
            key = self._machine.take()
            if key is not None:
                return key
            if self._machine.shutting_down:
                raise QueueShutDown(self.name)
            due = self._machine.next_due()
            with trio.CancelScope(deadline=float("inf") if due is None else due):
                await self._waiters.park()

    def done(self, key: K) -> None:
        """The work on a key that `get` gave has ended."""
        if self._machine.done(key):
            self._waiters.unpark()

    def shut_down(self) -> None:
        """Take nothing more; workers get what is ready, then QueueShutDown."""
        self._machine.shut_down()
        self._waiters.unpark_all()

    @property
    def is_shut_down(self) -> bool:
        return self._machine.shutting_down

    def __len__(self) -> int:
        return len(self._machine.ready)

    @property
    def idle(self) -> bool:
        """Nothing is ready and nothing is being worked on (something may be delayed)."""
        return not self._machine.ready and not self._machine.processing

    def statistics(self) -> QueueStatistics:
        machine = self._machine
        return QueueStatistics(
            name=self.name,
            depth=len(machine.ready),
            delayed=machine.delayed,
            processing=len(machine.processing),
            high_water=machine.high_water,
            added=machine.added,
            handled=machine.handled,
            retried=self._retried,
        )

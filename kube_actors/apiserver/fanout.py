"""Delivery of events to those who watch over HTTP, without waking a task for each.

Owns the queue of watches that have something to deliver, and the one task that does so: it takes a watch's events and
writes them to its connection, if both can be done without waiting. Else the watch's own task is woken and does it,
with all the patience and all the limits that it has. Never holds an event itself.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import trio

AT_A_TIME = 100
"""Deliveries between two checkpoints, so that a thousand watchers do not hold up a request."""


class Delivery(Protocol):
    """A watch that can deliver by itself."""

    def deliver(self) -> None:
        """Hand over what has gathered, or wake whoever does it."""
        ...

    def wake(self) -> None:
        """Let the watch's own task do it."""
        ...


class FanOut:
    """Of one server."""

    def __init__(self) -> None:
        self._ready: deque[Delivery] = deque()
        self._parked: trio.lowlevel.Task | None = None
        self._running = False

    def ready(self, watch: Delivery) -> None:
        """The watch has something to deliver."""
        if not self._running:
            watch.wake()
            return
        self._ready.append(watch)
        task, self._parked = self._parked, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def run(self) -> None:
        """Deliver until cancelled; what is left then is left to the watches' own tasks, as all is from then on."""
        self._running = True
        try:
            while True:
                if self._ready:
                    await trio.lowlevel.checkpoint()
                else:
                    await self._wait()
                for _ in range(min(AT_A_TIME, len(self._ready))):
                    self._ready.popleft().deliver()
        finally:
            self._running = False
            while self._ready:
                self._ready.popleft().wake()

    async def _wait(self) -> None:
        self._parked = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

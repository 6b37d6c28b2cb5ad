"""The only place that reads a clock.

`now()` is wall time as Unix seconds (UTC), for timestamps that others see; `monotonic()` never goes back and is for
measuring spans. Waiting is trio's business (`trio.sleep`, `trio.move_on_after`): under trio's mock clock both the
waiting and a `VirtualClock` run in virtual time.
"""

from __future__ import annotations

import time
from typing import Protocol

import trio

VIRTUAL_EPOCH = 1_767_225_600.0
"""Where virtual time begins unless told otherwise: 2026-01-01T00:00:00Z."""


class Clock(Protocol):
    """A source of time; an input of everything that stamps or measures."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class VirtualClock:
    """Time as trio's clock tells it, so that a mock clock moves it; usable inside a trio run only."""

    def __init__(self, epoch: float = VIRTUAL_EPOCH) -> None:
        self._epoch = epoch

    def now(self) -> float:
        return self._epoch + trio.current_time()

    def monotonic(self) -> float:
        return trio.current_time()

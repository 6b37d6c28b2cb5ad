"""Looking again, with a deadline, at things that cannot tell when they change: other processes and their files.

Whatever runs in this process has events; waiting for it never belongs here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T], what: str, *, seconds: float = 20.0, pause: float = 0.05) -> T:
    """What `look` gives as soon as it is true; AssertionError naming `what` when it is not in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)

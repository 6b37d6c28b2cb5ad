"""Everything leaves a story: short lines of who did what to which object, kept in a ring.

A line names the actor, the object's UID and key, and what happened. `of(uid)` is one object's way through all
components; the simulation and `kube-actors` print it. Telling costs an append; nothing is formatted until read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from . import limits
from .clock import Clock


class Line(Struct, frozen=True):
    """One thing that happened. at is Unix seconds; uid and key are "" where no object is meant."""

    at: float
    number: int
    actor: str
    what: str
    uid: str = ""
    key: str = ""
    detail: str = ""

    def __str__(self) -> str:
        subject = f" {self.key}" if self.key else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.at:.3f} #{self.number} {self.actor}{subject} {self.what}{detail}"


class Story:
    """The newest lines, in order."""

    def __init__(self, clock: Clock, capacity: int = limits.STORY_LINES) -> None:
        self._clock = clock
        self._lines: deque[Line] = deque(maxlen=capacity)
        self._number = 0

    def tell(self, actor: str, what: str, *, uid: str = "", key: str = "", detail: str = "") -> None:
        """Add a line. key is "Kind namespace/name" or whatever names the subject best."""
        self._number += 1
        self._lines.append(Line(self._clock.now(), self._number, actor, what, uid, key, detail))

    def __iter__(self) -> Iterator[Line]:
        return iter(tuple(self._lines))

    def __len__(self) -> int:
        return len(self._lines)

    def of(self, uid: str) -> list[Line]:
        """The lines about one object, oldest first."""
        return [line for line in self._lines if line.uid == uid]

    def by(self, actor: str) -> list[Line]:
        """The lines that one actor told, oldest first."""
        return [line for line in self._lines if line.actor == actor]

    def text(self, uid: str = "") -> str:
        """The story for people: one object's, or all of it."""
        return "\n".join(str(line) for line in (self.of(uid) if uid else self._lines))

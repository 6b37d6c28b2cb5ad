"""What every actor is given: time, randomness, the story, and the book of all actors.

One `System` a cluster. It is passed down explicitly; there is no global one.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from .clock import Clock, SystemClock
from .entropy import Entropy
from .mailbox import MailboxStatistics
from .story import Story


class ActorStatistics(Struct, frozen=True, kw_only=True):
    """One actor's figures. alive says whether it runs now; last_failure is "" if it never failed."""

    name: str
    alive: bool
    restarts: int
    handled: int
    last_failure: str = ""
    mailbox: MailboxStatistics | None = None


class System:
    """Time, randomness, story and statistics of one cluster."""

    def __init__(self, clock: Clock | None = None, entropy: Entropy | None = None, story: Story | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.entropy = entropy or Entropy()
        self.story = story or Story(self.clock)
        self._probes: dict[str, Callable[[], ActorStatistics]] = {}

    def register(self, name: str, probe: Callable[[], ActorStatistics]) -> None:
        """Enter an actor into the book; a name taken again (after a restart) replaces the old entry."""
        self._probes[name] = probe

    def unregister(self, name: str) -> None:
        self._probes.pop(name, None)

    def statistics(self) -> list[ActorStatistics]:
        """Every actor's figures, by name."""
        return [self._probes[name]() for name in sorted(self._probes)]

"""Whatever a server does to a reflector, it ends up watching, never goes back in time, and never spins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kube_actors.client.reflector import (
    Effect,
    Event,
    Failed,
    Go,
    List,
    Listed,
    Received,
    Reflector,
    Started,
    Synced,
    Wait,
    Waited,
    Watch,
    WatchEnded,
)

TROUBLES = st.sampled_from(["fine", "fails", "expires", "unsupported", "ends soon", "ends late", "changes"])


class World:
    """A server that answers as a list of troubles says, and then well."""

    def __init__(self, troubles: list[str]) -> None:
        self.troubles = list(troubles)
        self.revision = 10
        self.streaming = False

    def answer(self, effect: Effect) -> Event:
        trouble = self.troubles.pop(0) if self.troubles else "fine"
        if isinstance(effect, Wait):
            return Waited()
        if trouble == "fails":
            return Failed()
        if trouble == "expires":
            self.revision += 100
            return Failed(expired=True)
        if trouble == "unsupported":
            return Failed(unsupported=True)
        if isinstance(effect, List):
            return Listed(str(self.revision))
        self.streaming = effect.initial if isinstance(effect, Watch) else self.streaming
        if trouble.startswith("ends"):
            return WatchEnded(0.0 if trouble == "ends soon" else 300.0)
        self.revision += trouble == "changes"
        if self.streaming:
            self.streaming = False
            return Synced(str(self.revision))
        return Received(str(self.revision))


@given(st.lists(TROUBLES, max_size=40), st.sampled_from(["list", "stream"]))
def test_it_always_comes_back_and_never_spins(troubles: list[str], mode: str) -> None:
    machine, world = Reflector(mode), World(troubles)  # type: ignore[arg-type]
    event: Event = Started()
    newest = at_once = 0
    for now in range(len(troubles) + 6):
        effect = machine.step(event, float(now))
        # Work that brought nothing, and yet is repeated without a pause.
        idle = isinstance(event, Failed) or (isinstance(event, WatchEnded) and event.lasted == 0)
        at_once = at_once + 1 if idle and not isinstance(effect, Wait) else 0 if isinstance(effect, Wait) else at_once
        assert at_once <= 3, "a hot loop"
        if isinstance(event, Received) or (isinstance(event, WatchEnded) and event.lasted):
            at_once = 0
        if isinstance(effect, Watch) and not effect.initial:
            assert effect.resource_version == machine.resource_version
        version = int(machine.resource_version or 0)
        assert version >= newest, "went back in time"
        newest = version
        event = world.answer(effect)
    assert machine.state == "watching"
    assert isinstance(machine.step(event, 1e6), Go)

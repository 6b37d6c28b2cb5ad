"""Whatever order things happen in, a work queue loses no change and never gives a key to two workers."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kube_actors.client.workqueue import QueueMachine

KEYS = st.sampled_from("abcde")


class QueueStory(RuleBasedStateMachine):
    """Adds, takes and dones in any order, checked against the simplest model: which keys owe work."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: QueueMachine[str] = QueueMachine()
        self.owed: set[str] = set()
        self.held: list[str] = []
        self.due: dict[str, float] = {}
        self.now = 0.0

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owed.add(key)

    @rule(key=KEYS, seconds=st.integers(0, 20))
    def add_later(self, key: str, seconds: int) -> None:
        self.queue.add_at(key, self.now + seconds)
        self.due[key] = min(self.due.get(key, float("inf")), self.now + seconds)

    @rule(seconds=st.integers(0, 10))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.queue.advance(self.now)
        for key, when in list(self.due.items()):
            if when <= self.now:
                del self.due[key]
                self.owed.add(key)

    @rule()
    def take(self) -> None:
        key = self.queue.take()
        if key is None:
            assert self.owed <= set(self.held)
            return
        assert key in self.owed
        assert key not in self.held
        self.owed.discard(key)
        self.held.append(key)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.held))
        self.held.remove(key)
        self.queue.done(key)

    @invariant()
    def holds_together(self) -> None:
        self.queue.check()
        assert self.queue.dirty == self.owed
        assert self.queue.processing == set(self.held)
        assert self.queue.next_due() == min(self.due.values(), default=None)


TestQueueStory = QueueStory.TestCase

"""Laws of the scheduling queue under any order of events."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kube_actors.api.types.core_v1 import Pod, PodSchedulingGate, PodSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.scheduler import PodInfo, default_profile
from kube_actors.scheduler.events import Change, Happening
from kube_actors.scheduler.queue import SchedulingQueue, backoff

PROFILE = default_profile()


class Rules:
    def admits(self, pod: Pod) -> Any:
        return PROFILE.admits(pod)

    def sort_key(self, pod: PodInfo, since: float) -> tuple[Any, ...]:
        return PROFILE.queue_sort.sort_key(pod, since)

    def interests_of(self, plugin: str) -> Any:
        return PROFILE.interests.get(plugin, ())


def pod(number: int, *, gated: bool = False, priority: int = 0) -> PodInfo:
    gates = (PodSchedulingGate(name="g"),) if gated else ()
    metadata = ObjectMeta(name=f"p{number}", namespace="default", uid=f"u{number}")
    return PodInfo(Pod(metadata=metadata, spec=PodSpec(containers=(), scheduling_gates=gates, priority=priority)))


NUMBERS = st.integers(0, 5)


class QueueMachine(RuleBasedStateMachine):
    """The model knows only who is there, who is gated, and who is being tried."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = SchedulingQueue(Rules())
        self.known: set[str] = set()
        self.gated: set[str] = set()
        self.tried: dict[str, int] = {}
        self.refused_at: dict[str, float] = {}
        self.attempts: dict[str, int] = {}

    @rule(number=NUMBERS, gated=st.booleans(), priority=st.integers(0, 2))
    def add(self, number: int, gated: bool, priority: int) -> None:
        one = pod(number, gated=gated, priority=priority)
        fresh = one.uid not in self.known
        self.queue.add(one, self.now)
        self.known.add(one.uid)
        if fresh and gated:
            self.gated.add(one.uid)
        elif not gated:
            self.gated.discard(one.uid)

    @rule(number=NUMBERS)
    def remove(self, number: int) -> None:
        uid = f"u{number}"
        self.queue.remove(uid)
        for book in (self.known, self.gated):
            book.discard(uid)
        for record in (self.tried, self.refused_at, self.attempts):
            record.pop(uid, None)

    @rule()
    def pop(self) -> None:
        one = self.queue.pop(self.now)
        if one is None:
            return
        assert one.uid in self.known
        assert one.uid not in self.tried, "nobody is tried twice at once"
        assert one.uid not in self.gated, "gates hold"
        if one.uid in self.refused_at:
            waited = self.now - self.refused_at[one.uid]
            assert waited >= backoff(self.attempts[one.uid]), "back-off is kept"
        self.tried[one.uid] = 1
        self.attempts[one.uid] = self.attempts.get(one.uid, 0) + 1

    @rule(number=NUMBERS, failed=st.booleans())
    def refuse(self, number: int, failed: bool) -> None:
        uid = f"u{number}"
        if uid not in self.tried:
            return
        del self.tried[uid]
        self.refused_at[uid] = self.now
        if failed:
            self.queue.failed(uid, self.now)
        else:
            self.queue.unschedulable(uid, frozenset({"NodePorts"}), self.now)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        self.queue.sweep(self.now)

    @rule()
    def node(self) -> None:
        self.queue.tell([Happening(Change.NODE_ADDED)], self.now)

    @rule()
    def nothing_is_lost(self) -> None:
        """Whatever happened, a change and enough time bring every pod that may be tried to its turn."""
        self.queue.tell([Happening(Change.NODE_ADDED)], self.now)
        self.now += 11
        while (one := self.queue.pop(self.now)) is not None:
            self.tried[one.uid] = 1
            self.attempts[one.uid] = self.attempts.get(one.uid, 0) + 1
        assert set(self.tried) == self.known - self.gated

    @invariant()
    def checks(self) -> None:
        self.queue.check()
        assert len(self.queue) == len(self.known)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

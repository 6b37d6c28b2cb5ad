"""Pods that wait to be placed: ready, backing off, or waiting for the cluster to change.

Owns the order of tries and when a try is worth it. A pure machine: time is given, nothing is awaited.

    add --------------------------------> ready --pop--> (tried) --bound--> done
     \\-- gated                              ^                 |
           \\-- changed, gates gone --------/|                 v
                              backing off --'<-- woken -- unschedulable (nothing has changed that helps)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from kube_actors.api.types.core_v1 import Pod

from . import limits
from .events import Change, Happening, Interest, is_scheduling_update
from .framework import Verdict
from .pod_info import PodInfo

READY, BACKOFF, UNSCHEDULABLE, GATED, TRIED = "ready", "backoff", "unschedulable", "gated", "tried"


class Rules(Protocol):
    """What the queue asks of a profile."""

    def admits(self, pod: Pod) -> Verdict | None: ...

    def sort_key(self, pod: PodInfo, since: float) -> tuple[Any, ...]: ...

    def interests_of(self, plugin: str) -> Sequence[Interest]: ...


class Waiting:
    """One pod in the queue."""

    __slots__ = ("attempts", "first_at", "place", "plugins", "pod", "ready_at", "since", "ticket", "unscheduled_at")

    def __init__(self, pod: PodInfo, now: float) -> None:
        self.pod = pod
        self.since = now
        self.first_at = now
        self.attempts = 0
        self.place = ""
        self.plugins: frozenset[str] = frozenset()
        self.unscheduled_at = 0.0
        self.ready_at = 0.0
        self.ticket = 0


class QueueStatistics(Struct, frozen=True, kw_only=True):
    """How many pods wait where."""

    ready: int
    backoff: int
    unschedulable: int
    gated: int


class SchedulingQueue:
    """See the module. Pods are known by uid."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._pods: dict[str, Waiting] = {}
        self._ready: list[tuple[tuple[Any, ...], int, Waiting]] = []
        self._backoff: list[tuple[float, int, Waiting]] = []
        self._parked: dict[str, Waiting] = {}
        """Those that wait for a change (unschedulable or gated), by uid."""
        self._tickets = 0
        self.changes = 0
        """How many changes have been told; a try that began before the newest may have missed it."""

    # Coming and going

    def add(self, pod: PodInfo, now: float) -> None:
        """A pod is new, or has changed."""
        waiting = self._pods.get(pod.uid)
        if waiting is None:
            waiting = self._pods[pod.uid] = Waiting(pod, now)
            self._admit(waiting, now)
            return
        old, waiting.pod = waiting.pod, pod
        if waiting.place == GATED:
            self._admit(waiting, now)
        elif waiting.place == UNSCHEDULABLE:
            if is_scheduling_update(old.pod, pod.pod):
                self._wake(waiting, now)
        elif waiting.place == READY and old.priority != pod.priority:
            self._make_ready(waiting)

    def remove(self, uid: str) -> None:
        """A pod is placed, gone or no longer ours."""
        waiting = self._pods.pop(uid, None)
        if waiting is not None:
            self._parked.pop(uid, None)
            waiting.place = ""
            waiting.ticket = 0

    def get(self, uid: str) -> PodInfo | None:
        waiting = self._pods.get(uid)
        return waiting.pod if waiting is not None else None

    def __len__(self) -> int:
        return len(self._pods)

    # Trying

    def pop(self, now: float) -> PodInfo | None:
        """The pod to try next."""
        self._release(now)
        while self._ready:
            _, ticket, waiting = heapq.heappop(self._ready)
            if waiting.ticket == ticket and waiting.place == READY:
                waiting.place = TRIED
                waiting.attempts += 1
                return waiting.pod
        return None

    def unschedulable(self, uid: str, plugins: frozenset[str], now: float) -> None:
        """No node was found; these plugins were in the way."""
        waiting = self._pods.get(uid)
        if waiting is None or waiting.place != TRIED:
            return
        waiting.plugins = plugins
        waiting.unscheduled_at = now
        waiting.place = UNSCHEDULABLE
        self._parked[uid] = waiting

    def failed(self, uid: str, now: float) -> None:
        """Something went wrong that has nothing to do with the cluster's state: try again after a while."""
        waiting = self._pods.get(uid)
        if waiting is None or waiting.place != TRIED:
            return
        waiting.plugins = frozenset()
        waiting.unscheduled_at = now
        self._wake(waiting, now)

    def next_time(self) -> float | None:
        """When the next pod has backed off long enough; None if none does."""
        while self._backoff:
            at, ticket, waiting = self._backoff[0]
            if waiting.ticket == ticket and waiting.place == BACKOFF:
                return at
            heapq.heappop(self._backoff)
        return None

    # Waking

    def tell(self, happenings: Iterable[Happening], now: float) -> None:
        """The cluster has changed; pods that this may help are tried again."""
        told = list(happenings)
        if not told:
            return
        self.changes += 1
        if not self._parked:
            return
        kinds = {happening.change for happening in told}
        for waiting in list(self._parked.values()):
            if waiting.place == UNSCHEDULABLE and self._is_helped(waiting, told, kinds):
                self._wake(waiting, now)

    def wake(self, uid: str, now: float) -> None:
        """Try a pod again, whatever it waits for."""
        waiting = self._pods.get(uid)
        if waiting is not None and waiting.place == UNSCHEDULABLE:
            self._wake(waiting, now)

    def sweep(self, now: float) -> None:
        """Try pods again that nothing has woken for a long time."""
        for waiting in list(self._parked.values()):
            if waiting.place == UNSCHEDULABLE and now - waiting.unscheduled_at >= limits.UNSCHEDULABLE_SECONDS:
                self._wake(waiting, now)

    def _is_helped(self, waiting: Waiting, told: Sequence[Happening], kinds: set[Change]) -> bool:
        if not waiting.plugins:
            return True
        for plugin in waiting.plugins:
            for interest in self._rules.interests_of(plugin):
                if interest.change in kinds and any(
                    happening.change is interest.change and interest.helps(waiting.pod, happening.old, happening.new)
                    for happening in told
                ):
                    return True
        return False

    # Places

    def _admit(self, waiting: Waiting, now: float) -> None:
        if self._rules.admits(waiting.pod.pod) is not None:
            waiting.place = GATED
            self._parked[waiting.pod.uid] = waiting
            return
        waiting.since = now if waiting.place == GATED else waiting.since
        self._parked.pop(waiting.pod.uid, None)
        self._make_ready(waiting)

    def _wake(self, waiting: Waiting, now: float) -> None:
        self._parked.pop(waiting.pod.uid, None)
        waiting.ready_at = waiting.unscheduled_at + backoff(waiting.attempts)
        if waiting.ready_at <= now:
            self._make_ready(waiting)
            return
        waiting.place = BACKOFF
        waiting.ticket = self._next_ticket()
        heapq.heappush(self._backoff, (waiting.ready_at, waiting.ticket, waiting))

    def _make_ready(self, waiting: Waiting) -> None:
        waiting.place = READY
        waiting.ticket = self._next_ticket()
        key = self._rules.sort_key(waiting.pod, waiting.since)
        heapq.heappush(self._ready, (key, waiting.ticket, waiting))

    def _release(self, now: float) -> None:
        while self._backoff and self._backoff[0][0] <= now:
            _, ticket, waiting = heapq.heappop(self._backoff)
            if waiting.ticket == ticket and waiting.place == BACKOFF:
                self._make_ready(waiting)

    def _next_ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def statistics(self) -> QueueStatistics:
        counted: Mapping[str, int] = self._count()
        return QueueStatistics(
            ready=counted[READY],
            backoff=counted[BACKOFF],
            unschedulable=counted[UNSCHEDULABLE],
            gated=counted[GATED],
        )

    def _count(self) -> dict[str, int]:
        counted = dict.fromkeys((READY, BACKOFF, UNSCHEDULABLE, GATED, TRIED), 0)
        for waiting in self._pods.values():
            counted[waiting.place] += 1
        return counted

    def check(self) -> None:
        """Every pod is in exactly the place that it says."""
        for uid, waiting in self._pods.items():
            assert waiting.place, f"{uid} is nowhere"
            assert (uid in self._parked) == (waiting.place in (UNSCHEDULABLE, GATED)), f"{uid}: {waiting.place}"
        assert self._parked.keys() <= self._pods.keys()


def backoff(attempts: int) -> float:
    """How long to wait after so many tries."""
    if attempts < 1:
        return 0.0
    return float(min(limits.BACKOFF_INITIAL_SECONDS * 2.0 ** min(attempts - 1, 30), limits.BACKOFF_MAX_SECONDS))

"""The scheduler as an actor: informers keep the snapshot, cycles place pods, bindings are written side by side.

Owns the loop and everything that waits. A placed pod is assumed to be on its node at once, so that the next cycle
need not wait for the binding; if the binding fails the pod is forgotten and tried again. All state is rebuilt from
the API, so the actor may be killed and started again at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.types import apps_v1, core_v1, policy_v1, storage_v1
from kube_actors.api.types.core_v1 import Node, Pod
from kube_actors.client import Client, EventRecorder, InformerFactory, LeaderElector, TransportError, elected, key_of

from . import limits
from .binding import Binder
from .cycle import Decision, decide
from .diagnosis import event_message
from .events import Interest
from .framework import Profile, Verdict
from .plugins.default_profile import DEFAULT_SCHEDULER, default_profile
from .pod_info import PodInfo
from .queue import SchedulingQueue
from .reporting import Reporter
from .snapshot import Snapshot
from .tracker import Tracker

_OTHER_KINDS: tuple[type[Any], ...] = (
    core_v1.Namespace,
    core_v1.Service,
    core_v1.ReplicationController,
    apps_v1.ReplicaSet,
    apps_v1.StatefulSet,
    policy_v1.PodDisruptionBudget,
    core_v1.PersistentVolume,
    core_v1.PersistentVolumeClaim,
    storage_v1.StorageClass,
    storage_v1.CSINode,
    storage_v1.CSIDriver,
    storage_v1.CSIStorageCapacity,
    storage_v1.VolumeAttachment,
)
_UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"


class _Rules:
    """The queue's questions, answered by the profile of each pod. All profiles share one order."""

    def __init__(self, profiles: Mapping[str, Profile]) -> None:
        self._profiles = profiles
        self._first = next(iter(profiles.values()))
        self._interests: dict[str, Sequence[Interest]] = {}
        for profile in profiles.values():
            self._interests.update(profile.interests)

    def admits(self, pod: Pod) -> Verdict | None:
        return self._profiles[pod.spec.scheduler_name or DEFAULT_SCHEDULER].admits(pod)

    def sort_key(self, pod: PodInfo, since: float) -> tuple[Any, ...]:
        return self._first.queue_sort.sort_key(pod, since)

    def interests_of(self, plugin: str) -> Sequence[Interest]:
        return self._interests.get(plugin, ())


class Scheduler:
    """`handled` counts cycles, `bound` pods that were placed. `synced` is set when the snapshot is complete.

    Without an elector it takes itself for the only one.
    """

    def __init__(
        self,
        client: Client,
        system: System,
        *,
        profiles: Sequence[Profile] = (),
        percentage_of_nodes_to_score: int = 0,
        elector: LeaderElector | None = None,
        name: str = "scheduler",
    ) -> None:
        self.name = name
        self.handled = 0
        self.synced = trio.Event()
        self.profiles: dict[str, Profile] = {p.name: p for p in profiles or (default_profile(),)}
        self.snapshot = Snapshot()
        self.queue = SchedulingQueue(_Rules(self.profiles))
        self._client = client
        self._system = system
        self._clock = system.clock
        self._entropy = system.entropy.split(name)
        self._elector = elector
        self._percentage = percentage_of_nodes_to_score
        self._start = 0
        self._more = trio.Event()
        self._room = trio.Semaphore(limits.BINDINGS)
        self._informers = InformerFactory(client, system)
        self._recorder = EventRecorder(client, system, next(iter(self.profiles)))
        writes = trio.CapacityLimiter(limits.WRITES)
        self._reporter = Reporter(client, self._recorder, system, writes)
        self._tracker = Tracker(self.snapshot, self.queue, self.profiles, self._clock.monotonic, self._wake)
        self._binder = Binder(client, self._recorder, system, writes)

    @property
    def bound(self) -> int:
        return self._binder.bound

    async def run(self) -> None:
        """Schedule until cancelled."""
        self._follow()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._recorder.run, name=f"{self.name}/events")
            await nursery.start(self._informers.run)
            await self._informers.synced()
            self.synced.set()
            nursery.start_soon(self._sweep, name=f"{self.name}/sweep")
            if self._elector is None:
                await self._work(nursery)
            else:
                # Everything is ready while somebody else leads; only placing waits.
                async with elected(self._elector):
                    await self._work(nursery)

    def _follow(self) -> None:
        """Nodes first: a pod on a node that is not known yet would be put aside."""
        self._informers.informer(Node).add_handler(self._tracker.on_node)
        for kind in _OTHER_KINDS:
            self._informers.informer(kind).add_handler(self._handler(kind.gvk[2]))
        self._informers.informer(Pod, field_selector=_UNFINISHED).add_handler(self._tracker.on_pod)

    def _handler(self, kind: str) -> Any:
        def handle(old: Any, new: Any) -> None:
            self._tracker.on_object(kind, key_of(new if new is not None else old), old, new)

        return handle

    def _wake(self) -> None:
        self._more.set()

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(limits.SWEEP_SECONDS)
            self.queue.sweep(self._clock.monotonic())
            self._wake()

    async def _work(self, nursery: trio.Nursery) -> None:
        turn = 0
        while True:
            await self._room.acquire()
            pod = self.queue.pop(self._clock.monotonic())
            if pod is None:
                self._room.release()
                await self._wait()
                continue
            self._place(pod, nursery)
            turn += 1
            if turn >= limits.CYCLES_PER_TURN:
                turn = 0
                await trio.lowlevel.checkpoint()

    async def _wait(self) -> None:
        """Until something happens, or a pod has backed off long enough."""
        at = self.queue.next_time()
        with trio.move_on_after(float("inf") if at is None else max(0.0, at - self._clock.monotonic())):
            await self._more.wait()
        self._more = trio.Event()

    # One pod

    def _place(self, pod: PodInfo, nursery: trio.Nursery) -> None:
        profile = self.profiles[pod.pod.spec.scheduler_name or DEFAULT_SCHEDULER]
        decision = decide(pod, self.snapshot, profile, self._draw, start=self._start, percentage=self._percentage)
        self.handled += 1
        if self.snapshot.nodes:
            self._start = (self._start + decision.looked_at) % len(self.snapshot.nodes)
        if not decision.node:
            self._unplaced(pod, decision, nursery)
            return
        self.snapshot.withdraw(pod.uid)
        self.snapshot.assume(pod, decision.node)
        nursery.start_soon(self._bind, pod, decision, profile, name=f"{self.name}/bind")

    def _draw(self, count: int) -> int:
        return self._entropy.integer(0, count - 1)

    async def _bind(self, pod: PodInfo, decision: Decision, profile: Profile) -> None:
        try:
            problem = await self._binder.bind(pod, decision, profile)
            if problem is not None and self._unbound(pod, problem):
                await self._reporter.unbound(pod, problem)
        finally:
            self._room.release()

    def _unbound(self, pod: PodInfo, problem: Verdict) -> bool:
        """The pod is not where we thought; its room is free for others, and it is tried again."""
        if not self.snapshot.forget(pod.uid):
            return False  # it turned up on a node after all, or is gone
        now = self._clock.monotonic()
        if problem.is_rejection:
            self.queue.unschedulable(pod.uid, frozenset({problem.plugin}), now)
        else:
            self.queue.failed(pod.uid, now)
        self._tracker.freed(pod)
        return True

    def _unplaced(self, pod: PodInfo, decision: Decision, nursery: trio.Nursery) -> None:
        assert decision.diagnosis is not None
        self.queue.unschedulable(pod.uid, decision.diagnosis.plugins, self._clock.monotonic())
        nomination = decision.nomination
        if nomination is not None and nomination.node:
            self.snapshot.nominate(pod, nomination.node)
        elif nomination is not None:
            self.snapshot.withdraw(pod.uid)
        nursery.start_soon(self._report, pod, decision, name=f"{self.name}/report")

    async def _report(self, pod: PodInfo, decision: Decision) -> None:
        try:
            assert decision.diagnosis is not None
            text = decision.diagnosis.message
            self._recorder.event(pod.pod, "Warning", "FailedScheduling", event_message(text))
            await self._reporter.unschedulable(pod, text, decision.nomination)
        except (ApiError, TransportError) as error:
            self._system.story.tell(self.name, "could not report", uid=pod.uid, key=f"Pod {pod.key}", detail=str(error))
            # A nomination that nobody wrote down, or a victim that still runs: look again instead of waiting for it.
            self.queue.wake(pod.uid, self._clock.monotonic())
            self._wake()
        finally:
            self._room.release()

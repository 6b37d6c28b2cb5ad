"""Which stage follows which: the kubelet's transition table, fired entry by entry at every state that it leads to.

Owns the small set of pods that together go every way, and the walk. It draws nothing. An entry of the table that no
walk reaches, or a stage that nothing leads to, is an error: the picture would leave it out without a word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from itertools import product
from typing import Any, NamedTuple

from msgspec import structs

from kube_actors.api.types.core_v1 import Container, ExecAction, Lifecycle, LifecycleHandler, Pod, PodSpec, Probe
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.kubelet import lifecycle, machine, model
from kube_actors.kubelet.draft import Draft
from kube_actors.kubelet.machine import CONTAINER_TABLE, POD_TABLE
from kube_actors.kubelet.model import Event, PodStage, PodState, Record, Stage

RULE = "by rule"
"""What `lifecycle.advance` does of itself after an event."""

POD_STOPS = "the pod stops"
"""What happens to a container because its pod goes to STOPPING, for whatever reason."""

DEADLINE_SECONDS = 500
IMAGES = ("example.com/one:1", "example.com/two:1")


class Edge(NamedTuple):
    """One stage follows another; `label` is the event, or RULE."""

    source: Enum
    target: Enum
    label: str


class _Recorder(Draft):
    """A draft that notes every change of the pod's stage, those within one step too."""

    def __init__(self, state: PodState, now: float) -> None:
        super().__init__(state, now)
        self.passed: list[tuple[PodStage, PodStage]] = []

    def set(self, **changes: Any) -> None:
        before = self.state.stage
        super().set(**changes)
        if self.state.stage is not before:
            self.passed.append((before, self.state.stage))


class Walk:
    """What was found so far: edges, entries that were fired, states that need not be looked at again."""

    def __init__(self) -> None:
        self.edges: set[Edge] = set()
        self.fired: set[tuple[Enum, type[Event]]] = set()

    def go(self, pod: Pod) -> None:
        """Fire every entry at every state that differs from those seen, breadth first."""
        first = PodState(pod=pod, stage=PodStage.PREPARING, containers=lifecycle.initial(pod, 0.0), start_time=0.0)
        waiting, seen = deque([(first, 0.0)]), {_likeness(first)}
        while waiting:
            state, now = waiting.popleft()
            for label, event, at in _events(state, now):
                after = self._fire(state, event, at, label)
                if _likeness(after) not in seen:
                    assert after == machine.step(state, event, at)[0], "the walk goes other ways than the machine"
                    seen.add(_likeness(after))
                    waiting.append((after, at))

    def _fire(self, state: PodState, event: Event, now: float, label: str) -> PodState:
        """`machine.step` in its two parts, each of them looked at."""
        draft = _Recorder(state, now)
        if isinstance(event, model.ContainerEvent):
            record = state.containers[event.name]
            self.fired.add((record.stage, type(event)))
            CONTAINER_TABLE[record.stage, type(event)](draft, record, event)
        else:
            self.fired.add((state.stage, type(event)))
            POD_TABLE[state.stage, type(event)](draft, event)
        between = draft.containers
        self._note(draft, state.containers, label)
        lifecycle.advance(draft)
        self._note(draft, between, RULE)
        return draft.done()[0]

    def _note(self, draft: _Recorder, before: dict[str, Record], label: str) -> None:
        stopped = any(target is PodStage.STOPPING for _, target in draft.passed)
        self.edges.update(Edge(source, target, label) for source, target in draft.passed)
        draft.passed.clear()
        for name, record in draft.containers.items():
            source = before[name].stage
            if source is not record.stage:
                self.edges.add(Edge(source, record.stage, POD_STOPS if stopped else label))


def explore() -> tuple[list[Edge], list[Edge]]:
    """The edges between the stages of pods, and those between the stages of containers, in the stages' order."""
    walk = Walk()
    for pod in _pods():
        walk.go(pod)
    missed = [key for key in (*POD_TABLE, *CONTAINER_TABLE) if key not in walk.fired]
    assert not missed, f"no walk reaches {missed}"
    return _only(walk.edges, PodStage), _only(walk.edges, Stage)


def _only(edges: set[Edge], stages: type[PodStage] | type[Stage]) -> list[Edge]:
    found = [edge for edge in edges if isinstance(edge.source, stages)]
    return sorted(found, key=lambda edge: (edge.source.value, edge.target.value, edge.label))


def _pods() -> Iterator[Pod]:
    """Pods that together go every way: each restart policy, with and without hook, probes and an init container."""
    action = ExecAction(command=("true",))
    for policy, full in product(("Always", "Never"), (False, True)):
        hook = Lifecycle(post_start=LifecycleHandler(exec=action)) if full else None
        probe = Probe(exec=action) if full else None
        app = Container(name="app", image=IMAGES[0], lifecycle=hook, liveness_probe=probe)
        inits = (Container(name="init", image=IMAGES[0]),) if not full else ()
        yield Pod(
            metadata=ObjectMeta(name="web", namespace="default", uid="uid"),
            spec=PodSpec(
                containers=(app,),
                init_containers=inits,
                restart_policy=policy,
                active_deadline_seconds=DEADLINE_SECONDS,
            ),
        )


def _likeness(state: PodState) -> object:
    """What makes two states differ for the walk: everything but times, identities and counts."""
    records = tuple(
        (record.stage, record.exit and record.exit.code, record.early is None, record.delay > 0)
        for record in state.containers.values()
    )
    return (state.stage, state.goal, state.initialized, records)


def _events(state: PodState, now: float) -> Iterator[tuple[str, Event, float]]:
    """Every event that the table has for this state, in all kinds that matter, with its name and its moment."""
    for label, event in _pod_events(state):
        if (state.stage, type(event)) in POD_TABLE:
            yield label, event, now + 1
    for at in (max(now, machine.wake(state) or now), max(now, float(DEADLINE_SECONDS))):
        yield "Tick" if at < DEADLINE_SECONDS or state.goal else "Tick (deadline)", model.Tick(), at
    for record in state.containers.values():
        for label, event in _container_events(record):
            if (record.stage, type(event)) in CONTAINER_TABLE:
                yield label, event, now + 1


def _pod_events(state: PodState) -> Iterator[tuple[str, Event]]:
    pod = state.pod
    deleted = structs.replace(pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z", deletion_grace_period_seconds=5)
    other = structs.replace(pod.spec.containers[0], image=IMAGES[1])
    yield "PodChanged (deleted)", model.PodChanged(structs.replace(pod, metadata=deleted))
    yield (
        "PodChanged (image)",
        model.PodChanged(structs.replace(pod, spec=structs.replace(pod.spec, containers=(other,)))),
    )
    yield "PodGone", model.PodGone()
    yield "Prepared", model.Prepared()
    yield "PrepareFailed", model.PrepareFailed("FailedMount", "no volume")
    yield "SandboxReady", model.SandboxReady("sandbox")
    yield "SandboxFailed", model.SandboxFailed("no network")
    yield "SandboxDied", model.SandboxDied(state.sandbox_id)
    yield "Cleaned", model.Cleaned()
    yield "Finalized", model.Finalized()


def _container_events(record: Record) -> Iterator[tuple[str, Event]]:
    name, identity, attempt = record.name, record.id or "id", record.attempt + (record.exit is not None)
    yield "ImageReady", model.ImageReady(name, "sha256:0")
    yield "ImageFailed", model.ImageFailed(name, "ErrImagePull", "no such image")
    yield "Started", model.Started(name, identity, attempt, 0.0)
    for reason in ("CreateContainerError", "RunContainerError"):
        yield "StartFailed", model.StartFailed(name, reason, "no such file", attempt, identity)
    yield "HookDone", model.HookDone(name)
    yield "HookFailed", model.HookFailed(name, "no such file")
    for code in (0, 1):
        yield "Exited", model.Exited(name, model.Exit(id=identity, code=code, reason="Completed"))
    yield "Probed (failed)", model.Probed(name, identity, "liveness", False, "no answer")

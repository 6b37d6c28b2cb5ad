"""The life of a pod on its node, as one transition table. Pure: no trio, clock, sockets or randomness.

`step(state, event, now)` gives the next state and the effects that it calls for; `wake(state)` the moment at which a
`Tick` is due. The table lists every pair of stage and event that can happen; any other pair is a bug of ours and
raises `ImpossibleEvent`. Pairs that are listed with `_ignore` are late news, such as the end of a container that has
been replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import lifecycle, limits, model, restarts
from .draft import Draft, grace_of
from .lifecycle import ended, settle, stop_all
from .model import (
    Cleaned,
    ContainerEvent,
    Effect,
    Event,
    Exit,
    Exited,
    Finalized,
    HookDone,
    HookFailed,
    ImageFailed,
    ImageReady,
    PodChanged,
    PodGone,
    PodStage,
    PodState,
    Prepared,
    PrepareFailed,
    Probed,
    Record,
    SandboxDied,
    SandboxFailed,
    SandboxReady,
    Stage,
    Started,
    StartFailed,
    Tick,
)


class ImpossibleEvent(AssertionError):
    """An event that cannot come in this stage."""

    def __init__(self, state: PodState, event: Event) -> None:
        metadata = state.pod.metadata
        stages = ", ".join(f"{record.name} {record.stage.name}" for record in state.containers.values())
        super().__init__(
            f"pod {metadata.namespace}/{metadata.name} ({metadata.uid}) is {state.stage.name} [{stages}]: {event!r}"
        )


def step(state: PodState, event: Event, now: float) -> tuple[PodState, tuple[Effect, ...]]:
    """What follows from one event."""
    draft = Draft(state, now)
    if isinstance(event, ContainerEvent):
        record = state.containers.get(event.name)
        handler = CONTAINER_TABLE.get((record.stage, type(event))) if record is not None else None
        if record is None or handler is None:
            raise ImpossibleEvent(state, event)
        handler(draft, record, event)
    else:
        transition = POD_TABLE.get((state.stage, type(event)))
        if transition is None:
            raise ImpossibleEvent(state, event)
        transition(draft, event)
    lifecycle.advance(draft)
    return draft.done()


def wake(state: PodState) -> float | None:
    """When the next Tick is due; None: only an event changes anything."""
    times = []
    if state.stage in (PodStage.PREPARE_BACKOFF, PodStage.SANDBOX_BACKOFF):
        times.append(state.until)
    if state.stage is PodStage.RUNNING:
        for record in state.containers.values():
            if record.stage is Stage.BACKOFF:
                times.append(record.flips_at or record.until)
    if state.stage in _LIVING and not state.goal:
        deadline = _deadline(state)
        if deadline is not None:
            times.append(deadline)
    return min(times) if times else None


def _deadline(state: PodState) -> float | None:
    seconds = state.pod.spec.active_deadline_seconds
    return None if seconds is None else state.start_time + seconds


_LIVING = (
    PodStage.PREPARING,
    PodStage.PREPARE_BACKOFF,
    PodStage.SANDBOXING,
    PodStage.SANDBOX_BACKOFF,
    PodStage.RUNNING,
)


# --- the pod ------------------------------------------------------------------------------------------------


def _ignore(draft: Draft, *_: Any) -> None:
    """Late news: nothing changes."""


def _pod_changed(draft: Draft, event: PodChanged) -> None:
    images = {container.name: container.image for container, _ in model.containers_of(draft.pod)}
    draft.set(pod=event.pod)
    for container, role in model.containers_of(event.pod):
        record = draft.containers.get(container.name)
        if record is None:
            draft.put(Record(name=container.name, role=role))
        elif images.get(container.name, container.image) != container.image and draft.state.stage is PodStage.RUNNING:
            _image_changed(draft, record)
    if event.pod.metadata.deletion_timestamp is None:
        return
    grace = _deletion_grace(event)
    if draft.state.stage in _LIVING:
        stop_all(draft, "delete", grace)
    elif draft.state.stage is PodStage.STOPPING:
        if draft.state.goal != "gone":
            lifecycle.shorten(draft, "delete", grace)
    elif draft.state.stage is PodStage.FINISHED:
        draft.set(goal="delete", stage=PodStage.CLEANING)
        draft.do(model.Clean())


def _image_changed(draft: Draft, record: Record) -> None:
    """The one part of a container's spec that may change in place: it starts anew with the other image."""
    if record.stage in (Stage.RUNNING, Stage.HOOKING):
        message = f"Container {record.name} definition changed, will be restarted"
        lifecycle.stop_one(draft, record, grace_of(draft.pod), message)
    elif record.stage is Stage.PULLING:
        draft.do(model.Abort(record.name))
        lifecycle.begin(draft, record)
    elif record.stage is Stage.BACKOFF and record.exit is None:
        # It never had the old image; there is no reason to wait for the new one.
        lifecycle.begin(draft, draft.put(record, image_delay=0.0))


def _deletion_grace(event: PodChanged) -> float:
    seconds = event.pod.metadata.deletion_grace_period_seconds
    return grace_of(event.pod) if seconds is None else float(seconds)


def _pod_gone(draft: Draft, event: PodGone) -> None:
    """Removed from the API by force: everything ends at once, and nobody needs to be told."""
    stage = draft.state.stage
    if stage is PodStage.STOPPING:
        lifecycle.shorten(draft, "gone", 0.0)
    elif stage in _LIVING:
        stop_all(draft, "gone", 0.0)
    elif stage is PodStage.FINALIZING:
        draft.set(stage=PodStage.DONE)
    elif stage is PodStage.FINISHED:
        draft.set(goal="gone", stage=PodStage.CLEANING)
        draft.do(model.Clean())
    else:
        draft.set(goal="gone")


def _prepared(draft: Draft, event: Prepared) -> None:
    draft.set(stage=PodStage.SANDBOXING, delay=0.0)
    draft.do(model.RunSandbox(draft.state.sandbox_attempt))


def _prepare_failed(draft: Draft, event: PrepareFailed) -> None:
    previous = draft.state.delay
    delay = min(previous * 2, limits.PREPARE_BACKOFF_MAX) if previous else limits.PREPARE_BACKOFF_INITIAL
    draft.set(stage=PodStage.PREPARE_BACKOFF, delay=delay, until=draft.now + delay)
    draft.report("Warning", event.reason, event.message)


def _sandbox_ready(draft: Draft, event: SandboxReady) -> None:
    draft.set(stage=PodStage.RUNNING, sandbox_id=event.id, ips=event.ips, delay=0.0)


def _sandbox_failed(draft: Draft, event: SandboxFailed) -> None:
    draft.set(stage=PodStage.SANDBOX_BACKOFF, until=draft.now + limits.SANDBOX_BACKOFF)
    draft.report("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {event.message}")


def _sandbox_died(draft: Draft, event: SandboxDied) -> None:
    """The namespaces are gone, and all containers with them: a new sandbox, and from the beginning."""
    state = draft.state
    if event.id != state.sandbox_id:
        return None
    policy = draft.pod.spec.restart_policy or "Always"
    for record in tuple(draft.containers.values()):
        draft.do(model.StopProbes(record.name))
        if record.alive:
            exit = Exit(id=record.id, code=137, reason="Error", started_at=record.started_at, finished_at=draft.now)
            draft.put(record, stage=Stage.EXITED, exit=exit, started=False, ready=False)
        elif record.stage in (Stage.PULLING, Stage.STARTING):
            draft.do(model.Abort(record.name))
    ran = any(record.exit is not None for record in draft.containers.values())
    if policy == "Never" and ran:
        return settle(draft, "Failed")
    for record in tuple(draft.containers.values()):
        finished = record.role == "app" and record.exit is not None and record.stage is Stage.EXITED
        if finished and record.exit is not None and not _again(draft, record, record.exit):
            continue
        if record.role != "ephemeral":
            draft.put(record, stage=Stage.WAITING, until=0.0, flips_at=0.0, waiting_reason="", waiting_message="")
    draft.report("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
    attempt = state.sandbox_attempt + 1
    draft.set(stage=PodStage.SANDBOXING, initialized=False, sandbox_id="", ips=(), sandbox_attempt=attempt)
    draft.do(model.RunSandbox(attempt, event.id))
    return None


def _again(draft: Draft, record: Record, exit: Exit) -> bool:
    return restarts.restarts(draft.pod, draft.spec(record.name), record.role, exit.code)


def _sandbox_died_stopping(draft: Draft, event: SandboxDied) -> None:
    """Its containers are ending too; their ends are told one by one."""


def _tick(draft: Draft, event: Tick) -> None:
    state = draft.state
    deadline = _deadline(state)
    if not state.goal and deadline is not None and draft.now >= deadline:
        message = "Pod was active on the node longer than the specified deadline"
        draft.report("Normal", "DeadlineExceeded", message)
        settle(draft, "Failed", "DeadlineExceeded", message)
        return
    if state.stage is PodStage.PREPARE_BACKOFF and draft.now >= state.until:
        draft.set(stage=PodStage.PREPARING)
        draft.do(model.Prepare())
    elif state.stage is PodStage.SANDBOX_BACKOFF and draft.now >= state.until:
        attempt = state.sandbox_attempt + 1
        draft.set(stage=PodStage.SANDBOXING, sandbox_attempt=attempt)
        draft.do(model.RunSandbox(attempt))
    elif state.stage is PodStage.RUNNING:
        for record in tuple(draft.containers.values()):
            if record.stage is Stage.BACKOFF:
                _container_tick(draft, record)


def _container_tick(draft: Draft, record: Record) -> None:
    if draft.now >= record.until:
        lifecycle.begin(draft, record)
    elif record.flips_at and draft.now >= record.flips_at:
        image = draft.spec(record.name).image or ""
        draft.report("Normal", "BackOff", f'Back-off pulling image "{image}"', record.name)
        draft.report("Warning", "Failed", "Error: ImagePullBackOff", record.name)
        draft.put(
            record,
            flips_at=0.0,
            waiting_reason="ImagePullBackOff",
            waiting_message=f'Back-off pulling image "{image}": {record.waiting_reason}: {record.waiting_message}',
        )


def _cleaned(draft: Draft, event: Cleaned) -> None:
    if draft.state.goal == "gone":
        draft.set(stage=PodStage.DONE)
    else:
        draft.set(stage=PodStage.FINALIZING)
        draft.do(model.Finalize())


def _finalized(draft: Draft, event: Finalized) -> None:
    draft.set(stage=PodStage.DONE)


# --- a container --------------------------------------------------------------------------------------------


def _image_ready(draft: Draft, record: Record, event: ImageReady) -> None:
    attempt = record.attempt + 1 if record.exit is not None else record.attempt
    draft.put(record, stage=Stage.STARTING, image_id=event.image_id, image_delay=0.0, early=None)
    draft.do(model.StartContainer(record.name, attempt, event.image_id))


def _image_failed(draft: Draft, record: Record, event: ImageFailed) -> None:
    pause = restarts.image_pause(record)
    draft.put(
        record,
        stage=Stage.BACKOFF,
        image_delay=pause,
        until=draft.now + pause,
        flips_at=draft.now + limits.IMAGE_ERROR_SHOWN if event.reason == "ErrImagePull" else 0.0,
        waiting_reason=event.reason,
        waiting_message=event.message,
    )
    draft.report("Warning", "Failed", f"Error: {event.reason}", record.name)


def _rotate(draft: Draft, record: Record, attempt: int) -> Record:
    """A new instance exists: the one before is history now."""
    if attempt == record.attempt:
        return record
    return draft.put(record, attempt=attempt, last_exit=record.exit or record.last_exit, exit=None)


def _started(draft: Draft, record: Record, event: Started) -> None:
    record = _rotate(draft, record, event.attempt)
    hook = draft.spec(record.name).lifecycle
    early = record.early
    record = draft.put(
        record,
        stage=Stage.HOOKING,
        id=event.id,
        started_at=event.at,
        exit=None,
        early=None,
        until=0.0,
        waiting_reason="",
        waiting_message="",
    )
    if early is not None and early.id == event.id:
        ended(draft, record, early)
    elif hook is not None and hook.post_start is not None:
        draft.do(model.RunPostStart(record.name, event.id))
    else:
        _running(draft, record)


def _running(draft: Draft, record: Record) -> None:
    spec = draft.spec(record.name)
    started = spec.startup_probe is None
    if spec.startup_probe or spec.liveness_probe or spec.readiness_probe:
        draft.do(model.StartProbes(record.name, record.id))
    ready = started and spec.readiness_probe is None and record.role != "init"
    draft.put(record, stage=Stage.RUNNING, started=started, ready=ready)


def _started_late(draft: Draft, record: Record, event: Started) -> None:
    """It came up while the pod was being stopped: it is stopped at once, without a hook."""
    record = _rotate(draft, record, event.attempt)
    record = draft.put(record, stage=Stage.STOPPING, id=event.id, started_at=event.at, exit=None)
    draft.do(model.StopContainer(record.name, event.id, 0.0, False))


def _start_failed(draft: Draft, record: Record, event: StartFailed) -> None:
    draft.report("Warning", "Failed", f"Error: {event.message}", record.name)
    if event.reason != "RunContainerError":
        draft.put(
            record,
            stage=Stage.BACKOFF,
            until=draft.now + limits.CONFIG_RETRY,
            waiting_reason=event.reason,
            waiting_message=event.message,
        )
        return
    record = _rotate(draft, record, event.attempt)
    exit = Exit(id=event.id, code=event.exit_code, reason="StartError", message=event.message, finished_at=draft.now)
    ended(draft, record, exit)
    record = draft.containers[record.name]
    if record.stage is Stage.WAITING:
        draft.put(
            record,
            stage=Stage.BACKOFF,
            until=draft.now + limits.START_RETRY_MIN,
            waiting_reason=event.reason,
            waiting_message=event.message,
        )


def _hook_done(draft: Draft, record: Record, event: HookDone) -> None:
    _running(draft, record)


def _hook_failed(draft: Draft, record: Record, event: HookFailed) -> None:
    draft.report("Warning", "FailedPostStartHook", "PostStartHook failed", record.name)
    lifecycle.stop_one(draft, record, grace_of(draft.pod), "FailedPostStartHook")


def _exited(draft: Draft, record: Record, event: Exited) -> None:
    if event.exit.id == record.id:
        ended(draft, record, event.exit)


def _exited_early(draft: Draft, record: Record, event: Exited) -> None:
    draft.put(record, early=event.exit)


def _exited_after(draft: Draft, record: Record, event: Exited) -> None:
    """What ended while nobody listened, or what never ran for all we knew."""
    if record.exit is None and record.id == event.exit.id:
        draft.put(record, exit=event.exit)


def _probed(draft: Draft, record: Record, event: Probed) -> None:
    if event.id != record.id:
        return
    if event.kind == "readiness":
        draft.put(record, ready=event.ok and record.started)
    elif event.kind == "startup" and event.ok:
        draft.put(record, started=True, ready=draft.spec(record.name).readiness_probe is None)
    elif not event.ok:
        probe = draft.spec(record.name)
        chosen = probe.startup_probe if event.kind == "startup" else probe.liveness_probe
        own = chosen.termination_grace_period_seconds if chosen is not None else None
        grace = grace_of(draft.pod) if own is None else float(own)
        message = f"Container {record.name} failed {event.kind} probe, will be restarted"
        lifecycle.stop_one(draft, record, grace, message)


PodHandler = Callable[[Draft, Any], None]
ContainerHandler = Callable[[Draft, Record, Any], None]

_P, _C = PodStage, Stage

POD_TABLE: dict[tuple[PodStage, type[Event]], PodHandler] = {
    **{(stage, PodChanged): _pod_changed for stage in PodStage},
    **{(stage, PodGone): _pod_gone for stage in PodStage},
    **{(stage, Tick): _tick for stage in _LIVING},
    **{(stage, Tick): _ignore for stage in PodStage if stage not in _LIVING},
    (_P.PREPARING, Prepared): _prepared,
    (_P.PREPARING, PrepareFailed): _prepare_failed,
    (_P.SANDBOXING, SandboxReady): _sandbox_ready,
    (_P.SANDBOXING, SandboxFailed): _sandbox_failed,
    # What was under way when the pod began to stop; Clean finds a sandbox made meanwhile by its labels.
    **{
        (stage, event): _ignore
        for stage in (_P.STOPPING, _P.FINISHED, _P.CLEANING, _P.FINALIZING, _P.DONE)
        for event in (Prepared, PrepareFailed, SandboxReady, SandboxFailed)
    },
    (_P.RUNNING, SandboxDied): _sandbox_died,
    (_P.STOPPING, SandboxDied): _sandbox_died_stopping,
    **{(stage, SandboxDied): _ignore for stage in PodStage if stage not in (_P.RUNNING, _P.STOPPING)},
    (_P.CLEANING, Cleaned): _cleaned,
    (_P.FINALIZING, Finalized): _finalized,
    (_P.DONE, Finalized): _ignore,
}

CONTAINER_TABLE: dict[tuple[Stage, type[Event]], ContainerHandler] = {
    (_C.PULLING, ImageReady): _image_ready,
    (_C.PULLING, ImageFailed): _image_failed,
    (_C.STARTING, Started): _started,
    (_C.STARTING, StartFailed): _start_failed,
    (_C.STARTING, Exited): _exited_early,
    (_C.HOOKING, HookDone): _hook_done,
    (_C.HOOKING, HookFailed): _hook_failed,
    (_C.HOOKING, Exited): _exited,
    (_C.RUNNING, Exited): _exited,
    (_C.RUNNING, Probed): _probed,
    (_C.STOPPING, Exited): _exited,
    (_C.EXITED, Started): _started_late,
    (_C.EXITED, Exited): _exited_after,
}  # fmt: skip

_LATE: dict[type[Event], tuple[Stage, ...]] = {
    ImageReady: (_C.WAITING, _C.EXITED),
    ImageFailed: (_C.WAITING, _C.EXITED),
    Started: (_C.WAITING,),
    StartFailed: (_C.WAITING, _C.EXITED),
    HookDone: (_C.WAITING, _C.PULLING, _C.STARTING, _C.STOPPING, _C.BACKOFF, _C.EXITED),
    HookFailed: (_C.WAITING, _C.PULLING, _C.STARTING, _C.STOPPING, _C.BACKOFF, _C.EXITED),
    Exited: (_C.WAITING, _C.PULLING, _C.BACKOFF),
    Probed: (_C.WAITING, _C.PULLING, _C.STARTING, _C.HOOKING, _C.STOPPING, _C.BACKOFF, _C.EXITED),
}
"""News of what was given up or replaced."""
CONTAINER_TABLE |= {(stage, event): _ignore for event, stages in _LATE.items() for stage in stages}

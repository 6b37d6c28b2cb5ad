"""The first state of a pod's machine: new, or rebuilt from what an engine already runs. Pure.

A node that was restarted finds its pods' sandboxes and containers by their labels. What runs is never restarted;
what ended meanwhile is treated as if it had ended now; what was only created is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import ContainerState, Pod
from kube_actors.api.types.core_v1 import ContainerStatus as APIContainerStatus
from runtimes.contract import ContainerStatus, Sandbox

from . import lifecycle, model
from .model import Effect, Exit, PodStage, PodState, Record, Stage


class Found(Struct, frozen=True, kw_only=True):
    """What an engine has of one pod: all sandboxes and containers that carry its UID."""

    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    def newest(self) -> Sandbox | None:
        return max(self.sandboxes, key=lambda sandbox: sandbox.attempt, default=None)


NOTHING = Found()


def begin(pod: Pod, found: Found, now: float) -> tuple[PodState, tuple[Effect, ...], tuple[model.Event, ...]]:
    """The first state, its effects, and events to be taken right after."""
    start_time = parse_time(pod.status.start_time) if pod.status.start_time else now
    records = lifecycle.initial(pod, now)
    state = PodState(pod=pod, stage=PodStage.PREPARING, containers=records, start_time=start_time)
    events: list[model.Event] = []
    effects: tuple[Effect, ...] = (model.Prepare(),)
    sandbox = found.newest()
    terminal = pod.status.phase in ("Succeeded", "Failed")
    if terminal or sandbox is not None:
        state, effects, late = _adopt(state, sandbox, found.containers)
        events += late
    if terminal:
        state = _remembered(state)
        exits = {event.name: event.exit for event in events if isinstance(event, model.Exited)}
        ended = {name: _as_ended(record, exits.get(name)) for name, record in state.containers.items()}
        state = _with(state, stage=PodStage.FINISHED, phase=pod.status.phase or "", containers=ended)
        state = _with(state, reason=pod.status.reason or "", message=pod.status.message or "", goal="finish")
        effects = ()
        events = []
    elif sandbox is not None and sandbox.state != "ready":
        events.append(model.SandboxDied(sandbox.id))
    if pod.metadata.deletion_timestamp is not None:
        events.append(model.PodChanged(pod))
    return state, effects, tuple(events)


def _adopt(
    state: PodState, sandbox: Sandbox | None, containers: Sequence[ContainerStatus]
) -> tuple[PodState, tuple[Effect, ...], list[model.Event]]:
    records = dict(state.containers)
    known = _known_statuses(state.pod)
    specs = {container.name: container for container, _ in model.containers_of(state.pod)}
    effects: list[Effect] = []
    events: list[model.Event] = []
    for name, record in records.items():
        mine = sorted((found for found in containers if found.name == name), key=lambda found: found.attempt)
        mine = [found for found in mine if found.state != "created"]
        if not mine:
            continue
        record = _adopted(record, mine, known.get(name), specs[name])
        records[name] = record
        if mine[-1].state == "exited":
            events.append(model.Exited(name, exit_of(mine[-1])))
        else:
            effects.append(model.StartProbes(name, record.id, record.started))
    if sandbox is None:
        return _with(state, containers=records), (), events
    state = _with(
        state,
        containers=records,
        stage=PodStage.RUNNING,
        sandbox_id=sandbox.id,
        sandbox_attempt=sandbox.attempt,
        ips=sandbox.ips,
        # Init containers that have been removed since cannot be asked; an app container that ran proves them done.
        initialized=any(record.id and record.role == "app" for record in records.values()),
    )
    return state, tuple(effects), events


def _adopted(
    record: Record, mine: Sequence[ContainerStatus], known: APIContainerStatus | None, spec: model.AnyContainer
) -> Record:
    newest = mine[-1]
    same = known is not None and (known.container_id or "").endswith(newest.id)
    # Who started it may have died before he could tell: without a startup probe, running is having started.
    started = spec.startup_probe is None or bool(same and known is not None and known.started)
    told_ready = bool(same and known is not None and known.ready)
    return Record(
        name=record.name,
        role=record.role,
        stage=Stage.RUNNING,
        attempt=newest.attempt,
        id=newest.id,
        image_id=(known.image_id if same and known is not None else "") or newest.image_id,
        started_at=newest.started_at,
        last_exit=exit_of(mine[-2]) if len(mine) > 1 and mine[-2].state == "exited" else None,
        started=started,
        ready=told_ready or (started and spec.readiness_probe is None and record.role != "init"),
    )


def _as_ended(record: Record, exit: Exit | None) -> Record:
    exit = exit or record.exit
    ready = record.role == "init" and exit is not None and exit.code == 0
    return structs.replace(record, stage=Stage.EXITED, exit=exit, started=False, ready=ready)


def _remembered(state: PodState) -> PodState:
    """Ends that only the API still knows, since the engine has nothing of the pod any more."""
    known = _known_statuses(state.pod)
    records = dict(state.containers)
    for name, status in known.items():
        record = records.get(name)
        if record is None or record.id:
            continue
        records[name] = structs.replace(
            record,
            attempt=status.restart_count,
            image_id=status.image_id,
            exit=_api_exit(status.state),
            last_exit=_api_exit(status.last_state),
        )
    return _with(state, containers=records)


def _api_exit(state: ContainerState | None) -> Exit | None:
    ended = state.terminated if state is not None else None
    if ended is None:
        return None
    return Exit(
        id=(ended.container_id or "").partition("://")[2],
        code=ended.exit_code,
        reason=ended.reason or "",
        message=ended.message or "",
        started_at=parse_time(ended.started_at) if ended.started_at else 0.0,
        finished_at=parse_time(ended.finished_at) if ended.finished_at else 0.0,
    )


def exit_of(status: ContainerStatus) -> Exit:
    """An engine's account of an end."""
    code = 137 if status.exit_code is None else status.exit_code
    return Exit(
        id=status.id,
        code=code,
        reason=status.reason or ("OOMKilled" if status.oom_killed else "Completed" if code == 0 else "Error"),
        message=status.message,
        started_at=status.started_at,
        finished_at=status.finished_at,
    )


def _known_statuses(pod: Pod) -> dict[str, APIContainerStatus]:
    status = pod.status
    return {
        container.name: container
        for container in (
            *status.init_container_statuses,
            *status.container_statuses,
            *status.ephemeral_container_statuses,
        )
    }


def _with(state: PodState, **changes: object) -> PodState:
    return structs.replace(state, **changes)

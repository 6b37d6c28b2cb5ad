"""What a pod's containers do next: the order of starting, of ending, and the end of the whole. Pure.

`advance` is called after every event and looks at the whole state, never at the event; what it decides is therefore
the same whatever the order in which things became true.
"""

from __future__ import annotations

from kube_actors.api.types.core_v1 import Pod

from . import model, restarts
from .draft import Draft, grace_of, pod_text
from .model import ALIVE, Exit, Goal, PodStage, Record, Stage

_IN_FLIGHT = (Stage.PULLING, Stage.STARTING)


def advance(draft: Draft) -> None:
    """Start, stop or finish what the state calls for."""
    if draft.state.stage is PodStage.RUNNING:
        _advance_running(draft)
    if draft.state.stage is PodStage.STOPPING:
        _advance_stopping(draft)


def _advance_running(draft: Draft) -> None:
    if not draft.state.initialized and _initialize(draft):
        draft.set(initialized=True)
    ended = failed = 0
    regular = 0
    for record in tuple(draft.containers.values()):
        if record.role == "ephemeral":
            if record.stage is Stage.WAITING:
                begin(draft, record)
        elif record.role == "app":
            regular += 1
            if draft.state.initialized and record.stage is Stage.WAITING:
                begin(draft, record)
            if record.stage is Stage.EXITED:
                ended += 1
                failed += record.exit is None or record.exit.code != 0
        elif record.role == "init":
            if record.stage is Stage.EXITED and (record.exit is None or record.exit.code != 0):
                return settle(draft, "Failed")
        elif draft.state.initialized and record.stage is Stage.WAITING:
            begin(draft, record)
    if regular and ended == regular:
        settle(draft, "Failed" if failed else "Succeeded")
    return None


def _initialize(draft: Draft) -> bool:
    """Walk through the init containers in order, starting the next; whether all have done their work."""
    for record in tuple(draft.containers.values()):
        if record.role not in ("init", "sidecar"):
            continue
        if record.stage is Stage.WAITING:
            record = begin(draft, record)
        if record.role == "sidecar":
            if not record.started:
                return False
        elif record.stage is not Stage.EXITED or record.exit is None or record.exit.code != 0:
            return False
    return True


def begin(draft: Draft, record: Record) -> Record:
    """The first step of an instance: its image."""
    draft.do(model.EnsureImage(record.name))
    return draft.put(record, stage=Stage.PULLING, until=0.0, flips_at=0.0)


def settle(draft: Draft, phase: str, reason: str = "", message: str = "") -> None:
    """The pod has ended: what still runs (sidecars, ephemeral containers) is stopped, the object stays."""
    draft.set(phase=phase, reason=reason or draft.state.reason, message=message or draft.state.message)
    stop_all(draft, "finish", grace_of(draft.pod))


def stop_all(draft: Draft, goal: Goal, grace: float) -> None:
    """Stop everything for good; sidecars last, which `advance` sees to."""
    draft.set(stage=PodStage.STOPPING, goal=goal, grace=grace, kill_at=draft.now + grace)
    draft.do(model.Abort())
    for record in tuple(draft.containers.values()):
        if record.stage in _IN_FLIGHT:
            draft.do(model.Abort(record.name))
        if record.alive:
            if record.role != "sidecar":
                stop_one(draft, record, grace, f"Stopping container {record.name}")
        elif record.stage is not Stage.EXITED:
            draft.put(record, stage=Stage.EXITED, until=0.0, waiting_reason="", waiting_message="")


def stop_one(draft: Draft, record: Record, grace: float, message: str) -> None:
    """Stop one container; said once, however often the grace period is shortened."""
    if record.stage is not Stage.STOPPING:
        draft.report("Normal", "Killing", message, record.name)
        draft.do(model.StopProbes(record.name))
    # The hook runs before TERM and only once: a container that is being stopped already has had it.
    hook = record.stage is not Stage.STOPPING and grace > 0
    draft.do(model.StopContainer(record.name, record.id, grace, hook))
    draft.put(record, stage=Stage.STOPPING)


def shorten(draft: Draft, goal: Goal, grace: float) -> None:
    """A pod that is being stopped is to be stopped sooner."""
    draft.set(goal=goal)
    if draft.now + grace >= draft.state.kill_at:
        return
    draft.set(grace=grace, kill_at=draft.now + grace)
    for record in tuple(draft.containers.values()):
        if record.stage is Stage.STOPPING:
            stop_one(draft, record, grace, "")


def _advance_stopping(draft: Draft) -> None:
    records = tuple(draft.containers.values())
    if any(record.alive and record.role != "sidecar" for record in records):
        return
    living = [record for record in records if record.alive]
    if living:
        # Sidecars end one after the other, the last one started first.
        last = living[-1]
        if last.stage is not Stage.STOPPING:
            rest = max(draft.state.kill_at - draft.now, 0.0)
            stop_one(draft, last, rest, f"Stopping container {last.name}")
        return
    state = draft.state
    if state.goal == "finish":
        draft.set(stage=PodStage.FINISHED)
        if state.sandbox_id:
            draft.do(model.StopSandbox(state.sandbox_id))
    else:
        draft.set(stage=PodStage.CLEANING, phase=state.phase or final_phase(draft.containers))
        draft.do(model.Clean())


def final_phase(containers: dict[str, Record]) -> str:
    """The phase of a pod whose containers have all ended."""
    for record in containers.values():
        if record.role == "app" and (record.exit is None or record.exit.code != 0):
            return "Failed"
        if record.role == "init" and record.exit is not None and record.exit.code != 0:
            return "Failed"
    return "Succeeded"


def ended(draft: Draft, record: Record, exit: Exit) -> None:
    """An instance has ended: restart it at once, after a pause, or never."""
    draft.do(model.StopProbes(record.name))
    record = draft.put(
        record,
        exit=exit,
        id=exit.id or record.id,
        started=False,
        ready=record.role == "init" and exit.code == 0,
        early=None,
        waiting_reason="",
        waiting_message="",
    )
    stopping = draft.state.stage is not PodStage.RUNNING
    if stopping or not restarts.restarts(draft.pod, draft.spec(record.name), record.role, exit.code):
        draft.put(record, stage=Stage.EXITED, until=0.0)
        return
    pause, remembered = restarts.crash_pause(record, exit)
    if not pause:
        draft.put(record, stage=Stage.WAITING, delay=remembered)
        return
    text = restarts.duration_text(pause)
    pod = draft.pod
    draft.put(
        record,
        stage=Stage.BACKOFF,
        delay=remembered,
        # The engine's clock may not be ours: the end lies between one pause ago and now.
        until=min(max(exit.finished_at, draft.now - pause), draft.now) + pause,
        waiting_reason="CrashLoopBackOff",
        waiting_message=f"back-off {text} restarting failed container={record.name} pod={pod_text(pod)}",
    )
    message = f"Back-off restarting failed container {record.name} in pod {pod_text(pod)}"
    draft.report("Warning", "BackOff", message, record.name)


def initial(pod: Pod, now: float, start_time: float | None = None) -> dict[str, Record]:
    """Records of containers that have never run."""
    return {container.name: Record(name=container.name, role=role) for container, role in model.containers_of(pod)}


__all__ = ["ALIVE", "advance", "begin", "ended", "final_phase", "initial", "settle", "shorten", "stop_all", "stop_one"]

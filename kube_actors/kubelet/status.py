"""From a pod's state to the PodStatus that kubectl shows. Pure.

`pod_status` makes the whole status; `difference` the strategic merge patch that brings the API from one status to
another, in which only what changed stands.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodIP,
    PodStatus,
    VolumeMountStatus,
)

from . import conditions, lifecycle, model, resources
from .model import AnyContainer, Exit, PodStage, PodState, Record, Stage

_ENDED = (PodStage.CLEANING, PodStage.FINALIZING, PodStage.DONE)
LOST = "The container could not be located when the pod was terminated"


class Host(Struct, frozen=True, kw_only=True):
    """What a status says about the node."""

    engine: str
    ips: tuple[str, ...] = ()


def pod_status(state: PodState, host: Host, previous: PodStatus, now: float) -> PodStatus:
    """The status now; moments of conditions that have not changed are taken from the previous one."""
    pod = state.pod
    groups: dict[str, list[ContainerStatus]] = {"init": [], "app": [], "ephemeral": []}
    has_init = bool(pod.spec.init_containers)
    for container, role in model.containers_of(pod):
        record = state.containers.get(container.name) or Record(name=container.name, role=role)
        found = _container(state, container, record, host.engine, has_init)
        groups["init" if role == "sidecar" else role].append(found)
    phase = phase_of(state)
    ips = state.ips or (host.ips if pod.spec.host_network and state.sandbox_id else ())
    return PodStatus(
        phase=phase,
        reason=state.reason or None,
        message=state.message or None,
        conditions=conditions.pod_conditions(state, phase, groups["init"], groups["app"], previous, format_time(now)),
        init_container_statuses=tuple(groups["init"]),
        container_statuses=tuple(groups["app"]),
        ephemeral_container_statuses=tuple(groups["ephemeral"]),
        start_time=format_time(state.start_time),
        pod_ip=ips[0] if ips else None,
        pod_ips=tuple(PodIP(ip=ip) for ip in ips),
        host_ip=host.ips[0] if host.ips else None,
        host_ips=tuple(HostIP(ip=ip) for ip in host.ips),
        qos_class=previous.qos_class or resources.qos_class(pod),
        observed_generation=pod.metadata.generation or None,
    )


def rejected_status(pod: Pod, reason: str, message: str, now: float) -> PodStatus:
    """The status of a pod that this node refuses to run."""
    return PodStatus(
        phase="Failed",
        reason=reason,
        message=f"Pod was rejected: {message}",
        start_time=format_time(now),
        qos_class=pod.status.qos_class or resources.qos_class(pod),
        observed_generation=pod.metadata.generation or None,
    )


def phase_of(state: PodState) -> str:
    """Pending, Running, Succeeded or Failed."""
    if state.stage in _ENDED or state.stage is PodStage.FINISHED:
        return state.phase or lifecycle.final_phase(state.containers)
    records = state.containers.values()
    if not state.initialized and any(record.role in ("init", "sidecar") for record in records):
        return "Pending"
    apps = [record for record in records if record.role == "app"]
    if all(not record.id and record.exit is None for record in apps):
        return "Pending"
    if any(not record.id and record.exit is None and record.stage is not Stage.EXITED for record in apps):
        return "Pending"
    return "Running"


def _container(
    state: PodState, container: AnyContainer, record: Record, engine: str, has_init: bool
) -> ContainerStatus:
    exit = record.exit
    current, last = _states(state, record, engine, has_init)
    identity = record.id or (exit.id if exit is not None else "")
    return ContainerStatus(
        name=container.name,
        image=container.image or "",
        image_id=record.image_id,
        container_id=f"{engine}://{identity}" if identity else None,
        state=current,
        last_state=last,
        ready=record.ready,
        started=record.started and current.running is not None,
        restart_count=record.attempt,
        resources=container.resources,
        allocated_resources=container.resources.requests if container.resources is not None else {},
        volume_mounts=tuple(
            VolumeMountStatus(
                name=mount.name,
                mount_path=mount.mount_path,
                read_only=mount.read_only,
                recursive_read_only="Disabled" if mount.read_only else None,
            )
            for mount in container.volume_mounts
        ),
    )


def _states(state: PodState, record: Record, engine: str, has_init: bool) -> tuple[ContainerState, ContainerState]:
    """(state, lastState)."""
    last = _terminated(record.last_exit, engine)
    if record.alive and record.stage is not Stage.HOOKING:
        running = ContainerStateRunning(started_at=format_time(record.started_at))
        return ContainerState(running=running), last
    if record.stage is Stage.BACKOFF:
        reason = ContainerStateWaiting(reason=record.waiting_reason, message=record.waiting_message or None)
        if record.exit is not None:
            last = _terminated(record.exit, engine)
        return ContainerState(waiting=reason), last
    if record.exit is not None:
        return _terminated(record.exit, engine), last
    if state.stage in _ENDED and state.initialized:
        lost = ContainerStateTerminated(exit_code=137, reason="ContainerStatusUnknown", message=LOST)
        return ContainerState(terminated=lost), last
    creating = record.role == "ephemeral" or not has_init
    waiting = "ContainerCreating" if creating else "PodInitializing"
    return ContainerState(waiting=ContainerStateWaiting(reason=waiting)), last


def _terminated(exit: Exit | None, engine: str) -> ContainerState:
    if exit is None:
        return ContainerState()
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=exit.code,
            reason=exit.reason,
            message=exit.message or None,
            started_at=format_time(exit.started_at) if exit.started_at else format_time(exit.finished_at),
            finished_at=format_time(exit.finished_at),
            container_id=f"{engine}://{exit.id}" if exit.id else None,
        )
    )


def difference(old: PodStatus, new: PodStatus) -> dict[str, Any]:
    """The strategic merge patch from one status to the other; empty when nothing changed.

    Conditions are merged by their type, so those of others stay; all other lists are replaced as a whole.
    """
    before: dict[str, Any] = msgspec.to_builtins(old)
    after: dict[str, Any] = msgspec.to_builtins(new)
    patch: dict[str, Any] = {}
    known = {condition["type"]: condition for condition in before.pop("conditions", ())}
    changed = []
    for condition in after.pop("conditions", ()):
        was = known.get(condition["type"])
        if was != condition:
            gone = {key: None for key in was or () if key not in condition}
            changed.append({**condition, **gone})
    if changed:
        patch["conditions"] = changed
    for key in after.keys() | (before.keys() & _OURS):
        if before.get(key) == after.get(key):
            continue
        patch[key] = after.get(key)
        if key in _MERGED and key in before:
            patch[key] = [{"$patch": "replace"}, *after.get(key, ())]
    return patch


_MERGED = ("podIPs", "hostIPs")
"""Lists with a merge key, that need to be told when they are replaced."""

_OURS = frozenset(
    (
        "phase", "reason", "message", "podIP", "podIPs", "hostIP", "hostIPs", "startTime", "observedGeneration",
        "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses", "qosClass",
    )
)  # fmt: skip

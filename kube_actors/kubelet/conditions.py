"""A pod's conditions, with Kubernetes' reasons and messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.api.types.core_v1 import ContainerStatus, Pod, PodCondition, PodStatus

from .model import PodStage, PodState

_Verdict = tuple[str, str, str]  # status, reason, message


def pod_conditions(
    state: PodState,
    phase: str,
    inits: Sequence[ContainerStatus],
    apps: Sequence[ContainerStatus],
    previous: PodStatus,
    moment: str,
) -> tuple[PodCondition, ...]:
    """The kubelet's own conditions. Those of others (readiness gates, say) are read from the newest pod, and left to
    whoever writes them."""
    known = {condition.type: condition for condition in previous.conditions}
    others = {condition.type: condition for condition in state.pod.status.conditions}
    containers = _containers_ready(state, phase, apps)
    verdicts: dict[str, _Verdict] = {
        "PodReadyToStartContainers": (_bool(_has_sandbox(state)), "", ""),
        "Initialized": _initialized(state, phase, inits),
        "Ready": _ready(state.pod, containers, others),
        "ContainersReady": containers,
    }
    if "PodScheduled" not in others:
        verdicts["PodScheduled"] = ("True", "", "")
    generation = state.pod.metadata.generation or None
    return tuple(_condition(kind, verdict, known.get(kind), generation, moment) for kind, verdict in verdicts.items())


def _condition(
    kind: str, verdict: _Verdict, was: PodCondition | None, generation: int | None, moment: str
) -> PodCondition:
    status, reason, message = verdict
    since = was.last_transition_time if was is not None and was.status == status else moment
    return PodCondition(
        type=kind,
        status=status,
        reason=reason or None,
        message=message or None,
        last_transition_time=since,
        observed_generation=generation,
    )


def _bool(value: bool) -> str:
    return "True" if value else "False"


def _has_sandbox(state: PodState) -> bool:
    return bool(state.sandbox_id) and state.stage in (PodStage.RUNNING, PodStage.STOPPING)


def _initialized(state: PodState, phase: str, inits: Sequence[ContainerStatus]) -> _Verdict:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if state.initialized:
        return "True", "", ""
    incomplete = [
        status.name
        for status in inits
        if not (status.ready or (status.started and state.containers[status.name].role == "sidecar"))
    ]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: {_names(incomplete)}"
    return "True", "", ""


def _containers_ready(state: PodState, phase: str, apps: Sequence[ContainerStatus]) -> _Verdict:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    unready = [record.name for record in state.containers.values() if record.role == "sidecar" and not record.ready]
    unready += [status.name for status in apps if not status.ready]
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: {_names(unready)}"
    return "True", "", ""


def _ready(pod: Pod, containers: _Verdict, known: dict[str, PodCondition]) -> _Verdict:
    if containers[0] != "True":
        return containers
    messages = []
    for gate in pod.spec.readiness_gates:
        condition = known.get(gate.condition_type)
        if condition is None:
            messages.append(f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.')
        elif condition.status != "True":
            messages.append(
                f'the status of pod readiness gate "{gate.condition_type}" is not "True", but {condition.status}'
            )
    if messages:
        return "False", "ReadinessGatesNotReady", ", ".join(messages)
    return "True", "", ""


def _names(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"

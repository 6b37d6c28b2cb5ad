"""Taints that controllers put on nodes, and which of them a pod tolerates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import structs

from kube_actors.api.tolerations import tolerates
from kube_actors.api.types.core_v1 import Node, Pod, Taint, Toleration

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"

# Condition type -> status -> key of the taint that says so.
BY_CONDITION = {
    "Ready": {"False": NOT_READY, "Unknown": UNREACHABLE},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
_OURS = frozenset(key for keys in BY_CONDITION.values() for key in keys.values()) | {UNSCHEDULABLE}


def of_effect(taints: Iterable[Taint], effect: str) -> tuple[Taint, ...]:
    return tuple(taint for taint in taints if taint.effect == effect)


def scheduling_keys(node: Node) -> set[str]:
    """The taints against scheduling that a node's conditions call for."""
    wanted = {
        key
        for condition in node.status.conditions
        if (key := BY_CONDITION.get(condition.type, {}).get(condition.status)) is not None
    }
    return wanted | {UNSCHEDULABLE} if node.spec.unschedulable else wanted


def with_keys(node: Node, effect: str, wanted: set[str], mine: Iterable[str], now: str) -> tuple[Taint, ...]:
    """The node's taints, with those of `mine` and this effect exactly as wanted."""
    known = node.spec.taints
    managed = set(mine)
    kept = tuple(t for t in known if t.effect != effect or t.key not in managed or t.key in wanted)
    present = {taint.key for taint in kept if taint.effect == effect}
    added = tuple(Taint(key=key, effect=effect, time_added=now) for key in sorted(wanted - present))
    return kept + added


def scheduling_taints(node: Node, now: str) -> tuple[Taint, ...]:
    return with_keys(node, NO_SCHEDULE, scheduling_keys(node), _OURS, now)


def seconds_tolerated(pod: Pod, taints: Sequence[Taint]) -> float | None:
    """How long a pod may stay with these taints: None for ever, 0 when it has to go at once."""
    used: list[Toleration] = []
    for taint in taints:
        matching = [t for t in pod.spec.tolerations if tolerates(t, taint)]
        if not matching:
            return 0.0
        used.append(matching[0])
    limits = [float(t.toleration_seconds) for t in used if t.toleration_seconds is not None]
    return max(0.0, min(limits)) if limits else None


def without_time(taints: Iterable[Taint]) -> tuple[Taint, ...]:
    return tuple(structs.replace(taint, time_added=None) for taint in taints)

"""Pod garbage collection: pods that nobody will ever finish are removed. Pure.

Pods of nodes that are gone, pods stuck in deletion on a node declared out of service or never scheduled at all, and
the oldest of the ended pods once there are too many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Node, Pod

from . import health, limits, pods, taints
from .contract import Action, Caches, Delete, Outcome, Patch, Plan, Read, Source

ALL = "*"
"""The key that stands for all pods."""


class Settings(Struct, frozen=True, kw_only=True):
    period: float = limits.POD_GC_PERIOD_SECONDS
    quarantine: float = limits.POD_GC_QUARANTINE_SECONDS
    threshold: int = limits.TERMINATED_POD_THRESHOLD


class Observed(Struct, frozen=True, kw_only=True):
    """All pods, the nodes there are, and since when each node that pods name has been missing."""

    pods: tuple[Pod, ...]
    nodes: dict[str, Node]
    missing: dict[str, float]
    now: float
    settings: Settings = Settings()


def plan(observed: Observed) -> Plan:
    """Remove what can be removed at once; ask again about nodes that have been missing for long enough."""
    settings = observed.settings
    actions: list[Action] = []
    for pod in _surplus(observed):
        actions += removal(pod, observed.now)
    for pod in observed.pods:
        if _is_stuck(pod, observed.nodes):
            actions += removal(pod, observed.now)
    late = [
        name
        for name, since in observed.missing.items()
        if name not in observed.nodes and observed.now - since >= settings.quarantine
    ]
    if not late:
        return Plan(actions=tuple(actions), requeue_after=settings.period)
    reads = tuple(Read(kind=Node, key=name, tolerate=("NotFound",)) for name in late)

    def remove(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return Plan(requeue_after=settings.period)
        found = outcome.results[len(actions) :]
        gone = {name for name, node in zip(late, found, strict=True) if node is None}
        removals: list[Action] = []
        for pod in observed.pods:
            if pod.spec.node_name in gone:
                removals += removal(pod, observed.now, "PodGC: node no longer exists")
        return Plan(actions=tuple(removals), requeue_after=settings.period)

    return Plan(actions=(*actions, *reads), then=remove)


def _surplus(observed: Observed) -> Sequence[Pod]:
    """The ended pods beyond the threshold: evicted ones first, then the oldest."""
    threshold = observed.settings.threshold
    if threshold <= 0:
        return ()
    ended = [pod for pod in observed.pods if pods.is_terminal(pod)]
    ended.sort(key=lambda pod: (pod.status.reason != "Evicted", pod.metadata.creation_timestamp or ""))
    return ended[: max(0, len(ended) - threshold)]


def _is_stuck(pod: Pod, nodes: dict[str, Node]) -> bool:
    """Whether a pod is being deleted and there is nobody to finish it."""
    if not pod.metadata.deletion_timestamp:
        return False
    if not pod.spec.node_name:
        return True
    node = nodes.get(pod.spec.node_name)
    if node is None:
        return False
    ready = health.ready_condition(node)
    is_ready = ready is not None and ready.status == "True"
    return not is_ready and any(taint.key == taints.OUT_OF_SERVICE for taint in node.spec.taints)


def removal(pod: Pod, now: float, why: str = "") -> list[Action]:
    """Mark a pod as failed, with the reason if there is one, and delete it without grace."""
    key = f"{pod.metadata.namespace}/{pod.metadata.name}"
    actions: list[Action] = []
    if not pods.is_terminal(pod):
        status: dict[str, Any] = {"phase": "Failed"}
        if why:
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "DeletionByPodGC",
                "message": why,
                "lastTransitionTime": format_time(now),
            }
            status["conditions"] = [condition]
        body = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        actions.append(
            Patch(kind=Pod, key=key, body=body, patch_type="strategic", subresource="status", tolerate=("NotFound",))
        )
    actions.append(Delete(kind=Pod, key=key, uid=pod.metadata.uid, grace_seconds=0))
    return actions


class PodGarbageCollector:
    """The pod garbage collector. It remembers since when a node has been missing."""

    name = "pod-garbage-collector-controller"
    component = "pod-garbage-collector-controller"
    workers = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._missing: dict[str, float] = {}

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=Pod), Source(kind=Node))

    def initial(self, caches: Caches) -> Iterable[str]:
        return (ALL,)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        nodes = {node.metadata.name: node for node in caches.list(Node)}
        found = tuple(caches.list(Pod))
        named = {pod.spec.node_name for pod in found if pod.spec.node_name}
        self._missing = {name: self._missing.get(name, now) for name in named - nodes.keys()}
        return Observed(pods=found, nodes=nodes, missing=dict(self._missing), now=now, settings=self._settings)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

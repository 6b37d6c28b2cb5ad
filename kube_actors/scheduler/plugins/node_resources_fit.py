"""NodeResourcesFit: a node must have what the pod asks for; the emptier one is liked better."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from kube_actors.scheduler.amounts import allocatable_of
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import Code, CycleState, Verdict
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .allocation import allocation_scores

NAME = "NodeResourcesFit"
TOO_MANY_PODS = "Too many pods"


class NodeResourcesFit:
    name = NAME
    local = True

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        request, offer = pod.request, node.allocatable
        if (
            len(node.pods) < node.allowed_pods
            and request.cpu <= offer.cpu - node.cpu
            and request.memory <= offer.memory - node.memory
            and not request.ephemeral
            and not request.scalars
        ):
            return None
        return shortage(pod, node)

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        shape = pod.shape
        return [(node.memo.get(shape) or allocation_scores(pod, node))[0] for node in nodes]

    def interests(self) -> Sequence[Interest]:
        return (
            Interest(Change.POD_GONE),
            Interest(Change.POD_CHANGED, _shrinks),
            Interest(Change.NODE_ADDED, _could_hold),
            Interest(Change.NODE_ALLOCATABLE, _could_hold),
            Interest(Change.POD_ITSELF),
        )


def shortage(pod: PodInfo, node: NodeInfo) -> Verdict | None:
    """All that the node lacks. What it could not even offer when empty decides for the whole node."""
    reasons = []
    hopeless = False
    if len(node.pods) + 1 > node.allowed_pods:
        reasons.append(TOO_MANY_PODS)
    request, offer = pod.request, node.allocatable
    for name, asked, total, taken in (
        ("cpu", request.cpu, offer.cpu, node.cpu),
        ("memory", request.memory, offer.memory, node.memory),
        ("ephemeral-storage", request.ephemeral, offer.ephemeral, node.ephemeral),
    ):
        if asked and asked > total - taken:
            reasons.append(f"Insufficient {name}")
            hopeless = hopeless or asked > total
    for name, asked in request.scalars.items():
        total = offer.scalars.get(name, 0)
        if asked and asked > total - node.scalars.get(name, 0):
            reasons.append(f"Insufficient {name}")
            hopeless = hopeless or asked > total
    return _verdict(tuple(reasons), hopeless) if reasons else None


@functools.lru_cache(maxsize=1024)
def _verdict(reasons: tuple[str, ...], hopeless: bool) -> Verdict:
    return Verdict(Code.UNRESOLVABLE if hopeless else Code.UNSCHEDULABLE, reasons, NAME)


def _shrinks(pod: PodInfo, old: Any, new: Any) -> bool:
    before, after = old.request, new.request
    return bool(
        after.cpu < before.cpu
        or after.memory < before.memory
        or after.ephemeral < before.ephemeral
        or after.scalars != before.scalars
    )


def _could_hold(pod: PodInfo, old: Any, new: Any) -> bool:
    """Whether the node, if it were empty, had room."""
    offer, pods = allocatable_of(new.status.allocatable)
    request = pod.request
    return (
        pods > 0
        and request.cpu <= offer.cpu
        and request.memory <= offer.memory
        and request.ephemeral <= offer.ephemeral
        and all(amount <= offer.scalars.get(name, 0) for name, amount in request.scalars.items())
    )

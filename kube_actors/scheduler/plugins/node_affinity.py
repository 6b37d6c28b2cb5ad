"""NodeAffinity: nodeSelector and node affinity, required and preferred."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, NodeNames, Verdict, scaled, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot


class NodeAffinity:
    name = "NodeAffinity"
    local = True
    refusal = unresolvable(name, "node(s) didn't match Pod's node affinity/selector")
    contradiction = unresolvable(name, "pod affinity terms conflict")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | NodeNames | None:
        requirements = pod.node_requirements
        if requirements.is_indifferent:
            return SKIP
        names = requirements.named_nodes()
        if names is None:
            return None
        return NodeNames(names) if names else self.contradiction

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        return None if pod.node_requirements.allow(node.name, node.labels) else self.refusal

    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        return None if pod.node_requirements.preferred else SKIP

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        terms = pod.node_requirements.preferred
        return [sum(term.weight for term in terms if term.matches(node.name, node.labels)) for node in nodes]

    def normalize(self, state: CycleState, nodes: Sequence[NodeInfo], scores: list[int]) -> list[int]:
        return scaled(scores)

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.NODE_ADDED, _is_allowed), Interest(Change.NODE_LABELS, _is_allowed))


def _is_allowed(pod: PodInfo, old: Any, new: Any) -> bool:
    return pod.node_requirements.allow(new.metadata.name, new.metadata.labels)

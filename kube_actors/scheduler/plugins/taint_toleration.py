"""TaintToleration: taints repel pods that do not tolerate them; soft ones make a node less liked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api.tolerations import untolerated
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, scaled, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot


class TaintToleration:
    name = "TaintToleration"
    local = True
    refusal = unresolvable(name, "node(s) had untolerated taint(s)")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        return None if snapshot.tainted else SKIP

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        if not node.hard_taints or untolerated(node.hard_taints, pod.tolerations) is None:
            return None
        return self.refusal

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        """How many soft taints the pod does not tolerate."""
        soft = [toleration for toleration in pod.tolerations if toleration.effect in (None, "", "PreferNoSchedule")]
        return [
            sum(untolerated((taint,), soft) is not None for taint in node.soft_taints) if node.soft_taints else 0
            for node in nodes
        ]

    def normalize(self, state: CycleState, nodes: Sequence[NodeInfo], scores: list[int]) -> list[int]:
        return scaled(scores, reverse=True)

    def interests(self) -> Sequence[Interest]:
        return (
            Interest(Change.NODE_ADDED, _is_tolerable),
            Interest(Change.NODE_TAINTS, _is_tolerable),
            Interest(Change.POD_ITSELF),
        )


def _is_tolerable(pod: PodInfo, old: Any, new: Any) -> bool:
    hard = [taint for taint in new.spec.taints if taint.effect != "PreferNoSchedule"]
    return untolerated(hard, pod.tolerations) is None

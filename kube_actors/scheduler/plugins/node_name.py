"""NodeName: a pod that names its node fits nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot


class NodeName:
    name = "NodeName"
    refusal = unresolvable(name, "node(s) didn't match the requested node name")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        return None if pod.pod.spec.node_name else SKIP

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        return None if pod.pod.spec.node_name == node.name else self.refusal

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.NODE_ADDED),)

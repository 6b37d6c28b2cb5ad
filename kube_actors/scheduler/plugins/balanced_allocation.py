"""NodeResourcesBalancedAllocation: CPU and memory should be used up at the same pace.

The score says how much better (or worse) balanced the node is with the pod than without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.scheduler.framework import SKIP, CycleState, Verdict
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .allocation import allocation_scores


class NodeResourcesBalancedAllocation:
    name = "NodeResourcesBalancedAllocation"
    local = True

    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        return None if pod.request.cpu or pod.request.memory else SKIP

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        shape = pod.shape
        return [(node.memo.get(shape) or allocation_scores(pod, node))[1] for node in nodes]

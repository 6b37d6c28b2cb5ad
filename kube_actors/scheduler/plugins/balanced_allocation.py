"""NodeResourcesBalancedAllocation: CPU and memory should be used up at the same pace.

The score says how much better (or worse) balanced the node is with the pod than without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.scheduler.framework import MAX_SCORE, SKIP, CycleState, Verdict
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

_MIDDLE = MAX_SCORE // 2


class NodeResourcesBalancedAllocation:
    name = "NodeResourcesBalancedAllocation"

    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        return None if pod.request.cpu or pod.request.memory else SKIP

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        cpu, memory = pod.request.cpu, pod.request.memory
        found = []
        for node in nodes:
            offer = node.allocatable
            if offer.cpu and offer.memory:
                after = _balance(node.cpu + cpu, offer.cpu, node.memory + memory, offer.memory)
                before = _balance(node.cpu, offer.cpu, node.memory, offer.memory)
                found.append(_MIDDLE + (_MIDDLE + after - before) // 2)
            else:
                found.append(_MIDDLE + _MIDDLE // 2)
        return found


def _balance(cpu: int, offered_cpu: int, memory: int, offered_memory: int) -> int:
    """MAX_SCORE less the standard deviation of the two used shares."""
    first = cpu / offered_cpu if cpu < offered_cpu else 1.0
    second = memory / offered_memory if memory < offered_memory else 1.0
    return int((1 - abs((first - second) / 2)) * MAX_SCORE)

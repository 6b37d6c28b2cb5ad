"""How a node would be used with one pod more: the two scores that look at CPU and memory.

Both are worked out at once and remembered by the node until anything on it changes: pods of one template share them.
"""

from __future__ import annotations

from kube_actors.scheduler import limits
from kube_actors.scheduler.framework import MAX_SCORE
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo

_MIDDLE = MAX_SCORE // 2


def allocation_scores(pod: PodInfo, node: NodeInfo) -> tuple[int, int]:
    """Least allocated, and balance."""
    found = node.memo.get(pod.shape)
    if found is None:
        if len(node.memo) >= limits.MEMO_SHAPES:
            node.memo.clear()
        found = node.memo[pod.shape] = (least_allocated(pod, node), balance_gain(pod, node))
    return found


def least_allocated(pod: PodInfo, node: NodeInfo) -> int:
    """The mean free share of CPU and memory once the pod is there."""
    offer = node.allocatable
    total = counted = 0
    if offer.cpu:
        counted = 1
        left = offer.cpu - node.nonzero_cpu - pod.incoming_cpu
        if left > 0:
            total = left * MAX_SCORE // offer.cpu
    if offer.memory:
        counted += 1
        left = offer.memory - node.nonzero_memory - pod.incoming_memory
        if left > 0:
            total += left * MAX_SCORE // offer.memory
    return total // counted if counted else 0


def balance_gain(pod: PodInfo, node: NodeInfo) -> int:
    """How much better, or worse, balanced the node is with the pod than without it."""
    offer, request = node.allocatable, pod.request
    if not offer.cpu or not offer.memory:
        return _MIDDLE + _MIDDLE // 2
    after = _balance(node.cpu + request.cpu, offer.cpu, node.memory + request.memory, offer.memory)
    before = _balance(node.cpu, offer.cpu, node.memory, offer.memory)
    return _MIDDLE + (_MIDDLE + after - before) // 2


def _balance(cpu: int, offered_cpu: int, memory: int, offered_memory: int) -> int:
    """MAX_SCORE less the standard deviation of the two used shares."""
    first = cpu / offered_cpu if cpu < offered_cpu else 1.0
    second = memory / offered_memory if memory < offered_memory else 1.0
    return int((1 - abs((first - second) / 2)) * MAX_SCORE)

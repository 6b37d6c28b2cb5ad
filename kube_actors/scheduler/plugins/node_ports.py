"""NodePorts: a port of the node belongs to one pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot


class NodePorts:
    name = "NodePorts"
    local = True
    refusal = unschedulable(name, "node(s) didn't have free ports for the requested pod ports")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        return None if pod.ports else SKIP

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        for port in pod.ports:
            if node.conflicts(port):
                return self.refusal
        return None

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.POD_GONE, _frees_a_port), Interest(Change.NODE_ADDED))


def _frees_a_port(pod: PodInfo, old: Any, new: Any) -> bool:
    wanted = {(protocol, number) for _, protocol, number in pod.ports}
    return any((protocol, number) in wanted for _, protocol, number in old.ports)

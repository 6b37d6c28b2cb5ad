"""NodeUnschedulable: a cordoned node takes only pods that tolerate being there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api.tolerations import untolerated
from kube_actors.api.types.core_v1 import Taint
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

CORDON = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    name = "NodeUnschedulable"
    local = True
    refusal = unresolvable(name, "node(s) were unschedulable")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        return None if snapshot.cordoned else SKIP

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        if not node.unschedulable or untolerated((CORDON,), pod.tolerations) is None:
            return None
        return self.refusal

    def interests(self) -> Sequence[Interest]:
        return (
            Interest(Change.NODE_ADDED, _is_open),
            Interest(Change.NODE_TAINTS, _is_open),
            Interest(Change.POD_ITSELF),
        )


def _is_open(pod: PodInfo, old: Any, new: Any) -> bool:
    return not new.spec.unschedulable

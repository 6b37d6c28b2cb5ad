"""DynamicResources: what the scheduler says of pods with resource claims.

It allocates no claims. A pod that has some is refused, since running it without its devices would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kube_actors.scheduler.framework import Code, CycleState, Profile, Verdict, unresolvable, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot


class DynamicResources:
    name = "DynamicResources"
    local = True
    refusal = unresolvable(name, "resource claims are not allocated by this scheduler")
    unprepared = Verdict(Code.ERROR, ("not found",), name)
    nothing_to_free = unschedulable(name, "no new claims to deallocate")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if pod.pod.spec.resource_claims:
            return self.refusal
        state.data[self.name] = frozenset()
        return None

    def post_filter(
        self,
        profile: Profile,
        state: CycleState,
        pod: PodInfo,
        snapshot: Snapshot,
        refused: Mapping[str, Verdict],
    ) -> Verdict:
        # A plugin before this one may have ended the preparation; Kubernetes then says just this.
        return self.nothing_to_free if self.name in state.data else self.unprepared

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        return [0] * len(nodes)

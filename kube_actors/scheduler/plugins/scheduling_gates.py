"""SchedulingGates: a pod with gates is not tried until they are taken away."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.api.types.core_v1 import Pod
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import Verdict, unresolvable


class SchedulingGates:
    name = "SchedulingGates"

    def pre_enqueue(self, pod: Pod) -> Verdict | None:
        gates = pod.spec.scheduling_gates
        if not gates:
            return None
        names = " ".join(gate.name for gate in gates)
        return unresolvable(self.name, f"waiting for scheduling gates: [{names}]")

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.POD_ITSELF),)

"""TaintNodesByCondition: a new node takes no pods before it has said that it is ready."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.admission.tolerations import NOT_READY


class TaintNodesByCondition(Step):
    """See the module."""

    name = "TaintNodesByCondition"
    only = frozenset({("", "nodes")})

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or not attempt.concerns("", "nodes") or attempt.obj is None:
            return
        spec = attempt.obj["spec"]
        taints = spec.get("taints") or []
        if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]

"""Node, PriorityClass, RuntimeClass and other kinds of the cluster as a whole."""

from __future__ import annotations

from kube_actors.apiserver.strategies import autoscaler_validation, checks
from kube_actors.apiserver.strategies import object_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy


class NodeStrategy(Strategy):
    """Node: the one kind whose status a create may bring."""

    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "spec.unschedulable": lambda obj: "true" if obj["spec"].get("unschedulable") else "false",
    }
    keeps_status_on_create = True

    def default(self, obj: JSONObject) -> None:
        status = obj.setdefault("status", {})
        if status.get("capacity"):
            status.setdefault("allocatable", dict(status["capacity"]))
        spec = obj["spec"]
        if spec.get("podCIDR"):
            spec.setdefault("podCIDRs", [spec["podCIDR"]])
        elif spec.get("podCIDRs"):
            spec["podCIDR"] = spec["podCIDRs"][0]

    def validate(self, obj: JSONObject) -> Problems:
        return rules.node(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.node_update(new, old)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        found = []
        if obj["spec"].get("configSource") is not None:
            found.append("spec.configSource: the feature is no longer supported")
        if obj["spec"].get("externalID"):
            found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        return found


SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The priority classes that every cluster has."""


class PriorityClassStrategy(Strategy):
    """PriorityClass."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.priority_class(obj, SYSTEM_CLASSES)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.priority_class_update(new, old)

    def desired(self, obj: JSONObject) -> object:
        return {key: value for key, value in obj.items() if key != "metadata"}


class GenerationStrategy(Strategy):
    """Kinds that count generations of their spec and have nothing else of their own."""

    generation = True


class PodDisruptionBudgetStrategy(Strategy):
    """PodDisruptionBudget."""

    generation = True

    def prepare_create(self, obj: JSONObject) -> None:
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        obj["status"] = dict.fromkeys(counts, 0)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.pod_disruption_budget(obj)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.disruption_status(new)


class RuntimeClassStrategy(Strategy):
    """RuntimeClass."""

    def validate(self, obj: JSONObject) -> Problems:
        return rules.runtime_class(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return checks.immutable(new.get("handler"), old.get("handler"), "handler")


class HorizontalPodAutoscalerStrategy(Strategy):
    """HorizontalPodAutoscaler of autoscaling/v2, the stored version."""

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        behavior = spec.get("behavior")
        if behavior is not None:
            _default_rules(behavior, "scaleUp", [("Pods", 4), ("Percent", 100)])
            _default_rules(behavior, "scaleDown", [("Percent", 100)])

    def validate(self, obj: JSONObject) -> Problems:
        return autoscaler_validation.autoscaler(obj)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return autoscaler_validation.autoscaler_status(new)


def _default_rules(behavior: JSONObject, name: str, policies: list[tuple[str, int]]) -> None:
    rules = behavior.setdefault(name, {})
    rules.setdefault("selectPolicy", "Max")
    rules.setdefault("policies", [{"type": kind, "value": value, "periodSeconds": 15} for kind, value in policies])
    if name == "scaleUp":
        rules.setdefault("stabilizationWindowSeconds", 0)

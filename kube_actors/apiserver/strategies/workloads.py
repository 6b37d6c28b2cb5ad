"""Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet, ControllerRevision, PodTemplate."""

from __future__ import annotations

from typing import ClassVar

from kube_actors.apiserver.strategies import checks, pod_defaults, pod_validation, pod_warnings
from kube_actors.apiserver.strategies import workload_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class WorkloadStrategy(Strategy):
    """What all of them share: a template, a generation, a status of their own."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        template = obj["spec"].get("template")
        if template is not None:
            pod_defaults.default_template(template)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        template = obj["spec"].get("template")
        if old is not None and obj["metadata"].get("generation") == old["metadata"].get("generation"):
            return []
        return pod_warnings.template_warnings(template, "spec.template.") if template is not None else []

    def prepare_status(self, new: JSONObject, old: JSONObject) -> None:
        """A status update leaves labels alone, as these kinds' strategies have it."""
        if "labels" in old["metadata"]:
            new["metadata"]["labels"] = old["metadata"]["labels"]
        else:
            new["metadata"].pop("labels", None)


class DeploymentStrategy(WorkloadStrategy):
    """Deployment."""

    def default(self, obj: JSONObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("replicas", 1)
        strategy = spec.setdefault("strategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.deployment(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.deployment(new) + rules.selector_fixed(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.deployment_status(new, old)

    def desired(self, obj: JSONObject) -> object:
        """Annotations count too, since a rollback once lived in them."""
        return obj.get("spec"), obj["metadata"].get("annotations")


class ReplicaSetStrategy(WorkloadStrategy):
    """ReplicaSet."""

    def default(self, obj: JSONObject) -> None:
        super().default(obj)
        obj["spec"].setdefault("replicas", 1)

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: JSONObject) -> Problems:
        return rules.replica_set(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.replica_set(new) + rules.selector_fixed(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.replica_set_status(new, old)


class ReplicationControllerStrategy(WorkloadStrategy):
    """ReplicationController: its selector and labels default to the template's labels."""

    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "status.replicas": lambda obj: str((obj.get("status") or {}).get("replicas", 0)),
    }

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        template = spec.get("template")
        if template is not None:
            pod_defaults.default_template(template)
            labels = template["metadata"].get("labels")
            if labels:
                spec.setdefault("selector", dict(labels))
                obj["metadata"].setdefault("labels", dict(labels))
        spec.setdefault("replicas", 1)

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"replicas": 0}

    def validate(self, obj: JSONObject) -> Problems:
        return rules.replication_controller(obj)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.replica_set_status(new, old)


def _rolling(obj: JSONObject) -> JSONObject:
    found: JSONObject = ((obj.get("spec") or {}).get("updateStrategy") or {}).get("rollingUpdate") or {}
    return found


class StatefulSetStrategy(WorkloadStrategy):
    """StatefulSet."""

    max_unavailable: ClassVar[bool] = False
    """Kubernetes' gate MaxUnavailableStatefulSet, which is off by default in 1.36."""

    def default(self, obj: JSONObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("podManagementPolicy", "OrderedReady")
        update = spec.setdefault("updateStrategy", {})
        update.setdefault("type", "RollingUpdate")
        if update["type"] == "RollingUpdate":
            update.setdefault("rollingUpdate", {}).setdefault("partition", 0)
        policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        policy.setdefault("whenDeleted", "Retain")
        policy.setdefault("whenScaled", "Retain")
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        for claim in spec.get("volumeClaimTemplates") or ():
            claim.setdefault("apiVersion", "v1")
            claim.setdefault("kind", "PersistentVolumeClaim")
            claim["spec"].setdefault("volumeMode", "Filesystem")
            claim.setdefault("status", {}).setdefault("phase", "Pending")

    def prepare_create(self, obj: JSONObject) -> None:
        obj["status"] = {"replicas": 0, "availableReplicas": 0}
        self._drop_disabled(obj, {})

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        super().prepare_update(new, old)
        self._drop_disabled(new, old)

    def _drop_disabled(self, new: JSONObject, old: JSONObject) -> None:
        """Without its gate maxUnavailable is not kept, unless it was there before."""
        rolling = _rolling(new)
        if not self.max_unavailable and _rolling(old).get("maxUnavailable") is None:
            rolling.pop("maxUnavailable", None)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.stateful_set(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.stateful_set_update(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.stateful_set_status(new, old)


class DaemonSetStrategy(WorkloadStrategy):
    """DaemonSet: counts the generations of its template in an annotation."""

    def default(self, obj: JSONObject) -> None:
        super().default(obj)
        spec = obj["spec"]
        update = spec.setdefault("updateStrategy", {})
        update.setdefault("type", "RollingUpdate")
        if update["type"] == "RollingUpdate":
            rolling = update.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: JSONObject) -> None:
        self._count(obj, 1)

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        known = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
        number = int(known) if known.isdigit() else 1
        self._count(new, number + (new["spec"].get("template") != old["spec"].get("template")))

    def validate(self, obj: JSONObject) -> Problems:
        return rules.daemon_set(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.daemon_set(new) + rules.selector_fixed(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.daemon_set_status(new, old)

    def _count(self, obj: JSONObject, number: int) -> None:
        obj["metadata"].setdefault("annotations", {})[_TEMPLATE_GENERATION] = str(number)


class PodTemplateStrategy(Strategy):
    """PodTemplate, which has its template at the top."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        pod_defaults.default_template(obj["template"])

    def validate(self, obj: JSONObject) -> Problems:
        return pod_validation.template_problems(obj["template"], "template")

    def desired(self, obj: JSONObject) -> object:
        return obj.get("template")


class ControllerRevisionStrategy(Strategy):
    """ControllerRevision."""

    def validate(self, obj: JSONObject) -> Problems:
        return rules.controller_revision(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.controller_revision(new) + checks.immutable(new.get("data"), old.get("data"), "data")

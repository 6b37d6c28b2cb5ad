"""What is wrong with a Deployment, ReplicaSet, ReplicationController, StatefulSet or DaemonSet. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks, pod_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_CLAIM_POLICIES = ("Retain", "Delete")
_STATEFUL_MUTABLE = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_STATEFUL_FIELDS = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def _selector(spec: JSONObject, what: str) -> Problems:
    selector = spec.get("selector")
    if selector is None:
        return [fields.required("spec.selector")]
    found = checks.label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(fields.invalid("spec.selector", selector, f"empty selector is invalid for {what}"))
    return found


def _template(spec: JSONObject, what: str, *, restart: tuple[str, ...] = ("Always",)) -> Problems:
    """A template whose pods the selector finds."""
    template = spec.get("template")
    if template is None:
        return [fields.required("spec.template")]
    found: Problems = []
    labels = (template.get("metadata") or {}).get("labels")
    selector = spec.get("selector")
    if not checks.label_selector(selector, "") and not _finds(selector, labels or {}):
        text = "`selector` does not match template `labels`"
        found.append(fields.invalid("spec.template.metadata.labels", labels, text))
    if what == "StatefulSet":
        # The claims' volumes that its containers mount are not in the template, so Kubernetes leaves the pod's spec
        # to the creation of the pods.
        found += pod_validation.template_metadata_problems(template, "spec.template")
    else:
        found += pod_validation.template_problems(template, "spec.template")
    pod = template.get("spec") or {}
    policy = pod.get("restartPolicy")
    if policy is not None and policy not in restart:
        found.append(fields.not_supported("spec.template.spec.restartPolicy", policy, restart))
    if pod.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {what} is not Supported"
        found.append(fields.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return found


def _finds(selector: JSONObject | None, labels: JSONObject) -> bool:
    if not selector:
        return selector is not None
    return checks.selector_matches(selector, labels)


def _counts(spec: JSONObject, *keys: str) -> Problems:
    found: Problems = []
    for key in keys:
        found += checks.not_negative(spec.get(key), f"spec.{key}")
    return found


def deployment(obj: JSONObject) -> Problems:
    """As ValidateDeploymentSpec."""
    spec = obj["spec"]
    found = _counts(spec, "replicas")
    found += _selector(spec, "deployment")
    found += _template(spec, "ReplicaSet")
    found += _strategy(spec.get("strategy") or {})
    found += _counts(spec, "minReadySeconds", "revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        found += checks.not_negative(deadline, "spec.progressDeadlineSeconds")
        if deadline <= spec.get("minReadySeconds", 0):
            text = "must be greater than minReadySeconds"
            found.append(fields.invalid("spec.progressDeadlineSeconds", deadline, text))
    return found


def _strategy(strategy: JSONObject) -> Problems:
    rolling = strategy.get("rollingUpdate")
    kind = strategy.get("type", "")
    if kind == "Recreate":
        if rolling is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            return [fields.forbidden("spec.strategy.rollingUpdate", text)]
        return []
    if kind != "RollingUpdate":
        shown = checks.go_value({"Type": kind, "RollingUpdate": rolling})
        return [fields.not_supported("spec.strategy", shown, ["Recreate", "RollingUpdate"])]
    if rolling is None:
        return [fields.required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil")]
    path = "spec.strategy.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = checks.percent_or_count(unavailable, f"{path}.maxUnavailable")
    found += checks.percent_or_count(surge, f"{path}.maxSurge")
    if _is_zero(unavailable) and _is_zero(surge):
        text = "may not be 0 when `maxSurge` is 0"
        found.append(fields.invalid(f"{path}.maxUnavailable", unavailable, text))
    return found + checks.not_above_100_percent(unavailable, f"{path}.maxUnavailable")


def _is_zero(value: int | str | None) -> bool:
    return value in (None, 0, "0%")


def replica_set(obj: JSONObject) -> Problems:
    """As ValidateReplicaSetSpec."""
    spec = obj["spec"]
    found = _counts(spec, "replicas", "minReadySeconds")
    return found + _selector(spec, "replicaset") + _template(spec, "ReplicaSet")


def replication_controller(obj: JSONObject) -> Problems:
    """As ValidateReplicationControllerSpec; its selector is a plain map."""
    spec = obj["spec"]
    found = _counts(spec, "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        found.append(fields.required("spec.selector"))
    found += _counts(spec, "replicas")
    template = spec.get("template")
    if template is None:
        return [*found, fields.required("spec.template")]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        text = "`selector` does not match template `labels`"
        found.append(fields.invalid("spec.template.metadata.labels", labels, text))
    found += pod_validation.template_problems(template, "spec.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in (None, "Always"):
        found.append(fields.not_supported("spec.template.spec.restartPolicy", policy, ["Always"]))
    return found


def stateful_set(obj: JSONObject) -> Problems:
    """As ValidateStatefulSetSpec."""
    spec = obj["spec"]
    found: Problems = []
    management = spec.get("podManagementPolicy", "")
    if management not in ("OrderedReady", "Parallel"):
        found.append(fields.invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'"))
    found += _stateful_strategy(spec.get("updateStrategy") or {})
    policy = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for key in ("whenDeleted", "whenScaled"):
        value = policy.get(key, "Retain")
        if value not in _CLAIM_POLICIES:
            at = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
            found.append(fields.not_supported(at, value, _CLAIM_POLICIES))
    found += _counts(spec, "replicas", "minReadySeconds")
    found += checks.not_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start")
    name = spec.get("serviceName")
    if name:
        found += named(names.dns_label(name), name, "spec.serviceName")
    return found + _selector(spec, "statefulset") + _template(spec, "StatefulSet")


def _stateful_strategy(strategy: JSONObject) -> Problems:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        if rolling is not None:
            path = "spec.updateStrategy.rollingUpdate"
            return checks.not_negative(rolling.get("partition"), f"{path}.partition")
        return []
    if kind == "OnDelete":
        if rolling is not None:
            shown = checks.go_value(
                {"Partition": rolling.get("partition", 0), "MaxUnavailable": rolling.get("maxUnavailable")}
            )
            text = "only allowed for updateStrategy 'RollingUpdate'"
            return [fields.invalid("spec.updateStrategy.rollingUpdate", shown, text)]
        return []
    if not kind:
        return [fields.required("spec.updateStrategy")]
    shown = checks.go_value({"Type": kind, "RollingUpdate": rolling})
    return [fields.invalid("spec.updateStrategy", shown, "must be 'RollingUpdate' or 'OnDelete'")]


def stateful_set_update(new: JSONObject, old: JSONObject) -> Problems:
    """Most of a StatefulSet is fixed for its life."""
    found = stateful_set(new)
    kept = {key: value for key, value in new["spec"].items() if key not in _STATEFUL_FIELDS}
    before = {key: value for key, value in old["spec"].items() if key not in _STATEFUL_FIELDS}
    if kept != before:
        found.append(fields.forbidden("spec", _STATEFUL_MUTABLE))
    return found


def daemon_set(obj: JSONObject) -> Problems:
    """As ValidateDaemonSetSpec."""
    spec = obj["spec"]
    found: Problems = []
    selector = spec.get("selector")
    if selector is None:
        found.append(fields.required("spec.selector"))
    else:
        found += checks.label_selector(selector, "spec.selector")
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(fields.invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    found += _template(spec, "DaemonSet")
    found += _counts(spec, "minReadySeconds")
    found += _daemon_strategy(spec.get("updateStrategy") or {})
    return found + _counts(spec, "revisionHistoryLimit")


def _daemon_strategy(strategy: JSONObject) -> Problems:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [fields.not_supported("spec.updateStrategy.type", kind, ["OnDelete", "RollingUpdate"])]
    if rolling is None:
        return [fields.required("spec.updateStrategy.rollingUpdate")]
    path = "spec.updateStrategy.rollingUpdate"
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = checks.percent_or_count(unavailable, f"{path}.maxUnavailable")
    found += checks.not_above_100_percent(unavailable, f"{path}.maxUnavailable")
    found += checks.percent_or_count(surge, f"{path}.maxSurge")
    found += checks.not_above_100_percent(surge, f"{path}.maxSurge")
    if not _is_zero(unavailable) and not _is_zero(surge):
        text = "may not be set when maxUnavailable is non-zero"
        found.append(fields.invalid(f"{path}.maxSurge", surge, text))
    if _is_zero(unavailable) and _is_zero(surge):
        text = "cannot be 0 when maxSurge is 0"
        found.append(fields.invalid(f"{path}.maxUnavailable", unavailable, text))
    return found


def selector_fixed(new: JSONObject, old: JSONObject) -> Problems:
    return checks.immutable(new["spec"].get("selector"), old["spec"].get("selector"), "spec.selector")


_STATUS_COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def deployment_status(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateDeploymentStatus."""
    parts = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return _status(new.get("status") or {}, _STATUS_COUNTS, parts) + collisions(new, old)


def replica_set_status(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateReplicaSetStatus."""
    counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return _status(new.get("status") or {}, counts, counts[1:])


_READY_PARTS = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def stateful_set_status(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateStatefulSetStatus."""
    status = new.get("status") or {}
    found: Problems = []
    for key in ("replicas", *_READY_PARTS, "observedGeneration"):
        found += checks.not_negative(status.get(key), f"status.{key}")
    for key in _READY_PARTS:
        if status.get(key, 0) > status.get("replicas", 0):
            found.append(fields.invalid(f"status.{key}", status[key], "cannot be greater than status.replicas"))
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        text = "cannot be greater than status.readyReplicas"
        found.append(fields.invalid("status.availableReplicas", status["availableReplicas"], text))
    return found + collisions(new, old)


_DAEMON_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)


def daemon_set_status(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateDaemonSetStatusUpdate."""
    status = new.get("status") or {}
    found: Problems = []
    for key in _DAEMON_COUNTS:
        found += checks.not_negative(status.get(key), f"status.{key}")
    return found + collisions(new, old)


def collisions(new: JSONObject, old: JSONObject) -> Problems:
    """Names that were taken are counted up only."""
    after, before = ((obj.get("status") or {}).get("collisionCount") for obj in (new, old))
    found = checks.not_negative(after, "status.collisionCount")
    if before is not None and (after is None or after < before):
        found.append(fields.invalid("status.collisionCount", after or 0, "cannot be decremented"))
    return found


def _status(status: JSONObject, counts: tuple[str, ...], parts: tuple[str, ...]) -> Problems:
    found: Problems = []
    for key in (*counts, "observedGeneration"):
        found += checks.not_negative(status.get(key), f"status.{key}")
    total: Any = status.get("replicas", 0)
    for key in parts:
        if status.get(key, 0) > total:
            text = "cannot be greater than status.replicas"
            found.append(fields.invalid(f"status.{key}", status.get(key, 0), text))
    if "availableReplicas" in parts and status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        text = "cannot be greater than readyReplicas"
        found.append(fields.invalid("status.availableReplicas", status.get("availableReplicas", 0), text))
    return found


def controller_revision(obj: JSONObject) -> Problems:
    """As ValidateControllerRevision."""
    found: Problems = [] if obj.get("data") is not None else [fields.required("data", "data is mandatory")]
    return found + checks.not_negative(obj.get("revision"), "revision")

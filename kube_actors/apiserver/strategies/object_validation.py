"""What is wrong with the smaller kinds: ConfigMap, Secret, Node, Lease, Event, PodDisruptionBudget and others. Pure."""

from __future__ import annotations

import base64
import binascii
import json

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver import limits
from kube_actors.apiserver.meta import labels_problems
from kube_actors.apiserver.strategies import checks, container_validation, placement_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_DATA = ("data", "binaryData")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_PRIORITY_MOST = 1_000_000_000
_SYSTEM = "system-"
_SECRET_KEYS = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_DOCKER = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_ACCOUNT = "kubernetes.io/service-account.name"


def config_map(obj: JSONObject) -> Problems:
    """As ValidateConfigMap."""
    found: Problems = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    total = 0
    for key, value in sorted(data.items()):
        found += named(names.config_key(key), key, f"data[{key}]")
        if key in binary:
            found.append(fields.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        total += len(value.encode())
    for key, value in sorted(binary.items()):
        found += named(names.config_key(key), key, f"binaryData[{key}]")
        total += len(value) * 3 // 4
    if total > limits.DATA_BYTES:
        found.append(fields.too_long("", limits.DATA_BYTES))
    return found


def immutable_data(new: JSONObject, old: JSONObject, keys: tuple[str, ...] = _DATA) -> Problems:
    """An immutable ConfigMap or Secret stays as it is, and stays immutable."""
    if not old.get("immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    found: Problems = []
    if not new.get("immutable"):
        found.append(fields.forbidden("immutable", text))
    found += [fields.forbidden(key, text) for key in keys if new.get(key) != old.get(key)]
    return found


def secret(obj: JSONObject) -> Problems:
    """As ValidateSecret."""
    found: Problems = []
    data = obj.get("data") or {}
    total = 0
    for key, value in sorted(data.items()):
        found += named(names.config_key(key), key, f"data[{key}]")
        total += len(value) * 3 // 4
    if total > limits.DATA_BYTES:
        found.append(fields.too_long("data", limits.DATA_BYTES))
    kind = obj.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        account = (obj["metadata"].get("annotations") or {}).get(_ACCOUNT)
        if not account:
            found.append(fields.required(f"metadata.annotations[{_ACCOUNT}]"))
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            found.append(fields.required(f"data[{key}]"))
    if kind == "kubernetes.io/basic-auth" and "username" not in data and "password" not in data:
        found += [fields.required("data[username]"), fields.required("data[password]")]
    if kind in _DOCKER:
        found += _docker(data, _DOCKER[kind])
    return found


def _docker(data: JSONObject, key: str) -> Problems:
    if key not in data:
        return [fields.required(f"data[{key}]")]
    try:
        json.loads(base64.b64decode(data[key]))
    except (ValueError, binascii.Error, RecursionError):
        return [fields.invalid(f"data[{key}]", "<secret contents redacted>", "unexpected end of JSON input")]
    return []


def secret_update(new: JSONObject, old: JSONObject) -> Problems:
    found = checks.immutable(new.get("type"), old.get("type"), "type")
    return found + immutable_data(new, old, ("data",)) + secret(new)


def node(obj: JSONObject) -> Problems:
    """As ValidateNode."""
    found: Problems = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(obj["spec"].get("taints") or ()):
        at = f"metadata.taints[{index}]"
        key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        found += named(names.qualified_name(key), key, f"{at}.key")
        if value:
            found += named(names.label_value(value), value, f"{at}.value")
        if not effect:
            found.append(fields.required(f"{at}.effect"))
        elif effect not in _EFFECTS:
            found.append(fields.not_supported(f"{at}.effect", effect, _EFFECTS))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            problem = fields.duplicate(at, checks.go_value(shown), "taints must be unique by key and effect pair")
            found.append(problem)
        seen.add((key, effect))
    status = obj.get("status") or {}
    for key in ("capacity", "allocatable"):
        for name, amount in sorted((status.get(key) or {}).items()):
            if quantity.parse(amount).sign < 0:
                found.append(fields.invalid(f"status.{key}.{name}", amount, checks.NOT_NEGATIVE))
    return found


def node_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateNodeUpdate: what a node is told once."""
    found = node(new)
    spec, before = new["spec"], old["spec"]
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        found.append(fields.forbidden("spec.podCIDRs", text))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        found.append(fields.forbidden("spec.providerID", text))
    return found


def lease(obj: JSONObject) -> Problems:
    """As ValidateLeaseSpec."""
    spec = obj.get("spec") or {}
    found: Problems = []
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        found.append(fields.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if spec.get("preferredHolder") and spec.get("strategy") is None:
        text = "may only be specified if `strategy` is defined"
        found.append(fields.forbidden("spec.preferredHolder", text))
    return found + checks.not_negative(spec.get("leaseTransitions"), "spec.leaseTransitions")


_EVENT_LENGTHS = (("reportingInstance", 128), ("action", 128), ("reason", 128))
_NOTE_LENGTH = 1024
_UNSET = "needs to be unset"
_EVENT_FIXED = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def event(obj: JSONObject, controller_field: str = "reportingComponent") -> Problems:
    """As legacyValidateEvent: an event stands in the namespace of what it is about; one with an eventTime says more."""
    namespace = obj["metadata"].get("namespace", "")
    about = (obj.get("involvedObject") or {}).get("namespace", "")
    fitting = (about,) if about else ("", "default")
    timed = bool(obj.get("eventTime"))
    if timed:
        fitting = (namespace,) if about else ("default", "kube-system")
    found: Problems = []
    if namespace not in fitting:
        found.append(fields.invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if not timed:
        return found
    controller = obj.get("reportingComponent", "")
    if not controller:
        found.append(fields.required(controller_field))
    found += named(names.qualified_name(controller), controller, controller_field)
    for key, most in _EVENT_LENGTHS:
        value = obj.get(key, "")
        if not value:
            found.append(fields.required(key))
        if len(value.encode()) > most:
            found.append(fields.invalid(key, "", f"can have at most {most} characters"))
    if len(obj.get("message", "").encode()) > _NOTE_LENGTH:
        found.append(fields.invalid("message", "", f"can have at most {_NOTE_LENGTH} characters"))
    return found


def event_v1(obj: JSONObject) -> Problems:
    """As ValidateEventCreate for events.k8s.io/v1; the object is in its stored form."""
    found = event(obj, "reportingController") + _series(obj)
    if not obj.get("eventTime"):
        found.append(fields.required("eventTime"))
    kind = obj.get("type", "")
    if kind not in ("Normal", "Warning"):
        found.append(fields.invalid("type", "", f"has invalid value: {kind}"))
    for key in ("firstTimestamp", "lastTimestamp", "count"):
        if obj.get(key):
            found.append(fields.invalid(key, "", _UNSET))
    source = obj.get("source") or {}
    if source.get("component") or source.get("host"):
        found.append(fields.invalid("source", "", _UNSET))
    return found


def _series(obj: JSONObject) -> Problems:
    series = obj.get("series")
    if series is None:
        return []
    found: Problems = []
    if series.get("count", 0) < 2:
        found.append(fields.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        found.append(fields.required("series.lastObservedTime"))
    return found


def event_v1_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateEventUpdate for events.k8s.io/v1: only the series moves on."""
    found = event(new, "reportingController")
    if new.get("series") != old.get("series"):
        found += _series(new)
    for key in _EVENT_FIXED:
        path = "reportingController" if key == "reportingComponent" else key
        found += checks.immutable(new.get(key), old.get(key), path)
    return found


def pod_disruption_budget(obj: JSONObject) -> Problems:
    """As ValidatePodDisruptionBudgetSpec."""
    spec = obj["spec"]
    found: Problems = []
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if least is not None and most is not None:
        shown = {
            "MinAvailable": least,
            "Selector": spec.get("selector"),
            "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": policy,
        }
        text = "minAvailable and maxUnavailable cannot be both set"
        found.append(fields.invalid("spec", checks.go_value(shown), text))
    for key, value in (("minAvailable", least), ("maxUnavailable", most)):
        found += checks.percent_or_count(value, f"spec.{key}")
        found += checks.not_above_100_percent(value, f"spec.{key}")
    found += checks.label_selector(spec.get("selector"), "spec.selector")
    if policy is not None and policy not in ("AlwaysAllow", "IfHealthyBudget"):
        allowed = ("AlwaysAllow", "IfHealthyBudget")
        found.append(fields.not_supported("spec.unhealthyPodEvictionPolicy", policy, allowed))
    return found


def priority_class(obj: JSONObject, system: dict[str, int]) -> Problems:
    """As ValidatePriorityClass; system are the classes that the cluster itself has."""
    found: Problems = []
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith(_SYSTEM):
        if name not in system:
            why = f"{name} is not a known system priority class"
            text = f"priority class names with 'system-' prefix are reserved for system use only. error: {why}"
            found.append(fields.forbidden("metadata.name", text))
    elif value > _PRIORITY_MOST:
        text = f"maximum allowed value of a user defined priority is {_PRIORITY_MOST}"
        found.append(fields.forbidden("value", text))
    policy = obj.get("preemptionPolicy")
    if policy not in (None, "PreemptLowerPriority", "Never"):
        found.append(fields.not_supported("preemptionPolicy", policy, ["PreemptLowerPriority", "Never"]))
    return found


def priority_class_update(new: JSONObject, old: JSONObject) -> Problems:
    found: Problems = []
    if new.get("value", 0) != old.get("value", 0):
        found.append(fields.forbidden("value", "may not be changed in an update."))
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        found.append(fields.invalid("preemptionPolicy", new.get("preemptionPolicy"), checks.IMMUTABLE))
    return found


def namespace_status(new: JSONObject) -> Problems:
    """As ValidateNamespaceStatusUpdate: a namespace's phase says whether it is going."""
    phase = (new.get("status") or {}).get("phase", "")
    if new["metadata"].get("deletionTimestamp"):
        if phase != "Terminating":
            text = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            return [fields.invalid("status.Phase", phase, text)]
    elif phase != "Active":
        return [fields.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    return []


def disruption_status(new: JSONObject) -> Problems:
    """As ValidatePodDisruptionBudgetStatusUpdate."""
    found: Problems = []
    for key in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        found += checks.not_negative((new.get("status") or {}).get(key), f"status.{key}")
    return found


def runtime_class(obj: JSONObject) -> Problems:
    """As ValidateRuntimeClass."""
    handler = obj.get("handler", "")
    found = named(names.dns_label(handler), handler, "handler")
    fixed = (obj.get("overhead") or {}).get("podFixed")
    if fixed:
        found += container_validation.resources({"limits": fixed}, "overhead.podFixed")
    scheduling = obj.get("scheduling")
    if scheduling is None:
        return found
    found += labels_problems(scheduling.get("nodeSelector") or {}, "scheduling.nodeSelector")
    tolerations = scheduling.get("tolerations") or []
    found += placement_validation.tolerations(tolerations, "scheduling.tolerations")
    for index, item in enumerate(tolerations):
        if item in tolerations[:index]:
            found.append(fields.duplicate(f"scheduling.tolerations[{index}]", item))
    return found


def namespace_finalizers(finalizers: list[str]) -> Problems:
    """Names of what holds a namespace."""
    found: Problems = []
    for index, name in enumerate(finalizers):
        at = f"spec.finalizers[{index}]"
        problems = named(names.qualified_name(name), name, at)
        if not problems and "/" not in name and name != "kubernetes":
            text = "name is neither a standard finalizer name nor is it fully qualified"
            problems.append(fields.invalid(at, name, text))
        found += problems
    return found

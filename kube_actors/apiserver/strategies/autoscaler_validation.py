"""What is wrong with a HorizontalPodAutoscaler, in its stored version autoscaling/v2. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_KEYS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_WINDOW_MOST = 3600
_PERIOD_MOST = 1800
_RAW_OR_USE = "must set either a target raw value or a target utilization"


def autoscaler(obj: JSONObject) -> Problems:
    """As ValidateHorizontalPodAutoscaler."""
    spec = obj["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    found: Problems = []
    if least is not None and least < 1:
        found.append(fields.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most == 0:
        found.append(fields.required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        found.append(fields.invalid("spec.maxReplicas", most, "must be greater than 0"))
    if least is not None and most < least:
        found.append(fields.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    found += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        found += _metric(metric, f"spec.metrics[{index}]")
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        found.append(fields.forbidden("spec.metrics", text))
    for key in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(key)
        if rules is not None:
            found += _rules(rules, f"spec.behavior.{key}")
    return found


def _reference(given: JSONObject, path: str) -> Problems:
    found = checks.path_segment(given.get("kind", ""), f"{path}.kind")
    found += checks.path_segment(given.get("name", ""), f"{path}.name")
    version = given.get("apiVersion", "")
    if version.count("/") > 1:
        found.append(fields.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}"))
    elif "/" not in version.strip("/") and given.get("kind") != "ReplicationController":
        found.append(fields.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return found


def _metric(metric: JSONObject, path: str) -> Problems:
    found: Problems = []
    kind = metric.get("type", "")
    if not kind:
        found.append(fields.required(f"{path}.type", "must specify a metric source type"))
    if kind not in _TYPES:
        found.append(fields.not_supported(f"{path}.type", kind, _TYPES))
    present = [key for key in _KEYS.values() if metric.get(key) is not None]
    if present:
        found += _SOURCES[present[0]](metric[present[0]], f"{path}.{present[0]}")
    expected = _KEYS.get(kind)
    if expected is None:
        found.append(fields.not_supported(f"{path}.type", kind, _TYPES))
    elif expected not in present:
        text = "must populate information for the given metric source"
        found.append(fields.required(f"{path}.{expected}", text))
    if len(present) != 1:
        for key in present:
            if key != expected:
                found.append(fields.forbidden(f"{path}.{key}", "must populate the given metric source only"))
    return found


def _object(source: JSONObject, path: str) -> Problems:
    reference = source.get("describedObject") or {}
    found = checks.path_segment(reference.get("kind", ""), f"{path}.describedObject.kind")
    found += checks.path_segment(reference.get("name", ""), f"{path}.describedObject.name")
    found += _identifier(source, path) + _target(source, path)
    target = source.get("target") or {}
    if target.get("value") is None and target.get("averageValue") is None:
        text = "must set either a target value or averageValue"
        found.append(fields.required(f"{path}.target.averageValue", text))
    return found


def _external(source: JSONObject, path: str) -> Problems:
    found = _identifier(source, path) + _target(source, path)
    target = source.get("target") or {}
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        text = "must set either a target value for metric or a per-pod target"
        found.append(fields.required(f"{path}.target.averageValue", text))
    if value is not None and average is not None:
        text = "may not set both a target value for metric and a per-pod target"
        found.append(fields.forbidden(f"{path}.target.value", text))
    return found


def _pods(source: JSONObject, path: str) -> Problems:
    found = _identifier(source, path) + _target(source, path)
    average = (source.get("target") or {}).get("averageValue")
    if average is None or quantity.parse(average).sign <= 0:
        text = "must specify a positive target averageValue"
        found.append(fields.required(f"{path}.target.averageValue", text))
    return found


def _resource(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("name") else [fields.required(f"{path}.name", "must specify a resource name")]
    return found + _target(source, path) + _utilization(source, path)


def _container_resource(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("name") else [fields.required(f"{path}.name", "must specify a resource name")]
    container = source.get("container", "")
    if not container:
        found.append(fields.required(f"{path}.container", "must specify a container"))
    else:
        found += named(names.dns_label(container), container, f"{path}.container")
    return found + _target(source, path) + _utilization(source, path)


def _utilization(source: JSONObject, path: str) -> Problems:
    target = source.get("target") or {}
    use, average = target.get("averageUtilization"), target.get("averageValue")
    if use is None and average is None:
        return [fields.required(f"{path}.target.averageUtilization", _RAW_OR_USE)]
    if use is not None and average is not None:
        text = "may not set both a target raw value and a target utilization"
        return [fields.forbidden(f"{path}.target.averageValue", text)]
    return []


def _target(source: JSONObject, path: str) -> Problems:
    target = source.get("target") or {}
    at = f"{path}.target"
    found: Problems = []
    kind = target.get("type", "")
    if not kind:
        found.append(fields.required(f"{at}.type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        found.append(fields.invalid(f"{at}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for key in ("value", "averageValue"):
        if target.get(key) is not None and quantity.parse(target[key]).sign <= 0:
            found.append(fields.invalid(f"{at}.{key}", target[key], "must be positive"))
    use = target.get("averageUtilization")
    if use is not None and use < 1:
        found.append(fields.invalid(f"{at}.averageUtilization", use, "must be greater than 0"))
    return found


def _identifier(source: JSONObject, path: str) -> Problems:
    name = (source.get("metric") or {}).get("name", "")
    if not name:
        return [fields.required(f"{path}.metric.name", "must specify a metric name")]
    return named(names.path_segment(name), name, f"{path}.metric.name")


def _rules(rules: JSONObject, path: str) -> Problems:
    found: Problems = []
    window = rules.get("stabilizationWindowSeconds")
    at = f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        found.append(fields.invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > _WINDOW_MOST:
        found.append(fields.invalid(at, window, f"must be less than or equal to {_WINDOW_MOST}"))
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Disabled", "Max", "Min"):
        found.append(fields.not_supported(f"{path}.selectPolicy", select, ["Disabled", "Max", "Min"]))
    policies = rules.get("policies") or ()
    if not policies:
        found.append(fields.required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        found += _policy(policy, f"{path}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(tolerance).sign < 0:
        found.append(fields.invalid(f"{path}.tolerance", tolerance, checks.NOT_NEGATIVE))
    return found


def _policy(policy: JSONObject, path: str) -> Problems:
    found: Problems = []
    kind, period = policy.get("type", ""), policy.get("periodSeconds", 0)
    if kind not in ("Pods", "Percent"):
        found.append(fields.not_supported(f"{path}.type", kind, ["Percent", "Pods"]))
    found += checks.greater_than_zero(policy.get("value", 0), f"{path}.value")
    found += checks.greater_than_zero(period, f"{path}.periodSeconds")
    if period > _PERIOD_MOST:
        text = f"must be less than or equal to {_PERIOD_MOST}"
        found.append(fields.invalid(f"{path}.periodSeconds", period, text))
    return found


def autoscaler_status(new: JSONObject) -> Problems:
    """As ValidateHorizontalPodAutoscalerStatusUpdate."""
    status = new.get("status") or {}
    found = checks.not_negative(status.get("currentReplicas"), "status.currentReplicas")
    return found + checks.not_negative(status.get("desiredReplicas"), "status.desiredReplicas")


_SOURCES = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}

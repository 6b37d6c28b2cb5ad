"""Objects that are stored in one version and served in another: events, and autoscalers.

Owns the translation between the two shapes, both ways and pure. A custom resource's conversion is a webhook's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, json

from kube_actors.api.resources import Resource
from kube_actors.apiserver import autoscaling_v1
from kube_actors.apiserver.shape import WrongType

JSONObject = dict[str, Any]


class Conversion(Struct, frozen=True):
    """inward makes the stored version of a served object, outward the served version of a stored one."""

    inward: Callable[[JSONObject], JSONObject]
    outward: Callable[[JSONObject], JSONObject]


def between(resource: Resource) -> Conversion | None:
    """The conversion of a resource that is stored in another version; None for all others."""
    return _CONVERSIONS.get((resource.group, resource.version, resource.plural))


_EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_NAMES_BACK = {stored: served for served, stored in _EVENT_NAMES.items()}
_OPTIONAL_STRINGS = ("reportingController", "reportingInstance")


def _event_inward(obj: JSONObject) -> JSONObject:
    found = {_EVENT_NAMES.get(key, key): value for key, value in obj.items()}
    found["apiVersion"] = "v1"
    found.setdefault("reportingComponent", "")
    found.setdefault("reportingInstance", "")
    found.setdefault("involvedObject", {})
    return found


def _event_outward(obj: JSONObject) -> JSONObject:
    found = {_EVENT_NAMES_BACK.get(key, key): value for key, value in obj.items()}
    found["apiVersion"] = "events.k8s.io/v1"
    for key in _OPTIONAL_STRINGS:
        if not found.get(key):
            found.pop(key, None)
    if not found.get("regarding"):
        found["regarding"] = {}
    return found


_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"


def _parsed(text: str, what: str, read: Callable[[str], Any]) -> Any:
    """An annotation that stands for a field of v2. Anybody may have written it."""
    try:
        return read(text)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise WrongType(f"annotation {what}: {error}") from None


def _is_cpu(metric: JSONObject) -> bool:
    resource = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and (resource.get("target") or {}).get("averageUtilization") is not None
    )


def _autoscaler_inward(obj: JSONObject) -> JSONObject:
    """autoscaling/v1 has one CPU target; the rest of v2 travels in annotations."""
    metadata = dict(obj["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    spec = dict(obj.get("spec") or {})
    metrics = (
        _parsed(annotations.pop(_METRICS), _METRICS, autoscaling_v1.read_metrics) if _METRICS in annotations else []
    )
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    if metrics:
        spec["metrics"] = metrics
    if _BEHAVIOR in annotations:
        spec["behavior"] = _parsed(annotations.pop(_BEHAVIOR), _BEHAVIOR, autoscaling_v1.read_behavior)
    status = dict(obj.get("status") or {})
    current = (
        _parsed(annotations.pop(_CURRENT), _CURRENT, autoscaling_v1.read_current_metrics)
        if _CURRENT in annotations
        else []
    )
    used = status.pop("currentCPUUtilizationPercentage", None)
    if used is not None:
        current = [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}},
            *current,
        ]
    status["currentMetrics"] = current or None
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    if _CONDITIONS in annotations:
        status["conditions"] = _parsed(annotations.pop(_CONDITIONS), _CONDITIONS, json.decode)
    _put_annotations(metadata, annotations)
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _autoscaler_outward(obj: JSONObject) -> JSONObject:
    metadata = dict(obj["metadata"])
    annotations = dict(metadata.get("annotations") or {})
    spec = dict(obj.get("spec") or {})
    others = []
    for metric in spec.pop("metrics", None) or ():
        if _is_cpu(metric) and "targetCPUUtilizationPercentage" not in spec:
            spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric)
    if others:
        annotations[_METRICS] = autoscaling_v1.write_metrics(others)
    behavior = spec.pop("behavior", None)
    if behavior is not None:
        annotations[_BEHAVIOR] = autoscaling_v1.write_behavior(behavior)
    status = dict(obj.get("status") or {})
    kept = []
    for metric in status.pop("currentMetrics", None) or ():
        resource = metric.get("resource") or {}
        used = (resource.get("current") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and resource.get("name") == "cpu" and used is not None:
            status["currentCPUUtilizationPercentage"] = used
        else:
            kept.append(metric)
    if kept:
        annotations[_CURRENT] = autoscaling_v1.write_metrics(kept, current=True)
    conditions = status.pop("conditions", None)
    if conditions:
        annotations[_CONDITIONS] = json.encode(conditions).decode()
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    _put_annotations(metadata, annotations)
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _put_annotations(metadata: JSONObject, annotations: JSONObject) -> None:
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)


_CONVERSIONS = {
    ("events.k8s.io", "v1", "events"): Conversion(_event_inward, _event_outward),
    ("autoscaling", "v1", "horizontalpodautoscalers"): Conversion(_autoscaler_inward, _autoscaler_outward),
}

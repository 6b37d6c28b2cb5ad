"""The older shape of an autoscaler's metrics and behaviour, which autoscaling/v1 carries in annotations.

Owns that translation, both ways and pure. What v1 has fields for is `conversions`' own.
"""

from __future__ import annotations

from typing import Any

from msgspec import json

JSONObject = dict[str, Any]

_SPEC = {
    "object": {"value": "targetValue", "averageValue": "averageValue"},
    "pods": {"averageValue": "targetAverageValue"},
    "external": {"value": "targetValue", "averageValue": "targetAverageValue"},
    "resource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "containerResource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
}
_STATUS = {
    kind: {key: name.replace("target", "current").replace("Target", "Current") for key, name in names.items()}
    for kind, names in _SPEC.items()
} | {"object": {"value": "currentValue", "averageValue": "averageValue"}}
"""What a metric's target, or its current value, is called there."""

_TARGET_TYPES = (("value", "Value"), ("averageValue", "AverageValue"), ("averageUtilization", "Utilization"))


def write_metrics(metrics: list[JSONObject], *, current: bool = False) -> str:
    """Metrics of v2 as the annotation's text."""
    return json.encode([_older(metric, current=current) for metric in metrics]).decode()


def read_metrics(text: str, *, current: bool = False) -> list[JSONObject]:
    """The annotation's metrics in the shape of v2; raises what decoding raises."""
    return [_newer(metric, current=current) for metric in json.decode(text)]


def read_current_metrics(text: str) -> list[JSONObject]:
    return read_metrics(text, current=True)


def _older(metric: JSONObject, *, current: bool) -> JSONObject:
    found: JSONObject = {"type": metric.get("type", "")}
    for kind, words in (_STATUS if current else _SPEC).items():
        source = metric.get(kind)
        if source is None:
            continue
        out: JSONObject = {}
        if kind == "object":
            out["target"] = source.get("describedObject") or {}
        identifier = source.get("metric") or {}
        if "name" in source:
            out["name"] = source["name"]
        else:
            out["metricName"] = identifier.get("name", "")
        amounts = source.get("current" if current else "target") or {}
        if kind == "object":
            out[words["value"]] = amounts.get("value", "0")
        elif kind == "external" and identifier.get("selector") is not None:
            out["metricSelector"] = identifier["selector"]
        for key, name in words.items():
            if amounts.get(key) is not None:
                out[name] = amounts[key]
        if kind in ("object", "pods") and identifier.get("selector") is not None:
            out["selector"] = identifier["selector"]
        if kind == "object" and "averageValue" in out:
            out["averageValue"] = out.pop("averageValue")
        if kind == "containerResource":
            out["container"] = source.get("container", "")
        found[kind] = out
    return found


def _newer(metric: JSONObject, *, current: bool) -> JSONObject:
    found: JSONObject = {"type": metric.get("type", "")}
    for kind, words in (_STATUS if current else _SPEC).items():
        source = metric.get(kind)
        if not isinstance(source, dict):
            continue
        out: JSONObject = {}
        if kind == "object":
            out["describedObject"] = source.get("target") or {}
        if "Resource" in kind or kind == "resource":
            out["name"] = source.get("name", "")
        else:
            selector = source.get("metricSelector" if kind == "external" else "selector")
            out["metric"] = {"name": source.get("metricName", "")}
            if selector is not None:
                out["metric"]["selector"] = selector
        if kind == "containerResource":
            out["container"] = source.get("container", "")
        amounts = {key: source[name] for key, name in words.items() if source.get(name) is not None}
        if kind == "object" and "averageValue" in amounts:
            amounts.pop("value", None)
        if not current:
            amounts = {"type": _type_of(amounts), **amounts}
        out["current" if current else "target"] = amounts
        found[kind] = out
    return found


def _type_of(amounts: JSONObject) -> str:
    return next((name for key, name in _TARGET_TYPES if key in amounts), "")


def write_behavior(behavior: JSONObject) -> str:
    """Behaviour as the annotation has it: under the names of Go's own type, unset fields null."""
    rules = {go: _rules(behavior.get(key)) for go, key in (("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown"))}
    return json.encode(rules).decode()


_RULES = {
    "StabilizationWindowSeconds": "stabilizationWindowSeconds",
    "SelectPolicy": "selectPolicy",
    "Policies": "policies",
    "Tolerance": "tolerance",
}
_POLICY = {"Type": "type", "Value": "value", "PeriodSeconds": "periodSeconds"}


def _rules(rules: JSONObject | None) -> JSONObject | None:
    if rules is None:
        return None
    found: JSONObject = {go: rules.get(key) for go, key in _RULES.items()}
    if found["Policies"] is not None:
        found["Policies"] = [{go: policy.get(key) for go, key in _POLICY.items()} for policy in found["Policies"]]
    return found


def read_behavior(text: str) -> JSONObject:
    """The annotation's behaviour in the shape of v2."""
    found: JSONObject = {}
    for go, key in (("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown")):
        rules = json.decode(text).get(go)
        if rules is None:
            continue
        out = {name: rules[field] for field, name in _RULES.items() if rules.get(field) is not None}
        if "policies" in out:
            out["policies"] = [
                {name: policy.get(field) for field, name in _POLICY.items()} for policy in out["policies"]
            ]
        found[key] = out
    return found

"""Conditions in a status that is a plain dict. Pure."""

from __future__ import annotations

from typing import Any

JSONObject = dict[str, Any]


def set_pod_condition(status: JSONObject, now: str, kind: str, value: str, reason: str = "", message: str = "") -> None:
    """Set one condition of a pod; the transition time moves only when the value does."""
    found: JSONObject = {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": now}
    if reason:
        found["reason"] = reason
    if message:
        found["message"] = message
    conditions = list(status.get("conditions") or ())
    for index, condition in enumerate(conditions):
        if condition.get("type") == kind:
            if condition.get("status") == value:
                found["lastTransitionTime"] = condition.get("lastTransitionTime")
            conditions[index] = found
            break
    else:
        conditions.append(found)
    status["conditions"] = conditions

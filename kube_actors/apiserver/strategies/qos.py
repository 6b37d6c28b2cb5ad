"""A pod's quality-of-service class, from its requests and limits. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import quantity

JSONObject = dict[str, Any]

_COUNTED = ("cpu", "memory")


def class_of(spec: JSONObject) -> str:
    """Guaranteed, Burstable or BestEffort, as kubelet and scheduler read it."""
    requests: dict[str, quantity.Quantity] = {}
    limits: dict[str, quantity.Quantity] = {}
    guaranteed = True
    pod_level = spec.get("resources") or {}
    groups = (
        [pod_level]
        if pod_level
        else [
            container.get("resources") or {}
            for key in ("containers", "initContainers")
            for container in spec.get(key) or ()
        ]
    )
    for resources in groups:
        asked = _positive(resources.get("requests"))
        capped = _positive(resources.get("limits"))
        requests = quantity.total(requests, asked)
        limits = quantity.total(limits, capped)
        if set(capped) != set(_COUNTED):
            guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and len(requests) == len(limits) and all(limits.get(name) == requests[name] for name in requests):
        return "Guaranteed"
    return "Burstable"


def _positive(amounts: dict[str, str] | None) -> dict[str, quantity.Quantity]:
    found = {name: quantity.parse(amount) for name, amount in (amounts or {}).items() if name in _COUNTED}
    return {name: amount for name, amount in found.items() if amount.sign > 0}

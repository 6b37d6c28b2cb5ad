"""What a pod asks for and may use, summed over its containers as Kubernetes sums it.

Owns the arithmetic of init containers, sidecars, overhead and pod-level resources on plain dicts. Never looks at
nodes or at what is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kube_actors.api import quantity
from kube_actors.api.quantity import Quantity

JSONObject = Mapping[str, Any]
Amounts = dict[str, Quantity]


def amounts(resources: Mapping[str, Any] | None) -> Amounts:
    """A resource list as amounts."""
    return {name: quantity.parse(text) for name, text in (resources or {}).items()}


def requests(spec: JSONObject, *, overhead: bool = True) -> Amounts:
    return _total(spec, "requests", overhead=overhead)


def limits(spec: JSONObject, *, overhead: bool = True) -> Amounts:
    return _total(spec, "limits", overhead=overhead)


def _total(spec: JSONObject, side: str, *, overhead: bool) -> Amounts:
    found: Amounts = {}
    for container in spec.get("containers") or ():
        found = quantity.total(found, amounts((container.get("resources") or {}).get(side)))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = amounts((container.get("resources") or {}).get(side))
        if container.get("restartPolicy") == "Always":
            found = quantity.total(found, own)
            sidecars = quantity.total(sidecars, own)
            own = sidecars
        else:
            own = quantity.total(own, sidecars)
        starting = largest(starting, own)
    found = largest(found, starting)
    for name, amount in amounts((spec.get("resources") or {}).get(side)).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            found[name] = amount
    if overhead and spec.get("overhead"):
        extra = amounts(spec["overhead"])
        if side == "limits":
            extra = {name: amount for name, amount in extra.items() if found.get(name)}
        found = quantity.total(found, extra)
    return found


def largest(one: Amounts, other: Amounts) -> Amounts:
    """Name by name the larger amount."""
    found = dict(one)
    for name, amount in other.items():
        if name not in found or amount > found[name]:
            found[name] = amount
    return found

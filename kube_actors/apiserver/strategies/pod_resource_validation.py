"""What is wrong with the resources of a pod as a whole: what its containers share, and its overhead. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import quantity
from kube_actors.apiserver.strategies import container_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems

_SHARED = ("cpu", "memory")
_HUGE = "hugepages-"


def pod_resources(spec: JSONObject, path: str) -> Problems:
    """As validatePodResources."""
    given = spec.get("resources")
    if given is None:
        return []
    at = f"{path}.resources"
    found: Problems = []
    if given.get("claims"):
        found.append(fields.forbidden(f"{at}.claims", "claims may not be set for Resources at pod-level"))
    for key in ("limits", "requests"):
        for name in sorted(given.get(key) or ()):
            if name not in _SHARED and not name.startswith(_HUGE):
                found.append(fields.not_supported(f"{at}.{key}[{name}]", name, ["cpu", "hugepages", "memory"]))
    plain = {
        key: {
            name: amount for name, amount in (given.get(key) or {}).items() if name in _SHARED or name.startswith(_HUGE)
        }
        for key in ("limits", "requests")
    }
    return found + container_validation.resources(plain, at)


def consistency(spec: JSONObject, path: str) -> Problems:
    """As validatePodResourceConsistency: the parts fit into the whole."""
    given = spec.get("resources")
    if given is None:
        return []
    found: Problems = []
    total: dict[str, quantity.Quantity] = {}
    for container in spec.get("containers") or ():
        asked = (container.get("resources") or {}).get("requests") or {}
        total = quantity.total(total, {name: quantity.parse(amount) for name, amount in asked.items()})
    for name, amount in sorted((given.get("requests") or {}).items()):
        if name in total and total[name] > quantity.parse(amount):
            text = f"must be greater than or equal to aggregate container requests of {total[name]}"
            found.append(fields.invalid(f"{path}.resources.requests[{name}]", amount, text))
    for index, container in enumerate(spec.get("containers") or ()):
        capped = (container.get("resources") or {}).get("limits") or {}
        for name, amount in sorted(capped.items()):
            most = (given.get("limits") or {}).get(name)
            if most is not None and quantity.parse(amount) > quantity.parse(most):
                at = f"{path}.containers[{index}].resources.limits[{name}]"
                found.append(fields.invalid(at, amount, f"must be less than or equal to pod limits of {most}"))
    return found


def overhead(spec: JSONObject, path: str) -> Problems:
    """As validateOverhead, which looks at it as at limits."""
    given = spec.get("overhead")
    return container_validation.resources({"limits": given}, f"{path}.overhead") if given else []

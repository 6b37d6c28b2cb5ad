"""What one object uses of a ResourceQuota, and which quotas watch over it.

Owns the evaluators: usage by kind, the names a quota may limit for it, scopes, and what a quota demands of a pod.
Pure functions on plain dicts, shared by admission (which charges) and the quota controller (which recounts).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kube_actors.api import pod_resources, quantity, time
from kube_actors.api.quantity import Quantity

JSONObject = Mapping[str, Any]
Usage = dict[str, Quantity]

ONE = Quantity(1)
REQUESTS, LIMITS = "requests.", "limits."
_HUGE = "hugepages-"
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_DEVICE_CLASS = ".deviceclass.resource.k8s.io/devices"
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_POD_NAMES = frozenset(
    {"pods", *_COMPUTE, *(REQUESTS + name for name in _COMPUTE), *(LIMITS + name for name in _COMPUTE)}
)
_DEMANDED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_OLD_COUNTS = frozenset({"services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"})
"""Core kinds whose number may be limited by their plain plural."""
IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
"""Kinds that no quota counts."""


def count_name(group: str, plural: str) -> str:
    """The name under which any kind can be counted."""
    return f"count/{plural}.{group}" if group else f"count/{plural}"


def usage(group: str, plural: str, obj: JSONObject, now: float = 0.0) -> Usage:
    """What the object uses, of everything a quota could limit. A pod that has ended uses nothing but its count."""
    found = {count_name(group, plural): ONE}
    if (group, plural) == ("", "pods"):
        if _uses_resources(obj, now):
            spec = obj["spec"]
            found |= _pod_usage(pod_resources.requests(spec), pod_resources.limits(spec))
    elif (group, plural) == ("", "services"):
        found |= _service_usage(obj.get("spec") or {})
    elif (group, plural) == ("", "persistentvolumeclaims"):
        found |= _claim_usage(obj)
    elif (group, plural) == ("resource.k8s.io", "resourceclaims"):
        found |= _device_usage(obj.get("spec") or {})
    elif not group and plural in _OLD_COUNTS:
        found[plural] = ONE
    return found


def matching(group: str, plural: str, names: Iterable[str]) -> set[str]:
    """Those of a quota's names that objects of this kind can use."""
    count = count_name(group, plural)
    return {name for name in names if name == count or _limits(group, plural, name)}


def _limits(group: str, plural: str, name: str) -> bool:
    if (group, plural) == ("", "pods"):
        if name in _POD_NAMES or name.startswith(_HUGE):
            return True
        rest = name.removeprefix(REQUESTS)
        return rest != name and (rest.startswith(_HUGE) or is_extended(rest))
    if (group, plural) == ("", "persistentvolumeclaims"):
        return name in (plural, "requests.storage") or name.endswith(
            (_STORAGE_CLASS + "requests.storage", _STORAGE_CLASS + plural)
        )
    if (group, plural) == ("", "services"):
        return name in (plural, "services.nodeports", "services.loadbalancers")
    if (group, plural) == ("resource.k8s.io", "resourceclaims"):
        return name.endswith(_DEVICE_CLASS)
    return not group and plural in _OLD_COUNTS and name == plural


def is_extended(name: str) -> bool:
    """Whether this is a resource of somebody's own, e.g. example.com/gpu."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and "kubernetes.io" not in domain and not domain.startswith(REQUESTS)


def _uses_resources(pod: JSONObject, now: float) -> bool:
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    metadata = pod["metadata"]
    deleted, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    return not (deleted and grace is not None and now > time.parse_time(deleted) + grace)


def _pod_usage(requests: Usage, limits: Usage) -> Usage:
    found: Usage = {"pods": ONE}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith(_HUGE):
            found[name] = amount
            found[REQUESTS + name] = amount
        elif is_extended(name):
            found[REQUESTS + name] = amount
    for name, amount in limits.items():
        if name in _COMPUTE:
            found[LIMITS + name] = amount
    return found


def _service_usage(spec: JSONObject) -> Usage:
    found = {"services": ONE, "services.nodeports": quantity.ZERO, "services.loadbalancers": quantity.ZERO}
    ports = spec.get("ports") or ()
    kind = spec.get("type")
    if kind == "NodePort":
        found["services.nodeports"] = Quantity(len(ports))
    elif kind == "LoadBalancer":
        found["services.loadbalancers"] = ONE
        if spec.get("allocateLoadBalancerNodePorts", True):
            found["services.nodeports"] = Quantity(len(ports))
        else:
            found["services.nodeports"] = Quantity(sum(1 for port in ports if port.get("nodePort")))
    return found


def _claim_usage(claim: JSONObject) -> Usage:
    spec = claim.get("spec") or {}
    annotations = claim["metadata"].get("annotations") or {}
    storage_class = annotations.get("volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName") or ""
    found = {"persistentvolumeclaims": ONE}
    if storage_class:
        found[f"{storage_class}{_STORAGE_CLASS}persistentvolumeclaims"] = ONE
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is not None:
        amount = quantity.parse(wanted)
        allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
        if allocated is not None:
            amount = max(amount, quantity.parse(allocated))
        found["requests.storage"] = amount
        if storage_class:
            found[f"{storage_class}{_STORAGE_CLASS}requests.storage"] = amount
    return found


def _device_usage(spec: JSONObject) -> Usage:
    found: Usage = {}
    for request in (spec.get("devices") or {}).get("requests") or ():
        choices = [request.get("exactly") or {}, *(request.get("firstAvailable") or ())]
        most: Usage = {}
        for choice in choices:
            if not choice.get("deviceClassName"):
                continue
            number = choice.get("count") or 1 if choice.get("allocationMode") != "All" else 32
            most = pod_resources.largest(most, {choice["deviceClassName"] + _DEVICE_CLASS: Quantity(number)})
        found = quantity.total(found, most)
    return found


def demands(names: Iterable[str], pod: JSONObject) -> str:
    """What the containers of a pod leave open that a quota with these names wants said, as a message; "" is fine."""
    wanted = _DEMANDED.intersection(names)
    missing: dict[str, set[str]] = {}
    if not wanted:
        return ""
    spec = pod["spec"]
    level = spec.get("resources") or {}
    given = _pod_usage(pod_resources.amounts(level.get("requests")), pod_resources.amounts(level.get("limits")))
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        own = container.get("resources") or {}
        said = _pod_usage(pod_resources.amounts(own.get("requests")), pod_resources.amounts(own.get("limits")))
        for name in wanted - said.keys() - given.keys():
            missing.setdefault(name, set()).add(container.get("name", ""))
    if not missing:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


# -- scopes -----------------------------------------------------------------------------------------------------------


def scopes(spec: JSONObject) -> list[JSONObject]:
    """All scopes of a quota, plain and with operators, in one form."""
    found: list[JSONObject] = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    found.extend((spec.get("scopeSelector") or {}).get("matchExpressions") or ())
    return found


def in_scopes(quota_spec: JSONObject, group: str, plural: str, obj: JSONObject) -> bool:
    """Whether the quota means this object."""
    return all(_in_scope(scope, group, plural, obj) for scope in scopes(quota_spec))


def _in_scope(scope: JSONObject, group: str, plural: str, obj: JSONObject) -> bool:
    name = scope["scopeName"]
    spec = obj.get("spec") or {}
    if (group, plural) == ("", "persistentvolumeclaims"):
        if name != "VolumeAttributesClass":
            return False
        current = (obj.get("status") or {}).get("currentVolumeAttributesClassName")
        names = [text for text in (spec.get("volumeAttributesClassName"), current) if text]
        return any(_selects(scope, text) for text in names or [""])
    if (group, plural) != ("", "pods"):
        return False
    if name == "Terminating":
        return spec.get("activeDeadlineSeconds") is not None
    if name == "NotTerminating":
        return spec.get("activeDeadlineSeconds") is None
    if name == "BestEffort":
        return best_effort(spec)
    if name == "NotBestEffort":
        return not best_effort(spec)
    if name == "PriorityClass":
        return _selects(scope, spec.get("priorityClassName") or "")
    return name == "CrossNamespacePodAffinity" and _crosses_namespaces(spec.get("affinity") or {})


def _selects(scope: JSONObject, value: str) -> bool:
    operator = scope.get("operator")
    if operator == "Exists":
        return bool(value)
    if operator == "DoesNotExist":
        return not value
    listed = value in (scope.get("values") or ())
    return bool(value) and listed if operator == "In" else not listed


def best_effort(spec: JSONObject) -> bool:
    """Whether nothing in the pod asks for or is limited in CPU or memory."""
    holders: Sequence[JSONObject] = [
        spec,
        *(spec.get("containers") or ()),
        *(spec.get("initContainers") or ()),
    ]
    for holder in holders:
        resources = holder.get("resources") or {}
        for side in ("requests", "limits"):
            for name, text in (resources.get(side) or {}).items():
                if name in ("cpu", "memory") and quantity.parse(text):
                    return False
    return True


def _crosses_namespaces(affinity: JSONObject) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind) or {}
        required = terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = [
            weighted.get("podAffinityTerm") or {}
            for weighted in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        for term in [*required, *preferred]:
            if term.get("namespaces") or term.get("namespaceSelector") is not None:
                return True
    return False

"""LimitRanger: a namespace's LimitRanges give containers what they did not ask for, and bound what is asked.

Owns the defaults, the note of them in an annotation, and the bounds for containers, pods and claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kube_actors.api import pod_resources, quantity
from kube_actors.api.pod_resources import Amounts
from kube_actors.api.quantity import Quantity
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Step

ANNOTATION = "kubernetes.io/limit-ranger"
PREFIX = "/registry/core/limitranges/"
Limit = Mapping[str, Any]


class LimitRanger(Step):
    """See the module."""

    name = "LimitRanger"

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation != "CREATE" or attempt.obj is None or not attempt.concerns("", "pods"):
            return
        for limits in await _limits(attempt):
            fill_in(attempt.obj, limits)

    async def check(self, attempt: Attempt) -> None:
        obj = attempt.obj
        if obj is None or attempt.operation not in ("CREATE", "UPDATE"):
            return
        resource = attempt.call.kind.resource
        if resource.group or resource.plural not in ("pods", "persistentvolumeclaims"):
            return
        is_pod = resource.plural == "pods"
        wanted = "resize" if is_pod and attempt.operation == "UPDATE" else ""
        if attempt.subresource != wanted or (attempt.old or {}).get("metadata", {}).get("deletionTimestamp"):
            return
        for limits in await _limits(attempt):
            problems = pod_problems(obj, limits) if is_pod else claim_problems(obj, limits)
            if problems:
                raise attempt.forbidden(_joined(problems))


async def _limits(attempt: Attempt) -> list[list[Limit]]:
    """The limits of every LimitRange of the namespace, in the order of their names."""
    known = await attempt.call.core.mirrors.of(PREFIX).read()
    if not known:
        return []
    place = attempt.namespace + "/"
    return [known[key]["spec"].get("limits") or [] for key in sorted(key for key in known if key.startswith(place))]


def fill_in(pod: JSONObject, limits: Iterable[Limit]) -> None:
    """Give containers the default requests and limits, and say so in an annotation."""
    requests: dict[str, str] = {}
    maxima: dict[str, str] = {}
    for limit in limits:
        if limit.get("type") == "Container":
            requests |= limit.get("defaultRequest") or {}
            maxima |= limit.get("default") or {}
    if not requests and not maxima:
        return
    notes: list[str] = []
    spec = pod["spec"]
    for title, containers in (("container", spec.get("containers")), ("init container", spec.get("initContainers"))):
        for container in containers or ():
            resources = container.setdefault("resources", {})
            for side, word, defaults in (("requests", "request", requests), ("limits", "limit", maxima)):
                given = resources.get(side) or {}
                added = sorted(defaults.keys() - given.keys())
                if added:
                    resources[side] = {**given, **{name: defaults[name] for name in added}}
                    notes.append(f"{', '.join(added)} {word} for {title} {container.get('name', '')}")
    if notes:
        annotations = pod["metadata"].get("annotations") or {}
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}


def pod_problems(pod: JSONObject, limits: Iterable[Limit]) -> list[str]:
    """What a pod breaks of these limits."""
    found: list[str] = []
    spec = pod["spec"]
    for limit in limits:
        kind = limit.get("type")
        if kind == "Container":
            for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
                resources = container.get("resources") or {}
                requests = pod_resources.amounts(resources.get("requests"))
                found += _bounds(limit, requests, pod_resources.amounts(resources.get("limits")))
        elif kind == "Pod":
            requests = pod_resources.requests(spec, overhead=False)
            found += _bounds(limit, requests, pod_resources.limits(spec, overhead=False))
    return found


def claim_problems(claim: JSONObject, limits: Iterable[Limit]) -> list[str]:
    """What a PersistentVolumeClaim breaks of these limits."""
    found: list[str] = []
    requests = pod_resources.amounts((claim["spec"].get("resources") or {}).get("requests"))
    for limit in limits:
        if limit.get("type") != "PersistentVolumeClaim":
            continue
        for name, bound in pod_resources.amounts(limit.get("min")).items():
            found += _below("PersistentVolumeClaim", name, bound, requests, {})
        for name, bound in pod_resources.amounts(limit.get("max")).items():
            lead = f"maximum {name} usage per PersistentVolumeClaim is {bound}"
            if name not in requests:
                found.append(f"{lead}.  No request is specified")
            elif requests[name] > bound:
                found.append(f"{lead}, but request is {requests[name]}")
    return found


def _bounds(limit: Limit, requests: Amounts, limits: Amounts) -> list[str]:
    kind = limit["type"]
    found: list[str] = []
    for name, bound in pod_resources.amounts(limit.get("min")).items():
        found += _below(kind, name, bound, requests, limits)
    for name, bound in pod_resources.amounts(limit.get("max")).items():
        found += _above(kind, name, bound, requests, limits)
    for name, bound in pod_resources.amounts(limit.get("maxLimitRequestRatio")).items():
        found += _ratio(kind, name, bound, requests, limits)
    return found


def _below(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    lead = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        return [f"{lead}.  No request is specified"]
    if requests[name] < bound:
        return [f"{lead}, but request is {requests[name]}"]
    if name in limits and limits[name] < bound:
        return [f"{lead}, but limit is {limits[name]}"]
    return []


def _above(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    lead = f"maximum {name} usage per {kind} is {bound}"
    if name not in limits:
        return [f"{lead}.  No limit is specified"]
    if limits[name] > bound:
        return [f"{lead}, but limit is {limits[name]}"]
    if name in requests and requests[name] > bound:
        return [f"{lead}, but request is {requests[name]}"]
    return []


def _ratio(kind: str, name: str, bound: Quantity, requests: Amounts, limits: Amounts) -> list[str]:
    lead = f"{name} max limit to request ratio per {kind} is {bound}"
    if not requests.get(name, quantity.ZERO):
        return [f"{lead}, but no request is specified or request is 0"]
    if not limits.get(name, quantity.ZERO):
        return [f"{lead}, but no limit is specified or limit is 0"]
    ratio = limits[name].amount / requests[name].amount
    return [f"{lead}, but provided ratio is {ratio:.6f}"] if ratio > bound.amount else []


def _joined(problems: list[str]) -> str:
    unique = list(dict.fromkeys(problems))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"

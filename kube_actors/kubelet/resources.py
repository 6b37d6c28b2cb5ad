"""What containers ask for: quality-of-service class, engine limits, and what a pod takes of its node. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kube_actors.api import quantity
from kube_actors.api.quantity import Quantity
from kube_actors.api.types.core_v1 import Pod
from runtimes.contract import Resources

from .model import AnyContainer, containers_of

_MIN_SHARES, _MAX_SHARES = 2, 262144
_QUOTA_PERIOD_US = 100_000
_MIN_QUOTA_US = 1000
_BURSTABLE_MIN_ADJ, _BURSTABLE_MAX_ADJ = 3, 999


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort."""
    every = True
    some = False
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        requirements = container.resources
        requests = _positive(requirements.requests if requirements is not None else {})
        limits = _positive(requirements.limits if requirements is not None else {})
        some = some or bool(requests) or bool(limits)
        for name in ("cpu", "memory"):
            limit = limits.get(name)
            if limit is None or requests.get(name, limit) != limit:
                every = False
    if not some:
        return "BestEffort"
    return "Guaranteed" if every else "Burstable"


def _positive(amounts: Mapping[str, str]) -> dict[str, Quantity]:
    found = {name: quantity.parse(text) for name, text in amounts.items() if name in ("cpu", "memory")}
    return {name: amount for name, amount in found.items() if amount.sign > 0}


def requests_of(container: AnyContainer) -> dict[str, Quantity]:
    """A container's requests; a limit without a request is a request too."""
    if container.resources is None:
        return {}
    texts = {**container.resources.limits, **container.resources.requests}
    return {name: quantity.parse(text) for name, text in texts.items()}


def pod_requests(pod: Pod) -> dict[str, Quantity]:
    """What a pod takes of its node: all that run together, or the largest moment of its initialisation."""
    total: dict[str, Quantity] = {}
    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container, role in containers_of(pod):
        amounts = requests_of(container)
        if role == "app":
            total = quantity.total(total, amounts)
        elif role == "sidecar":
            sidecars = quantity.total(sidecars, amounts)
            peak = _largest(peak, sidecars)
        elif role == "init":
            peak = _largest(peak, quantity.total(sidecars, amounts))
    result = _largest(quantity.total(total, sidecars), peak)
    own = pod.spec.resources
    if own is not None:
        result |= {name: quantity.parse(text) for name, text in {**own.limits, **own.requests}.items()}
    overhead = {name: quantity.parse(text) for name, text in pod.spec.overhead.items()}
    return quantity.total(result, overhead)


def _largest(one: dict[str, Quantity], other: dict[str, Quantity]) -> dict[str, Quantity]:
    result = dict(one)
    for name, amount in other.items():
        if name not in result or result[name] < amount:
            result[name] = amount
    return result


def engine_resources(pod: Pod, container: AnyContainer, node_memory: int) -> Resources:
    """Requests and limits as the engine's cgroup settings."""
    requirements = container.resources
    limits = requirements.limits if requirements is not None else {}
    requests = requests_of(container)
    cpu, memory = limits.get("cpu"), limits.get("memory")
    milli = requests["cpu"].milli_value() if "cpu" in requests else 0
    quota = max(quantity.milli(cpu) * _QUOTA_PERIOD_US // 1000, _MIN_QUOTA_US) if cpu is not None else None
    return Resources(
        cpu_shares=min(max(milli * 1024 // 1000, _MIN_SHARES), _MAX_SHARES),
        cpu_quota_us=quota,
        cpu_period_us=_QUOTA_PERIOD_US if quota is not None else None,
        memory_limit_bytes=quantity.units(memory) if memory is not None else None,
        oom_score_adj=_oom_score(pod, requests, node_memory),
    )


def _oom_score(pod: Pod, requests: Mapping[str, Quantity], node_memory: int) -> int:
    """Who is killed first when memory runs out: best effort first, guaranteed last."""
    kind = qos_class(pod)
    if kind == "Guaranteed":
        return -997
    if kind == "BestEffort":
        return 1000
    asked = requests["memory"].value() if "memory" in requests else 0
    return min(max(1000 - 1000 * asked // max(node_memory, 1), _BURSTABLE_MIN_ADJ), _BURSTABLE_MAX_ADJ)

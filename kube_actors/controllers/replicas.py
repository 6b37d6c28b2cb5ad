"""How many replicas one metric asks for: the arithmetic of the HorizontalPodAutoscaler.

Pure. Amounts are in thousandths, as the metrics APIs' quantities are compared. Which pods count, and what stands in for
those without a measurement, is decided here; where measurements come from, and what is done with the answer, is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from kube_actors.api import conditions, quantity
from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import Container, Pod

from . import limits, pods

CPU = "cpu"


class Sample(Struct, frozen=True):
    """What was measured of one pod: thousandths, when, and over how many seconds."""

    value: int
    time: float = 0.0
    window: float = limits.METRICS_WINDOW_SECONDS


class Unknown(Exception):
    """No number can be computed; the text says why."""


class Rules(Struct, frozen=True, kw_only=True):
    """How far the ratio may be from 1 before anything is done, and how long a young pod's CPU tells nothing."""

    down: float = limits.HPA_TOLERANCE
    up: float = limits.HPA_TOLERANCE
    cpu_initialization: float = limits.HPA_CPU_INITIALIZATION_SECONDS
    initial_readiness: float = limits.HPA_INITIAL_READINESS_SECONDS

    def is_within(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Proposal(Struct, frozen=True, kw_only=True):
    """replicas, and what the status shows: the average in thousandths, and in percent of the requests where asked."""

    replicas: int
    value: int
    percent: int | None = None


class Groups(Struct, frozen=True):
    """Pods by what their measurements are worth."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def group(members: Sequence[Pod], samples: Mapping[str, Sample], resource: str, rules: Rules, now: float) -> Groups:
    """Pods that are going or failed are ignored; pending ones, and those whose CPU still tells nothing, are unready."""
    ready = 0
    unready, missing, ignored = set[str](), set[str](), set[str]()
    for pod in members:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp is not None or pod.status.phase == "Failed":
            ignored.add(name)
        elif pod.status.phase == "Pending":
            unready.add(name)
        elif name not in samples:
            missing.add(name)
        elif resource == CPU and _is_starting(pod, samples[name], rules, now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _is_starting(pod: Pod, sample: Sample, rules: Rules, now: float) -> bool:
    condition = conditions.find(pod.status.conditions, "Ready")
    if condition is None or not pod.status.start_time:
        return True
    started = parse_time(pod.status.start_time)
    changed = parse_time(condition.last_transition_time) if condition.last_transition_time else 0.0
    if started + rules.cpu_initialization > now:
        return condition.status == conditions.FALSE or sample.time < changed + sample.window
    return condition.status == conditions.FALSE and started + rules.initial_readiness > changed


def requests(members: Sequence[Pod], container: str, resource: str) -> dict[str, int]:
    """What each pod, or its container of this name, asks of a resource. Raises Unknown where one says nothing."""
    found: dict[str, int] = {}
    for pod in members:
        whole = pod.spec.resources
        if not container and whole is not None and resource in whole.requests:
            found[pod.metadata.name] = quantity.milli(whole.requests[resource])
        else:
            found[pod.metadata.name] = sum(
                _request(pod, each, resource) for each in _lasting(pod) if container in ("", each.name)
            )
    return found


def _lasting(pod: Pod) -> list[Container]:
    sidecars = (each for each in pod.spec.init_containers if each.restart_policy == "Always")
    return [*pod.spec.containers, *sidecars]


def _request(pod: Pod, container: Container, resource: str) -> int:
    amounts = container.resources.requests if container.resources is not None else {}
    if resource not in amounts:
        text = f"missing request for {resource} in container {container.name} of Pod {pod.metadata.name}"
        raise Unknown(text)
    return quantity.milli(amounts[resource])


def by_utilization(
    current: int,
    target: int,
    resource: str,
    container: str,
    members: Sequence[Pod],
    samples: Mapping[str, Sample],
    rules: Rules,
    now: float,
) -> Proposal:
    """For a target in percent of what the pods request."""
    groups, counted = _counted(members, samples, resource, rules, now)
    asked = requests(members, container, resource)
    ratio, percent, raw = _utilization(counted, asked, target)

    def again(values: Mapping[str, int]) -> float:
        return _utilization(values, asked, target)[0]

    fallback = max(100, target)
    stand_in = {name: asked[name] * fallback // 100 for name in groups.missing}
    replicas = _settled(current, ratio, counted, groups, stand_in, again, rules)
    return Proposal(replicas=replicas, value=raw, percent=percent)


def by_average(
    current: int,
    target: int,
    resource: str,
    members: Sequence[Pod],
    samples: Mapping[str, Sample],
    rules: Rules,
    now: float,
) -> Proposal:
    """For a target in thousandths of whatever is measured, a pod. resource is "" for what is none."""
    groups, counted = _counted(members, samples, resource, rules, now)
    average = _average(counted)

    def again(values: Mapping[str, int]) -> float:
        return _average(values) / target

    stand_in = dict.fromkeys(groups.missing, target)
    replicas = _settled(current, average / target, counted, groups, stand_in, again, rules)
    return Proposal(replicas=replicas, value=average)


def _counted(
    members: Sequence[Pod], samples: Mapping[str, Sample], resource: str, rules: Rules, now: float
) -> tuple[Groups, dict[str, int]]:
    if not members:
        raise Unknown("no pods returned by selector while calculating replica count")
    groups = group(members, samples, resource, rules, now)
    left_out = groups.ignored | groups.unready
    counted = {name: sample.value for name, sample in samples.items() if name not in left_out}
    if not counted:
        raise Unknown("did not receive metrics for targeted pods (pods might be unready)")
    return groups, counted


def _settled(
    current: int,
    ratio: float,
    counted: Mapping[str, int],
    groups: Groups,
    stand_in: Mapping[str, int],
    again: Callable[[Mapping[str, int]], float],
    rules: Rules,
) -> int:
    """The number that the ratio asks for, with pods that were not measured counted against the change."""
    unready_too = bool(groups.unready) and ratio > 1.0
    if not unready_too and not groups.missing:
        return current if rules.is_within(ratio) else math.ceil(ratio * groups.ready)
    values = dict(counted)
    if ratio < 1.0:
        values.update(stand_in)
    elif ratio > 1.0:
        values.update(dict.fromkeys(groups.missing, 0))
    if unready_too:
        values.update(dict.fromkeys(groups.unready, 0))
    corrected = again(values)
    if rules.is_within(corrected) or (ratio < 1.0 < corrected) or (corrected < 1.0 < ratio):
        return current
    replicas = math.ceil(corrected * len(values))
    turned = (corrected < 1.0 and replicas > current) or (corrected > 1.0 and replicas < current)
    return current if turned else replicas


def _utilization(values: Mapping[str, int], asked: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """The ratio to the target, the percentage, and the average value of the pods that are known."""
    known = [name for name in values if name in asked]
    total = sum(asked[name] for name in known)
    if total == 0:
        raise Unknown("no metrics returned matched known pods")
    used = sum(values[name] for name in known)
    percent = used * 100 // total
    return percent / target, percent, used // len(known)


def _average(values: Mapping[str, int]) -> int:
    return sum(values.values()) // len(values)


def by_total(current: int, target: int, total: int, members: Sequence[Pod], rules: Rules) -> Proposal:
    """For a target of the whole: as many ready pods more as the whole is above it."""
    ratio = total / target
    if current == 0:
        return Proposal(replicas=math.ceil(ratio), value=total)
    if rules.is_within(ratio):
        return Proposal(replicas=current, value=total)
    if not members:
        why = "no pods returned by selector while calculating replica count"
        raise Unknown(f"unable to calculate ready pods: {why}")
    ready = sum(1 for pod in members if pod.status.phase == "Running" and pods.is_ready(pod))
    return Proposal(replicas=math.ceil(ratio * ready), value=total)


def by_share(there: int, target: int, total: int, rules: Rules) -> Proposal:
    """For a target that each of the pods that are there should have a share of."""
    wanted = math.ceil(total / target)
    if there == 0:
        return Proposal(replicas=wanted, value=total)
    replicas = there if rules.is_within(total / (target * there)) else wanted
    return Proposal(replicas=replicas, value=math.ceil(total / there))

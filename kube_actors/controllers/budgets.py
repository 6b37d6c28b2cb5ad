"""How many pods a PodDisruptionBudget expects, wants healthy and lets go. Pure arithmetic over what was observed.

Owns the numbers of policy/v1 (KEP-85 and the task "Specifying a Disruption Budget"); which controller a pod has and how
many replicas that one wants is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import Pod
from kube_actors.api.types.meta_v1 import LabelSelector
from kube_actors.api.types.policy_v1 import PodDisruptionBudget

from . import limits, pods
from .rollout import scaled


class Numbers(Struct, frozen=True, kw_only=True):
    """What the status says: expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed."""

    expected: int
    desired: int
    current: int
    allowed: int


def needs_scale(budget: PodDisruptionBudget) -> bool:
    """Whether the numbers depend on how many replicas the pods' controllers want."""
    least = budget.spec.min_available
    return budget.spec.max_unavailable is not None or isinstance(least, str)


def numbers(
    budget: PodDisruptionBudget, selected: Sequence[Pod], expected: int, disrupted: Mapping[str, str]
) -> Numbers:
    """expected: the replicas that the controllers of the pods want together; only asked where `needs_scale`."""
    spec = budget.spec
    if spec.max_unavailable is not None:
        desired = max(0, expected - scaled(spec.max_unavailable, expected, up=True))
    elif isinstance(spec.min_available, str):
        desired = scaled(spec.min_available, expected, up=True)
    elif spec.min_available is not None:
        expected, desired = len(selected), spec.min_available
    else:
        expected = desired = 0
    current = sum(1 for pod in selected if _is_healthy(pod, disrupted))
    allowed = max(0, current - desired) if expected > 0 else 0
    return Numbers(expected=expected, desired=desired, current=current, allowed=allowed)


def _is_healthy(pod: Pod, disrupted: Mapping[str, str]) -> bool:
    going = pod.metadata.deletion_timestamp is not None or pod.metadata.name in disrupted
    return not going and pods.is_ready(pod)


class Disrupted(Struct, frozen=True, kw_only=True):
    """Evictions that were let through: those still waited for, those given up, and when to look again."""

    waited_for: dict[str, str]
    overdue: tuple[Pod, ...]
    look_in: float | None


def still_disrupted(budget: PodDisruptionBudget, selected: Sequence[Pod], now: float) -> Disrupted:
    """Of the evictions counted in the status, those whose pod has not begun to go."""
    waited_for: dict[str, str] = {}
    overdue: list[Pod] = []
    look_in: float | None = None
    for pod in selected:
        since = budget.status.disrupted_pods.get(pod.metadata.name)
        if since is None or pod.metadata.deletion_timestamp is not None:
            continue
        left = parse_time(since) + limits.EVICTION_PATIENCE_SECONDS - now
        if left <= 0:
            overdue.append(pod)
            continue
        waited_for[pod.metadata.name] = since
        look_in = left if look_in is None else min(look_in, left)
    return Disrupted(waited_for=waited_for, overdue=tuple(overdue), look_in=look_in)


def selector_text(selector: LabelSelector | None) -> str:
    """A label selector as Go prints it, which the event about unmanaged pods shows."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.match_labels.items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.key},Operator:{e.operator},Values:[{' '.join(e.values)}],}},"
        for e in selector.match_expressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )

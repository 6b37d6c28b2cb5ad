"""What becomes of a recommendation before it is acted on: bounds, windows of stabilisation, and speed limits.

Pure. What it must know of the past is a value, History, which every step gives back changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from kube_actors.api.types.autoscaling_v2 import (
    HorizontalPodAutoscalerBehavior,
    HPAScalingPolicy,
    HPAScalingRules,
)

from . import limits

_FACTOR = 2.0
_LEAST = 4.0
_HUGE = 2**31 - 1

_UP = HPAScalingRules(
    policies=(
        HPAScalingPolicy(type="Pods", value=4, period_seconds=15),
        HPAScalingPolicy(type="Percent", value=100, period_seconds=15),
    ),
    select_policy="Max",
    stabilization_window_seconds=0,
)
_DOWN = HPAScalingRules(
    policies=(HPAScalingPolicy(type="Percent", value=100, period_seconds=15),),
    select_policy="Max",
)


class Moment(Struct, frozen=True):
    """A number at a time: a recommendation, or by how much the target was scaled."""

    number: int
    time: float


class History(Struct, frozen=True, kw_only=True):
    """Recommendations before stabilisation, and what was added and taken away, as far back as it counts."""

    recommendations: tuple[Moment, ...] = ()
    added: tuple[Moment, ...] = ()
    taken: tuple[Moment, ...] = ()


class Bounds(Struct, frozen=True, kw_only=True):
    """minReplicas, maxReplicas, and the window of scaling down that is meant where none is said."""

    least: int
    most: int
    window: float = limits.HPA_DOWNSCALE_STABILIZATION_SECONDS


class Verdict(Struct, frozen=True, kw_only=True):
    """The replicas to have, and the two conditions' reasons and messages; limited says that a bound was met."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


_READY = ("ReadyForNewScale", "recommended size matches current size")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_TOO_FAST_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)


def normalized(
    behavior: HorizontalPodAutoscalerBehavior | None,
    history: History,
    current: int,
    desired: int,
    bounds: Bounds,
    now: float,
) -> tuple[Verdict, History]:
    """What to do about a recommendation, and the history with it in it."""
    if behavior is None:
        return _plainly(history, current, desired, bounds, now)
    up, down = behavior.scale_up or _UP, behavior.scale_down or _DOWN
    stable, history = _stabilized(history, current, desired, _window(up, 0), _window(down, bounds.window), now)
    able = _READY
    if stable != desired:
        able = _UP_STABILIZED if desired >= current else _DOWN_STABILIZED
    replicas, limit = _within_rates(history, current, stable, up, down, bounds, now)
    return Verdict(replicas=replicas, able=able, limited=replicas != stable, limit=limit), history


def first(history: History, current: int, now: float) -> History:
    """The history of an autoscaler that has none begins with what is there."""
    if history.recommendations:
        return history
    return structs.replace(history, recommendations=(Moment(current, now),))


def scaled(
    history: History, behavior: HorizontalPodAutoscalerBehavior | None, old: int, new: int, now: float
) -> History:
    """The history after the target was scaled; only behaviours ask for that."""
    if behavior is None:
        return history
    if new > old:
        kept = _recent(history.added, _longest(behavior.scale_up or _UP), now)
        return structs.replace(history, added=(*kept, Moment(new - old, now)))
    kept = _recent(history.taken, _longest(behavior.scale_down or _DOWN), now)
    return structs.replace(history, taken=(*kept, Moment(old - new, now)))


def _plainly(history: History, current: int, desired: int, bounds: Bounds, now: float) -> tuple[Verdict, History]:
    """Without behaviours: the highest recommendation of the window, at most twice the replicas and at least four."""
    recent = _recent(history.recommendations, bounds.window, now)
    stable = max([desired, *(moment.number for moment in recent)])
    history = structs.replace(history, recommendations=(*recent, Moment(desired, now)))
    able = _READY if stable == desired else _DOWN_STABILIZED
    fastest = int(max(_FACTOR * current, _LEAST))
    most, limit = (fastest, _TOO_FAST_UP) if bounds.most > fastest else (bounds.most, _TOO_MANY)
    if stable < bounds.least:
        replicas, limit = bounds.least, _TOO_FEW
    elif stable > most:
        replicas = most
    else:
        replicas, limit = stable, _WITHIN
    return Verdict(replicas=replicas, able=able, limited=replicas != stable, limit=limit), history


def _stabilized(
    history: History, current: int, desired: int, up: float, down: float, now: float
) -> tuple[int, History]:
    """Up only as far as all recommendations of the one window say, down only as far as all of the other say."""
    lowest = highest = desired
    for moment in history.recommendations:
        if moment.time > now - up:
            lowest = min(lowest, moment.number)
        if moment.time > now - down:
            highest = max(highest, moment.number)
    stable = min(max(current, lowest), highest)
    kept = _recent(history.recommendations, max(up, down), now)
    return stable, structs.replace(history, recommendations=(*kept, Moment(desired, now)))


def _within_rates(
    history: History,
    current: int,
    wanted: int,
    up: HPAScalingRules,
    down: HPAScalingRules,
    bounds: Bounds,
    now: float,
) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        fastest = max(current, _limit_up(history, current, up, now))
        most, limit = (fastest, _TOO_FAST_UP) if bounds.most > fastest else (bounds.most, _TOO_MANY)
        return (most, limit) if wanted > most else (wanted, _WITHIN)
    if wanted < current:
        fastest = min(current, _limit_down(history, current, down, now))
        least, limit = (fastest, _TOO_FAST_DOWN) if bounds.least < fastest else (bounds.least, _TOO_FEW)
        return (least, limit) if wanted < least else (wanted, _WITHIN)
    return wanted, _WITHIN


def _limit_up(history: History, current: int, rules: HPAScalingRules, now: float) -> int:
    """The most replicas that the policies let there be."""
    if rules.select_policy == "Disabled":
        return current
    proposed = []
    for policy in rules.policies:
        start = _at_start(history, current, policy, now)
        pods = policy.type == "Pods"
        proposed.append(start + policy.value if pods else math.ceil(start * (1 + policy.value / 100)))
    return _chosen(proposed, min if rules.select_policy == "Min" else max, _HUGE)


def _limit_down(history: History, current: int, rules: HPAScalingRules, now: float) -> int:
    """The fewest replicas that the policies let there be."""
    if rules.select_policy == "Disabled":
        return current
    proposed = []
    for policy in rules.policies:
        start = _at_start(history, current, policy, now)
        proposed.append(start - policy.value if policy.type == "Pods" else int(start * (1 - policy.value / 100)))
    return _chosen(proposed, max if rules.select_policy == "Min" else min, -_HUGE)


def _chosen(proposed: Sequence[int], choose: Callable[[Sequence[int]], int], otherwise: int) -> int:
    return choose(proposed) if proposed else otherwise


def _at_start(history: History, current: int, policy: HPAScalingPolicy, now: float) -> int:
    """How many replicas there were when the policy's period began."""
    since = now - policy.period_seconds
    added = sum(moment.number for moment in history.added if moment.time > since)
    taken = sum(moment.number for moment in history.taken if moment.time > since)
    return current - added + taken


def _window(rules: HPAScalingRules, otherwise: float) -> float:
    said = rules.stabilization_window_seconds
    return otherwise if said is None else said


def _longest(rules: HPAScalingRules) -> float:
    return max((policy.period_seconds for policy in rules.policies), default=0)


def _recent(moments: Sequence[Moment], seconds: float, now: float) -> tuple[Moment, ...]:
    return tuple(moment for moment in moments if moment.time >= now - seconds)

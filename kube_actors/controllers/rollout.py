"""The arithmetic of a Deployment: how many pods each of its ReplicaSets is to have.

Pure numbers, with Kubernetes' rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kube_actors.api.time import parse_time
from kube_actors.api.types.apps_v1 import Deployment, ReplicaSet

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


def replicas_of(owner: Deployment | ReplicaSet) -> int:
    return 1 if owner.spec.replicas is None else owner.spec.replicas


def total(sets: Sequence[ReplicaSet]) -> int:
    """The pods that sets are to have."""
    return sum(replicas_of(rs) for rs in sets)


def available(sets: Sequence[ReplicaSet]) -> int:
    return sum(rs.status.available_replicas or 0 for rs in sets)


def is_rolling(deployment: Deployment) -> bool:
    strategy = deployment.spec.strategy
    return strategy is None or strategy.type in (None, "RollingUpdate")


def scaled(value: int | str, count: int, *, up: bool) -> int:
    """A number, or a percentage of count, rounded up or down."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * count
    return -(-share // 100) if up else share // 100


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """How many pods more than wanted, and how many fewer, a rolling update may have: surge and unavailable."""
    strategy = deployment.spec.strategy
    rolling = strategy.rolling_update if strategy is not None else None
    surge_value: int | str = "25%" if rolling is None or rolling.max_surge is None else rolling.max_surge
    lack_value: int | str = "25%" if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
    count = replicas_of(deployment)
    surge = scaled(surge_value, count, up=True)
    lack = scaled(lack_value, count, up=False)
    # With neither, nothing could ever move: both may be percentages that round to nothing.
    return (surge, lack) if surge or lack else (0, 1)


def max_surge(deployment: Deployment) -> int:
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    wanted = replicas_of(deployment)
    if not is_rolling(deployment) or wanted == 0:
        return 0
    return min(fenceposts(deployment)[1], wanted)


def created(rs: ReplicaSet) -> tuple[float, str]:
    """The order of age: oldest first, then by name."""
    stamp = rs.metadata.creation_timestamp
    return (parse_time(stamp) if stamp else 0.0, rs.metadata.name)


def new_set_replicas(deployment: Deployment, sets: Sequence[ReplicaSet], new: ReplicaSet) -> int:
    """How many pods the newest set may have now."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    current = total(sets)
    limit = wanted + fenceposts(deployment)[0]
    if current >= limit:
        return replicas_of(new)
    return replicas_of(new) + min(limit - current, wanted - replicas_of(new))


def number(rs: ReplicaSet, annotation: str) -> int | None:
    text = rs.metadata.annotations.get(annotation, "")
    try:
        return int(text)
    except ValueError:
        return None


def is_saturated(deployment: Deployment, rs: ReplicaSet | None) -> bool:
    """The set has all pods that are wanted, and they are available."""
    wanted = replicas_of(deployment)
    return (
        rs is not None
        and number(rs, DESIRED) == wanted
        and replicas_of(rs) == wanted
        and (rs.status.available_replicas or 0) == wanted
    )


def proportional(deployment: Deployment, sets: Sequence[ReplicaSet]) -> dict[str, int]:
    """New sizes of several active sets, by name: each keeps its share of a Deployment that is scaled amid a rollout."""
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted > 0 else 0
    left = allowed - total(sets)
    younger_first = left > 0
    ordered = sorted(sets, key=created, reverse=younger_first)
    ordered.sort(key=replicas_of, reverse=True)
    sizes: dict[str, int] = {}
    added = 0
    for rs in ordered:
        share = _share(rs, deployment, left, added)
        sizes[rs.metadata.name] = replicas_of(rs) + share
        added += share
    if ordered and left:
        largest = ordered[0].metadata.name
        sizes[largest] = max(0, sizes[largest] + left - added)
    return sizes


def _share(rs: ReplicaSet, deployment: Deployment, to_add: int, added: int) -> int:
    if replicas_of(rs) == 0 or to_add == 0 or to_add == added:
        return 0
    fraction = _fraction(rs, deployment)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(rs: ReplicaSet, deployment: Deployment) -> int:
    size = replicas_of(rs)
    wanted = replicas_of(deployment)
    if wanted == 0:
        return -size
    before = number(rs, MAXIMUM) or deployment.status.replicas or 0
    if before == 0:
        return 0
    grown = size * (wanted + max_surge(deployment)) / before
    return (math.ceil(grown - 0.5) if grown < 0 else math.floor(grown + 0.5)) - size

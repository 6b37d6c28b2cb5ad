"""What a StatefulSet says of itself: its figures, and the revisions between which it stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from kube_actors.api.types.apps_v1 import StatefulSet, StatefulSetStatus
from kube_actors.api.types.core_v1 import Pod

from . import pods
from . import stateful_pods as identity


def calculate(
    owner: StatefulSet,
    counted: Iterable[Pod],
    current: str,
    update: str,
    collisions: int,
    replaced: int,
    now: float,
) -> StatefulSetStatus:
    """The status; replaced is how many pods of the current revision were just deleted for the new one."""
    total = ready = available = old = new = 0
    seconds = owner.spec.min_ready_seconds or 0
    for pod in counted:
        if not pod.metadata.uid:
            continue
        total += 1
        if pod.status.phase == "Running" and pods.is_ready(pod):
            ready += 1
            available += pods.is_available(pod, seconds, now)
        if pod.metadata.deletion_timestamp is None:
            revision = identity.revision_of(pod)
            old += revision == current
            new += revision == update
    status = StatefulSetStatus(
        observed_generation=owner.metadata.generation or None,
        replicas=total,
        ready_replicas=ready or None,
        available_replicas=available,
        current_replicas=(old - replaced) or None,
        updated_replicas=new or None,
        current_revision=current,
        update_revision=update,
        collision_count=collisions,
    )
    return _completed(owner, status)


def _completed(owner: StatefulSet, status: StatefulSetStatus) -> StatefulSetStatus:
    """At the end of a rolling update the new revision is the current one."""
    strategy = owner.spec.update_strategy
    wanted = identity.replicas_of(owner)
    figures = (status.updated_replicas or 0, status.ready_replicas or 0, status.replicas)
    if strategy is None or strategy.type != "RollingUpdate" or figures != (wanted,) * 3:
        return status
    return structs.replace(status, current_replicas=status.updated_replicas, current_revision=status.update_revision)


def differs(old: StatefulSetStatus, new: StatefulSetStatus) -> bool:
    """Whether a new status is worth writing."""
    return (new.observed_generation or 0) > (old.observed_generation or 0) or _figures(old) != _figures(new)


def _figures(status: StatefulSetStatus) -> tuple[object, ...]:
    return (
        status.replicas,
        status.current_replicas or 0,
        status.ready_replicas or 0,
        status.updated_replicas or 0,
        status.available_replicas or 0,
        status.current_revision,
        status.update_revision,
    )

"""What a Deployment says of itself: its figures, and whether it is available, progressing or failing.

Pure. Reasons and texts are Kubernetes' own.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from kube_actors.api import conditions
from kube_actors.api.conditions import FALSE, TRUE, UNKNOWN
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.apps_v1 import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet

from . import rollout

AVAILABLE = "Available"
PROGRESSING = "Progressing"
REPLICA_FAILURE = "ReplicaFailure"
COMPLETE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
_NO_LIMIT = 2**31 - 1

Conditions = tuple[DeploymentCondition, ...]


def has_deadline(deployment: Deployment) -> bool:
    return deployment.spec.progress_deadline_seconds not in (None, _NO_LIMIT)


def condition(kind: str, status: str, reason: str, message: str, now: float) -> DeploymentCondition:
    stamp = format_time(now)
    return DeploymentCondition(
        type=kind, status=status, reason=reason, message=message, last_update_time=stamp, last_transition_time=stamp
    )


def put(known: Conditions, new: DeploymentCondition) -> Conditions:
    """The conditions with a new one at the end; unchanged when it says nothing new but in its message."""
    old = conditions.find(known, new.type)
    if old is not None:
        if (old.status, old.reason) == (new.status, new.reason):
            return known
        if old.status == new.status:
            new = structs.replace(new, last_transition_time=old.last_transition_time)
    return (*conditions.remove(known, new.type), new)


def calculate(
    deployment: Deployment, sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """The figures and the Available condition; the other conditions as they were."""
    ready = rollout.available(sets)
    leaving = [rs.status.terminating_replicas for rs in sets]
    enough = ready >= rollout.replicas_of(deployment) - rollout.max_unavailable(deployment)
    if enough:
        availability = condition(
            AVAILABLE, TRUE, "MinimumReplicasAvailable", "Deployment has minimum availability.", now
        )
    else:
        text = "Deployment does not have minimum availability."
        availability = condition(AVAILABLE, FALSE, "MinimumReplicasUnavailable", text, now)
    return DeploymentStatus(
        observed_generation=deployment.metadata.generation or None,
        replicas=sum(rs.status.replicas for rs in sets) or None,
        updated_replicas=(new.status.replicas if new is not None else 0) or None,
        ready_replicas=sum(rs.status.ready_replicas or 0 for rs in sets) or None,
        available_replicas=ready or None,
        unavailable_replicas=max(0, rollout.total(sets) - ready) or None,
        terminating_replicas=None if None in leaving else sum(count or 0 for count in leaving),
        collision_count=deployment.status.collision_count,
        conditions=put(deployment.status.conditions, availability),
    )


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """All pods are new, all are available, and no old one is left."""
    wanted = rollout.replicas_of(deployment)
    figures = (status.updated_replicas or 0, status.replicas or 0, status.available_replicas or 0)
    return figures == (wanted,) * 3 and (status.observed_generation or 0) >= deployment.metadata.generation


def _moves(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    """Whether the rollout came nearer to its end between two statuses."""
    updated, before = new.updated_replicas or 0, old.updated_replicas or 0
    return (
        updated > before
        or (new.replicas or 0) - updated < (old.replicas or 0) - before
        or (new.ready_replicas or 0) > (old.ready_replicas or 0)
        or (new.available_replicas or 0) > (old.available_replicas or 0)
    )


def _is_late(deployment: Deployment, status: DeploymentStatus, now: float) -> bool:
    found = conditions.find(status.conditions, PROGRESSING)
    if found is None or found.reason == COMPLETE:
        return False
    if found.reason == TIMED_OUT:
        return True
    since = parse_time(found.last_update_time) if found.last_update_time else 0.0
    return since + (deployment.spec.progress_deadline_seconds or 0) < now


def with_progress(
    deployment: Deployment, sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """The status in the middle of a rollout, or at its end."""
    status = calculate(deployment, sets, new, now)
    known = status.conditions
    current = conditions.find(deployment.status.conditions, PROGRESSING)
    if not has_deadline(deployment):
        known = conditions.remove(known, PROGRESSING)
    elif not (status.replicas == status.updated_replicas and current is not None and current.reason == COMPLETE):
        known = _progress(deployment, status, known, new, now)
    failure = _failure(sets, new)
    known = put(known, failure) if failure is not None else conditions.remove(known, REPLICA_FAILURE)
    return structs.replace(status, conditions=known)


def _progress(
    deployment: Deployment, status: DeploymentStatus, known: Conditions, new: ReplicaSet | None, now: float
) -> Conditions:
    what = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{deployment.metadata.name}"'
    current = conditions.find(deployment.status.conditions, PROGRESSING)
    if is_complete(deployment, status):
        return put(known, condition(PROGRESSING, TRUE, COMPLETE, f"{what} has successfully progressed.", now))
    if _moves(deployment.status, status):
        moving = condition(PROGRESSING, TRUE, "ReplicaSetUpdated", f"{what} is progressing.", now)
        if current is not None:
            if current.status == TRUE:
                moving = structs.replace(moving, last_transition_time=current.last_transition_time)
            # Removed first, so that the time of the last update moves on, which is what the deadline counts from.
            known = conditions.remove(known, PROGRESSING)
        return put(known, moving)
    if _is_late(deployment, status, now):
        return put(known, condition(PROGRESSING, FALSE, TIMED_OUT, f"{what} has timed out progressing.", now))
    return known


def _failure(sets: Sequence[ReplicaSet], new: ReplicaSet | None) -> DeploymentCondition | None:
    """The first ReplicaSet's failure, the newest one's before all others."""
    ordered = sets if new is None else (new, *sets)
    for rs in ordered:
        found = conditions.find(rs.status.conditions, REPLICA_FAILURE)
        if found is not None:
            return DeploymentCondition(
                type=found.type,
                status=found.status,
                reason=found.reason,
                message=found.message,
                last_transition_time=found.last_transition_time,
                last_update_time=found.last_transition_time,
            )
    return None


def paused(deployment: Deployment, now: float) -> Conditions:
    """The conditions once it is noted that the Deployment was paused, or goes on."""
    known = deployment.status.conditions
    current = conditions.find(known, PROGRESSING)
    if not has_deadline(deployment) or (current is not None and current.reason == TIMED_OUT):
        return known
    noted = current is not None and current.reason == PAUSED
    if deployment.spec.paused and not noted:
        return put(known, condition(PROGRESSING, UNKNOWN, PAUSED, "Deployment is paused", now))
    if not deployment.spec.paused and noted:
        return put(known, condition(PROGRESSING, UNKNOWN, "DeploymentResumed", "Deployment is resumed", now))
    return known


def deadline_in(deployment: Deployment, status: DeploymentStatus, now: float) -> float | None:
    """Seconds until a rollout that stands still is to be looked at again; None when it need not be."""
    found = conditions.find(status.conditions, PROGRESSING)
    if not has_deadline(deployment) or found is None or found.reason == TIMED_OUT or is_complete(deployment, status):
        return None
    since = parse_time(found.last_update_time) if found.last_update_time else now
    left = since + (deployment.spec.progress_deadline_seconds or 0) - now
    return max(left, 0.0) + 1.0

"""How long a Job waits before it replaces a pod that failed: ten seconds, doubling with each failure in a row. Pure.

A record remembers which finished pods it has counted, so that looking twice at one pod counts it once.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kube_actors.api import conditions
from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import Pod

from . import limits


class Record(Struct, frozen=True):
    """failures: how many pods failed since the last success. last: when the last of them did."""

    failures: int = 0
    last: float = 0.0
    counted: frozenset[str] = frozenset()

    def after(self, succeeded: Sequence[Pod], failed: Sequence[Pod]) -> Record:
        """The record once these finished pods are known; each is counted when it is first seen."""
        seen = frozenset(pod.metadata.uid for pod in (*succeeded, *failed))
        if seen == self.counted:
            return self
        new_failed = sorted(finished_at(pod) for pod in failed if pod.metadata.uid not in self.counted)
        new_succeeded = [finished_at(pod) for pod in succeeded if pod.metadata.uid not in self.counted]
        failures, last = self.failures, self.last
        if new_succeeded:
            success = max(new_succeeded)
            new_failed = [moment for moment in new_failed if moment > success]
            failures = 0
        if new_failed:
            last = new_failed[-1]
        return Record(failures + len(new_failed), last, seen)


def remaining(failures: int, last: float, now: float) -> float:
    """Seconds until the next pod may be made after so many failures in a row."""
    if failures <= 0:
        return 0.0
    doublings = min(failures - 1, 32)
    pause = min(limits.JOB_BACKOFF_SECONDS * 2.0**doublings, limits.JOB_BACKOFF_MAX_SECONDS)
    return max(0.0, last + pause - now)


def finished_at(pod: Pod) -> float:
    """When a pod ended: by its containers, else since when it is not ready, else by its deletion."""
    ends = [status.state.terminated if status.state else None for status in pod.status.container_statuses]
    moments = [end.finished_at for end in ends if end is not None and end.finished_at]
    if ends and len(moments) == len(ends):
        return max(parse_time(moment) for moment in moments)
    ready = conditions.find(pod.status.conditions, "Ready")
    if ready is not None and ready.status == conditions.FALSE and ready.last_transition_time:
        return parse_time(ready.last_transition_time)
    metadata = pod.metadata
    if metadata.deletion_timestamp:
        return parse_time(metadata.deletion_timestamp) - (metadata.deletion_grace_period_seconds or 0)
    return parse_time(metadata.creation_timestamp) if metadata.creation_timestamp else 0.0

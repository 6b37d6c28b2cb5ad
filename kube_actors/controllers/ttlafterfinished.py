"""Jobs that ended are deleted after the time that they ask for in ttlSecondsAfterFinished. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.time import parse_time
from kube_actors.api.types.batch_v1 import Job

from .contract import NOTHING, Caches, Delete, Outcome, Plan, Read, Source, own_key
from .job_state import COMPLETE, FAILED


class Observed(Struct, frozen=True):
    job: Job
    now: float


def left(job: Job, now: float) -> float | None:
    """Seconds until a Job is to go; None when it has not ended, goes already, or may stay for ever."""
    seconds = job.spec.ttl_seconds_after_finished
    if seconds is None or job.metadata.deletion_timestamp is not None:
        return None
    for condition in job.status.conditions:
        if condition.type in (COMPLETE, FAILED) and condition.status == "True" and condition.last_transition_time:
            return parse_time(condition.last_transition_time) + seconds - now
    return None


def plan(observed: Observed) -> Plan:
    """Wait, or ask the server for the Job as it is now, and delete that one if it still has to go."""
    job = observed.job
    wait = left(job, observed.now)
    if wait is None:
        return NOTHING
    if wait > 0:
        return Plan(requeue_after=wait)
    key = f"{job.metadata.namespace}/{job.metadata.name}"

    def then(outcome: Outcome) -> Plan:
        fresh = None if outcome.error is not None else outcome.results[0]
        wait = None if fresh is None else left(fresh, observed.now)
        if fresh is None or wait is None:
            return NOTHING
        if wait > 0:
            return Plan(requeue_after=wait)
        uid, version = fresh.metadata.uid, fresh.metadata.resource_version
        return Plan(actions=(Delete(kind=Job, key=key, uid=uid, resource_version=version, propagation="Foreground"),))

    return Plan(actions=(Read(kind=Job, key=key, tolerate=("NotFound",)),), then=then)


def _keys(_: Job | None, new: Job | None, caches: Caches) -> Iterable[str]:
    """Only a Job that asks to be deleted and has ended."""
    return () if new is None or left(new, 0.0) is None else own_key(new, caches)


class FinishedJobs:
    """The TTL after finished controller."""

    name = "ttl-after-finished-controller"
    component = "ttl-after-finished-controller"
    workers = 5

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=Job, change=_keys),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [key for job in caches.list(Job) for key in _keys(None, job, caches)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        job = caches.get(Job, key)
        return None if job is None else Observed(job, now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

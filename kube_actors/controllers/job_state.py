"""What is to be known of a Job before anything is done: its counts, its indexes, and whether it is at its end. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kube_actors.api import conditions
from kube_actors.api.selectors import Selector
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.batch_v1 import Job, JobCondition, UncountedTerminatedPods
from kube_actors.api.types.core_v1 import Pod

from . import indexes, pods
from .indexes import Intervals, index_of
from .job_backoff import Record
from .job_pods import FAILURES, delayed_deletions, has_valid_index, is_failed, is_indexed, is_tracked
from .job_policies import match_failure, match_success

COMPLETE, FAILED = "Complete", "Failed"
TARGET, CRITERIA_MET = "FailureTarget", "SuccessCriteriaMet"
OURS = "kubernetes.io/job-controller"


class Observed(Struct, frozen=True, kw_only=True):
    """A Job, the pods that are or may become its own, and the record of its failures."""

    job: Job
    selector: Selector
    candidates: tuple[Pod, ...] = ()
    record: Record = Record()
    now: float = 0.0


class Look(Struct, frozen=True, kw_only=True):
    """One look at a Job and its pods. finished: the condition with which it ends, None as long as it goes on."""

    job: Job
    pods: tuple[Pod, ...]
    active: tuple[Pod, ...]
    succeeded: int
    failed: int
    counted_indexes: Intervals
    succeeded_indexes: Intervals
    failed_indexes: Intervals | None
    delayed: dict[int, Pod]
    record: Record
    now: float
    finished: JobCondition | None = None


def is_finished(job: Job) -> bool:
    return any(c.type in (COMPLETE, FAILED) and c.status == "True" for c in job.status.conditions)


def is_managed_elsewhere(job: Job) -> bool:
    return job.spec.managed_by not in (None, OURS)


def is_suspended(job: Job) -> bool:
    return bool(job.spec.suspend)


def uncounted_of(job: Job) -> UncountedTerminatedPods:
    return job.status.uncounted_terminated_pods or UncountedTerminatedPods()


def condition(kind: str, reason: str, message: str, now: float, status: str = "True") -> JobCondition:
    moment = format_time(now)
    return JobCondition(
        type=kind, status=status, reason=reason, message=message, last_probe_time=moment, last_transition_time=moment
    )


def new_finished(job: Job, owned: Sequence[Pod]) -> tuple[list[Pod], list[Pod]]:
    """The pods that succeeded and those that failed and are in no count yet."""
    uncounted = uncounted_of(job)
    fresh = [pod for pod in owned if is_tracked(pod) and has_valid_index(pod, job)]
    succeeded = [p for p in fresh if p.status.phase == "Succeeded" and p.metadata.uid not in uncounted.succeeded]
    failed = [p for p in fresh if is_failed(p, job) and p.metadata.uid not in uncounted.failed]
    return succeeded, failed


def look(observed: Observed, owned: Sequence[Pod]) -> Look:
    job = observed.job
    status, uncounted = job.status, uncounted_of(job)
    new_succeeded, new_failed = new_finished(job, owned)
    policy = job.spec.pod_failure_policy
    counted = sum(match_failure(policy, pod).counted for pod in new_failed)
    active = tuple(pod for pod in owned if pods.is_active(pod))
    succeeded = (status.succeeded or 0) + len(new_succeeded) + len(uncounted.succeeded)
    before, done, failed = _indexes(job, owned)
    delayed: dict[int, Pod] = {}
    if is_indexed(job):
        succeeded = indexes.total(done)
    if failed is not None:
        living = frozenset(index for pod in active if (index := index_of(pod)) is not None)
        tracked = [pod for pod in owned if is_tracked(pod) and has_valid_index(pod, job)]
        delayed = delayed_deletions(job, tracked, indexes.merge(done, failed), living)
    return Look(
        job=job,
        pods=tuple(owned),
        active=active,
        succeeded=succeeded,
        failed=(status.failed or 0) + counted + len(uncounted.failed),
        counted_indexes=before,
        succeeded_indexes=done,
        failed_indexes=failed,
        delayed=delayed,
        record=observed.record,
        now=observed.now,
    )


def _indexes(job: Job, owned: Sequence[Pod]) -> tuple[Intervals, Intervals, Intervals | None]:
    """The succeeded indexes that the status knows, those there are now, and the failed ones where they matter."""
    if not is_indexed(job):
        return (), (), None
    completions = job.spec.completions or 0
    before = indexes.parse(job.status.completed_indexes, completions)
    fresh = [pod for pod in owned if is_tracked(pod) and has_valid_index(pod, job)]
    new = (index_of(pod) or 0 for pod in fresh if pod.status.phase == "Succeeded")
    done = indexes.merge(before, indexes.single(new))
    if job.spec.backoff_limit_per_index is None:
        return before, done, None
    gone = (index_of(pod) or 0 for pod in fresh if _fails_its_index(pod, job))
    failed = indexes.merge(indexes.parse(job.status.failed_indexes, completions), indexes.single(gone))
    return before, done, failed


def _fails_its_index(pod: Pod, job: Job) -> bool:
    """Whether there will be no further pod for this one's index."""
    if not is_failed(pod, job):
        return False
    match = match_failure(job.spec.pod_failure_policy, pod)
    if match.action == "FailIndex":
        return True
    failures = indexes.count_of(pod, FAILURES)
    return match.counted and failures >= (job.spec.backoff_limit_per_index or 0)


def ending(seen: Look) -> JobCondition | None:
    """The condition that begins the Job's end, if it is to end; decided once, its reason never changes after."""
    job, now = seen.job, seen.now
    met = conditions.find(job.status.conditions, CRITERIA_MET)
    if met is not None and met.status == "True":
        return met
    target = conditions.find(job.status.conditions, TARGET)
    if target is not None and target.status == "True":
        return condition(FAILED, target.reason or "", target.message or "", now)
    why = _failure(seen)
    if why is not None:
        return condition(TARGET, *why, now)
    if is_indexed(job):
        text = match_success(job.spec.success_policy, job.spec.completions or 0, seen.succeeded_indexes)
        if text:
            return condition(CRITERIA_MET, "SuccessPolicy", text, now)
    return None


def _failure(seen: Look) -> tuple[str, str] | None:
    """Reason and message with which the Job fails."""
    job = seen.job
    policy = job.spec.pod_failure_policy
    if policy is not None:
        for pod in seen.pods:
            message = match_failure(policy, pod).message if is_failed(pod, job) else ""
            if message:
                return "PodFailurePolicy", message
    limit = 6 if job.spec.backoff_limit is None else job.spec.backoff_limit
    if seen.failed > limit or _restarts_exceed(job, seen.pods, limit):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    left = deadline_in(job, seen.now)
    if left is not None and left <= 0:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    if seen.failed_indexes:
        failed = indexes.total(seen.failed_indexes)
        most = job.spec.max_failed_indexes
        if most is not None and failed > most:
            return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
        if failed + indexes.total(seen.succeeded_indexes) >= (job.spec.completions or 0):
            return "FailedIndexes", "Job has failed indexes"
    return None


def _restarts_exceed(job: Job, owned: Sequence[Pod], limit: int) -> bool:
    """Where containers are restarted in their pods, their restarts count as failures."""
    if job.spec.template.spec is None or job.spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(
        status.restart_count
        for pod in owned
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
    return restarts >= max(1, limit)


def deadline_in(job: Job, now: float) -> float | None:
    """Seconds until the Job has been active for too long; None when it may take as long as it likes."""
    allowed, began = job.spec.active_deadline_seconds, job.status.start_time
    if allowed is None or is_suspended(job):
        return None
    return allowed if began is None else parse_time(began) + allowed - now

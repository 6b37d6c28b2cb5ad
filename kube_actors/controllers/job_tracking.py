"""Counting a Job's finished pods so that none is counted twice and none is lost, and declaring its end. Pure.

In this order: finished pods are written into the status as not yet counted; their finalizers go; the counters take
them over. Whoever dies in between leaves enough behind for the next one to go on from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct, structs

from kube_actors.api import conditions
from kube_actors.api.types.batch_v1 import Job, JobCondition, JobStatus, UncountedTerminatedPods
from kube_actors.api.types.core_v1 import Pod

from . import indexes, limits
from .contract import Action, Batch, Emit, Outcome, Plan, Update
from .indexes import index_of
from .job_pods import by_index, has_valid_index, is_failed, is_indexed, is_tracked, untracking
from .job_policies import match_failure
from .job_state import COMPLETE, CRITERIA_MET, FAILED, TARGET, Look, condition, uncounted_of


class Tally(Struct, frozen=True, kw_only=True):
    """How the pods stand after this look's own creations and deletions."""

    active: int
    ready: int
    terminating: int


def track(seen: Look, job: Job, tally: Tally, *, changed: bool) -> Plan:
    """The rest of a look: the status, the finalizers, the end. `job` has the conditions of this look already."""
    new_succeeded, new_failed, removable, full = _sort_out(seen)
    tracked = {pod.metadata.uid for pod in seen.pods if is_tracked(pod)}
    status = counted(job.status, tracked)
    known = status.uncounted_terminated_pods or UncountedTerminatedPods()
    uncounted = structs.replace(
        known, succeeded=(*known.succeeded, *_uids(new_succeeded)), failed=(*known.failed, *_uids(new_failed))
    )
    status = structs.replace(
        status,
        active=tally.active or None,
        ready=tally.ready,
        terminating=tally.terminating,
        uncounted_terminated_pods=uncounted,
    )
    if is_indexed(job):
        done, failed = seen.succeeded_indexes, seen.failed_indexes
        status = structs.replace(
            status,
            succeeded=indexes.total(done) or None,
            completed_indexes=indexes.text_of(done) or None,
            failed_indexes=None if failed is None else indexes.text_of(failed),
        )
    status, last = _interim(status, seen.finished, seen.now)
    needed = changed or _differs(status, seen.job.status)
    end = None if full else last

    def then_remove(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return Plan()
        current = outcome.results[0] if needed else structs.replace(job, status=status)
        return _remove(current, removable, tracked, end, tally, seen.now)

    if not needed:
        return then_remove(Outcome())
    update = Update(obj=structs.replace(job, status=status), subresource="status")
    return Plan(actions=(update,), then=then_remove)


def _differs(status: JobStatus, before: JobStatus) -> bool:
    """Whether there is anything to write; a status that nobody wrote yet lists no uncounted pods either."""
    if before.uncounted_terminated_pods is None:
        before = structs.replace(before, uncounted_terminated_pods=UncountedTerminatedPods())
    return status != before


def _uids(found: Iterable[Pod]) -> list[str]:
    return [pod.metadata.uid for pod in found]


def _sort_out(seen: Look) -> tuple[list[Pod], list[Pod], list[Pod], bool]:
    """Pods to note as succeeded and as failed, pods whose finalizer can go, and whether there were too many."""
    job, finished = seen.job, seen.finished
    indexed, policy, known = is_indexed(job), job.spec.pod_failure_policy, uncounted_of(job)
    fails = finished is not None and finished.type != CRITERIA_MET
    new_succeeded: list[Pod] = []
    new_failed: list[Pod] = []
    removable: list[Pod] = []
    new_indexes: set[int] = set()
    held = len(known.succeeded) + len(known.failed)
    for pod in by_index(seen.pods) if indexed else seen.pods:
        failed = is_failed(pod, job)
        if not is_tracked(pod) or not _can_go(seen, pod, failed):
            continue
        removable.append(pod)
        uid = pod.metadata.uid
        if pod.status.phase == "Succeeded" and uid not in known.failed:
            index = index_of(pod)
            if not indexed and uid not in known.succeeded:
                new_succeeded.append(pod)
            elif indexed and index is not None and not indexes.has(seen.counted_indexes, index):
                new_indexes.add(index)
        # Once the Job has failed, every pod that has not ended counts as failed.
        elif (
            (failed or fails)
            and uid not in known.failed
            and has_valid_index(pod, job)
            and match_failure(policy, pod).counted
        ):
            new_failed.append(pod)
        if held + len(new_succeeded) + len(new_failed) + len(new_indexes) >= limits.JOB_UNCOUNTED_PODS:
            return new_succeeded, new_failed, removable, True
    return new_succeeded, new_failed, removable, False


def _can_go(seen: Look, pod: Pod, failed: bool) -> bool:
    """Whether nobody needs the pod any more once it is counted."""
    job = seen.job
    if job.metadata.deletion_timestamp or seen.finished is not None or pod.status.phase == "Succeeded":
        return True
    index = index_of(pod)
    kept = None if index is None else seen.delayed.get(index)
    return failed and (kept is None or kept.metadata.uid != pod.metadata.uid)


def counted(status: JobStatus, tracked: Collection[str]) -> JobStatus:
    """The status with the noted pods counted that have lost their finalizer."""
    noted = status.uncounted_terminated_pods or UncountedTerminatedPods()
    succeeded = tuple(uid for uid in noted.succeeded if uid in tracked)
    failed = tuple(uid for uid in noted.failed if uid in tracked)
    more, worse = len(noted.succeeded) - len(succeeded), len(noted.failed) - len(failed)
    return structs.replace(
        status,
        succeeded=(status.succeeded or 0) + more or None,
        failed=(status.failed or 0) + worse or None,
        uncounted_terminated_pods=UncountedTerminatedPods(succeeded=succeeded, failed=failed),
    )


def _interim(status: JobStatus, finished: JobCondition | None, now: float) -> tuple[JobStatus, JobCondition | None]:
    """The status with the condition that announces the end, and the one that will declare it."""
    if finished is None:
        return status, None
    kind = COMPLETE if finished.type == CRITERIA_MET else FAILED
    last = condition(kind, finished.reason or "", finished.message or "", now)
    announced = conditions.find(status.conditions, finished.type)
    if finished.type in (TARGET, CRITERIA_MET) and (announced is None or announced.status != "True"):
        status = structs.replace(status, conditions=(*status.conditions, finished))
    return status, last


def _remove(
    job: Job, removable: Sequence[Pod], tracked: Collection[str], end: JobCondition | None, tally: Tally, now: float
) -> Plan:
    """Take the finalizers off, then count and, if it is time, declare the end."""

    def then_count(outcome: Outcome) -> Plan:
        if outcome.error is None:
            gone = set(_uids(removable))
        else:
            gone = {pod.metadata.uid for pod in outcome.partial if isinstance(pod, Pod)}
        left = {uid for uid in tracked if uid not in gone}
        return _declare(job, counted(job.status, left), end if outcome.error is None else None, tally, now)

    if not removable:
        return then_count(Outcome())
    return Plan(actions=(Batch(actions=tuple(untracking(pod) for pod in removable)),), then=then_count)


def _declare(job: Job, status: JobStatus, end: JobCondition | None, tally: Tally, now: float) -> Plan:
    """Write the counters; with them the end, when every pod is counted and none is still going."""
    noted = status.uncounted_terminated_pods or UncountedTerminatedPods()
    events: list[Action] = []
    if end is not None and not noted.succeeded and not noted.failed and not tally.terminating:
        status = structs.replace(status, conditions=ensure(status.conditions, end))
        if end.type == COMPLETE:
            status = structs.replace(status, completion_time=end.last_transition_time)
        events = _news(job, status, end)
    if not _differs(status, job.status):
        return Plan()
    return Plan(actions=(Update(obj=structs.replace(job, status=status), subresource="status"), *events))


def _news(job: Job, status: JobStatus, end: JobCondition) -> list[Action]:
    if end.type == FAILED:
        return [Emit(about=job, type="Warning", reason=end.reason or "", message=end.message or "")]
    news: list[Action] = []
    if job.spec.completions is not None and (status.succeeded or 0) > job.spec.completions:
        text = "Too many succeeded pods running after completion count reached"
        news.append(Emit(about=job, type="Warning", reason="TooManySucceededPods", message=text))
    return [*news, Emit(about=job, reason="Completed", message="Job completed")]


def ensure(known: tuple[JobCondition, ...], wanted: JobCondition) -> tuple[JobCondition, ...]:
    """The conditions with this one in place; what was never true is not made false."""
    old = conditions.find(known, wanted.type)
    if old is None:
        return known if wanted.status == "False" else (*known, wanted)
    if (old.status, old.reason, old.message) == (wanted.status, wanted.reason, wanted.message):
        return known
    return tuple(wanted if entry.type == wanted.type else entry for entry in known)

"""The Job controller: pods are made until enough of them have succeeded, or too many failed.

The plan is pure. How pods are made stands in job_pods, what a look finds in job_state, how they are counted and the
end is declared in job_tracking. The controller remembers the failures that set the pause before the next pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import selectors
from kube_actors.api.owners import controller_of, is_controlled_by
from kube_actors.api.selectors import Selector
from kube_actors.api.time import format_time
from kube_actors.api.types.batch_v1 import Job
from kube_actors.api.types.core_v1 import Pod

from . import indexes, limits, pods
from .claims import claim
from .contract import (
    BY_OWNER,
    NOTHING,
    OWNER_INDEX,
    Action,
    Batch,
    Caches,
    Chain,
    Delete,
    Emit,
    Outcome,
    Plan,
    Source,
    orphans_of,
    own_key,
)
from .job_backoff import Record, finished_at, remaining
from .job_pods import (
    FINALIZER,
    absolute_failures,
    creation,
    deletion,
    is_indexed,
    is_tracked,
    key_of,
    only_replaces_failed,
    surplus,
    untracking,
)
from .job_state import (
    Look,
    Observed,
    condition,
    deadline_in,
    ending,
    is_finished,
    is_managed_elsewhere,
    is_suspended,
    look,
    new_finished,
)
from .job_tracking import Tally, ensure, track

_ORPHAN = "orphan/"
"""Keys of pods whose Job will not count them any more."""
_LABEL_INDEX, _SELECTOR_INDEX = "orphan-label", "selector-label"


class ObservedOrphan(Struct, frozen=True):
    pod: Pod


class _Work(Struct, frozen=True, kw_only=True):
    """What is to be done about the pods, and when to look again if it is too early for the rest."""

    doomed: tuple[Pod, ...] = ()
    untracked: bool = False
    create: Batch | None = None
    wait: float | None = None


def plan(observed: Observed) -> Plan:
    job = observed.job
    if job.spec.completion_mode not in (None, "Indexed", "NonIndexed"):
        text = "Skipped Job sync because completion mode is unknown"
        return Plan(actions=(Emit(about=job, type="Warning", reason="UnknownCompletionMode", message=text),))
    claimed = claim(job, observed.selector, observed.candidates, finalizers=(FINALIZER,))
    if not claimed.actions:
        return _manage(observed, claimed.owned)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        fresh = {pod.metadata.uid: pod for pod in outcome.results if isinstance(pod, Pod)}
        owned = [fresh.get(pod.metadata.uid, pod) for pod in claimed.owned]
        return _manage(observed, [pod for pod in owned if is_controlled_by(pod, job)])

    return Plan(actions=claimed.actions, then=then)


def _manage(observed: Observed, owned: Sequence[Pod]) -> Plan:
    """Delete or create pods as the Job stands, then go on with how that went."""
    job = observed.job
    if job.status.start_time is None and not is_suspended(job):
        job = structs.replace(job, status=structs.replace(job.status, start_time=format_time(observed.now)))
        observed = structs.replace(observed, job=job)
    seen = look(observed, owned)
    seen = structs.replace(seen, finished=ending(seen))
    if seen.finished is not None:
        work = _Work(doomed=seen.active)
    elif job.metadata.deletion_timestamp is None:
        work = _work(seen)
    else:
        work = _Work()
    actions: list[Action] = []
    if work.doomed:
        actions.append(Batch(actions=tuple(_removal(job, pod, work.untracked) for pod in work.doomed)))
    if work.create is not None:
        actions.append(work.create)

    def settle(outcome: Outcome) -> Plan:
        return _settle(seen, work, outcome)

    return Plan(actions=tuple(actions), then=settle) if actions else settle(Outcome())


def _removal(job: Job, pod: Pod, untracked: bool) -> Delete | Chain:
    """A pod that the Job wants no more is counted by nobody; one of a Job that ends still has to be."""
    gone = deletion(job, pod)
    return Chain(actions=(untracking(pod), gone)) if untracked and is_tracked(pod) else gone


def _work(seen: Look) -> _Work:
    """What the pods of a Job need that goes on: too many go first, missing ones come when their time has come."""
    job, active = seen.job, len(seen.active)
    if is_suspended(job):
        doomed = surplus(job, seen.active, active)
        return _Work(doomed=tuple(doomed), untracked=True)
    parallelism = 1 if job.spec.parallelism is None else job.spec.parallelism
    if job.spec.completions is None:
        wanted = active if seen.succeeded > 0 else parallelism
    else:
        wanted = max(0, min(parallelism, job.spec.completions - seen.succeeded))
    doomed = surplus(job, seen.active, max(0, active - wanted))[: limits.BURST_REPLICAS]
    if doomed:
        return _Work(doomed=tuple(doomed), untracked=True)
    going = sum(pods.is_terminating(pod) for pod in seen.pods) if only_replaces_failed(job) else 0
    missing = wanted - going - active
    return _creations(seen, min(missing, limits.BURST_REPLICAS)) if missing > 0 else _Work()


def _creations(seen: Look, count: int) -> _Work:
    job, now = seen.job, seen.now
    per_index = is_indexed(job) and job.spec.backoff_limit_per_index is not None
    if not per_index:
        wait = remaining(seen.record.failures, seen.record.last, now)
        if wait > 0:
            return _Work(wait=wait)
    numbers: list[int | None] = [None] * count
    if is_indexed(job):
        numbers = [*indexes.first_missing(_taken(seen), count, job.spec.completions or 0)]
    if per_index:
        waits = {number: _index_wait(seen, number) for number in numbers}
        numbers = [number for number in numbers if waits[number] <= 0]
        if not numbers and waits:
            return _Work(wait=min(waits.values()))
    made = tuple(creation(job, number, None if number is None else seen.delayed.get(number)) for number in numbers)
    return _Work(create=Batch(actions=made, slow_start=True) if made else None)


def _taken(seen: Look) -> indexes.Intervals:
    """The indexes that need no pod now."""
    busy = list(seen.active)
    if only_replaces_failed(seen.job):
        busy += [pod for pod in seen.pods if pods.is_terminating(pod)]
    living = indexes.single(index for pod in busy if (index := indexes.index_of(pod)) is not None)
    return indexes.merge(indexes.merge(seen.succeeded_indexes, living), seen.failed_indexes or ())


def _index_wait(seen: Look, number: int | None) -> float:
    pod = None if number is None else seen.delayed.get(number)
    return 0.0 if pod is None else remaining(absolute_failures(pod) + 1, finished_at(pod), seen.now)


def _settle(seen: Look, work: _Work, outcome: Outcome) -> Plan:
    """Go on once the pods are made or deleted: how many are active now decides whether the Job is complete."""
    job, error = seen.job, outcome.error
    gone, made = _done(work, outcome)
    active = len(seen.active) - gone + made
    attempted = work.doomed if gone or error is None else ()
    tally = Tally(
        active=active,
        ready=sum(pods.is_ready(p) for p in seen.active) - sum(pods.is_ready(p) for p in attempted),
        terminating=sum(pods.is_terminating(pod) for pod in seen.pods) + gone,
    )
    changed: tuple[Action, ...] = ()
    if seen.finished is not None:
        if gone != len(seen.active):
            seen = structs.replace(seen, finished=None)
    elif _is_complete(seen, tally.active):
        text = "Reached expected number of succeeded pods"
        seen = structs.replace(seen, finished=condition("SuccessCriteriaMet", "CompletionsReached", text, seen.now))
    elif job.metadata.deletion_timestamp is None:
        job, changed = _suspension(job, seen.now)
    rest = track(seen, job, tally, changed=bool(changed) or job is not seen.job)
    waits = [] if work.wait is None else [max(work.wait, limits.JOB_BATCH_SECONDS)]
    left = deadline_in(job, seen.now) if seen.finished is None else None
    waits += [] if left is None else [max(left, 0.001)]
    again = min(waits, default=None)
    # In a namespace that goes away no pod can be made, and that is no failure.
    ends = error is not None and error.has_cause("NamespaceTerminating")
    if again is None and not changed and not ends:
        return rest
    return Plan(actions=changed, then=lambda _: _also(rest, again), handled=ends)


def _also(rest: Plan, again: float | None) -> Plan:
    """A plan that ends with a look at this time."""
    if rest.then is None:
        return structs.replace(rest, requeue_after=again)
    then = rest.then
    return structs.replace(rest, then=lambda outcome: _also(then(outcome), again))


def _done(work: _Work, outcome: Outcome) -> tuple[int, int]:
    """How many pods were deleted and how many made; of what was refused in part, the part that was done."""
    if outcome.error is None:
        return len(work.doomed), 0 if work.create is None else len(work.create.actions)
    done = len(outcome.partial)
    return (0, done) if work.create is not None else (done, 0)


def _is_complete(seen: Look, active: int) -> bool:
    completions = seen.job.spec.completions
    if completions is None:
        return seen.succeeded > 0 and active == 0
    return seen.succeeded >= completions and active == 0


def _suspension(job: Job, now: float) -> tuple[Job, tuple[Action, ...]]:
    """The Job with what its conditions say about being suspended; the clock of a resumed one starts anew."""
    status = job.status
    suspended = is_suspended(job)
    if suspended:
        wanted = condition("Suspended", "JobSuspended", "Job suspended", now)
    else:
        wanted = condition("Suspended", "JobResumed", "Job resumed", now, status="False")
    known = ensure(status.conditions, wanted)
    began = status.start_time
    if suspended:
        began = None
    elif known != status.conditions:
        began = format_time(now)
    if known == status.conditions and began == status.start_time:
        return job, ()
    told = structs.replace(job, status=structs.replace(status, conditions=known, start_time=began))
    if known == status.conditions:
        return told, ()
    reason, message = ("Suspended", "Job suspended") if suspended else ("Resumed", "Job resumed")
    return told, (Emit(about=job, reason=reason, message=message),)


# Which keys


def _pod_keys(old: Pod | None, new: Pod | None, caches: Caches) -> Iterable[str]:
    """The Job of a pod, the one it had before, and those that may adopt it."""
    keys: list[str] = []
    for pod in (old, new):
        reference = None if pod is None else controller_of(pod)
        if pod is not None and reference is not None and reference.kind == "Job":
            keys.append(f"{pod.metadata.namespace}/{reference.name}")
    return keys if new is None or controller_of(new) is not None else [*keys, *_adopters(new, caches)]


def _orphan_keys(_: Pod | None, new: Pod | None, caches: Caches) -> Iterable[str]:
    """The pod itself, at once, when nobody will count it: well before a Job that may adopt it looks at it."""
    return (_ORPHAN + key_of(new),) if new is not None and is_tracked(new) and _is_orphan(new, caches) else ()


def _is_orphan(pod: Pod, caches: Caches) -> bool:
    """Whether no Job will take this pod's finalizer off."""
    reference = controller_of(pod)
    if reference is None:
        return True
    if (reference.api_version, reference.kind) != ("batch/v1", "Job"):
        return False
    job = caches.get(Job, f"{pod.metadata.namespace}/{reference.name}")
    if job is None or job.metadata.uid != reference.uid:
        return pod.metadata.deletion_timestamp is not None
    return is_finished(job) and not is_managed_elsewhere(job)


def _job_keys(old: Job | None, new: Job | None, caches: Caches) -> Iterable[str]:
    """The Job itself; once it has ended or is gone, also the pods that still wait for it."""
    job = old if new is None else new
    if job is None:
        return ()
    keys = [*own_key(job, caches)]
    if (new is None or is_finished(job)) and not is_managed_elsewhere(job):
        keys += [_ORPHAN + key_of(p) for p in caches.by_index(Pod, OWNER_INDEX, job.metadata.uid) if is_tracked(p)]
    return keys


def _delay(old: Any, new: Any) -> float:
    """A new spec is looked at once; news of pods and of the status wait for more of the same."""
    if isinstance(new, Job) and (old is None or old.metadata.generation != new.metadata.generation):
        return 0.0
    return 0.0 if new is None and isinstance(old, Job) else limits.JOB_BATCH_SECONDS


def _selector(job: Job) -> Selector:
    return selectors.NOTHING if job.spec.selector is None else selectors.compile_selector(job.spec.selector)


def _selector_labels(job: Job) -> tuple[str, ...]:
    """One label that every pod of the Job has; the namespace alone where the selector names none."""
    wanted = {} if job.spec.selector is None else job.spec.selector.match_labels
    pair = min(wanted.items(), default=None)
    namespace = job.metadata.namespace
    return (f"{namespace}/" if pair is None else f"{namespace}/{pair[0]}={pair[1]}",)


def _orphan_labels(pod: Pod) -> tuple[str, ...]:
    if controller_of(pod) is not None:
        return ()
    namespace = pod.metadata.namespace
    return tuple(f"{namespace}/{key}={value}" for key, value in pod.metadata.labels.items())


def _adopters(pod: Pod, caches: Caches) -> list[str]:
    labels = pod.metadata.labels
    places = (*_orphan_labels(pod), f"{pod.metadata.namespace}/")
    return [
        f"{job.metadata.namespace}/{job.metadata.name}"
        for place in places
        for job in caches.by_index(Job, _SELECTOR_INDEX, place)
        if _selector(job).matches(labels)
    ]


class Jobs:
    """The Job controller. It remembers how often the pods of a Job failed in a row."""

    name = "job-controller"
    component = "job-controller"
    workers = 5

    def __init__(self) -> None:
        self._records: dict[str, tuple[str, Record]] = {}

    def sources(self) -> tuple[Source, ...]:
        own = (_SELECTOR_INDEX, _selector_labels)
        return (
            Source(kind=Job, change=_job_keys, delay=_delay, indexes=(own,)),
            Source(kind=Pod, change=_orphan_keys),
            Source(kind=Pod, change=_pod_keys, delay=_delay, indexes=(BY_OWNER, (_LABEL_INDEX, _orphan_labels))),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        for job in caches.list(Job):
            yield from own_key(job, caches)
        for pod in caches.list(Pod):
            if is_tracked(pod) and _is_orphan(pod, caches):
                yield _ORPHAN + key_of(pod)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | ObservedOrphan | None:
        if key.startswith(_ORPHAN):
            pod = caches.get(Pod, key.removeprefix(_ORPHAN))
            return None if pod is None or not is_tracked(pod) or not _left_alone(pod, caches) else ObservedOrphan(pod)
        job = caches.get(Job, key)
        if job is None or is_finished(job) or is_managed_elsewhere(job):
            self._records.pop(key, None)
            return None
        selector = _selector(job)
        (place,) = _selector_labels(job)
        if place.endswith("/"):
            orphans = caches.by_index(Pod, OWNER_INDEX, orphans_of(job.metadata.namespace))
        else:
            orphans = caches.by_index(Pod, _LABEL_INDEX, place)
        own = caches.by_index(Pod, OWNER_INDEX, job.metadata.uid)
        uid, record = self._records.get(key, ("", Record()))
        record = (record if uid == job.metadata.uid else Record()).after(*new_finished(job, own))
        self._records[key] = job.metadata.uid, record
        candidates = (*own, *(pod for pod in orphans if selector.matches(pod.metadata.labels)))
        return Observed(job=job, selector=selector, candidates=candidates, record=record, now=now)

    def plan(self, observed: Observed | ObservedOrphan) -> Plan:
        if isinstance(observed, ObservedOrphan):
            return Plan(actions=(untracking(observed.pod, as_seen=True),))
        return plan(observed)


def _left_alone(pod: Pod, caches: Caches) -> bool:
    """Whether the pod is nobody's by now: its Job gone, finished, or it was never a Job's."""
    reference = controller_of(pod)
    if reference is None or (reference.api_version, reference.kind) != ("batch/v1", "Job"):
        return reference is None
    job = caches.get(Job, f"{pod.metadata.namespace}/{reference.name}")
    return job is None or job.metadata.uid != reference.uid or _is_orphan(pod, caches)

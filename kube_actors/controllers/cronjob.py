"""The CronJob controller: a Job whenever the schedule says so, old ones removed, the status of those that run.

The plan is pure; what the server must be asked about (Jobs that are missing, a newer CronJob) is asked before it
decides. The controller remembers each schedule it saw, since a new one first waits for its next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct, structs

from kube_actors.api import cron
from kube_actors.api.cron import CronError, Schedule
from kube_actors.api.owners import controller_reference, is_controlled_by
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.batch_v1 import CronJob, Job
from kube_actors.api.types.core_v1 import ObjectReference
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import schedules
from .contract import (
    BY_OWNER,
    OWNER_INDEX,
    Action,
    Batch,
    Caches,
    Create,
    Delete,
    Emit,
    Outcome,
    Plan,
    Read,
    Source,
    Told,
    Update,
    own_key,
    owner_key,
)
from .job_state import COMPLETE, FAILED

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


class Observed(Struct, frozen=True, kw_only=True):
    """rescheduled: the schedule is another one than before."""

    cron: CronJob
    jobs: tuple[Job, ...]
    rescheduled: bool = False
    now: float = 0.0


class _Course(Struct, frozen=True, kw_only=True):
    """A CronJob with the status so far, whether that is to be written, and when to look again."""

    cron: CronJob
    changed: bool = False
    again: float | None = None


def plan(observed: Observed) -> Plan:
    found = observed.cron
    if observed.rescheduled:
        schedule = _schedule(found)
        if isinstance(schedule, str):
            text = f"unparseable schedule for cronjob: {found.spec.schedule}"
            return Plan(actions=(_warning(found, "UnParseableCronJobSchedule", text),))
        return Plan(requeue_after=schedules.wait(found, schedule, observed.now))
    doomed = _history(found, observed.jobs)
    if not doomed:
        return _ask(observed, _Course(cron=found))

    def then(outcome: Outcome) -> Plan:
        done = outcome.partial if outcome.error is not None else outcome.results[0]
        gone = {job.metadata.uid for job in doomed if job.metadata.name in done}
        course = _Course(cron=_without(found, gone), changed=bool(gone))
        return structs.replace(_ask(observed, course), handled=True)

    return Plan(actions=(Batch(actions=tuple(_deletion(found, job) for job in doomed)),), then=then)


def _history(found: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """The oldest finished Jobs beyond the limits."""
    doomed: list[Job] = []
    limits = (COMPLETE, found.spec.successful_jobs_history_limit), (FAILED, found.spec.failed_jobs_history_limit)
    for kind, limit in limits:
        if limit is not None:
            ended = [job for job in jobs if _ending(job) == kind]
            ended.sort(key=lambda job: (job.status.start_time is None, job.status.start_time or "", job.metadata.name))
            doomed += ended[: max(0, len(ended) - limit)]
    return doomed


def _ending(job: Job) -> str:
    """How a Job ended; "" when it has not."""
    return next((c.type for c in job.status.conditions if c.type in (COMPLETE, FAILED) and c.status == "True"), "")


def _without(found: CronJob, uids: Iterable[str]) -> CronJob:
    gone = set(uids)
    active = tuple(reference for reference in found.status.active if reference.uid not in gone)
    return structs.replace(found, status=structs.replace(found.status, active=active))


def _deletion(found: CronJob, job: Job) -> Delete:
    name = job.metadata.name
    told = Told(
        about=found,
        reason="SuccessfulDelete",
        message=f"Deleted job {name}",
        failed_reason="FailedDelete",
        failed_message="Deleted job: {error}",
    )
    return Delete(kind=Job, key=_key(job), uid=job.metadata.uid, propagation="Background", told=told)


def _key(job: Job | ObjectReference) -> str:
    if isinstance(job, ObjectReference):
        return f"{job.namespace}/{job.name}"
    return f"{job.metadata.namespace}/{job.metadata.name}"


def _warning(found: CronJob, reason: str, text: str) -> Emit:
    return Emit(about=found, type="Warning", reason=reason, message=text)


# What runs


def _ask(observed: Observed, course: _Course) -> Plan:
    """Ask the server about Jobs that the caches do not show, and for the CronJob itself when a Job is unknown to it."""
    found = course.cron
    known = {reference.uid for reference in found.status.active}
    there = {job.metadata.uid for job in observed.jobs}
    unknown = any(job.metadata.uid not in known and not _ending(job) for job in observed.jobs)
    missing = [reference for reference in found.status.active if reference.uid not in there]
    reads: list[Action] = [Read(kind=Job, key=_key(ref), tolerate=("NotFound",)) for ref in missing]
    if unknown:
        reads.append(Read(kind=CronJob, key=f"{found.metadata.namespace}/{found.metadata.name}"))

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return _finish(course, ())
        fresh = outcome.results[-1] if unknown else found
        gone = [ref.uid or "" for ref, job in zip(missing, outcome.results, strict=False) if job is None]
        return _take_stock(observed, course, fresh, gone)

    return Plan(actions=tuple(reads), then=then) if reads else then(Outcome())


def _take_stock(observed: Observed, course: _Course, fresh: CronJob, gone: list[str]) -> Plan:
    """Bring the status up to the Jobs there are, and go on to the schedule."""
    found, changed = course.cron, course.changed
    events: list[Action] = []
    for job in observed.jobs:
        uid, name, ended = job.metadata.uid, job.metadata.name, _ending(job)
        listed = any(reference.uid == uid for reference in found.status.active)
        if not listed and not ended:
            if any(reference.uid == uid for reference in fresh.status.active):
                found = fresh
                continue
            text = f"Saw a job that the controller did not create or forgot: {name}"
            events.append(_warning(found, "UnexpectedJob", text))
        elif listed and ended:
            found, changed = _without(found, (uid,)), True
            text = f"Saw completed job: {name}, condition: {ended}"
            events.append(Emit(about=found, reason="SawCompletedJob", message=text))
        elif ended == COMPLETE:
            later = _succeeded(found, job)
            found, changed = later, changed or later is not found
    for reference in found.status.active:
        if reference.uid in gone:
            text = f"Active job went missing: {reference.name}"
            events.append(Emit(about=found, reason="MissingJob", message=text))
            found, changed = _without(found, (reference.uid,)), True
    rest = _schedule_next(_Course(cron=found, changed=changed), observed.now)
    return structs.replace(rest, actions=(*events, *rest.actions)) if rest.then is None else _before(events, rest)


def _before(events: list[Action], rest: Plan) -> Plan:
    return Plan(actions=tuple(events), then=lambda _: rest) if events else rest


def _succeeded(found: CronJob, job: Job) -> CronJob:
    """The CronJob with the time of its latest success."""
    ended, known = job.status.completion_time, found.status.last_successful_time
    if ended is None or (known is not None and parse_time(ended) <= parse_time(known)):
        return found
    return structs.replace(found, status=structs.replace(found.status, last_successful_time=ended))


def _finish(course: _Course, events: Sequence[Action]) -> Plan:
    """Write the status, if it is another one."""
    actions = list(events)
    if course.changed:
        actions.append(Update(obj=course.cron, subresource="status"))
    return Plan(actions=tuple(actions), requeue_after=course.again)


# The schedule


def _schedule(found: CronJob) -> Schedule | str:
    """The schedule in its zone, or what is wrong with it; a zone in the text goes before the field."""
    text = found.spec.schedule
    try:
        return cron.parse(text, "" if "TZ" in text else found.spec.time_zone or "")
    except CronError as error:
        return str(error)


def _schedule_next(course: _Course, now: float) -> Plan:
    """Whether a Job is due, and whether it may begin."""
    found = course.cron
    if found.metadata.deletion_timestamp is not None:
        return _finish(course, ())
    zone = found.spec.time_zone
    if zone is not None:
        try:
            cron.load_zone(zone)
        except CronError as error:
            return _finish(course, (_warning(found, "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}'),))
    if found.spec.suspend:
        return _finish(course, ())
    events: list[Action] = []
    text = found.spec.schedule
    if "TZ" in text:
        events.append(_warning(found, "UnsupportedSchedule", _UNSUPPORTED.format(text)))
    schedule = _schedule(found)
    if isinstance(schedule, str):
        events.append(_warning(found, "UnparseableSchedule", f'unparseable schedule: "{text}" : {schedule}'))
        return _finish(course, events)
    try:
        missed = schedules.missed(found, schedule, now, deadline=True)
    except CronError as error:
        return _finish(course, (*events, _warning(found, "InvalidSchedule", f"invalid schedule: {text} : {error}")))
    due = missed.latest
    course = structs.replace(course, again=schedules.wait(found, schedule, now))
    if due is None:
        return _finish(course, events)
    if missed.many:
        events.append(_warning(found, "TooManyMissedTimes", _TOO_MANY))
    why_not = _why_not(found, due, now)
    if why_not is not None:
        return _finish(course, (*events, *why_not))
    return _before(events, _replace(course, schedule, due, now))


_UNSUPPORTED = (
    'CRON_TZ or TZ used in schedule "{}" is not officially supported, see '
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)
_TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"


def _why_not(found: CronJob, due: float, now: float) -> tuple[Action, ...] | None:
    """What is told of a time at which no Job is begun; None when one is."""
    seconds = found.spec.starting_deadline_seconds
    if seconds is not None and due + seconds < now:
        text = f"Missed scheduled time to start a job: {schedules.rfc1123(due)}"
        return (_warning(found, "MissSchedule", text),)
    name, last = schedules.job_name(found, due), found.status.last_schedule_time
    if any(reference.name == name for reference in found.status.active):
        return ()
    if last is not None and parse_time(last) == due:
        return ()
    if found.spec.concurrency_policy == "Forbid" and found.status.active:
        text = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return (Emit(about=found, reason="JobAlreadyActive", message=text),)
    return None


def _replace(course: _Course, schedule: Schedule, due: float, now: float) -> Plan:
    """End what still runs, where the new Job is to take its place."""
    found = course.cron
    running = found.status.active
    if found.spec.concurrency_policy != "Replace" or not running:
        return _start(course, schedule, due, now)

    def then_delete(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            text = f"Get job: {outcome.error.message}"
            return _finish(structs.replace(course, again=None), (_warning(found, "FailedGet", text),))
        jobs = [job for job in outcome.results if isinstance(job, Job)]
        return Plan(actions=(Batch(actions=tuple(_deletion(found, job) for job in jobs)),), then=_deleted(jobs))

    def _deleted(jobs: list[Job]) -> Callable[[Outcome], Plan]:
        def then(outcome: Outcome) -> Plan:
            names = outcome.partial if outcome.error is not None else [job.metadata.name for job in jobs]
            gone = {job.metadata.uid for job in jobs if job.metadata.name in names}
            on = structs.replace(course, cron=_without(found, gone), changed=course.changed or bool(gone))
            return _finish(on, ()) if outcome.error is not None else _start(on, schedule, due, now)

        return then

    return Plan(actions=tuple(Read(kind=Job, key=_key(reference)) for reference in running), then=then_delete)


def _start(course: _Course, schedule: Schedule, due: float, now: float) -> Plan:
    """Make the Job; one of this name that is there already is taken for it if it is the CronJob's own."""
    found = course.cron
    job = _job(found, due)
    told = Told(
        about=found,
        reason="SuccessfulCreate",
        message="Created job {name}",
        failed_reason="FailedCreate",
        failed_message="Error creating job: {error}",
    )

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return _finish(structs.replace(course, again=None), ())
        made = outcome.results[0]
        if made is None:
            return Plan(actions=(Read(kind=Job, key=_key(job)),), then=then_take)
        return _begun(course, made, schedule, due, now)

    def then_take(outcome: Outcome) -> Plan:
        stays = structs.replace(course, again=None)
        if outcome.error is not None:
            return _finish(stays, ())
        there = outcome.results[0]
        known = any(reference.uid == there.metadata.uid for reference in found.status.active)
        if known or not is_controlled_by(there, found):
            return _finish(stays, ())
        return _begun(course, there, schedule, due, now)

    return Plan(actions=(Create(obj=job, told=told, tolerate=("AlreadyExists",)),), then=then)


def _job(found: CronJob, due: float) -> Job:
    template = found.spec.job_template
    return Job(
        metadata=ObjectMeta(
            name=schedules.job_name(found, due),
            namespace=found.metadata.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED: schedules.stamp(found, due)},
            owner_references=(controller_reference(found),),
        ),
        spec=template.spec,
    )


def _begun(course: _Course, job: Job, schedule: Schedule, due: float, now: float) -> Plan:
    """Note the Job and its time, and come again for the next one."""
    metadata, status = job.metadata, course.cron.status
    reference = ObjectReference(
        api_version=job.api_version,
        kind=job.kind,
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )
    noted = structs.replace(status, active=(*status.active, reference), last_schedule_time=format_time(due))
    found = structs.replace(course.cron, status=noted)
    return _finish(_Course(cron=found, changed=True, again=schedules.wait(found, schedule, now)), ())


class CronJobs:
    """The CronJob controller. It remembers the schedules that it saw."""

    name = "cronjob-controller"
    component = "cronjob-controller"
    workers = 5

    def __init__(self) -> None:
        self._schedules: dict[str, tuple[str, str, str | None]] = {}

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=CronJob, keys=own_key),
            Source(kind=Job, keys=owner_key("CronJob"), indexes=(BY_OWNER,)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{found.metadata.namespace}/{found.metadata.name}" for found in caches.list(CronJob)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        found = caches.get(CronJob, key)
        if found is None:
            self._schedules.pop(key, None)
            return None
        jobs = tuple(caches.by_index(Job, OWNER_INDEX, found.metadata.uid))
        seen = found.metadata.uid, found.spec.schedule, found.spec.time_zone
        before = self._schedules.get(key, seen)
        self._schedules[key] = seen
        rescheduled = before[0] == seen[0] and before != seen
        return Observed(cron=found, jobs=jobs, rescheduled=rescheduled, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

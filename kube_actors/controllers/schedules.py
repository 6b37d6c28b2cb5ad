"""When a CronJob's next Job is due, which one it missed, and whether it missed too many. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from kube_actors.api.cron import CronError, Schedule, load_zone
from kube_actors.api.time import parse_time
from kube_actors.api.types.batch_v1 import CronJob

_MANY = 100
_PADDING_SECONDS = 0.1
"""Added to the wait for the next time, for clocks that differ a little."""


class Missed(Struct, frozen=True):
    """since: the last time kept, or the CronJob's making. latest: the newest time not kept. count: about how many."""

    since: float
    latest: float | None
    count: int = 0

    @property
    def many(self) -> bool:
        return self.count > _MANY


def missed(cron: CronJob, schedule: Schedule, now: float, *, deadline: bool) -> Missed:
    """What was not kept until now; with deadline only what may still be made up for. CronError: it never comes."""
    last = cron.status.last_schedule_time or cron.metadata.creation_timestamp
    since = parse_time(last) if last else now
    seconds = cron.spec.starting_deadline_seconds
    if deadline and seconds is not None:
        since = max(since, now - seconds)
    first = schedule.next(since)
    second = None if first is None else schedule.next(first)
    if first is None or second is None:
        raise CronError("time difference between two schedules is less than 1 second")
    if now < first:
        return Missed(since, None)
    if now < second:
        return Missed(since, first)
    between = int(second - first)
    count = int(now - first) // between + 1
    # The times need not be evenly spaced, so the last ones are gone through one by one.
    latest: float | None = None
    moment = schedule.next(first + (count - 2) * between)
    while moment is not None and moment <= now:
        latest = moment
        moment = schedule.next(moment)
    return Missed(since, latest, count)


def wait(cron: CronJob, schedule: Schedule, now: float) -> float:
    """Seconds until the next time."""
    try:
        found = missed(cron, schedule, now, deadline=False)
    except CronError:
        base = now
    else:
        base = found.latest if found.latest is not None else now if found.count else found.since
    upcoming = schedule.next(base)
    return _PADDING_SECONDS if upcoming is None else max(_PADDING_SECONDS, upcoming + _PADDING_SECONDS - now)


def job_name(cron: CronJob, moment: float) -> str:
    """The same for every attempt at one time, so that none is made twice."""
    return f"{cron.metadata.name}-{int(moment) // 60}"


def stamp(cron: CronJob, moment: float) -> str:
    """The time as the annotation of its Job has it, in the CronJob's own zone."""
    local = datetime.fromtimestamp(moment, load_zone(cron.spec.time_zone or ""))
    return local.isoformat(timespec="seconds").replace("+00:00", "Z")


def rfc1123(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")

"""Cron schedules and time zones as Kubernetes understands them: what one says, what is wrong with it, what comes next.

Owns the five fields with names, ranges and steps, the descriptors, "@every", and the rules about days and about
clocks that are put forward or back. It never reads a clock. Time zones come from the system's tz data, or from the
package tzdata where it is installed; a zone that neither knows is unknown.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_YEARS = 5
"""How far ahead a next time is looked for."""
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CronError(ValueError):
    """This is no schedule, or no time zone."""


class Field(Struct, frozen=True):
    """The values of one field. star: it was written as all of them, which matters for days."""

    values: frozenset[int]
    star: bool


class Schedule(Struct, frozen=True):
    """every: seconds between two times, instead of fields."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    zone: tzinfo
    every: int = 0

    def next(self, after: float) -> float | None:
        """The first time later than this one; None when there is none within five years."""
        second = int(after // 1)
        if self.every:
            return float(second + self.every)
        start = second + 1
        local = _local(start, self.zone)
        limit = local.year + _YEARS
        moment: int | None = start
        while moment is not None and _local(moment, self.zone).year <= limit:
            found = self._settle(moment, start)
            if found is None:
                return None
            if found[1]:
                return float(found[0])
            moment = found[0]
        return None

    def _settle(self, moment: int, start: int) -> tuple[int, bool] | None:
        """Go on to a fitting month, day, hour, minute and second; False when a larger part began anew on the way."""
        zone = self.zone
        moved = moment != start
        local = _local(moment, zone)
        while local.month not in self.month.values:
            year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
            moved = True
            moment = _moment(datetime(year, month, 1), zone)
            local = _local(moment, zone)
            if local.month == 1:
                return moment, False
        while not self._is_day(local):
            following = local.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            moved = True
            moment = _moment(following, zone)
            local = _local(moment, zone)
            if local.hour:
                # Midnight does not exist on a day on which the clock is put forward then.
                moment += (24 - local.hour if local.hour > 12 else -local.hour) * 3600
                local = _local(moment, zone)
            if local.day == 1:
                return moment, False
        while local.hour not in self.hour.values:
            if not moved:
                moved = True
                moment = _moment(local.replace(minute=0, second=0), zone)
            moment += 3600
            local = _local(moment, zone)
            if local.hour == 0:
                return moment, False
        while local.minute not in self.minute.values:
            if not moved:
                moved = True
                moment -= moment % 60
            moment += 60
            local = _local(moment, zone)
            if local.minute == 0:
                return moment, False
        if local.second:
            moment += 60 - local.second
            return moment, False
        return moment, True

    def _is_day(self, local: datetime) -> bool:
        """A day of the month or of the week, whichever is asked for; both when one of them is any."""
        of_month, of_week = local.day in self.day.values, local.isoweekday() % 7 in self.weekday.values
        if self.day.star or self.weekday.star:
            return of_month and of_week
        return of_month or of_week


def _local(moment: int, zone: tzinfo) -> datetime:
    """What the clock on the wall shows."""
    return (_EPOCH + timedelta(seconds=moment)).astimezone(zone).replace(tzinfo=None)


def _moment(local: datetime, zone: tzinfo) -> int:
    """When the clock on the wall shows this; of two such times, or of none, the one that Go's time.Date takes."""
    seconds = int((local.replace(tzinfo=UTC) - _EPOCH).total_seconds())
    first = _offset(seconds, zone)
    if first == 0:
        return seconds
    second = _offset(seconds - first, zone)
    return seconds - second


def _offset(moment: int, zone: tzinfo) -> int:
    return int(((_local(moment, zone).replace(tzinfo=UTC) - _EPOCH).total_seconds()) - moment)


def parse(text: str, zone: str = "") -> Schedule:
    """A schedule in a zone, UTC when none is named; the text may name one itself, as TZ=... or CRON_TZ=..."""
    if not text:
        raise CronError("empty spec string")
    where = load_zone(zone)
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        name = head.partition("=")[2]
        try:
            where = load_zone(name)
        except CronError as error:
            raise CronError(f"provided bad location {name}: {error}") from error
        text = text.strip()
    if text.startswith("@"):
        if text.startswith(_EVERY):
            everything = Field(frozenset(), True)
            return Schedule(*(everything,) * 5, where, _every(text))
        if text not in _DESCRIPTORS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise CronError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minute, hour, day, month, weekday = (_field(part, *shape) for part, shape in zip(parts, _FIELDS, strict=True))
    return Schedule(minute, hour, day, month, weekday, where)


def problem(text: str) -> str:
    """What is wrong with a schedule; "" when nothing is."""
    try:
        parse(text)
    except CronError as error:
        return str(error)
    return ""


def _every(text: str) -> int:
    duration = text.removeprefix(_EVERY)
    body = duration.removeprefix("-").removeprefix("+")
    parts = _PART.findall(body)
    if body != "0" and (not body or "".join(number + unit for number, unit in parts) != body):
        raise CronError(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return max(1, int(-seconds if duration.startswith("-") else seconds))


def _field(text: str, low: int, high: int, words: dict[str, int]) -> Field:
    values: set[int] = set()
    star = False
    for expression in text.split(","):
        if expression:
            found, all_of_them = _range(expression, low, high, words)
            values.update(found)
            star = star or all_of_them
    return Field(frozenset(values), star)


def _range(expression: str, low: int, high: int, words: dict[str, int]) -> tuple[range, bool]:
    """The values of "*", "3", "1-5", each with "/2" or without, and whether it is a star."""
    span, *steps = expression.split("/")
    ends = span.split("-")
    star = ends[0] in ("*", "?")
    first, last = low, high
    if not star:
        first = last = _number(ends[0], words)
        if len(ends) > 2:
            raise CronError(f"too many hyphens: {expression}")
        if len(ends) == 2:
            last = _number(ends[1], words)
    if len(steps) > 1:
        raise CronError(f"too many slashes: {expression}")
    step = _number(steps[0], {}) if steps else 1
    if steps and len(ends) == 1:
        last = high
    if first < low:
        raise CronError(f"beginning of range ({first}) below minimum ({low}): {expression}")
    if last > high:
        raise CronError(f"end of range ({last}) above maximum ({high}): {expression}")
    if first > last:
        raise CronError(f"beginning of range ({first}) beyond end of range ({last}): {expression}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {expression}")
    return range(first, last + 1, step), star and step == 1


def _number(text: str, words: dict[str, int]) -> int:
    known = words.get(text.lower())
    if known is not None:
        return known
    digits = text.removeprefix("-").removeprefix("+") if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(digits) >= 2**63:
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if text.startswith("-") and int(digits):
        raise CronError(f"negative number (-{int(digits)}) not allowed: {text}")
    return int(digits)


def load_zone(name: str) -> tzinfo:
    """A time zone by its name in the tz database; CronError when it is not known here."""
    if name in ("", "UTC"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise CronError(f"unknown time zone {name}") from None


def zone_problem(name: str) -> str:
    """What is wrong with a time zone; "" when nothing is."""
    if not name:
        return "timeZone must be nil or non-empty string"
    for part in name.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return f"unknown time zone {name}"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        load_zone(name)
    except CronError as error:
        return str(error)
    return ""

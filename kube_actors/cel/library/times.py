"""Accessors of timestamps and durations, with IANA and fixed-offset time zones."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.values import NANO, Duration, Timestamp

_OFFSET = re.compile(r"([+-]?)([0-9]{1,2}):([0-9]{2})")


def _local(value: Timestamp, zone: str = "UTC") -> datetime.datetime:
    offset = _OFFSET.fullmatch(zone)
    if offset is not None:
        shift = datetime.timedelta(hours=int(offset.group(2)), minutes=int(offset.group(3)))
        return value.moment().astimezone(datetime.timezone(-shift if offset.group(1) == "-" else shift))
    try:
        return value.moment().astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {zone}") from None


def _accessors() -> dict[str, Callable[..., Any]]:
    parts: dict[str, Callable[[datetime.datetime], int]] = {
        "getFullYear": lambda moment: moment.year,
        "getMonth": lambda moment: moment.month - 1,
        "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
        "getDayOfMonth": lambda moment: moment.day - 1,
        "getDate": lambda moment: moment.day,
        "getDayOfWeek": lambda moment: (moment.weekday() + 1) % 7,
        "getHours": lambda moment: moment.hour,
        "getMinutes": lambda moment: moment.minute,
        "getSeconds": lambda moment: moment.second,
        "getMilliseconds": lambda moment: moment.microsecond // 1000,
    }
    found: dict[str, Callable[..., Any]] = {}
    for name, part in parts.items():
        found[f"timestamp.{name}() -> int"] = lambda value, part=part: part(_local(value))
        found[f"timestamp.{name}(string) -> int"] = lambda value, zone, part=part: part(_local(value, zone))
    return found


def _whole(value: Duration, unit: int) -> int:
    return int(abs(value.nanos) // unit) * (-1 if value.nanos < 0 else 1)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **_accessors(),
    "duration.getHours() -> int": lambda value: _whole(value, 3600 * NANO),
    "duration.getMinutes() -> int": lambda value: _whole(value, 60 * NANO),
    "duration.getSeconds() -> int": lambda value: _whole(value, NANO),
    "duration.getMilliseconds() -> int": lambda value: _whole(value, 1_000_000) % 1000,
}

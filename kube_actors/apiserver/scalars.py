"""Times and quantities in the form in which Kubernetes writes them. Pure text functions."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


def seconds_text(at: float) -> str:
    """Unix seconds as an RFC 3339 time in whole seconds, UTC."""
    return _seconds_text(int(at))


@functools.lru_cache(maxsize=16)
def _seconds_text(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_text(at: float) -> str:
    """Unix seconds as an RFC 3339 time with microseconds, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """The Unix seconds of a time that is already canonical."""
    return datetime.fromisoformat(text).timestamp()


def time_text(text: str, *, micro: bool) -> str | None:
    """A time brought to UTC, in whole seconds or with six digits; None if it is no RFC 3339 time."""
    if not micro and len(text) == 20 and text[19] == "Z" and text[10] == "T" and text[:4].isdigit():
        return text if _TIME.fullmatch(text) else None
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        zone = match.group(8)
        if zone != "Z":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
            moment = moment - offset if zone[0] == "+" else moment + offset
    except (ValueError, OverflowError):
        return None
    base = f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}T{moment:%H:%M:%S}"
    if not micro:
        return f"{base}Z"
    return f"{base}.{(match.group(7) or '').ljust(6, '0')[:6]}Z"

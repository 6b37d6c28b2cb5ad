"""RFC 3339 times with nanoseconds, as engines write them, to and from numbers. Pure; it never reads a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SHAPE = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):?(\d\d))")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; 0 for Go's zero time, which means "has not happened"."""
    match = _SHAPE.match(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if year <= 1:
        return 0
    whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - _EPOCH
    seconds = whole.days * 86400 + whole.seconds + (1 if second == 60 else 0)
    if match.group(9):
        offset = int(match.group(10)) * 3600 + int(match.group(11)) * 60
        seconds -= offset if match.group(9) == "+" else -offset
    return seconds * 1_000_000_000 + int((match.group(7) or "0").ljust(9, "0"))


def parse_seconds(text: str) -> float:
    """Unix seconds; 0.0 for the empty string and for Go's zero time."""
    return parse_ns(text) / 1e9 if text else 0.0


def format_ns(nanoseconds: int) -> str:
    """RFC 3339 with nine digits of fraction, in UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"

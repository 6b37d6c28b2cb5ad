"""Moments as Kubernetes writes them, to and from Unix seconds.

Owns RFC 3339 with whole seconds (metav1.Time) and with microseconds (metav1.MicroTime), always in UTC. Pure: it
never reads a clock.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_FIRST: Final = -62135596800
_LAST: Final = 253402300799
_CACHE_SIZE = 4096


class TimeError(ValueError):
    """This is no moment in RFC 3339."""


def format_time(seconds: float) -> str:
    """`2026-11-24T15:04:05Z`; fractions are cut off."""
    return _format_second(int(seconds // 1))


def format_micro_time(seconds: float) -> str:
    """`2026-11-24T15:04:05.123456Z`, rounded to the nearest microsecond."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_format_second(whole)[:-1]}.{micros:06d}Z"


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _format_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def parse_time(text: str) -> float:
    """Unix seconds, with the fraction if there is one; TimeError for anything else."""
    seconds, fraction = _parse(text)
    return seconds + float(f"0.{fraction}") if fraction else float(seconds)


@functools.lru_cache(maxsize=_CACHE_SIZE)
def normal_time(text: str) -> str:
    """The same moment in UTC to the second."""
    return format_time(parse_time(text))


def normal_micro_time(text: str) -> str:
    """The same moment in UTC to the microsecond, exactly: a float is too coarse for the years far from 1970."""
    seconds, fraction = _parse(text)
    return f"{_format_second(seconds)[:-1]}.{fraction[:6].ljust(6, '0')}Z"


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _parse(text: str) -> tuple[int, str]:
    """Whole Unix seconds and the digits of the fraction; TimeError for anything else."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise TimeError(f"{text!r} is no RFC 3339 time")
    *parts, fraction, _, sign, hours, minutes = match.groups()
    try:
        moment = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError as error:
        raise TimeError(f"{text!r}: {error}") from error
    seconds = (moment - _EPOCH) // timedelta(seconds=1)
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += -offset if sign == "+" else offset
        if not _FIRST <= seconds <= _LAST:
            raise TimeError(f"{text!r} lies outside the years 1 to 9999")
    return seconds, fraction or ""


def age(text: str | None, now: float) -> float:
    """Seconds since a moment; 0 when there is none or it is still to come."""
    return max(0.0, now - parse_time(text)) if text else 0.0

"""Whether a cron schedule or a time zone can be understood, in the words of the library that Kubernetes uses. Pure."""

from __future__ import annotations

import zoneinfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def problem(schedule: str) -> str:
    """What is wrong with a schedule; "" when nothing is."""
    if schedule.startswith("@"):
        if schedule in _DESCRIPTORS or schedule.startswith("@every "):
            return ""
        return f"unrecognized descriptor: {schedule}"
    parts = schedule.split()
    if len(parts) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]"
    for part, (low, high, words) in zip(parts, _FIELDS, strict=True):
        for expression in part.split(","):
            found = _range_problem(expression, low, high, words)
            if found:
                return found
    return ""


def _range_problem(expression: str, low: int, high: int, words: dict[str, int]) -> str:
    span, _, step = expression.partition("/")
    if expression.count("/") > 1:
        return f"too many slashes: {expression}"
    ends = span.split("-")
    if len(ends) > 2:
        return f"too many hyphens: {expression}"
    if span in ("*", "?"):
        first, last = low, high
    else:
        numbers = []
        for end in ends:
            number = words.get(end.lower())
            if number is None:
                if not end.isdigit():
                    return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
                number = int(end)
            numbers.append(number)
        first = numbers[0]
        last = numbers[-1] if len(numbers) == 2 or not step else high
    if step:
        if not step.isdigit():
            return f'failed to parse int from {step}: strconv.Atoi: parsing "{step}": invalid syntax'
        if int(step) == 0:
            return f"step of range should be a positive number: {expression}"
    if first < low:
        return f"beginning of range ({first}) below minimum ({low}): {expression}"
    if last > high:
        return f"end of range ({last}) above maximum ({high}): {expression}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {expression}"
    return ""


def zone_problem(name: str) -> str:
    """What is wrong with a time zone; "" when nothing is."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"unknown time zone {name}"
    return ""

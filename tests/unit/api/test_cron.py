"""Cron schedules: next times compared with a plain search minute by minute, clocks put forward and back, refusals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api import cron


def after(text: str, moment: str, zone: str = "") -> str:
    found = cron.parse(text, zone).next(datetime.fromisoformat(moment).timestamp())
    return "" if found is None else datetime.fromtimestamp(found, UTC).isoformat()


@pytest.mark.parametrize(
    ("text", "moment", "zone", "expected"),
    [
        ("*/15 * * * *", "2012-07-09T14:45:00Z", "", "2012-07-09T15:00:00+00:00"),
        ("@hourly", "2012-07-09T14:45:00Z", "", "2012-07-09T15:00:00+00:00"),
        ("0 0 29 feb ?", "2021-07-09T14:45:00Z", "", "2024-02-29T00:00:00+00:00"),
        ("0 0 30 2 *", "2021-07-09T14:45:00Z", "", ""),
        ("0 9 1 * Mon", "2026-11-24T00:00:00Z", "", "2026-11-30T09:00:00+00:00"),
        ("0 9 * * Sun-Tue", "2026-11-24T10:00:00Z", "", "2026-11-29T09:00:00+00:00"),
        ("0 9 * * *", "2026-11-24T10:00:00Z", "Asia/Kolkata", "2026-11-25T03:30:00+00:00"),
        # The clock is put forward: half past two does not exist on that day.
        ("30 2 11 3 ?", "2012-03-11T00:00:00-05:00", "America/New_York", "2013-03-11T06:30:00+00:00"),
        ("0 * * * ?", "2012-03-11T01:00:00-05:00", "America/New_York", "2012-03-11T07:00:00+00:00"),
        # The clock is put back: one o'clock comes twice, and so does the time.
        ("0 1 * * *", "2012-11-04T01:00:00-04:00", "America/New_York", "2012-11-04T06:00:00+00:00"),
        ("0 0 * * ?", "2018-11-03T05:00:00-04:00", "America/Sao_Paulo", "2018-11-05T02:00:00+00:00"),
        ("@every 90m", "2012-07-09T14:45:00.5Z", "", "2012-07-09T16:15:00+00:00"),
        ("TZ=Asia/Tokyo 0 0 * * *", "2026-11-24T00:00:00Z", "", "2026-11-24T15:00:00+00:00"),
    ],
)
def test_the_next_time(text: str, moment: str, zone: str, expected: str) -> None:
    assert after(text, moment, zone) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 5-3 * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("@every 1x", 'failed to parse duration @every 1x: time: invalid duration "1x"'),
        ("TZ=Mars/Base 0 0 * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ("", "empty spec string"),
        ("0 0 * jan-mar sun", ""),
    ],
)
def test_what_is_wrong(text: str, problem: str) -> None:
    assert cron.problem(text) == problem


FIELD = [st.sampled_from((f"{low}", "*", f"*/{step}", f"{low}-{high}", f"{low},{high}", f"{low}/{step}"))
         for low, high, step in ((0, 59, 17), (3, 21, 5), (2, 28, 9), (1, 11, 2), (1, 5, 2))]  # fmt: skip


@settings(max_examples=40)
@given(st.tuples(*FIELD), st.integers(1_700_000_000, 1_900_000_000))
def test_no_time_is_passed_over(parts: tuple[str, ...], moment: int) -> None:
    schedule = cron.parse(" ".join(parts))
    found = schedule.next(moment)
    assert found is not None and found > moment and found % 60 == 0 and fits(schedule, found)
    # Nothing earlier fits, as far as a plain search looks.
    first = moment - moment % 60 + 60
    assert not any(fits(schedule, m) for m in range(first, min(int(found), first + 86_400), 60))


def fits(schedule: cron.Schedule, moment: float) -> bool:
    local = datetime.fromtimestamp(moment, UTC)
    of_month, of_week = local.day in schedule.day.values, local.isoweekday() % 7 in schedule.weekday.values
    both = schedule.day.star or schedule.weekday.star
    return (
        local.minute in schedule.minute.values
        and local.hour in schedule.hour.values
        and local.month in schedule.month.values
        and ((of_month and of_week) if both else (of_month or of_week))
    )


@settings(max_examples=25)
@given(st.text(max_size=30) | st.text("0123456789*/-,?@TZ= \t+", max_size=30))
def test_any_text_is_a_schedule_or_a_refusal(text: str) -> None:
    if not cron.problem(text):
        cron.parse(text).next(1_800_000_000.0)


def test_time_zones() -> None:
    assert not cron.zone_problem("Europe/Berlin") and not cron.zone_problem("Etc/GMT+5")
    for name in ("../x", "a//b", "No/Where", "-x"):
        assert cron.zone_problem(name) == f"unknown time zone {name}"
    assert "explicit" in cron.zone_problem("local") and "non-empty" in cron.zone_problem("")

"""Answers recorded from a real kube-apiserver, replayed in process: who has learnt an answer must not unlearn it."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.apiserver.raw import RawAnswers
from tests.kit import golden
from tests.kit.apiserver import running_apiserver

pytestmark = pytest.mark.skipif(not golden.available(), reason="the recordings are not beside this checkout")

OPEN: dict[str, dict[str, str]] = {
    "admission": {
        "adm-rbac-escalation": "it asks as another user, which is the HTTP face's",
    },
    "defaulting": {},
    "fieldvalidation": {},
    "validation": {},
    "writes": {"write-delete-body": "a malformed number in the query is the HTTP face's to refuse"},
}
"""By topic, what fails for a reason. Whoever mends one takes it out: a listed one that passes fails the test."""

FLOORS = {"crd": 14, "patch": 40, "ssa": 34, "watch": 10}
"""Topics of other parts: how many transcripts pass at least."""


async def _failing(topic: str) -> tuple[list[str], int]:
    """The ids that do not come out as recorded, and how many there are in all."""
    replay = golden.replayer()
    bad: list[str] = []
    known = list(golden.transcripts(topic))
    async with running_apiserver(service_accounts=True, loopback_endpoints=False, allow_privileged=False) as api:
        api.server.raw = RawAnswers(api.system, api.server.resources, api.store, address="127.0.0.1:1", pages={})
        for transcript in known:
            if await _differs(api.server, replay, transcript):
                bad.append(transcript["id"])
    return bad, len(known)


async def _differs(server: Any, replay: Any, transcript: dict[str, Any]) -> bool:
    try:
        return bool(await golden.replay_transcript(server, replay, transcript))
    except (golden.Unroutable, KeyError, IndexError, TypeError):
        # A placeholder that an earlier, different answer has not filled is a difference too.
        return True


@pytest.mark.parametrize("topic", sorted(OPEN))
async def test_every_recorded_answer_comes_out_as_recorded(topic: str, autojump_clock: MockClock) -> None:
    bad, _ = await _failing(topic)
    assert set(bad) == set(OPEN[topic])


@pytest.mark.parametrize("topic", sorted(FLOORS))
async def test_as_many_recorded_answers_as_ever_come_out(topic: str, autojump_clock: MockClock) -> None:
    bad, count = await _failing(topic)
    assert count - len(bad) >= FLOORS[topic], bad

"""Recorded scheduling cycles of the real scheduler: filters, reasons, scores, messages, preemption."""

from __future__ import annotations

import pytest

from kube_actors.scheduler import default_profile
from tests.kit import scheduling

pytestmark = pytest.mark.skipif(not scheduling.available(), reason="the recordings are not here")


@pytest.mark.parametrize("family", scheduling.families())
def test_decides_as_recorded(family: str) -> None:
    profile = default_profile()
    wrong = {}
    count = 0
    for recording in scheduling.recordings(family):
        count += 1
        found = scheduling.differences(recording, profile)
        if found:
            wrong[recording["id"]] = found[:3]
    assert count
    assert not wrong

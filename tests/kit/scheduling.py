"""Recorded scheduling cycles of the real scheduler, and what our explanation says instead.

Owns finding the recordings and telling what differs; never the expected values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kube_actors.scheduler.explaining import explain, read_cluster, read_pod
from kube_actors.scheduler.framework import Profile

from .golden import GOLDEN

FOLDER = GOLDEN / "scheduler"


def available() -> bool:
    return FOLDER.is_dir()


def families() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def recordings(family: str) -> Iterator[dict[str, Any]]:
    for line in (FOLDER / f"{family}.jsonl").read_text().splitlines():
        yield json.loads(line)


def differences(recording: dict[str, Any], profile: Profile) -> list[str]:
    """Everything in which our cycle differs from the recorded one."""
    snapshot = read_cluster(recording["objects"])
    snapshot.check()
    answer = explain(read_pod(recording["pod"]), snapshot, profile)
    snapshot.check()
    return [
        f"{field}: {told} instead of {recording[field]}" for field, told in answer.items() if told != recording[field]
    ]

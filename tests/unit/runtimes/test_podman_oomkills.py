"""The kernel's log tells which container ran out of its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.podman.oomkills import killed_for_memory

KILL = (
    "6,1519,2731086896,-;oom-kill:constraint={constraint},nodemask=(null),cpuset=libpod-aa,mems_allowed=0,"
    "oom_memcg=/libpod_parent/libpod-{id},task_memcg=/libpod_parent/libpod-{id},task=sh,pid=7721,uid=0\n"
)


@pytest.mark.parametrize(
    ("constraint", "killed", "asked", "expected"),
    [
        ("CONSTRAINT_MEMCG", "aa", "aa", True),
        ("CONSTRAINT_MEMCG", "aa", "bb", False),
        ("CONSTRAINT_NONE", "aa", "aa", False),  # the whole machine ran out: no fault of its limit
    ],
)
def test_only_a_kill_for_its_own_limit_counts(
    tmp_path: Path, constraint: str, killed: str, asked: str, expected: bool
) -> None:
    log = tmp_path / "kmsg"
    log.write_text("6,1,2,-;libpod-aa: something else\n" + KILL.format(constraint=constraint, id=killed))
    assert killed_for_memory(asked, log) is expected


def test_a_log_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    assert not killed_for_memory("aa", tmp_path / "absent")

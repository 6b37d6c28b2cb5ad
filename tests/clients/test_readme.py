"""The README's commands of a small real cluster, word for word, with the installed kubectl on simulated nodes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import trio

from tests.kit.commands import DEADLINE_SECONDS, up

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCK = next(
    text for text in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "\nkubectl " in text
)
LINES = [line for line in BLOCK.splitlines() if line.startswith("kubectl ")]


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
async def test_the_commands_run_as_they_stand(tmp_path: Path) -> None:
    assert [shlex.split(line)[1] for line in LINES] == [
        "create",
        "expose",
        "rollout",
        "logs",
        "exec",
        "top",
        "autoscale",
    ]
    async with up(tmp_path / "cluster") as server:
        _, kubeconfig = await server.ready()
        assert kubeconfig == tmp_path / "cluster" / "kubeconfig"
        env = {**os.environ, "KUBECONFIG": "./cluster/kubeconfig"}
        for line in LINES:
            words, follows = shlex.split(line), " -f " in line
            with trio.move_on_after(1 if follows else DEADLINE_SECONDS) as scope:
                # Nobody sits before it: the shell that it opens reads the end of its input and goes.
                done = await trio.run_process(words, cwd=tmp_path, env=env, capture_stdout=True, capture_stderr=True)
                assert done.returncode == 0
            assert scope.cancelled_caught == follows, line
        assert await server.stop() == 0

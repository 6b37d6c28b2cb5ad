"""README.md runs: its Python blocks are executed as they stand, and the commands in it exist with those flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import kube_actors
import kube_actors.blocking
from kube_actors.cli.main import parser

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]


def _named(name: str) -> dict[str, Any]:
    """The names that the block with this definition makes."""
    text = next(text for text in PYTHON if name in text)
    names: dict[str, Any] = {"kube_actors": kube_actors, "trio": trio}
    exec(compile(text, "README.md", "exec"), names)
    return names


async def test_the_trio_program(capsys: pytest.CaptureFixture[str]) -> None:
    await _named("async def main")["main"]()
    assert "node-" in capsys.readouterr().out


def test_the_blocking_program(capsys: pytest.CaptureFixture[str]) -> None:
    _named("blocking.Cluster")
    assert "kubeconfig" in capsys.readouterr().out


def test_the_fixture(kube_cluster: Any) -> None:
    _named("def test_my_operator")["test_my_operator"](kube_cluster)


async def test_the_hour_in_a_moment(autojump_clock: Any) -> None:
    await _named("def test_an_hour_in_a_moment")["test_an_hour_in_a_moment"](autojump_clock)


async def test_the_thousand_nodes() -> None:
    text = next(text for text in PYTHON if "nodes=1000" in text)
    names: dict[str, Any] = {"kube_actors": kube_actors}
    exec("async def program():\n" + "".join(f"    {line}\n" for line in text.splitlines()), names)
    await names["program"]()


def test_every_python_block_is_run_here() -> None:
    run = ("async def main", "blocking.Cluster", "def test_my_operator", "nodes=1000", "def test_an_hour_in_a_moment")
    assert [sum(name in text for name in run) for text in PYTHON] == [1] * len(run)


def _commands() -> Iterator[list[str]]:
    for language, text in BLOCKS:
        if language == "sh":
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] == "kube-actors":
                    yield words[1:]


@pytest.mark.parametrize("words", list(_commands()), ids=" ".join)
def test_commands_exist_with_these_flags(words: list[str]) -> None:
    assert parser(words).parse_args(words).command == words[0]


def test_make_targets_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for target in {word for _, text in BLOCKS for word in re.findall(r"^make (\w+)", text, re.MULTILINE)}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target

"""Entry point of `kube-actors`: finds the command, runs it, and turns expected failures into one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from kube_actors._version import KUBERNETES_VERSION, VERSION

COMMANDS = {
    "up": "run a cluster in the foreground until interrupted",
    "node": "join a node to a cluster of another process or host",
    "run": "run one component against any API server",
    "demo": "a short guided run: deploy, load-balance, kill, heal, roll out",
    "bench": "measure this machine: startup, the API, the scheduler",
    "explain": "where a pod would go, and why not elsewhere",
}


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The command line. Only the command that is asked for brings its module, and so its arguments."""
    top = argparse.ArgumentParser(prog="kube-actors", description="A Kubernetes in Python, made of actors.")
    top.add_argument("--version", action="version", version=f"kube-actors {VERSION} (Kubernetes {KUBERNETES_VERSION})")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), "")
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about.capitalize() + ".")
        if name == asked:
            _module(name).arguments(command)
    return top


class Command(Protocol):
    """What a command's module offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, given: argparse.Namespace) -> int: ...


def _module(name: str) -> Command:
    return cast(Command, importlib.import_module(f".{name}", __package__))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. 0: done, 1: an expected failure, told on stderr; 2: wrong arguments."""
    words = sys.argv[1:] if argv is None else argv
    given = parser(words).parse_args(words)
    try:
        return _module(given.command).run(given)
    except KeyboardInterrupt:
        return 130
    except BaseException as failure:
        from .failures import explain  # lazy: only a failure pays for finding out what it is

        line = explain(failure)
        if line is None:
            raise
        print(f"kube-actors: {line}", file=sys.stderr)
        return 1

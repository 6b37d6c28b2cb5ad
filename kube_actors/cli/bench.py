"""`kube-actors bench`: measures this machine, prints a table for people and writes JSON for machines."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

SUITES = {
    "api": "requests over HTTPS beside the bare HTTP loop, lists, watches, memory, the channel",
    "controllers": "Deployments, a rolling update, a namespace and Jobs on 1,000 scripted nodes, and a curve (minutes)",
    "startup": "import, an embedded cluster, a Deployment, a pod on each engine",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", choices=sorted(SUITES), help="; ".join(f"{name}: {SUITES[name]}" for name in SUITES))
    parser.add_argument("--json", metavar="PATH", help="also write the figures there")
    parser.add_argument("--rounds", type=_rounds, default=5, metavar="N", help="how often each is measured (default 5)")


def _rounds(text: str) -> int:
    """A number of measurements; argparse tells what else it is."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def run(given: argparse.Namespace) -> int:
    # lazy: benchmarks start processes and engines; only this command needs them
    suite: Any = importlib.import_module(f"benchmarks.{given.suite}")
    figures = suite.run(rounds=given.rounds)
    print(suite.table(figures))
    if given.json:
        import json  # lazy: only for --json

        Path(given.json).write_text(json.dumps(figures, indent=2) + "\n")
    return 0

"""`kube-actors bench`: measures this machine, prints a table for people and writes JSON for machines."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

SUITES = {
    "api": "requests over HTTPS beside the bare HTTP loop, lists, watches, memory, the channel",
    "controllers": "Deployments, a rolling update, a namespace and Jobs on 1,000 scripted nodes, and a curve (minutes)",
    "scheduler": "workloads in the format of Kubernetes' scheduler_perf, from creating pods to seeing them bound",
    "startup": "import, an embedded cluster, a Deployment, a pod on each engine",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    suites = parser.add_subparsers(dest="suite", required=True, metavar="SUITE")
    for name, about in SUITES.items():
        suite = suites.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        suite.add_argument("--json", metavar="PATH", help="also write the figures there")
        if name == "scheduler":
            _scheduler(suite)
        else:
            suite.add_argument(
                "--rounds", type=_rounds, default=5, metavar="N", help="how often each is measured (default 5)"
            )


def _scheduler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="a file of workloads (default: those that come with us)")
    parser.add_argument(
        "--workload",
        metavar="NAME/CASE",
        action="append",
        default=[],
        help="which one to run (SchedulingBasic/500Nodes); may be given several times",
    )
    parser.add_argument("--plot", metavar="PATH", help="also draw throughput and samples there, as SVG")
    parser.add_argument(
        "--mode",
        choices=["embedded", "served"],
        default="embedded",
        help="where the API server runs: in this process, or as another one over HTTPS with SQLite (default embedded)",
    )


def _rounds(text: str) -> int:
    """A number of measurements; argparse tells what else it is."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return int(text)


def run(given: argparse.Namespace) -> int:
    # lazy: benchmarks start processes and engines; only this command needs them
    suite: Any = importlib.import_module(f"benchmarks.{given.suite}")
    options = {name: value for name, value in vars(given).items() if name not in ("command", "suite", "json")}
    figures = suite.run(**options)
    print(suite.table(figures))
    if given.json:
        import json  # lazy: only for --json

        Path(given.json).write_text(json.dumps(figures, indent=2) + "\n")
    return 0

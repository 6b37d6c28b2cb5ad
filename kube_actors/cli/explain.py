"""`kube-actors explain`: where a pod would go, and why not elsewhere. Prints what the scheduler's cycle tells."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kube_actors.assembly.explaining import LINES_SUFFIX, ExplainError, explain_lines, explain_pod


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--objects",
        metavar="FILE",
        required=True,
        help="nodes, pods and the rest: a kubectl List, manifests, or recorded scheduling cycles (.jsonl)",
    )
    parser.add_argument("--pod", metavar="NAMESPACE/NAME", help="the pod; left out for the recordings of a .jsonl file")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="default: text")


def run(given: argparse.Namespace) -> int:
    path = Path(given.objects)
    if path.suffix == LINES_SUFFIX:
        if given.pod:
            raise ExplainError(f"--pod: every line of {path} names its own pod; leave --pod out")
        for answer in explain_lines(path):
            print(json.dumps(answer, separators=(",", ":")))
        return 0
    if not given.pod:
        raise ExplainError(f"--pod: say which pod of {path} is meant, as NAMESPACE/NAME")
    answer = explain_pod(path, given.pod)
    print(json.dumps(answer, indent=2) if given.output == "json" else text(answer))
    return 0


def text(answer: dict[str, Any]) -> str:
    """An answer for people: a line a node, and what follows from it."""
    lines = [f"Pod {answer['pod']}", ""]
    if answer["prefilter"] is not None:
        refusal = answer["prefilter"]
        lines += [f"No node was looked at: {refusal['plugin']}: {', '.join(refusal['reasons'])}", ""]
    lines += _table([["NODE", "VERDICT", "TOTAL", "WHY"], *_rows(answer)])
    return "\n".join([*lines, "", *_outcome(answer)])


def _rows(answer: dict[str, Any]) -> list[list[str]]:
    """Feasible nodes first, the best of them on top."""
    scores = answer["scores"] or {}
    rows = []
    for name, verdict in answer["filters"].items():
        score = scores.get(name)
        if score is not None:
            why = " ".join(f"{plugin}={value}" for plugin, value in score.items() if plugin != "total")
            rows.append((-score["total"], [name, "fits", str(score["total"]), why]))
        else:
            said = ", ".join(verdict.get("reasons", ()))
            why = f"{verdict['plugin']}: {said}" if "plugin" in verdict else said
            rows.append((1, [name, verdict["status"], "-", why]))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _outcome(answer: dict[str, Any]) -> list[str]:
    hosts = answer["hosts"]
    if hosts:
        said = hosts[0] if len(hosts) == 1 else f"one of {', '.join(hosts)}, which are equally good"
        return [f"It would go to {said}."]
    lines = [f"FailedScheduling: {answer['message']}"]
    preemption = answer["preemption"]
    for node in preemption["nominatedNodes"] if preemption else ():
        candidate = preemption["candidates"][node]
        broken = candidate["numPDBViolations"]
        against = f", against {broken} disruption budgets" if broken else ""
        lines.append(f"Preemption would make room on {node} by evicting {', '.join(candidate['victims'])}{against}.")
    return lines


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]

"""How fast pods are scheduled: workloads of Kubernetes' scheduler_perf, run over the whole path.

A pod counts when its binding has been committed and seen on a watch. See `workloads` for the format, `runner` for what
the operations do, `figures` for what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from kube_actors.actors import System

from . import figures, runner
from .errors import WorkloadError
from .plot import svg
from .workloads import Plan, WorkloadFile
from .world import MODES

CONFIG = Path(__file__).parents[1] / "workloads" / "performance-config.yaml"
"""The workloads that come with us."""


def run(
    *, workload: Sequence[str], config: str | None = None, mode: str = "embedded", plot: str | None = None
) -> dict[str, Any]:
    """Run the workloads ("SchedulingBasic/500Nodes") one after the other, each in a cluster of its own.

    plot: where to draw them, as SVG.
    """
    file = WorkloadFile(Path(config) if config is not None else CONFIG)
    if not workload:
        raise WorkloadError(f"name a workload with --workload NAME/CASE; known are {', '.join(file.names())}")
    plans = [file.plan(name) for name in workload]
    results = [result for plan in plans for result in trio.run(run_plan, plan, None, mode)]
    if plot is not None:
        Path(plot).write_text(svg(results))
    return {"config": str(file.path), "mode": mode, "results": results}


async def run_plan(plan: Plan, system: System | None = None, mode: str = "embedded") -> list[dict[str, Any]]:
    """One workload in a new cluster; a dict of figures for each of its collections."""
    system = system or System()
    try:
        async with MODES[mode](system) as client:
            measured = await runner.run(plan, client, system)
    except BaseExceptionGroup as group:
        found = group.subgroup(WorkloadError)
        if found is None:
            raise
        raise _first(found) from group
    return [figures.figures(each) for each in measured]


def table(results: dict[str, Any]) -> str:
    """For people."""
    return figures.table(results["results"])


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


__all__ = ["WorkloadError", "WorkloadFile", "run", "run_plan", "table"]

"""Several calls to an engine at once, whose faults come out as they are instead of in an exception group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import trio

from runtimes.contract import RuntimeFault


async def together(jobs: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Run all of them to their end; then raise the first fault, if any. A fault of one does not stop the others."""
    faults: list[RuntimeFault] = []

    async def run(job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except RuntimeFault as fault:
            faults.append(fault)

    async with trio.open_nursery() as nursery:
        for job in jobs:
            nursery.start_soon(run, job)
    if faults:
        raise faults[0]

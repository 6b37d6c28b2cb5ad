"""A command in a container from start to end: its output collected, its time bounded, its process ended."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import trio

from runtimes import limits
from runtimes.contract import STDERR, STDOUT, ExecResult, RuntimeFault, TimedOut
from runtimes.podman.faults import failed_exec
from runtimes.podman.streams import PodmanStreams


async def run(
    streams: PodmanStreams, container_id: str, command: Sequence[str], timeout_seconds: float | None
) -> ExecResult:
    """Collect at most EXEC_OUTPUT_BYTES of each stream; what comes beyond that is read and dropped."""
    exec_id = await streams.create_exec(container_id, command, tty=False, stdin=False)
    collected = {STDOUT: bytearray(), STDERR: bytearray()}
    ended = False
    with trio.move_on_after(math.inf if timeout_seconds is None else timeout_seconds):
        async with await streams.start_exec(exec_id, tty=False) as session:
            while (piece := await session.receive()) is not None:
                stream, data = piece
                room = limits.EXEC_OUTPUT_BYTES - len(collected[stream])
                collected[stream] += data[: max(room, 0)]
            code = await session.exit_code()
            ended = True
    if not ended:
        await _kill(streams, container_id, exec_id)
        raise TimedOut(f"command {list(command)} did not end within {timeout_seconds:g} seconds")
    failure = failed_exec(code, bytes(collected[STDERR]))
    if failure is not None:
        raise failure
    return ExecResult(exit_code=code, stdout=bytes(collected[STDOUT]), stderr=bytes(collected[STDERR]))


async def _kill(streams: PodmanStreams, container_id: str, exec_id: str) -> None:
    """Podman has no call that ends an exec. Its process is ours to kill where we see the same processes as Podman,
    which its control group proves; elsewhere it goes on."""
    try:
        state = await streams.exec_state(exec_id)
    except RuntimeFault:
        return
    if not state.running or state.pid <= 1:
        return
    try:
        groups = await trio.Path(Path("/proc") / str(state.pid) / "cgroup").read_text()
        if container_id in groups:
            os.kill(state.pid, signal.SIGKILL)
    except OSError:
        return

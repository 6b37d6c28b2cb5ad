"""What runs in a simulated container: its main program, commands executed in it, signals, and its HTTP server.

The main program is, in this order: the script's run time and exit code; the container's own command, where the
simulated shell can run it (then, as in reality, process 1 without a trap ignores TERM and dies by KILL with 137);
else a well-behaved server that runs for ever and ends with the script's code, 0 by default, on TERM.
It decides nothing about records: ends go through `SimulatedRuntime.end`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import trio

from runtimes import limits
from runtimes.contract import (
    EXIT_KILLED,
    STDERR,
    STDOUT,
    ContainerStats,
    ExecResult,
    RuntimeFault,
    TimedOut,
    WrongState,
)
from runtimes.simulated import serving, shell
from runtimes.simulated.behaviour import DEFAULT_PORT, Outcome, declared_ports
from runtimes.simulated.containers import SimulatedContainer
from runtimes.simulated.streams import SimulatedSession

if TYPE_CHECKING:
    from runtimes.simulated.engine import SimulatedRuntime

_DEADLY = ("TERM", "INT", "QUIT")


# --- the main program ---------------------------------------------------------------------------------------


def command_of(container: SimulatedContainer) -> tuple[str, ...]:
    """Its own command line; empty when the image's is used, which the simulation does not know."""
    config = container.config
    if config.command:
        return (*config.command, *(config.args or ()))
    return config.args or ()


def start(runtime: SimulatedRuntime, container: SimulatedContainer) -> None:
    """Give a container that was just started its tasks, if it needs any."""
    behaviour, config = container.behaviour, container.config
    if config.stdin:
        container.stdin = trio.open_memory_channel[bytes](limits.SIMULATED_STREAM_CHUNKS)
    command = command_of(container)
    container.interpreted = behaviour.run_seconds is None and bool(command) and shell.supports(command)
    if container.interpreted:
        runtime.nursery.start_soon(_run_command, runtime, container, command)
    elif behaviour.run_seconds is not None:
        runtime.nursery.start_soon(_run_script, runtime, container, behaviour.run_seconds)
    if behaviour.output:
        runtime.nursery.start_soon(_write_output, runtime, container)
    ports = serving_ports(runtime, container)
    if ports:
        container.serving = True
        runtime.nursery.start_soon(_serve, runtime, container, ports)


class _ContainerPipes:
    """The main program's input and output: what it writes is its log."""

    def __init__(self, runtime: SimulatedRuntime, container: SimulatedContainer) -> None:
        self._runtime, self._container = runtime, container

    async def read(self) -> bytes:
        if self._container.stdin is None:
            return b""
        try:
            return await self._container.stdin[1].receive()
        except trio.EndOfChannel:
            return b""

    async def write(self, stream: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        stream = STDOUT if self._container.config.tty else stream
        self._container.logs.write(int(self._runtime.now() * 1e9), stream, data)


async def _run_command(runtime: SimulatedRuntime, container: SimulatedContainer, command: tuple[str, ...]) -> None:
    around = container.surroundings()
    around.traps = container.traps
    around.kill = partial(signal, runtime, container)
    with container.scope:
        pipes = _ContainerPipes(runtime, container)
        code: int | None = None
        with trio.CancelScope() as container.main:
            code = await shell.run_command(command, around, pipes)
        if code is None:  # cancelled by a signal that has a trap
            code = await shell.run_command(("sh", "-c", container.trapped or ":"), around, pipes)
        runtime.end(container, code)


async def _run_script(runtime: SimulatedRuntime, container: SimulatedContainer, seconds: float) -> None:
    with container.scope:
        await trio.sleep(seconds)
        behaviour = container.behaviour
        runtime.end(container, behaviour.exit_code, oom=behaviour.oom)


async def _write_output(runtime: SimulatedRuntime, container: SimulatedContainer) -> None:
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_end, container, scope)
            began = trio.current_time()
            for output in sorted(container.behaviour.output, key=lambda output: output.after_seconds):
                await trio.sleep_until(began + output.after_seconds)
                container.logs.write(int(runtime.now() * 1e9), output.stream, output.text.encode())
            nursery.cancel_scope.cancel()


async def _cancel_at_end(container: SimulatedContainer, scope: trio.CancelScope) -> None:
    await container.ended.wait()
    scope.cancel()


# --- signals ------------------------------------------------------------------------------------------------


def signal(runtime: SimulatedRuntime, container: SimulatedContainer, name: str) -> None:
    """Deliver a signal to the main program; what it does not react to is without effect."""
    if container.state != "running":
        return
    if name == "KILL":
        runtime.end(container, EXIT_KILLED)
    elif container.interpreted:
        if name in container.traps and container.main is not None and container.trapped is None:
            container.trapped = container.traps[name]
            container.main.cancel()
    elif name in _DEADLY and not container.behaviour.ignore_term and not container.terminating:
        container.terminating = True
        container.draining.set()
        if container.behaviour.term_seconds > 0:
            runtime.nursery.start_soon(_terminate, runtime, container)
        elif not container.serving:  # a server ends when it has answered what is in flight
            runtime.end(container, container.behaviour.term_exit_code)


async def _terminate(runtime: SimulatedRuntime, container: SimulatedContainer) -> None:
    with trio.move_on_after(container.behaviour.term_seconds):
        await container.ended.wait()
    if container.state == "running":
        runtime.end(container, container.behaviour.term_exit_code)


# --- commands executed in a container -----------------------------------------------------------------------


async def execute(
    runtime: SimulatedRuntime, container: SimulatedContainer, command: tuple[str, ...], session: SimulatedSession
) -> None:
    """The task behind an exec session: somebody asks by name, so what is not there fails as on a real engine."""
    code: int | None = None
    around = _surroundings(runtime, container)
    around.terminal = session.tty
    process = trio.CancelScope()

    def interrupt() -> bool:
        if around.interactive and around.foreground is None:
            return False
        (around.foreground or process).cancel()
        return True

    session.interrupt = interrupt

    async def run() -> int:
        outcome = _scripted(container, command)
        with process:
            if outcome is not None:
                return await _play(outcome, session)
            return await shell.run_or_say_why(command, around, session)
        return shell.INTERRUPTED

    try:
        with session.scope:
            code = await _run_until_end(container, run)
    finally:
        gone = WrongState("the container ended before the command did") if container.state != "running" else None
        session.end(EXIT_KILLED if code is None and gone is None else code, gone if code is None else None)


async def _run_until_end(container: SimulatedContainer, run: Callable[[], Awaitable[int]]) -> int | None:
    """The command's exit code; None if the container ended first."""
    code: int | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_at_end, container, nursery.cancel_scope)
        code = await run()
        nursery.cancel_scope.cancel()
    return code


def _surroundings(runtime: SimulatedRuntime, container: SimulatedContainer) -> shell.Surroundings:
    around = container.surroundings()
    around.kill = partial(signal, runtime, container)
    return around


def _scripted(container: SimulatedContainer, command: tuple[str, ...]) -> Outcome | None:
    return container.choose().commands.get(" ".join(command))


async def _play(outcome: Outcome, pipes: shell.Pipes) -> int:
    if outcome.seconds:
        await trio.sleep(outcome.seconds)
    if outcome.stdout:
        await pipes.write(STDOUT, outcome.stdout.encode())
    if outcome.stderr:
        await pipes.write(STDERR, outcome.stderr.encode())
    return outcome.exit_code


async def _run_check(
    runtime: SimulatedRuntime, container: SimulatedContainer, command: tuple[str, ...], pipes: shell.Pipes
) -> int:
    """A probe or a hook. Which programs an image holds is not known: one without a script succeeds in silence."""
    outcome = _scripted(container, command)
    if outcome is not None:
        return await _play(outcome, pipes)
    if not shell.supports(command):
        return 0
    return await shell.run_command(command, _surroundings(runtime, container), pipes)


class _Collected:
    def __init__(self) -> None:
        self.output: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray()}

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b""

    async def write(self, stream: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        kept = self.output[stream]
        kept += data[: limits.EXEC_OUTPUT_BYTES - len(kept)]


async def execute_sync(
    runtime: SimulatedRuntime,
    container: SimulatedContainer,
    command: tuple[str, ...],
    timeout_seconds: float | None,
) -> ExecResult:
    pipes = _Collected()
    code: int | None = None
    with trio.CancelScope() as scope:
        if timeout_seconds is not None:
            scope.deadline = trio.current_time() + timeout_seconds
        code = await _run_until_end(container, partial(_run_check, runtime, container, command, pipes))
    if scope.cancelled_caught:
        raise TimedOut(f"command {command[0]!r} timed out after {timeout_seconds:g} s")
    if code is None:
        raise WrongState("the container ended before the command did")
    return ExecResult(exit_code=code, stdout=bytes(pipes.output[STDOUT]), stderr=bytes(pipes.output[STDERR]))


# --- network and usage --------------------------------------------------------------------------------------


def serving_ports(runtime: SimulatedRuntime, container: SimulatedContainer) -> tuple[int, ...]:
    """Ports on which it really listens: none unless the network is loopback."""
    if runtime.network != "loopback" or container.behaviour.serve is False or container.interpreted:
        return ()
    declared = declared_ports(container.behaviour, container.config)
    return declared or ((DEFAULT_PORT,) if container.behaviour.serve else ())


def listens(container: SimulatedContainer, port: int, now: float) -> bool:
    """Whether a connection to this port would be taken, in a network without sockets."""
    behaviour = container.choose()
    if container.state != "running" or behaviour.serve is False or container.draining.is_set():
        return False
    if now - container.started_at < behaviour.ready_seconds:
        return False
    declared = declared_ports(behaviour, container.config)
    return not declared or port in declared


def respond(container: SimulatedContainer, path: str) -> tuple[int, bytes]:
    version = container.config.image
    for name, value in container.config.env:
        if name == "VERSION":
            version = value
    return serving.answer(path, container.choose().paths, container.sandbox.hostname(), version)


async def _serve(runtime: SimulatedRuntime, container: SimulatedContainer, ports: tuple[int, ...]) -> None:
    with trio.CancelScope() as scope:
        runtime.nursery.start_soon(_cancel_at_end, container, scope)
        with trio.move_on_after(container.behaviour.ready_seconds):
            await container.draining.wait()
        ip = container.sandbox.ip or runtime.host_ip
        server = serving.HttpServer(partial(respond, container), container.draining)
        try:
            async with trio.open_nursery() as nursery:
                for port in ports:
                    nursery.start_soon(server.serve, ip, port)
        except* RuntimeFault as faults:
            # As a real server does that cannot have its port: it says why and ends.
            for fault in faults.exceptions:
                container.logs.write(int(runtime.now() * 1e9), STDERR, f"{fault}\n".encode())
            if container.state == "running":
                runtime.end(container, 1)
        container.serving = False
        if container.state == "running" and container.terminating and container.behaviour.term_seconds <= 0:
            runtime.end(container, container.behaviour.term_exit_code)


def usage(container: SimulatedContainer, now: float) -> ContainerStats:
    """Its counters: what it used since the last look it used as it does now, so that a counter never goes back."""
    behaviour = container.choose()
    since = max(container.used_until, container.started_at)
    if container.used_until < container.started_at:
        container.used_ns = 0
    container.used_ns += int(max(0.0, now - since) * behaviour.cpu_cores * 1e9)
    container.used_until = now
    return ContainerStats(
        id=container.id,
        time=now,
        cpu_usage_ns=container.used_ns,
        memory_usage_bytes=behaviour.memory_bytes,
        memory_working_set_bytes=behaviour.memory_bytes,
    )

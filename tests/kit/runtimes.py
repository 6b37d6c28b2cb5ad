"""A container engine on the bench: opened by name, fed with shell one-liners, cleared away afterwards."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from runtimes.contract import (
    STDERR,
    STDOUT,
    ContainerConfig,
    ContainerStatus,
    Event,
    ExecSession,
    Runtime,
    Sandbox,
    SandboxConfig,
    Stream,
)
from tests.kit import images

ENGINES = [
    "simulated",
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=pytest.mark.podman),
]
FOREVER = ("sleep", "100000")
PATIENCE_SECONDS = 60.0


def open_engine(name: str, url: str | None = None) -> AbstractAsyncContextManager[Runtime]:
    if name == "simulated":
        from runtimes.simulated import open_simulated

        return open_simulated(now=lambda: 1.8e9 + trio.current_time())
    if name == "docker":
        from runtimes.docker import open_docker

        return open_docker(url)
    from runtimes.podman import open_podman

    return open_podman(url)


def run_in_virtual_time(work: Any, clock: Any = None, instruments: Any = ()) -> Any:
    """For `pytest.mark.trio(run=...)`: pytest-trio looks for a clock among a test's own arguments only, and here it
    is a fixture of the test that needs one."""
    clock = clock or trio.testing.MockClock(autojump_threshold=0)
    return trio.run(work, clock=clock, instruments=instruments)


class Bench:
    """An engine on the bench: makes what a test needs and clears it away."""

    def __init__(self, name: str, runtime: Runtime) -> None:
        self.name = name
        self.runtime = runtime
        self.labels = {"conformance-run": uuid.uuid4().hex}
        self._serial = 0

    @property
    def real(self) -> bool:
        return self.name != "simulated"

    def config(self, **changes: Any) -> SandboxConfig:
        self._serial += 1
        defaults: dict[str, Any] = {
            "name": f"box-{self._serial}",
            "uid": uuid.uuid4().hex,
            "namespace": "default",
            "hostname": f"box-{self._serial}",
            "labels": self.labels,
        }
        return SandboxConfig(**(defaults | changes))

    async def sandbox(self, **changes: Any) -> Sandbox:
        return await self.runtime.run_sandbox(self.config(**changes))

    async def container(self, sandbox: Sandbox, *command: str, start: bool = True, **changes: Any) -> str:
        defaults: dict[str, Any] = {
            "name": "main",
            "image": images.BUSYBOX,
            "command": command or FOREVER,
            "labels": self.labels,
        }
        identity = await self.runtime.create_container(sandbox.id, ContainerConfig(**(defaults | changes)))
        if start:
            await self.runtime.start_container(identity)
        return identity

    async def shell(self, script: str, sandbox: Sandbox | None = None, **changes: Any) -> str:
        return await self.container(sandbox or await self.sandbox(), "sh", "-c", script, **changes)

    async def until(self, identity: str, done: Callable[[ContainerStatus], bool]) -> ContainerStatus:
        with trio.fail_after(PATIENCE_SECONDS):
            while True:
                status = await self.runtime.container_status(identity)
                if done(status):
                    return status
                await trio.sleep(0.05)

    async def exited(self, identity: str) -> ContainerStatus:
        return await self.until(identity, lambda status: status.state == "exited")

    async def output(self, identity: str, **options: Any) -> list[tuple[int, bytes]]:
        async with await self.runtime.logs(identity, **options) as lines:
            return [(line.stream, line.data) async for line in lines]

    async def clear(self) -> None:
        for sandbox in await self.runtime.list_sandboxes(self.labels):
            await self.runtime.remove_sandbox(sandbox.id)


@asynccontextmanager
async def open_bench(name: str) -> AsyncIterator[Bench]:
    """The engine of that name with its busybox image at hand; what the test leaves behind is removed."""
    async with open_engine(name) as runtime:
        bench = Bench(name, runtime)
        if not bench.real:
            await runtime.pull_image(images.BUSYBOX)
        try:
            yield bench
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE_SECONDS):
                await bench.clear()


async def read_all(session: ExecSession) -> dict[int, bytes]:
    output = {STDOUT: b"", STDERR: b""}
    with trio.fail_after(PATIENCE_SECONDS):
        while (piece := await session.receive()) is not None:
            output[piece[0]] += piece[1]
    return output


async def read_until(session: ExecSession, wanted: bytes) -> bytes:
    seen = b""
    with trio.fail_after(PATIENCE_SECONDS):
        while wanted not in seen:
            piece = await session.receive()
            assert piece is not None, seen
            seen += piece[1]
    return seen


async def next_event(events: Stream[Event], subject: str, action: str) -> Event:
    with trio.fail_after(PATIENCE_SECONDS):
        async for event in events:
            if (event.subject, event.action) == (subject, action):
                return event
    raise AssertionError("the stream of events ended")

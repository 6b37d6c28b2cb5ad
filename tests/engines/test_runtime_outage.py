"""An engine that goes away and comes back, shown without stopping the engine that other tests use.

A relay stands between the runtime and the engine's socket; closing it looks to the runtime like a daemon that died.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from runtimes.contract import Unavailable
from tests.kit.engines import engine_socket
from tests.kit.runtimes import PATIENCE_SECONDS, Bench, next_event, open_engine

EACH_ENGINE = pytest.mark.parametrize(
    "name",
    [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)],
)


class Relay:
    def __init__(self, path: Path, nursery: trio.Nursery) -> None:
        self.url = f"unix://{path}"
        self._path = path
        self._nursery = nursery
        self._scope = trio.CancelScope()

    async def up(self, target: str) -> None:
        self._scope = trio.CancelScope()
        await self._nursery.start(self._listen, target)

    def down(self) -> None:
        """Every connection breaks and the socket is gone."""
        self._scope.cancel()
        self._path.unlink()

    async def _listen(self, target: str, task_status: trio.TaskStatus[None]) -> None:
        with self._scope, trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listening:
            await listening.bind(str(self._path))
            listening.listen(64)
            task_status.started()
            async with trio.open_nursery() as connections:
                while True:
                    accepted, _ = await listening.accept()
                    connections.start_soon(self._relay, trio.SocketStream(accepted), target)

    async def _relay(self, near: trio.SocketStream, target: str) -> None:
        async with near, await trio.open_unix_socket(target) as far, trio.open_nursery() as both:
            both.start_soon(self._copy, near, far)
            both.start_soon(self._copy, far, near)

    async def _copy(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with trio.open_nursery() as nursery:
        yield Relay(tmp_path / "engine.sock", nursery)
        nursery.cancel_scope.cancel()


@EACH_ENGINE
async def test_a_missing_socket_is_told(name: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing.sock"
    async with open_engine(name, f"unix://{missing}") as runtime:
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"missing\.sock"):
                await runtime.version()
        with pytest.raises(Unavailable, match=r"missing\.sock"):
            await runtime.list_sandboxes()
        with pytest.raises(Unavailable, match=r"missing\.sock"):
            await runtime.events()
        with pytest.raises(Unavailable, match=r"missing\.sock"):
            await runtime.remove_sandbox("0" * 64)


@EACH_ENGINE
async def test_an_engine_that_dies_and_comes_back(name: str, relay: Relay) -> None:
    target = engine_socket(name)  # type: ignore[arg-type]
    await relay.up(target)
    async with open_engine(name, relay.url) as runtime:
        bench = Bench(name, runtime)
        try:
            identity = await bench.shell("echo before; sleep 100000")
            events = await runtime.events(bench.labels)
            lines = await runtime.logs(identity, follow=True)
            assert (await lines.__anext__()).data == b"before\n"
            relay.down()
            with trio.fail_after(PATIENCE_SECONDS):
                with pytest.raises(Unavailable):
                    await events.__anext__()
                with pytest.raises(Unavailable):
                    await runtime.container_status(identity)
                with pytest.raises(Unavailable):
                    await runtime.exec_sync(identity, ["true"])
            await events.aclose()
            await lines.aclose()
            await relay.up(target)
            assert (await runtime.container_status(identity)).state == "running"
            assert (await runtime.exec_sync(identity, ["true"])).exit_code == 0
            async with await runtime.events(bench.labels) as again:
                await runtime.kill_container(identity)
                assert (await next_event(again, "container", "died")).id == identity
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE_SECONDS):
                await bench.clear()


@EACH_ENGINE
async def test_waiting_calls_end_when_the_engine_dies(name: str, relay: Relay) -> None:
    target = engine_socket(name)  # type: ignore[arg-type]
    await relay.up(target)
    async with open_engine(name, relay.url) as runtime:
        bench = Bench(name, runtime)
        try:
            sandbox = await bench.sandbox()
            identity = await bench.shell("trap 'echo asked' TERM; while true; do sleep 0.1; done", sandbox)
            failed = trio.Event()

            async def stop() -> None:
                with pytest.raises(Unavailable):
                    await runtime.stop_container(identity, 100.0)
                failed.set()

            with trio.fail_after(PATIENCE_SECONDS):
                async with trio.open_nursery() as nursery:
                    async with (
                        await runtime.exec(identity, ["cat"], stdin=True) as session,
                        await runtime.logs(identity, follow=True) as lines,
                    ):
                        await session.send_stdin(b"x")
                        assert await session.receive() == (1, b"x")
                        nursery.start_soon(stop)
                        assert (await lines.__anext__()).data == b"asked\n"
                        relay.down()
                        await failed.wait()
            await relay.up(target)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE_SECONDS):
                await bench.clear()

"""Podman's service comes and goes; containers and other processes' knowledge of them stay.

Each test runs a service of its own, on a socket of its own, over the machine's one store of containers.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from runtimes.contract import ContainerConfig, RuntimeFault, SandboxConfig, Unavailable
from runtimes.podman import open_podman
from runtimes.podman.runtime import PodmanRuntime
from tests.kit.images import BUSYBOX

pytestmark = pytest.mark.podman

DEADLINE_SECONDS = 60


@contextmanager
def service(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        ["podman", "system", "service", "-t", "0", f"unix://{socket}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


async def until_answers(runtime: PodmanRuntime) -> None:
    with trio.fail_after(DEADLINE_SECONDS):
        while True:
            try:
                await runtime.version()
            except Unavailable:
                await trio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def removed_afterwards(runtime: PodmanRuntime, labels: dict[str, str]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            for sandbox in await runtime.list_sandboxes(labels):
                await runtime.remove_sandbox(sandbox.id)


async def run_one(runtime: PodmanRuntime, name: str, *command: str) -> tuple[str, str, dict[str, str]]:
    labels = {"kube-actors.test": name}
    sandbox = await runtime.run_sandbox(SandboxConfig(name=name, uid=name, namespace="test", labels=labels))
    config = ContainerConfig(name="main", image=BUSYBOX, command=command, labels=labels)
    container = await runtime.create_container(sandbox.id, config)
    await runtime.start_container(container)
    return sandbox.id, container, labels


async def test_a_missing_socket_is_unavailable_and_names_it(tmp_path: Path) -> None:
    async with open_podman(f"unix://{tmp_path}/none.sock") as runtime:
        for call in (runtime.version, runtime.info, runtime.list_sandboxes, runtime.events):
            with pytest.raises(Unavailable, match=r"none\.sock: No such file or directory"):
                await call()


async def test_a_socket_that_nobody_serves_is_unavailable(tmp_path: Path) -> None:
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(f"{tmp_path}/dead.sock")
    listener.close()
    async with open_podman(f"unix://{tmp_path}/dead.sock") as runtime:
        with pytest.raises(Unavailable, match="Connection refused"):
            await runtime.list_containers()


async def test_streams_end_with_a_service_that_dies_and_everything_works_once_it_is_back(tmp_path: Path) -> None:
    socket = tmp_path / "podman.sock"
    async with open_podman(f"unix://{socket}") as runtime:
        with service(socket) as process:
            await until_answers(runtime)
            _, container, labels = await run_one(runtime, "outage", "sleep", "600")
            async with await runtime.events() as events, await runtime.exec(container, ["sleep", "600"]) as session:
                process.kill()
                with trio.fail_after(DEADLINE_SECONDS):
                    with pytest.raises(Unavailable):
                        await anext(events)
                    assert await session.receive() is None
                    with pytest.raises(Unavailable):
                        await runtime.container_status(container)
        with service(socket):
            await until_answers(runtime)
            async with removed_afterwards(runtime, labels):
                assert (await runtime.container_status(container)).state == "running"
                async with await runtime.events(labels) as events:
                    await runtime.kill_container(container)
                    with trio.fail_after(DEADLINE_SECONDS):
                        event = await anext(events)
                assert (event.action, event.id, event.exit_code) == ("died", container, 137)


async def test_a_service_that_dies_under_a_waiting_call_is_unavailable(tmp_path: Path) -> None:
    socket = tmp_path / "podman.sock"
    async with open_podman(f"unix://{socket}") as runtime:
        with service(socket) as process:
            await until_answers(runtime)
            command = ("sh", "-c", "trap : TERM; while :; do sleep 1; done")
            _, container, labels = await run_one(runtime, "waiting", *command)
            outcome: list[RuntimeFault] = []

            async def stop() -> None:
                try:
                    await runtime.stop_container(container, 100)
                except RuntimeFault as fault:
                    outcome.append(fault)

            with trio.fail_after(DEADLINE_SECONDS):
                async with trio.open_nursery() as nursery, await runtime.events(labels) as events:
                    nursery.start_soon(stop)
                    await trio.testing.wait_all_tasks_blocked()
                    process.kill()
                    with pytest.raises(Unavailable):
                        await anext(events)
            assert [type(fault) for fault in outcome] == [Unavailable]
        with service(socket):
            await until_answers(runtime)
            async with removed_afterwards(runtime, labels):
                await runtime.kill_container(container)
                assert (await runtime.container_status(container)).exit_code == 137


async def test_another_process_adopts_what_it_finds_by_labels() -> None:
    async with open_podman() as first:
        sandbox_id, container_id, labels = await run_one(first, "adopted", "sh", "-c", "echo hello; exec sleep 600")
    async with open_podman() as second, removed_afterwards(second, labels):
        (sandbox,) = await second.list_sandboxes(labels)
        (container,) = await second.list_containers(labels, sandbox_id=sandbox_id)
        assert (sandbox.id, sandbox.state, container.id, container.state) == (
            sandbox_id,
            "ready",
            container_id,
            "running",
        )
        config = ContainerConfig(name="late", image=BUSYBOX, command=("sh", "-c", "echo $HOSTNAME; hostname"))
        late = await second.create_container(sandbox_id, config)
        await second.start_container(late)
        async with await second.logs(late, follow=True) as log:
            names = [line.data async for line in log]
        assert len(names) == 2
        assert names[0] == names[1]


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.01, 0.03, 0.06, 0.1, 0.15])
async def test_a_sandbox_cancelled_at_any_moment_leaves_nothing_behind(seconds: float) -> None:
    labels = {"kube-actors.test": "cancelled"}
    config = SandboxConfig(name="cancelled", uid="cancelled", namespace="test", labels=labels)
    async with open_podman() as runtime, removed_afterwards(runtime, labels):
        await runtime.version()
        with trio.move_on_after(seconds) as scope:
            await runtime.run_sandbox(config)
        # Where the engine was quicker than the deadline, the sandbox is there and has to be removed.
        assert len(await runtime.list_sandboxes(labels)) == (0 if scope.cancelled_caught else 1)

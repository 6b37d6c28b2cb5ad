"""`kube-actors up` as a process on a real engine: killed, it comes back and adopts what runs; interrupted, it leaves
no container, no address and no process."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import trio

from kube_actors.client import Client
from tests.kit.clusters import containers_of, deployment, http_get, service
from tests.kit.commands import DEADLINE_SECONDS, Command, client_of, command

SERVICES = f"10.{130 + os.getpid() % 20}.7.0/24"


def local_routes() -> str:
    return subprocess.run(["ip", "route", "show", "table", "local"], capture_output=True, text=True, check=True).stdout


async def until(ask: Any, wanted: Any) -> None:
    """Another process has no events for us: look again until it is so."""
    last: Any = None
    with trio.move_on_after(DEADLINE_SECONDS):
        while True:
            last = await ask()
            if last == wanted:
                return
            await trio.sleep(0.05)
    raise AssertionError(f"never {wanted}; last {last}")


async def identities(client: Client) -> dict[str, tuple[str, int]]:
    """Every ready pod's container, and how often it was restarted."""
    pods = (await client.list("Pod", namespace="default")).items
    ready = {pod.metadata.name: pod.status.container_statuses[0] for pod in pods if pod.status.container_statuses}
    return {name: (status.container_id, status.restart_count) for name, status in ready.items() if status.ready}


def start(engine: str, home: Path, listen: str) -> Any:
    words = ("--runtime", engine, "--nodes", "1", "--listen", listen, "--data-dir", str(home / "d"))
    return command("up", "--config", str(home / "cluster.yaml"), *words, home=home)


async def test_killed_it_adopts_and_interrupted_it_leaves_nothing(engine: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(f"addresses: {{services: {SERVICES}}}")
    server: Command
    async with start(engine, tmp_path, "127.0.0.1:0") as server:
        url, kubeconfig = await server.ready()
        async with client_of(kubeconfig) as client:
            uid = (await client.get("Namespace", "kube-system")).metadata.uid
            for obj in (deployment(2), service()):
                await client.create(obj, namespace="default")

            async def ready() -> int:
                return len(await identities(client))

            await until(ready, 2)
            before = await identities(client)
        await server.kill()
    assert len(containers_of(engine, uid)) == 4  # each pod's sandbox and container, which nobody looks after now
    async with start(engine, tmp_path, url.removeprefix("https://")) as server:
        assert await server.ready() == (url, kubeconfig)
        async with client_of(kubeconfig) as client:

            async def now() -> dict[str, tuple[str, int]]:
                return await identities(client)

            await until(now, before)
            address = (await client.get("Service", "web", namespace="default")).spec.cluster_ip

            async def answering() -> set[str]:
                try:
                    return {(await trio.to_thread.run_sync(http_get, address, 80)).split()[0] for _ in range(8)}
                except OSError:
                    return set()

            await until(answering, set(before))
            assert await identities(client) == before
        assert len(containers_of(engine, uid)) == 4
        assert await server.stop(signal.SIGINT) == 0
    assert containers_of(engine, uid) == []
    assert SERVICES not in local_routes()

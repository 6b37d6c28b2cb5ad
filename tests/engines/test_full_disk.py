"""`kube-actors up` on a file system that is really full: who writes is told, nothing acknowledged is lost, it heals."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.client import Client
from tests.kit.commands import DEADLINE_SECONDS, client_of, up
from tests.kit.engines import engines_required

MIB = 1024 * 1024
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}},
    },
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, the test's own."""
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        reason = f"cannot mount: {done.stderr.strip()}"
        pytest.fail(reason) if engines_required() else pytest.skip(reason)
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


class Writer:
    """ConfigMaps of some size, and which of them the server has acknowledged."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.acknowledged: dict[str, str] = {}
        self.tried = 0

    async def write(self) -> None:
        self.tried += 1
        metadata = {"name": f"c-{self.tried}"}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "x" * 50_000}}
        made = await self.client.create(body, namespace="default")
        self.acknowledged[made["metadata"]["name"]] = made["metadata"]["uid"]

    async def until_refused(self) -> ApiError:
        for _ in range(500):
            try:
                await self.write()
            except ApiError as error:
                return error
        raise AssertionError("the file system never was full")

    async def until_taken(self) -> None:
        with trio.fail_after(DEADLINE_SECONDS):
            while True:
                try:
                    return await self.write()
                except ApiError:
                    await trio.sleep(0.05)  # another process: it has no event to wait for

    async def check(self) -> None:
        """Everything acknowledged is there, and of the rest at most what was under way when its writer was refused."""
        found = await self.client.list("ConfigMap", namespace="default")
        there = {each.metadata.name: each.metadata.uid for each in found.items if each.metadata.name.startswith("c-")}
        assert {name: there.get(name) for name in self.acknowledged} == self.acknowledged


async def test_a_full_disk_is_told_and_survived(small_disk: Path) -> None:
    data, ballast = small_disk / "d", small_disk / "ballast"
    async with up(data) as server:
        _, kubeconfig = await server.ready()
        async with client_of(kubeconfig) as client:
            writer = Writer(client)
            await writer.write()
            ballast.write_bytes(b"x" * (2 * MIB))
            for _ in range(3):  # it stays full, and every writer is told
                refusal = await writer.until_refused()
                assert (refusal.code, refusal.reason) == (500, "InternalError")  # as Kubernetes says of a full etcd
                assert "the store is full: no room left for" in str(refusal)
                await writer.check()
            ballast.unlink()
            await writer.until_taken()
            await writer.check()
            await client.create(DEPLOYMENT, namespace="default")
            await until_available(client)
        await server.kill()
    async with up(data) as server:
        _, kubeconfig = await server.ready()
        async with client_of(kubeconfig) as client:
            writer.client = client
            await writer.check()
            await until_available(client)
        assert await server.stop() == 0
    assert "Traceback" not in "\n".join(server.err)


async def until_available(client: Client) -> None:
    def available(found: Any) -> bool:
        return bool(found.status is not None and found.status.available_replicas == 2)

    with trio.fail_after(DEADLINE_SECONDS):
        while not available(await client.get("Deployment", "web", namespace="default")):  # noqa: ASYNC110
            await trio.sleep(0.05)  # another process: it has no event to wait for

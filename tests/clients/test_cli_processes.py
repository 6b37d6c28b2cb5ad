"""Scheduler, controllers and a node as processes of their own: they work together, and each heals after a kill."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.kit.commands import Command, command, kubectl, up

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


async def test_a_cluster_of_processes_heals(tmp_path: Path) -> None:
    data = tmp_path / "d"
    async with AsyncExitStack() as stack:

        async def start(*words: str) -> Command:
            started = await stack.enter_async_context(command(*words, home=tmp_path))
            await started.said(f"node {words[-1]} runs" if words[0] == "node" else f"running {words[1]}")
            return started

        server = await stack.enter_async_context(up(data, "--without", "scheduler,controllers,cloud", nodes=0))
        url, kubeconfig = await server.ready()
        parts = {
            "scheduler": ("run", "scheduler", "--kubeconfig", str(kubeconfig)),
            "controllers": ("run", "controllers", "--kubeconfig", str(kubeconfig)),
            "cloud": ("run", "cloud", "--kubeconfig", str(kubeconfig)),
            "node": ("node", "--server", url, "--token-file", str(data / "node-token"), "--runtime", "simulated",
                     "--name", "far"),
        }  # fmt: skip
        running = {name: await start(*words) for name, words in parts.items()}
        await kubectl(kubeconfig, "create", "deployment", "web", "--image=example.com/web:1", "--replicas=2")
        await kubectl(kubeconfig, "rollout", "status", "deployment/web", "--timeout=30s")
        placed = await kubectl(kubeconfig, "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
        assert placed == "far far"
        await _reached(kubeconfig)
        for replicas, name in enumerate(parts, start=3):
            await running[name].kill()
            await kubectl(kubeconfig, "scale", "deployment/web", f"--replicas={replicas}")
            running[name] = await start(*parts[name])
            await kubectl(kubeconfig, "rollout", "status", "deployment/web", "--timeout=35s")
        await _reached(kubeconfig)
        for process in (*running.values(), server):
            assert await process.stop() == 0


async def _reached(kubeconfig: Path) -> None:
    """Logs and exec go from the API server to the node's own HTTPS API."""
    await kubectl(kubeconfig, "logs", "deployment/web")
    assert (await kubectl(kubeconfig, "exec", "deployment/web", "--", "hostname")).startswith("web-")

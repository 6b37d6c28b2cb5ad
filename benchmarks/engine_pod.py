"""A one-container pod on a real engine, from create to Ready, against two bare containers of the same image."""

from __future__ import annotations

import subprocess
from statistics import median
from time import perf_counter
from typing import Any

import trio

IMAGE = "kube-actors/busybox:1"


def pod_against_bare(engine: str, rounds: int) -> float | None:
    """Median time of a pod over the median time of `ENGINE run -d` twice; None when the engine cannot run the image."""
    if subprocess.run([engine, "image", "inspect", IMAGE], capture_output=True, check=False).returncode != 0:
        return None
    bare = median(_bare(engine) for _ in range(rounds))
    pods = trio.run(_pods, engine, rounds)
    return median(pods) / bare


def _bare(engine: str) -> float:
    begin = perf_counter()
    names = [_start(engine) for _ in range(2)]
    elapsed = perf_counter() - begin
    subprocess.run([engine, "rm", "-f", *names], capture_output=True, check=True)
    return elapsed


def _start(engine: str) -> str:
    command = [engine, "run", "-d", IMAGE, "sleep", "1000"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def _pods(engine: str, rounds: int) -> list[float]:
    from kube_actors import Cluster  # lazy: only where an engine answers

    times = []
    async with Cluster(nodes=1, runtime=engine, addresses=_no_sockets()) as cluster:
        for number in range(rounds):
            name = f"bench-{number}"
            begin = perf_counter()
            await cluster.client.create(_pod(name), namespace="default")
            await cluster.wait(f"pod/{name}", "Ready", timeout=60)
            times.append(perf_counter() - begin)
            await cluster.client.delete("Pod", name, namespace="default", grace_seconds=0)
            await cluster.wait(f"pod/{name}", "Deleted", timeout=60)
    return times


def _no_sockets() -> Any:
    from kube_actors.assembly.config import AddressConfig  # lazy: only where an engine answers

    return AddressConfig(tier="simulated")


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "1000"], "imagePullPolicy": "IfNotPresent"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}

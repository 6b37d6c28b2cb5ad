"""How fast it starts: the import, an embedded cluster, its first Deployment, and a pod on a real engine.

Each figure is taken in a fresh process, several times, and the best is given, since machines are noisy. The pod on an
engine is compared with two bare containers (sandbox and container) started by the engine's own command line in the same
run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from .engine_pod import pod_against_bare

IMPORT = "import time; begin = time.perf_counter(); import kube_actors; print(time.perf_counter() - begin)"

CLUSTER = """
import json, resource, time, trio, kube_actors
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
    "replicas": 10, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}
async def main():
    Cluster = kube_actors.Cluster
    begin = time.perf_counter()
    async with Cluster(nodes=3) as cluster:
        ready = time.perf_counter()
        await cluster.client.create(DEPLOYMENT, namespace="default")
        await cluster.wait("deployment/web", "status.availableReplicas=10")
        available = time.perf_counter()
    print(json.dumps({"ready": ready - begin, "deployment": available - ready,
                      "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
trio.run(main)
"""

MANY = """
import time, trio, kube_actors
PODS = 100
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
    "replicas": PODS, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}}
async def main():
    async with kube_actors.Cluster(nodes=50) as cluster:
        begin = time.process_time()
        await cluster.client.create(DEPLOYMENT, namespace="default")
        await cluster.wait("deployment/web", f"status.availableReplicas={PODS}")
        print((time.process_time() - begin) / PODS)
trio.run(main)
"""

TARGETS = {
    "import kube_actors (ms)": 150.0,
    "Cluster() to 3 nodes Ready (ms)": 150.0,
    "10 replicas Available, more (ms)": 100.0,
    "resident memory (MB)": 80.0,
    "pod on docker / two bare containers": 2.0,
    "pod on podman / two bare containers": 2.0,
}


def run(*, rounds: int = 5, engines: tuple[str, ...] = ("docker", "podman")) -> dict[str, float]:
    """All figures by name; an engine that does not answer is left out."""
    _python(CLUSTER)
    figures = {"import kube_actors (ms)": best(rounds, lambda: float(_python(IMPORT)) * 1000)}
    samples: list[dict[str, Any]] = [json.loads(_python(CLUSTER)) for _ in range(rounds)]
    figures["Cluster() to 3 nodes Ready (ms)"] = min(sample["ready"] for sample in samples) * 1000
    figures["10 replicas Available, more (ms)"] = min(sample["deployment"] for sample in samples) * 1000
    figures["a pod among 100 on 50 nodes (CPU ms)"] = best(1, lambda: float(_python(MANY)) * 1000)
    figures["resident memory (MB)"] = median(sample["memory"] for sample in samples) / 1e6
    for engine in engines:
        ratio = pod_against_bare(engine, rounds)
        if ratio is not None:
            figures[f"pod on {engine} / two bare containers"] = ratio
    return figures


def best(rounds: int, measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(rounds))


def table(figures: dict[str, float]) -> str:
    """The figures beside their targets, for people."""
    rows = [f"{'figure':<40} {'measured':>10} {'target':>8}"]
    for name, value in figures.items():
        target = TARGETS.get(name)
        rows.append(f"{name:<40} {value:>10.1f} {target if target is not None else '':>8}")
    return "\n".join(rows)


def _python(code: str) -> str:
    # Modules are compiled once in the life of an installation, not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip().splitlines()[-1]

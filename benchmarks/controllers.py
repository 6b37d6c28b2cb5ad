"""How fast controllers bring a large cluster to rest: Deployments, a rolling update, a namespace, Jobs; and a curve.

Each case runs in a process of its own: an embedded cluster, memory store, scripted nodes (one actor plays their pods,
so that what is measured is API server, scheduler and controllers). The curve says what one Deployment more costs
beside ever more unrelated ones. A case that takes longer than its limit counts as that long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

LIMIT_SECONDS = 300.0
NODES = 1000
CURVE = (0, 200, 500, 1000)
"""Unrelated Deployments beside which one more is made."""

TARGETS = {
    "Deployment of 5,000 to Available (s)": 4.0,
    "its rolling update (s)": 10.0,
    "1,000 Deployments of 3 to Available (s)": 6.0,
    "deletion of a namespace of 10,000 objects (s)": 5.0,
    "10,000 Jobs of one pod finished (s)": 15.0,
}

COMMON = """
import json, sys, time, trio, kube_actors
from kube_actors.api.types.apps_v1 import Deployment
from kube_actors.api.types.batch_v1 import Job
from kube_actors.assembly.config import NodeConfig, ScriptedConfig
from kube_actors.client import InformerFactory
NODES, SCALE, LIMIT = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
def scaled(count):
    return max(1, int(count * SCALE))
def deployment(name, replicas, image="web:1"):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": image}]}}}}
def job(name):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"}, "spec": {
        "template": {"metadata": {"annotations": {"bench/behaviour": "succeed"}}, "spec": {"restartPolicy": "Never",
            "containers": [{"name": "work", "image": "work:1"}]}}}}
async def seconds(work):
    begin = time.perf_counter()
    with trio.move_on_after(LIMIT):
        await work
    return time.perf_counter() - begin
async def until(cluster, kind, done, count):
    # By a watch, as any client has it: listing thousands again and again would be what is measured.
    factory, enough, good = InformerFactory(cluster.client, cluster.system), trio.Event(), set()
    def look(old, new):
        key = (new or old).metadata.uid
        (good.add if new is not None and done(new) else good.discard)(key)
        if len(good) >= count:
            enough.set()
    factory.informer(kind).add_handler(look)
    async with trio.open_nursery() as nursery:
        await nursery.start(factory.run)
        if count:
            await enough.wait()
        nursery.cancel_scope.cancel()
def available(replicas):
    return lambda each: (each.status.available_replicas or 0) == replicas
async def create_all(cluster, objects):
    limit = trio.CapacityLimiter(16)
    async def one(obj):
        async with limit:
            await cluster.client.create(obj)
    async with trio.open_nursery() as nursery:
        for obj in objects:
            nursery.start_soon(one, obj)
async def main():
    nodes = [NodeConfig(name=f"node-{i}", labels={"bench/node": "true"}) for i in range(NODES)]
    scripted = ScriptedConfig(node_selector="bench/node=true", annotation="bench/behaviour")
    async with kube_actors.Cluster(nodes=tuple(nodes), runtime="simulated", scripted=scripted) as cluster:
        print(json.dumps(await case(cluster)))
"""

ROLLOUT = """
async def case(cluster):
    pods = scaled(5000)
    async def make():
        await cluster.client.create(deployment("web", pods))
        await until(cluster, Deployment, available(pods), 1)
    async def update():
        made = await cluster.client.get("Deployment", "web", namespace="default")
        await cluster.client.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": [
            {"name": "web", "image": "web:2"}]}}}}, namespace="default", patch_type="strategic")
        def done(deployment):
            status = deployment.status
            return (status.observed_generation or 0) > made.metadata.generation and (
                status.updated_replicas == status.replicas == status.available_replicas == pods)
        await until(cluster, Deployment, done, 1)
    made = await seconds(make())
    return {"Deployment of 5,000 to Available (s)": made, "its rolling update (s)": await seconds(update())}
"""

MANY = """
async def case(cluster):
    count = scaled(1000)
    async def make():
        await create_all(cluster, [deployment(f"web-{i}", 3) for i in range(count)])
        await until(cluster, Deployment, available(3), count)
    return {"1,000 Deployments of 3 to Available (s)": await seconds(make())}
"""

NAMESPACE = """
async def case(cluster):
    count = scaled(10000)
    await cluster.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "full"}})
    await create_all(cluster, [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c-{i}", "namespace":
        "full"}, "data": {"key": "value"}} for i in range(count)])
    async def delete():
        await cluster.client.delete("Namespace", "full")
        while "full" in {each.metadata.name for each in (await cluster.client.list("Namespace")).items}:
            await trio.sleep(0.05)
    return {"deletion of a namespace of 10,000 objects (s)": await seconds(delete())}
"""

JOBS = """
async def case(cluster):
    count = scaled(10000)
    async def run():
        await create_all(cluster, [job(f"job-{i}") for i in range(count)])
        await until(cluster, Job, lambda job: (job.status.completion_time or "") != "", count)
    return {"10,000 Jobs of one pod finished (s)": await seconds(run())}
"""

BESIDE = """
async def case(cluster):
    others, more = scaled(int(sys.argv[4])) if int(sys.argv[4]) else 0, 20
    await create_all(cluster, [deployment(f"other-{i}", 1) for i in range(others)])
    await until(cluster, Deployment, available(1), others)
    begin = time.process_time()
    for i in range(more):
        await cluster.client.create(deployment(f"more-{i}", 1))
        await cluster.wait(f"deployment/more-{i}", "Available", timeout=LIMIT)
    spent = (time.process_time() - begin) / more * 1000
    return {f"one Deployment more beside {others} others (CPU ms)": spent}
"""


def run(*, rounds: int = 1, scale: float = 1.0, nodes: int = NODES) -> dict[str, float]:
    """All figures by name: the best of the rounds."""
    figures: dict[str, float] = {}
    for _ in range(rounds):
        for case in (ROLLOUT, MANY, NAMESPACE, JOBS):
            _better(figures, _measure(case, nodes, scale))
        for others in CURVE:
            _better(figures, _measure(BESIDE, min(nodes, 100), scale, others))
    return figures


def _better(figures: dict[str, float], found: dict[str, float]) -> None:
    for name, value in found.items():
        figures[name] = min(value, figures.get(name, value))


def _measure(case: str, nodes: int, scale: float, others: int = 0) -> dict[str, float]:
    # Modules are compiled once in the life of an installation, not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = f"{COMMON}{case}\ntrio.run(main)"
    command = [sys.executable, "-c", code, str(nodes), str(scale), str(LIMIT_SECONDS), str(others)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(figures: dict[str, float]) -> str:
    """The figures beside their targets, for people."""
    rows = [f"{'figure':<52} {'measured':>10} {'target':>8}"]
    for name, value in figures.items():
        target = TARGETS.get(name)
        rows.append(f"{name:<52} {value:>10.1f} {target if target is not None else '':>8}")
    return "\n".join(rows)

"""`kube-actors demo`: a short guided run on the embedded default, with real requests through a Service.

Needs no engine and no root: nodes are simulated, but their pods' servers listen on addresses of 127.0.0.0/8 and the
Service's address is served by the userspace proxy, so what is counted here went over real sockets.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from kube_actors.actors import SystemClock
from kube_actors.assembly.cluster import Cluster

REPLICAS = 3
REQUESTS = 60
PORT = 8080
TIMEOUT = 60.0

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example.com/web:v1
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 8080, targetPort: 8080}]
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # nothing to choose: the demo is the same for everybody


def run(given: argparse.Namespace) -> int:
    del given
    return trio.run(_demo)


class Guide:
    """Prints each step with the time it took."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._step = self._clock.monotonic()

    def say(self, text: str) -> None:
        now = self._clock.monotonic()
        print(f"[{(now - self._step) * 1000:7.0f} ms]  {text}", flush=True)
        self._step = now

    def show(self, lines: str) -> None:
        for line in lines.splitlines():
            print(f"               {line}", flush=True)
        self._step = self._clock.monotonic()


async def _demo() -> int:
    guide = Guide()
    async with Cluster(nodes=3, listen="127.0.0.1:0") as cluster:
        guide.say(f"a cluster is up: {cluster.server}, 3 nodes Ready")
        guide.show(f"try it meanwhile: kubectl --kubeconfig {cluster.kubeconfig} get pods -w")
        await cluster.apply(MANIFEST)
        await cluster.wait("deployment/web", "Available", timeout=TIMEOUT)
        guide.say(f"Deployment web is Available with {REPLICAS} replicas behind Service web")
        address = await _service_address(cluster)
        await _all_serve(address)
        guide.say(f"{REQUESTS} requests to {address}:{PORT} were shared by:")
        guide.show(_tally(await _ask(address, REQUESTS)))
        await _kill_pod(cluster, guide)
        await _crash(cluster, guide)
        await _roll_out(cluster, address, guide)
        await _tell_story(cluster, guide)
    guide.say("stopped; nothing is left behind")
    return 0


async def _service_address(cluster: Cluster) -> str:
    service = await cluster.wait("service/web", lambda obj: bool(obj["spec"].get("clusterIP")))
    assert service is not None
    return str(service["spec"]["clusterIP"])


async def _kill_pod(cluster: Cluster, guide: Guide) -> None:
    victim = (await _pods(cluster))[0]
    await cluster.client.delete("Pod", victim.metadata.name, namespace="default", grace_seconds=0)
    await cluster.wait(f"pod/{victim.metadata.name}", "Deleted", timeout=TIMEOUT)
    await cluster.wait("deployment/web", _available, timeout=TIMEOUT)
    guide.say(f"pod {victim.metadata.name} was deleted; its ReplicaSet made another one:")
    guide.show("\n".join(pod.metadata.name for pod in await _pods(cluster)))


async def _crash(cluster: Cluster, guide: Guide) -> None:
    victim = (await _pods(cluster))[-1].metadata.name
    await cluster.wait(f"pod/{victim}", "Ready", timeout=TIMEOUT)
    done = await cluster.client.run(victim, ["kill", "1"], namespace="default")
    await cluster.wait(f"pod/{victim}", _restarted, timeout=TIMEOUT)
    await cluster.wait("deployment/web", _available, timeout=TIMEOUT)
    guide.say(f"the process of {victim} was killed (exit code of kill: {done.exit_code}); it was restarted in place")


async def _roll_out(cluster: Cluster, address: str, guide: Guide) -> None:
    answers: list[str] = []
    async with _steady_load(address, answers):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "example.com/web:v2"}]}}}}
        await cluster.client.patch("Deployment", "web", patch, namespace="default")
        await cluster.wait("deployment/web", _rolled_out, timeout=TIMEOUT)
    versions = Counter(answer.rpartition(":")[2] if answer.startswith("web-") else answer for answer in answers)
    failed = sum(count for version, count in versions.items() if version not in ("v1", "v2"))
    shares = ", ".join(f"{version}: {count}" for version, count in sorted(versions.items()))
    guide.say(f"version 2 was rolled out under steady load: {len(answers)} requests, {failed} failed ({shares})")


async def _tell_story(cluster: Cluster, guide: Guide) -> None:
    pod = (await _pods(cluster))[0]
    guide.say(f"the story of pod {pod.metadata.name}, through all components:")
    guide.show(cluster.story(pod.metadata.uid))


async def _pods(cluster: Cluster) -> list[Any]:
    found = await cluster.client.list("Pod", namespace="default", label_selector="app=web")
    return [pod for pod in found.items if pod.metadata.deletion_timestamp is None]


def _available(deployment: Any) -> bool:
    status = deployment.get("status") or {}
    return bool(status.get("availableReplicas") == REPLICAS == status.get("replicas"))


def _rolled_out(deployment: Any) -> bool:
    status = deployment.get("status") or {}
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(current and status.get("updatedReplicas") == REPLICAS and _available(deployment))


def _restarted(pod: Any) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(status["restartCount"] > 0 and status["ready"] for status in statuses)


async def _all_serve(address: str) -> None:
    """Wait until every replica has been seen: the proxy learns of an endpoint a moment after its pod is Ready."""
    with trio.fail_after(TIMEOUT):
        while True:
            answers = await _ask(address, 2 * REPLICAS)
            if len({answer.split()[0] for answer in answers if answer.startswith("web-")}) == REPLICAS:
                return
            await trio.sleep(0.01)


async def _ask(address: str, count: int) -> list[str]:
    return [await _request(address) for _ in range(count)]


async def _request(address: str) -> str:
    """The body that a GET through the Service gives, or what went wrong."""
    try:
        async with await trio.open_tcp_stream(address, PORT) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
            received = bytearray()
            async for part in stream:
                received += part
    except (OSError, trio.BrokenResourceError) as error:
        return f"{type(error).__name__}"
    return received.partition(b"\r\n\r\n")[2].decode().strip()


@asynccontextmanager
async def _steady_load(address: str, answers: list[str]) -> AsyncIterator[None]:
    """One request after the other for as long as the block runs."""

    async def go_on() -> None:
        while True:
            answers.append(await _request(address))
            await trio.sleep(0.001)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        yield
        nursery.cancel_scope.cancel()


def _tally(answers: list[str]) -> str:
    return "\n".join(f"{count:4}  {who}" for who, count in sorted(Counter(answers).items()))

"""Scheduler, controllers and a node do the same over the channel and over HTTPS, against the same real API server.

One test, two transports: whatever a component may do over the one and not over the other fails here. Time is real,
since sockets know no other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from kube_actors.actors import RestartPolicy, System, open_supervisor
from kube_actors.api import codec
from kube_actors.api.messages import UserInfo
from kube_actors.client import ChannelTransport, Client, HTTPTransport, load_config
from kube_actors.controllers import ControllerManager, Options
from kube_actors.kubelet import NodeActor, NodeConfig, RuntimeDialer
from kube_actors.scheduler import Scheduler
from runtimes.simulated import open_simulated
from tests.kit.https import HttpsServer, https_apiserver

SECONDS = 30
MASTER = UserInfo(name="tester", groups=("system:masters", "system:authenticated"))
LABELS = {"app": "web"}


class World:
    """The components, and what they have made of the cluster as a client on the same transport sees it."""

    def __init__(self, client: Client, https: HttpsServer) -> None:
        self.client = client
        self.https = https

    async def create(self, kind: str, **body: Any) -> None:
        version = "apps/v1" if kind == "Deployment" else "v1"
        obj = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, **body}
        await self.client.create(obj, namespace="default")

    async def until(self, kind: str, test: Callable[[list[Any]], Any], **more: Any) -> list[Any]:
        """All objects of a kind, once they are as wanted; looked at whenever one of them changes."""
        last: list[Any] = []
        with trio.move_on_after(SECONDS):
            while True:
                found = await self.client.list(kind, namespace="default", **more)
                last = [codec.to_dict(item) for item in found.items]
                if test(last):
                    return last
                version = found.metadata.resource_version
                async with self.client.watch(kind, namespace="default", resource_version=version, **more) as events:
                    await anext(aiter(events), None)
        raise AssertionError(f"{kind} never became as wanted: {last}")


@asynccontextmanager
async def a_world(transport: str, directory: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        https = await stack.enter_async_context(https_apiserver(directory, service_accounts=True))
        system = System()

        async def client() -> Client:
            if transport == "channel":
                return Client(ChannelTransport(https.server.mailbox, MASTER))
            own = HTTPTransport(load_config(https.kubeconfig), system.entropy)
            return Client(await stack.enter_async_context(own))

        runtime = await stack.enter_async_context(open_simulated(now=system.clock.now, name="n1"))
        scheduling, controlling, running = await client(), await client(), await client()
        supervisor = await stack.enter_async_context(open_supervisor("test", system))
        stack.callback(supervisor.cancel)
        never = RestartPolicy(restart="never")  # a component that fails fails the test
        settings, dialer = NodeConfig(name="n1"), RuntimeDialer(runtime.http_get)
        supervisor.start("scheduler", lambda: Scheduler(scheduling, system), never)
        supervisor.start("controllers", lambda: ControllerManager(controlling, system, Options()), never)
        supervisor.start("node", lambda: NodeActor(system, running, runtime, settings, dialer=dialer), never)
        yield World(await client(), https)


def deployment(image: str) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    container = {"name": "c", "image": image, "ports": [{"containerPort": 80}], "readinessProbe": probe}
    pod = {"metadata": {"labels": LABELS}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    return {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": pod}


def settled(deployments: list[Any]) -> bool:
    """Whether the one Deployment is all that its newest generation asks for."""
    (found,) = deployments
    status = found.get("status") or {}
    counts = [status.get(field) for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    return status.get("observedGeneration") == found["metadata"]["generation"] and counts == [2] * 4


def addresses(slices: list[Any]) -> set[str]:
    ends = [end for one in slices for end in one.get("endpoints") or () if end["conditions"]["ready"]]
    return {address for end in ends for address in end["addresses"]}


@pytest.mark.parametrize("transport", ["channel", "https"])
async def test_a_deployment_comes_up_rolls_out_and_goes(transport: str, tmp_path: Path) -> None:
    async with a_world(transport, tmp_path) as world:
        await world.until("ServiceAccount", len)  # without it no pod is admitted
        await world.create("Deployment", spec=deployment("web:1"))
        await world.create("Service", spec={"selector": LABELS, "ports": [{"port": 80}]})
        await world.until("Deployment", settled)
        pods = await world.until("Pod", lambda found: len(found) == 2)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"n1"}
        assert {pod["status"]["phase"] for pod in pods} == {"Running"}
        ips = {pod["status"]["podIP"] for pod in pods}
        slices = {"label_selector": "kubernetes.io/service-name=web"}
        await world.until("EndpointSlice", lambda found: addresses(found) == ips, **slices)
        chosen = {"field_selector": "metadata.name=web"}
        await world.until(
            "Endpoints",
            lambda found: found and {a["ip"] for s in found[0].get("subsets") or () for a in s["addresses"]} == ips,
            **chosen,
        )
        (first,) = await world.until("ReplicaSet", len)
        assert (first["status"]["readyReplicas"], first["metadata"]["ownerReferences"][0]["name"]) == (2, "web")

        changed = {"spec": {"template": deployment("web:2")["template"]}}
        await world.client.patch("Deployment", "web", changed, namespace="default")
        await world.until("Deployment", settled)
        pods = await world.until("Pod", lambda found: len(found) == 2)
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"web:2"}
        ips = {pod["status"]["podIP"] for pod in pods}
        await world.until("EndpointSlice", lambda found: addresses(found) == ips, **slices)

        await world.client.delete("Deployment", "web", namespace="default")
        for kind in ("ReplicaSet", "Pod"):
            await world.until(kind, lambda found: not found)
        await world.until("EndpointSlice", lambda found: not addresses(found), **slices)
        wanted = {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Started", "Killing"}
        await world.until("Event", lambda found: wanted <= {event["reason"] for event in found})

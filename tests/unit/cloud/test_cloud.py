"""The cloud controllers over the real API server in this process, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from kube_actors.api.messages import UserInfo
from kube_actors.api.types.core_v1 import LoadBalancerIngress, LoadBalancerStatus, NodeAddress
from kube_actors.cloud import CloudControllerManager, Instance, LocalProvider, ProviderError
from tests.kit.apiserver import RunningAPIServer, running_apiserver

USER = UserInfo(name="system:cloud-controller-manager", groups=("system:masters", "system:authenticated"))
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


class OneCloud:
    """A small cloud: machines by node name, and load balancers that can be told to refuse."""

    name = "one"

    def __init__(self) -> None:
        self.machines: dict[str, Instance] = {}
        self.down: set[str] = set()
        self.refuse = 0
        self.balancers: dict[str, list[str]] = {}
        self.instances = self
        self.load_balancers = self

    async def describe(self, node: Any) -> Instance:
        if node.metadata.name not in self.machines:
            raise ProviderError("not there yet")
        return self.machines[node.metadata.name]

    async def exists(self, node: Any) -> bool:
        return node.metadata.name in self.machines

    async def is_shut_down(self, node: Any) -> bool:
        return node.metadata.name in self.down

    async def ensure(self, service: Any, nodes: Any) -> LoadBalancerStatus:
        if self.refuse:
            self.refuse -= 1
            raise ProviderError("quota exceeded")
        self.balancers[service.metadata.name] = [node.metadata.name for node in nodes]
        return LoadBalancerStatus(ingress=(LoadBalancerIngress(hostname=f"{service.metadata.name}.one.example"),))

    async def delete(self, service: Any) -> None:
        self.balancers.pop(service.metadata.name, None)


@asynccontextmanager
async def world(provider: Any = None) -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as api:
        client = api.client(USER, "cloud-controller-manager")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(CloudControllerManager(client, api.system, provider).run)
            await settle()
            yield api
            nursery.cancel_scope.cancel()


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.002)


async def node(api: RunningAPIServer, name: str, address: str = "192.0.2.1", ready: str = "True", **spec: Any) -> None:
    made = await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})
    made["status"] = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    await api.ask("update", "Node", "", name, subresource="status", body=made)


async def service(api: RunningAPIServer, name: str, port: int = 80, **spec: Any) -> None:
    body = {"type": "LoadBalancer", "ports": [{"port": port}], **spec}
    await api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body})


async def ingress(api: RunningAPIServer, name: str) -> list[str]:
    status = (await api.get("Service", name))["status"]
    return [one.get("ip") or one["hostname"] for one in status.get("loadBalancer", {}).get("ingress", [])]


async def reasons(api: RunningAPIServer, name: str) -> list[str]:
    events = (await api.list("Event", "default"))["items"]
    return [e["reason"] for e in events if e["involvedObject"]["name"] == name]


async def test_a_service_gets_the_nodes_addresses(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as api:
        await node(api, "n1", "192.0.2.1")
        await node(api, "n2", "192.0.2.2")
        await node(api, "n3", "192.0.2.3", ready="False")
        await service(api, "web")
        await settle()
        assert await ingress(api, "web") == ["192.0.2.1", "192.0.2.2"]
        assert (await api.get("Service", "web"))["metadata"]["finalizers"] == [FINALIZER]
        assert sorted(await reasons(api, "web")) == ["EnsuredLoadBalancer", "EnsuringLoadBalancer"]


async def test_addresses_follow_the_nodes(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as api:
        await service(api, "web")
        await settle()
        assert await ingress(api, "web") == []
        assert "UnAvailableLoadBalancer" in await reasons(api, "web")
        await node(api, "n1", "192.0.2.1")
        await settle()
        assert await ingress(api, "web") == ["192.0.2.1"]
        await api.delete("Node", "n1")
        await settle()
        assert await ingress(api, "web") == []


async def test_a_port_belongs_to_one_service(autojump_clock: trio.testing.MockClock) -> None:
    async with world(LocalProvider(["192.0.2.9"])) as api:
        await service(api, "first")
        await settle()
        await service(api, "second")
        await service(api, "third", port=81)
        await settle()
        assert await ingress(api, "first") == ["192.0.2.9"]
        assert await ingress(api, "second") == []
        assert await ingress(api, "third") == ["192.0.2.9"]
        assert "SyncLoadBalancerFailed" in await reasons(api, "second")
        await api.delete("Service", "first")
        await trio.sleep(60)
        assert await ingress(api, "second") == ["192.0.2.9"]


async def test_the_balancer_goes_before_the_service(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    async with world(cloud) as api:
        await service(api, "web")
        await settle()
        assert await ingress(api, "web") == ["web.one.example"]
        await api.delete("Service", "web")
        await settle()
        assert cloud.balancers == {}
        assert [one["metadata"]["name"] for one in (await api.list("Service", "default"))["items"]] == ["kubernetes"]


async def test_a_service_that_changes_its_type_loses_its_balancer(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    async with world(cloud) as api:
        await service(api, "web")
        await settle()
        changed = await api.get("Service", "web")
        changed["spec"]["type"] = "ClusterIP"
        for port in changed["spec"]["ports"]:
            port.pop("nodePort", None)
        changed["spec"].pop("externalTrafficPolicy", None)
        changed["spec"].pop("allocateLoadBalancerNodePorts", None)
        await api.update(changed)
        await settle()
        assert cloud.balancers == {}
        after = await api.get("Service", "web")
        assert not after["metadata"].get("finalizers")
        assert await ingress(api, "web") == []


async def test_a_refusal_is_told_and_tried_again(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    cloud.refuse = 2
    async with world(cloud) as api:
        await service(api, "web")
        await settle()
        events = (await api.list("Event", "default"))["items"]
        text = "Error syncing load balancer: failed to ensure load balancer: quota exceeded"
        assert text in [e["message"] for e in events]
        await trio.sleep(30)
        assert await ingress(api, "web") == ["web.one.example"]


async def test_another_class_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    async with world(cloud) as api:
        await service(api, "web", loadBalancerClass="example.com/other")
        await settle()
        assert await ingress(api, "web") == []
        assert cloud.balancers == {}


async def test_a_new_node_learns_what_its_cloud_knows(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    cloud.machines["n1"] = Instance(
        provider_id="one://z/1",
        addresses=(NodeAddress(type="ExternalIP", address="198.51.100.1"),),
        type="small",
        zone="z",
        region="r",
    )
    taint = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
    async with world(cloud) as api:
        await node(api, "n1", taints=[taint])
        await trio.sleep(20)
        found = await api.get("Node", "n1")
        assert taint not in found["spec"].get("taints", [])
        assert found["spec"]["providerID"] == "one://z/1"
        labels = found["metadata"]["labels"]
        assert labels["topology.kubernetes.io/zone"] == "z"
        assert labels["topology.kubernetes.io/region"] == "r"
        assert labels["node.kubernetes.io/instance-type"] == "small"
        await trio.sleep(400)
        found = await api.get("Node", "n1")
        assert [(a["type"], a["address"]) for a in found["status"]["addresses"]] == [
            ("ExternalIP", "198.51.100.1"),
            ("Hostname", "n1"),
        ]


async def test_a_node_without_a_machine_goes(autojump_clock: trio.testing.MockClock) -> None:
    cloud = OneCloud()
    cloud.machines["n2"] = Instance(provider_id="one://z/2")
    cloud.down.add("n2")
    async with world(cloud) as api:
        await node(api, "n1", ready="Unknown")
        await node(api, "n2", ready="Unknown")
        await trio.sleep(10)
        nodes = (await api.list("Node"))["items"]
        assert [one["metadata"]["name"] for one in nodes] == ["n2"]
        taints = {taint["key"] for taint in nodes[0]["spec"]["taints"]}
        assert "node.cloudprovider.kubernetes.io/shutdown" in taints

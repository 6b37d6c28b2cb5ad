"""The actor against the real API server in this process, with a simulated proxy, in virtual time."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from kube_actors.actors import RestartPolicy, open_supervisor
from kube_actors.api.messages import UserInfo
from kube_actors.kubeproxy import KubeProxy, Locality
from netproxy.contract import NODE_ADDRESS, Backend, Frontend, Table
from netproxy.simulated import SimulatedProxy
from tests.kit.apiserver import running_apiserver

pytestmark = pytest.mark.usefixtures("autojump_clock")

CLUSTER_IP = "10.96.0.50"
WEB = Frontend(CLUSTER_IP, 80)


class CountingProxy(SimulatedProxy):
    """The simulated proxy, whose tables can be looked at."""

    def __init__(self):
        super().__init__()
        self.tables: list[Table] = []

    async def apply(self, table):
        self.tables.append(table)
        return await super().apply(table)


def service(name="web", cluster_ip=CLUSTER_IP, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"clusterIP": cluster_ip, "ports": [{"name": "http", "port": 80}], **spec},
    }


def endpoint_slice(*addresses, name="web"):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}, "nodeName": "n"} for one in addresses],
    }


class World:
    def __init__(self, api, proxy, child):
        self.api = api
        self.proxy = proxy
        self.child = child

    async def settle(self):
        await trio.testing.wait_all_tasks_blocked()

    def backends(self, frontend=WEB):
        """Every backend that a client may get."""
        found = {self.proxy.resolve(frontend, "10.244.0.99") for _ in range(10)}
        return sorted(one.address for one in found if one is not None)


@asynccontextmanager
async def world(*objects):
    async with running_apiserver(service_range="10.96.0.0/16") as api:
        for obj in objects:
            await api.create(obj)
        client = api.client(UserInfo(name="system:kube-proxy", groups=("system:masters",)))
        proxy = CountingProxy()
        async with open_supervisor("node", api.system) as supervisor:
            child = supervisor.start(
                "kubeproxy",
                lambda: KubeProxy(client, api.system, proxy, locality=Locality(frozenset({"n"}))),
                RestartPolicy(restart="always", initial_seconds=1.0),
            )
            running = World(api, proxy, child)
            await running.settle()
            yield running
            child.stop()


async def test_what_is_there_at_the_start_is_one_table():
    async with world(service(), endpoint_slice("10.244.0.1", "10.244.0.2")) as here:
        assert here.backends() == ["10.244.0.1", "10.244.0.2"]
        assert len(here.proxy.tables) == 1


async def test_endpoints_come_and_go():
    async with world(service()) as here:
        assert here.backends() == []
        slice_ = await here.api.create(endpoint_slice("10.244.0.1"))
        await here.settle()
        assert here.backends() == ["10.244.0.1"]
        slice_["endpoints"] = endpoint_slice("10.244.0.2", "10.244.0.3")["endpoints"]
        await here.api.update(slice_)
        await here.settle()
        assert here.backends() == ["10.244.0.2", "10.244.0.3"]
        await here.api.delete("EndpointSlice", "web-1")
        await here.settle()
        assert here.backends() == []


async def test_a_service_comes_changes_and_goes():
    async with world(endpoint_slice("10.244.0.1")) as here:
        created = await here.api.create(service(type="NodePort"))
        await here.settle()
        node_port = Frontend(NODE_ADDRESS, created["spec"]["ports"][0]["nodePort"])
        assert here.backends() == here.backends(node_port) == ["10.244.0.1"]
        created["spec"]["ports"][0]["port"] = 81
        await here.api.update(created)
        await here.settle()
        assert here.backends() == []
        assert here.backends(Frontend(CLUSTER_IP, 81)) == ["10.244.0.1"]
        await here.api.delete("Service", "web")
        await here.settle()
        assert here.proxy.statistics().routes == len(here.proxy.tables[-1].routes)
        assert here.backends(node_port) == []


async def test_a_burst_of_changes_is_applied_together():
    async with world() as here:
        before = len(here.proxy.tables)
        for number in range(50):
            await here.api.create(service(f"web-{number}", f"10.96.1.{number}"))
            await here.api.create(endpoint_slice(f"10.244.0.{number}", name=f"web-{number}"))
        await here.settle()
        for number in range(50):
            assert here.backends(Frontend(f"10.96.1.{number}", 80)) == [f"10.244.0.{number}"]
        assert len(here.proxy.tables) - before <= 100


async def test_a_change_that_concerns_no_route_applies_nothing():
    async with world(service(), endpoint_slice("10.244.0.1")) as here:
        before = len(here.proxy.tables)
        await here.api.create(service("headless", "None"))
        await here.api.create(endpoint_slice("10.244.0.7", name="headless"))
        found = await here.api.get("Service", "web")
        found["metadata"]["labels"] = {"team": "blue"}
        await here.api.update(found)
        await here.settle()
        assert len(here.proxy.tables) == before


async def test_a_killed_actor_comes_back_with_the_same_table():
    async with world(service(), endpoint_slice("10.244.0.1")) as here:
        first = here.proxy.tables[-1]
        here.child.kill()
        await here.settle()
        await here.api.create(endpoint_slice("10.244.0.2", name="other"))
        await here.api.create(service("other", "10.96.0.51"))
        assert here.backends() == ["10.244.0.1"]  # the proxy serves on while its actor is away
        await trio.sleep(2)
        await here.settle()
        assert here.proxy.tables[-1].routes != first.routes
        assert here.backends(Frontend("10.96.0.51", 80)) == ["10.244.0.2"]
        assert here.backends() == ["10.244.0.1"]


async def test_an_address_that_cannot_be_had_is_told_once_in_the_services_story():
    async with world(service(), endpoint_slice("10.244.0.1")) as here:
        thief = await here.api.create(service("zzz", "10.96.0.60", externalIPs=[CLUSTER_IP]))
        await here.api.create(service("unrelated", "10.96.0.61"))
        await here.settle()
        (line,) = here.api.system.story.of(thief["metadata"]["uid"])
        assert line.what == "cannot be served" and "default/web:http has it already" in line.detail
        assert here.proxy.resolve(WEB, "c") == Backend("10.244.0.1", 8080)
        await here.api.delete("Service", "web")
        await here.settle()
        assert here.api.system.story.of(thief["metadata"]["uid"])[-1].what == "is no longer refused"

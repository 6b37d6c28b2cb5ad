"""Services: addresses and ports, given once, kept, taken back, and found again after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.store.memory import MemoryStore
from tests.kit.apiserver import RunningAPIServer, running_apiserver


@pytest.fixture
async def api() -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver(service_range="127.96.0.0/24") as running:
        yield running


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports, **spec}}


async def test_defaults_and_an_address_of_the_range(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    spec = (await api.create(service("a")))["spec"]
    assert ip_address(spec["clusterIP"]) in ip_network("127.96.0.0/24")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    assert (spec["type"], spec["ipFamilies"], spec["ipFamilyPolicy"]) == ("ClusterIP", ["IPv4"], "SingleStack")


async def test_the_first_address_is_the_api_servers(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    assert (await api.get("Service", "kubernetes"))["spec"]["clusterIP"] == "127.96.0.1"


async def test_many_at_once_never_share_an_address(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made: list[str] = []

    async def one(number: int) -> None:
        created = await api.create(service(f"s{number}", type="NodePort"))
        made.append(created["spec"]["clusterIP"])

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, number)
    assert len(set(made)) == 100
    ports = [s["spec"]["ports"][0].get("nodePort") for s in (await api.list("Service", "default"))["items"]]
    assert len({port for port in ports if port}) == 100


async def test_a_range_runs_out_and_is_refilled_by_deletes(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_range="127.96.0.0/29") as api:
        for number in range(5):
            await api.create(service(f"s{number}"))
        with pytest.raises(ApiError) as refused:
            await api.create(service("one-more"))
        assert "range is full" in refused.value.message
        freed = (await api.delete("Service", "s3"))["spec"]["clusterIP"]
        assert (await api.create(service("one-more")))["spec"]["clusterIP"] == freed


async def test_asked_for_addresses_and_ports_are_given_once(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(service("a", clusterIP="127.96.0.9", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    for spec, text in (
        ({"clusterIP": "127.96.0.9"}, "provided IP is already allocated"),
        ({"clusterIP": "10.0.0.1"}, "is not in the valid range"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}, "provided port is already allocated"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "The range of valid ports is 30000-32767"),
    ):
        with pytest.raises(ApiError) as refused:
            await api.create(service("b", **spec))
        assert refused.value.code == 422
        assert text in refused.value.message
    assert (await api.create(service("b", clusterIP="127.96.0.10")))["spec"]["clusterIP"] == "127.96.0.10"


async def test_a_failed_create_gives_back_what_it_took(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(service("a"))
    with pytest.raises(ApiError) as refused:
        await api.create(service("a", clusterIP="127.96.0.44"))
    assert refused.value.is_already_exists
    await api.create(service("b", clusterIP="127.96.0.44"))


async def test_headless_and_external_names_have_no_address(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    headless = (await api.create(service("a", clusterIP="None", selector={"app": "a"})))["spec"]
    assert headless["clusterIPs"] == ["None"]
    external = (await api.create(service("b", type="ExternalName", externalName="example.com", ports=[])))["spec"]
    assert "clusterIP" not in external


async def test_changing_the_type_frees_and_takes(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(service("a", type="NodePort"))
    port, address = made["spec"]["ports"][0]["nodePort"], made["spec"]["clusterIP"]
    made["spec"]["type"] = "ClusterIP"
    plain = await api.update(made)
    assert "nodePort" not in plain["spec"]["ports"][0]
    assert plain["spec"]["clusterIP"] == address
    await api.create(service("b", type="NodePort", ports=[{"port": 80, "nodePort": port}]))


async def test_an_update_without_the_address_keeps_it(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(service("a"))
    address = made["spec"]["clusterIP"]
    again = await api.update(service("a", selector={"app": "a"}))
    assert again["spec"]["clusterIP"] == address
    with pytest.raises(ApiError) as refused:
        await api.update(service("a", clusterIP="127.96.0.77"))
    assert "may not change once set" in refused.value.message


async def test_a_new_server_over_the_same_store_knows_what_is_taken(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running_apiserver(store=store) as api:
        address = (await api.create(service("a")))["spec"]["clusterIP"]
    async with running_apiserver(store=store, seed=1) as api:
        assert (await api.get("Service", "kubernetes"))["spec"]["clusterIP"] == "10.96.0.1"
        with pytest.raises(ApiError):
            await api.create(service("b", clusterIP=address))


async def test_the_listener_stands_behind_the_kubernetes_service(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    for port in (6443, 7443):
        async with running_apiserver(store=store, endpoint=("192.0.2.1", port)) as api:
            endpoints = await api.get("Endpoints", "kubernetes")
            assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.1"}]
            assert endpoints["subsets"][0]["ports"][0]["port"] == port
            slice_ = await api.get("EndpointSlice", "kubernetes")
            assert slice_["endpoints"][0]["addresses"] == ["192.0.2.1"]


async def addresses(api: RunningAPIServer) -> dict[str, str]:
    """Address to the name of the Service that has it, as the IPAddress objects say."""
    items = (await api.list("IPAddress"))["items"]
    return {item["metadata"]["name"]: item["spec"]["parentRef"]["name"] for item in items}


async def test_each_address_is_an_object(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    address = (await api.create(service("a")))["spec"]["clusterIP"]
    assert await addresses(api) == {"127.96.0.1": "kubernetes", address: "a"}
    found = await api.get("IPAddress", address)
    assert found["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv4"
    with pytest.raises(ApiError, match="provided IP is already allocated"):
        await api.create(service("b", clusterIP=address))
    await api.delete("Service", "a", "default")
    assert await addresses(api) == {"127.96.0.1": "kubernetes"}


async def test_a_dry_run_shows_an_address_and_takes_none(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    shown = await api.ask("create", "Service", body=service("a"), dry_run=("All",))
    assert ip_address(shown["spec"]["clusterIP"]) in ip_network("127.96.0.0/24")
    assert await addresses(api) == {"127.96.0.1": "kubernetes"}


async def test_a_full_range_is_helped_by_another(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_range="127.96.0.0/30") as api:
        default = await api.get("ServiceCIDR", "kubernetes")
        assert default["status"]["conditions"][0]["type"] == "Ready"
        await api.create(service("a"))
        with pytest.raises(ApiError, match="range is full"):
            await api.create(service("b"))
        more = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
        await api.create(more | {"spec": {"cidrs": ["127.97.0.0/24"]}})
        with pytest.raises(ApiError, match="range is full"):  # nobody has said yet that it is ready
            await api.create(service("b"))
        condition = {"type": "Ready", "status": "True", "reason": "", "message": ""}
        condition["lastTransitionTime"] = default["status"]["conditions"][0]["lastTransitionTime"]
        ready = more | {"spec": {"cidrs": ["127.97.0.0/24"]}, "status": {"conditions": [condition]}}
        await api.ask("update", "ServiceCIDR", name="more", subresource="status", body=ready)
        made = await api.create(service("b"))
        assert ip_address(made["spec"]["clusterIP"]) in ip_network("127.97.0.0/24")


async def test_an_address_that_somebody_else_holds_is_not_given_out(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_range="127.96.0.0/29") as api:
        for last in (2, 3, 4, 5):
            parent = {"group": "example.com", "resource": "gateways", "name": "g"}
            body = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "spec": {"parentRef": parent}}
            await api.create(body | {"metadata": {"name": f"127.96.0.{last}"}})
        assert (await api.create(service("a")))["spec"]["clusterIP"] == "127.96.0.6"

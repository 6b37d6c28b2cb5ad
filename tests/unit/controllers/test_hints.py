"""Hints of EndpointSlices: by nearness, and in proportion to the zones' CPUs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import Node, NodeCondition, NodeStatus
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers.hints import ENABLED, Slices, by_distribution, in_proportion, ratios_of

from .conftest import deployment, running


def endpoint(number: int, zone: str | None, *, ready: bool = True) -> Endpoint:
    address = f"10.0.{number // 200}.{number % 200}"
    return Endpoint(
        addresses=(address,), conditions=EndpointConditions(ready=ready), zone=zone, node_name=f"node-{number}"
    )


def pieces(zones: list[str], size: int = 5) -> list[EndpointSlice]:
    endpoints = [endpoint(number, zone) for number, zone in enumerate(zones)]
    chunks = [endpoints[start : start + size] for start in range(0, len(endpoints), size)]
    return [
        EndpointSlice(metadata=ObjectMeta(name=f"s-{number}"), address_type="IPv4", ports=(), endpoints=tuple(chunk))
        for number, chunk in enumerate(chunks)
    ]


def node(name: str, zone: str, cpu: str = "4", *, ready: str = "True") -> Node:
    return Node(
        metadata=ObjectMeta(name=name, labels={"topology.kubernetes.io/zone": zone} if zone else {}),
        status=NodeStatus(allocatable={"cpu": cpu}, conditions=(NodeCondition(type="Ready", status=ready),)),
    )


def zones_of(slices: Slices) -> dict[str, int]:
    found: dict[str, int] = {}
    for piece in [*slices.create, *slices.update, *slices.unchanged]:
        for each in piece.endpoints:
            assert each.hints is not None
            (zone,) = each.hints.for_zones
            found[zone.name] = found.get(zone.name, 0) + 1
    return found


def test_shares_of_cpu() -> None:
    nodes = [node("a", "x"), node("b", "x"), node("c", "y"), node("d", "z", ready="False")]
    assert ratios_of(nodes) == {"x": 2 / 3, "y": 1 / 3}
    assert ratios_of([*nodes, node("e", "")]) is None
    assert ratios_of(nodes[:2]) is None


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (None, (None, None)),
        ("PreferClose", ("x", None)),
        ("PreferSameZone", ("x", None)),
        ("PreferSameNode", ("x", "node-0")),
    ],
)
def test_by_nearness(distribution: str | None, expected: tuple[str | None, str | None]) -> None:
    (piece,) = pieces(["x"])
    first = by_distribution(distribution, Slices(create=[piece], update=[], unchanged=[]))
    hints = first.create[0].endpoints[0].hints
    zones = hints.for_zones[0].name if hints is not None and hints.for_zones else None
    nodes = hints.for_nodes[0].name if hints is not None and hints.for_nodes else None
    assert (zones, nodes) == expected
    again = by_distribution(distribution, Slices(create=[], update=[], unchanged=first.create))
    assert again.update == [] and again.unchanged == first.create
    other = by_distribution(None, again)
    assert all(each.hints is None for slice_ in [*other.update, *other.unchanged] for each in slice_.endpoints)


def test_an_endpoint_that_is_not_ready_is_for_nobody() -> None:
    piece = EndpointSlice(address_type="IPv4", ports=(), endpoints=(endpoint(0, "x", ready=False),))
    found = by_distribution("PreferSameZone", Slices(create=[piece], update=[], unchanged=[]))
    assert found.create[0].endpoints[0].hints is None


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.sampled_from("xyz"), min_size=1, max_size=40),
    st.dictionaries(st.sampled_from("xyz"), st.integers(1, 8), min_size=2, max_size=3),
)
def test_in_proportion(zones: list[str], cpus: dict[str, int]) -> None:
    total = sum(cpus.values())
    ratios = {zone: cpu / total for zone, cpu in cpus.items()}
    found, event = in_proportion(ratios, Slices(create=pieces(zones), update=[], unchanged=[]), before=False)
    if event != ENABLED:
        assert all(each.hints is None for piece in found.create for each in piece.endpoints)
        return
    counts = zones_of(found)
    assert sum(counts.values()) == len(zones)
    unknown = sum(count for zone, count in counts.items() if zone not in ratios)
    if not unknown:
        assert all(counts.get(zone, 0) >= ratio * len(zones) / 1.2 - 1 for zone, ratio in ratios.items())
        again, told = in_proportion(ratios, Slices(create=[], update=[], unchanged=found.create), before=True)
        assert told is None
        assert zones_of(again) == counts


@pytest.mark.parametrize(
    ("ratios", "zones", "text"),
    [
        (None, ["x"], "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"),
        ({"x": 0.5, "y": 0.5}, ["x"], "Insufficient number of endpoints (1 endpoints, 2 zones)"),
    ],
)
def test_why_there_are_none(ratios: Any, zones: list[str], text: str) -> None:
    _, event = in_proportion(ratios, Slices(create=pieces(zones), update=[], unchanged=[]), before=False)
    assert event == ("Warning", "TopologyAwareHintsDisabled", text)


async def test_a_service_that_changes_its_mind(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(replicas=2))
        service: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "annotations": {"service.kubernetes.io/topology-mode": "Auto"}},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
        await world.api.create(service)

        async def told() -> bool:
            events = await world.events()
            return any(reason == "TopologyAwareHintsDisabled" and "IPv4" in text for _, reason, text in events)

        await world.until(told)
        await world.patch(
            "Service",
            "web",
            {
                "metadata": {"annotations": {"service.kubernetes.io/topology-mode": None}},
                "spec": {"trafficDistribution": "PreferSameNode"},
            },
        )

        async def hinted() -> bool:
            pieces = await world.items("EndpointSlice")
            endpoints = [each for piece in pieces for each in piece["endpoints"] or ()]
            wanted = [{"forNodes": [{"name": each.get("nodeName")}]} for each in endpoints]
            return len(endpoints) == 2 and [each.get("hints") for each in endpoints] == wanted

        await world.until(hinted)

"""Endpoints kept by hand, mirrored: what is too much for a slice, and who is not mirrored."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Service, ServiceSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.controllers.contract import NOTHING, Create, Emit
from kube_actors.controllers.mirroring import Observed, plan

SERVICE = Service(metadata=ObjectMeta(name="db", namespace="n"), spec=ServiceSpec(cluster_ip="10.96.0.7"))


def endpoints(count: int, **labels: str) -> Endpoints:
    addresses = tuple(EndpointAddress(ip=f"10.0.{number // 250}.{number % 250}") for number in range(count))
    subset = EndpointSubset(addresses=addresses, ports=(EndpointPort(port=5432, protocol="TCP"),))
    return Endpoints(metadata=ObjectMeta(name="db", namespace="n", labels=labels), subsets=(subset,))


def test_a_subset_gives_a_thousand_addresses() -> None:
    told, made = plan(Observed(endpoints=endpoints(1003), service=SERVICE)).actions
    assert isinstance(told, Emit) and isinstance(made, Create)
    text = "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 3 addresses were skipped"
    assert (told.reason, told.message) == ("TooManyAddressesToMirror", text)
    assert len(made.obj.endpoints) == 1000


def test_who_asks_not_to_be_mirrored_is_not() -> None:
    skipped = endpoints(2, **{"endpointslice.kubernetes.io/skip-mirror": "true"})
    assert plan(Observed(endpoints=skipped, service=SERVICE)) == NOTHING

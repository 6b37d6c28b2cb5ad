"""What a pod is in a Service's EndpointSlices: its endpoint by address type, and the ports that say in which slice.

Pure, and of one pod at a time, so that it can be kept until that pod changes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from msgspec import Struct, structs

from kube_actors.api.types.core_v1 import Pod, Service
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointConditions, EndpointPort

from . import membership, pods

Ports = tuple[EndpointPort, ...]
Identity = tuple[tuple[str, ...], str | None, str | None]


class Prepared(Struct, frozen=True):
    """What a pod is in slices, by address type; homeless: its node is not known yet. moment: of its readiness."""

    entries: dict[str, tuple[Ports, Identity, Endpoint]] = {}
    homeless: bool = False
    moment: str | None = None


def place_of(zones: dict[str, str | None], pod: Pod) -> tuple[bool, str | None]:
    """Whether a pod's node is known, or it has none yet, and in which zone it is."""
    node = pod.spec.node_name
    return (not node or node in zones, zones.get(node) if node else None)


def prepare(service: Service, pod: Pod, place: object) -> Prepared:
    """What a pod is in a Service's slices; place is what `place_of` says."""
    assert isinstance(place, tuple), "as `place_of` gives it"
    moment = membership.moment_of(pod)
    if not membership.belongs(pod, terminating=True):
        return Prepared(moment=moment)
    known, zone = place
    if not known:
        return Prepared(homeless=True, moment=moment)
    ports = _interned(_ports(service, pod))
    entries = {}
    for family in membership.families(service):
        endpoint = _endpoint(service, pod, family, zone)
        if endpoint.addresses:
            entries[family] = (ports, identity_of(endpoint), endpoint)
    return Prepared(entries, moment=moment)


@functools.lru_cache(256)
def _interned(ports: Ports) -> Ports:
    """One value for equal ports, so that they are told apart at a glance."""
    return ports


def _endpoint(service: Service, pod: Pod, family: str, zone: str | None) -> Endpoint:
    serving = pods.is_ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    ready = bool(service.spec.publish_not_ready_addresses) or (serving and not terminating)
    return Endpoint(
        addresses=membership.of_family(pod, family),
        conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=membership.hostname_of(pod, service),
        node_name=pod.spec.node_name or None,
        zone=zone,
        target_ref=membership.target_of(pod),
    )


def identity_of(endpoint: Endpoint) -> Identity:
    target = endpoint.target_ref
    return endpoint.addresses, endpoint.hostname, None if target is None else target.name


def is_same(left: Endpoint, right: Endpoint) -> bool:
    return (left.conditions, left.node_name, left.zone, left.target_ref) == (
        right.conditions,
        right.node_name,
        right.zone,
        right.target_ref,
    )


def _ports(service: Service, pod: Pod) -> Ports:
    found = []
    for port in service.spec.ports:
        number = membership.find_port(pod, port)
        if number is not None:
            found.append(
                EndpointPort(
                    name=port.name or "", port=number, protocol=port.protocol or "TCP", app_protocol=port.app_protocol
                )
            )
    return sorted_ports(found)


def sorted_ports(ports: Iterable[EndpointPort]) -> Ports:
    """Ports in an order of their own, so that equal sets are equal."""
    named = (structs.replace(port, name=port.name or "") for port in ports)
    return tuple(sorted(named, key=lambda port: (port.name or "", port.port or 0, port.protocol or "")))

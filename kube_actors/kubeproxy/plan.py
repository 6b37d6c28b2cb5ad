"""From Services and EndpointSlices to routes: which addresses are served, and which endpoints stand behind them.

Pure: objects in, `netproxy` values out. Follows kube-proxy in what counts: headless and ExternalName Services and
those of another proxy have no routes; ready endpoints are used, or while there are none those that still serve
while they terminate; the internal traffic policy governs cluster IPs, the external one all the rest. What only a
packet filter can do is left out: dropping (rather than refusing) where a Local policy finds no local endpoint, and
keeping the client's address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.types.core_v1 import Service, ServicePort
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointSlice
from netproxy.contract import NODE_ADDRESS, Backend, Frontend, Route, Transport

from . import limits

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"

_NODE_PORT_TYPES = frozenset({"NodePort", "LoadBalancer"})
_TRANSPORTS: dict[str, Transport] = {"TCP": "TCP", "UDP": "UDP"}  # SCTP needs a kernel module and has no route


class Locality(Struct, frozen=True):
    """Where this proxy stands: the nodes it stands on, and which load balancers' addresses lead to it."""

    node_names: frozenset[str] = frozenset()
    load_balancer_ranges: tuple[str, ...] = ()

    def has_load_balancer(self, address: str) -> bool:
        try:
            wanted = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(wanted in ipaddress.ip_network(one) for one in self.load_balancer_ranges)


class _Endpoint(Struct, frozen=True, order=True):
    """One way to one pod, as the choice among them sees it."""

    backend: Backend
    local: bool
    ready: bool
    serving: bool
    terminating: bool


def is_proxied(service: Service) -> bool:
    """Whether this proxy serves the Service at all."""
    labels = service.metadata.labels
    spec = service.spec
    return (
        spec.type != "ExternalName"
        and bool(_cluster_ips(service))
        and PROXY_NAME_LABEL not in labels
        and HEADLESS_LABEL not in labels
    )


def service_key_of(slice_: EndpointSlice) -> str | None:
    """The key of the Service that a slice belongs to; None when this proxy does not care for it."""
    labels = slice_.metadata.labels
    name = labels.get(SERVICE_NAME_LABEL)
    if not name or PROXY_NAME_LABEL in labels or HEADLESS_LABEL in labels:
        return None
    return f"{slice_.metadata.namespace}/{name}"


def routes_of(service: Service, slices: Iterable[EndpointSlice], locality: Locality) -> tuple[Route, ...]:
    """Every route of one Service: at most one a port, address family and traffic policy."""
    if not is_proxied(service):
        return ()
    slices = tuple(slices)
    routes: list[Route] = []
    for port in service.spec.ports:
        transport = _TRANSPORTS.get(port.protocol or "TCP")
        if transport is None:
            continue
        for family in ("IPv4", "IPv6"):
            endpoints = _endpoints(slices, port, family, locality)
            routes += _port_routes(service, port, transport, family, endpoints, locality)
    return tuple(routes)


def _port_routes(
    service: Service,
    port: ServicePort,
    transport: Transport,
    family: str,
    endpoints: tuple[_Endpoint, ...],
    locality: Locality,
) -> list[Route]:
    inside = [Frontend(address, port.port, transport) for address in _of_family(_cluster_ips(service), family)]
    if not inside:
        return []
    outside = _external_frontends(service, port, transport, family, locality)
    spec = service.spec
    inside_local, outside_local = spec.internal_traffic_policy == "Local", spec.external_traffic_policy == "Local"
    name = f"{service.metadata.namespace}/{service.metadata.name}:{port.name or port.port}"
    if family == "IPv6":
        name += " IPv6"
    affinity = _affinity_seconds(service)
    inside_backends = _chosen(endpoints, local_only=inside_local)
    if not outside or inside_local == outside_local:
        return [Route(name, (*inside, *outside), inside_backends, affinity)]
    outside_backends = _chosen(endpoints, local_only=outside_local)
    # Kept apart even while both have the same backends, so that clients' affinity is not lost when they differ.
    return [
        Route(name, tuple(inside), inside_backends, affinity),
        Route(f"{name} external", tuple(outside), outside_backends, affinity),
    ]


def _external_frontends(
    service: Service, port: ServicePort, transport: Transport, family: str, locality: Locality
) -> list[Frontend]:
    spec = service.spec
    frontends = [Frontend(address, port.port, transport) for address in _of_family(spec.external_ips, family)]
    if spec.type == "LoadBalancer" and service.status.load_balancer is not None:
        for ingress in service.status.load_balancer.ingress:
            # Mode Proxy means that the balancer wants its packets for itself.
            if ingress.ip and ingress.ip_mode != "Proxy" and locality.has_load_balancer(ingress.ip):
                frontends += [Frontend(one, port.port, transport) for one in _of_family((ingress.ip,), family)]
    if spec.type in _NODE_PORT_TYPES and port.node_port and family == "IPv4":
        frontends.append(Frontend(NODE_ADDRESS, port.node_port, transport))
    return list(dict.fromkeys(frontends))


def _endpoints(
    slices: tuple[EndpointSlice, ...], port: ServicePort, family: str, locality: Locality
) -> tuple[_Endpoint, ...]:
    """The endpoints behind one Service port, each address once, in the order of their addresses."""
    found: dict[Backend, _Endpoint] = {}
    for slice_ in slices:
        if slice_.address_type != family:
            continue
        for slice_port in slice_.ports:
            if (slice_port.name or "") != (port.name or "") or slice_port.port is None:
                continue
            if (slice_port.protocol or "TCP") != (port.protocol or "TCP"):
                continue
            for endpoint in slice_.endpoints:
                one = _seen(endpoint, slice_port.port, locality)
                # Slices may overlap while the controller moves an endpoint; the better report counts.
                known = found.get(one.backend)
                if known is None or (one.ready, one.serving) > (known.ready, known.serving):
                    found[one.backend] = one
    return tuple(sorted(found.values()))


def _seen(endpoint: Endpoint, port: int, locality: Locality) -> _Endpoint:
    conditions = endpoint.conditions
    return _Endpoint(
        backend=Backend(endpoint.addresses[0], port),
        local=endpoint.node_name is not None and endpoint.node_name in locality.node_names,
        ready=conditions is None or conditions.ready is not False,
        serving=conditions is None or conditions.serving is not False,
        terminating=conditions is not None and conditions.terminating is True,
    )


def _chosen(endpoints: tuple[_Endpoint, ...], *, local_only: bool) -> tuple[Backend, ...]:
    candidates = [one for one in endpoints if one.local or not local_only]
    ready = tuple(one.backend for one in candidates if one.ready)
    return ready or tuple(one.backend for one in candidates if one.serving and one.terminating)


def _affinity_seconds(service: Service) -> int | None:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return None
    config = spec.session_affinity_config
    if config is None or config.client_ip is None or config.client_ip.timeout_seconds is None:
        return limits.AFFINITY_SECONDS
    return config.client_ip.timeout_seconds


def _cluster_ips(service: Service) -> tuple[str, ...]:
    spec = service.spec
    addresses = spec.cluster_ips or ((spec.cluster_ip,) if spec.cluster_ip else ())
    return tuple(address for address in addresses if address and address != "None")


def _of_family(addresses: Iterable[str], family: str) -> list[str]:
    return [address for address in addresses if (":" in address) == (family == "IPv6")]

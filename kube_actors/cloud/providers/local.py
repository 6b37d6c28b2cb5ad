"""The provider of a cluster without a cloud: its machines are its nodes, and their addresses its load balancers'.

A Service of type LoadBalancer gets the addresses of the nodes, as small clusters do it; its ports there are then
taken, and another Service that wants one of them waits. The packets are carried by the proxy on the nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kube_actors.api.types.core_v1 import (
    LoadBalancerIngress,
    LoadBalancerStatus,
    Node,
    Service,
)
from kube_actors.cloud.contract import Instance, Instances, LoadBalancers, ProviderError

_KINDS = ("ExternalIP", "InternalIP")
Port = tuple[str, int]


class LocalProvider:
    """`addresses` replace the nodes' own, where the nodes are reached by others."""

    name = "local"

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self.instances: Instances | None = LocalInstances()
        self.load_balancers: LoadBalancers | None = LocalLoadBalancers(tuple(addresses))


class LocalInstances:
    """A node's machine is what its kubelet says it is, and is there as long as the node is."""

    async def describe(self, node: Node) -> Instance:
        name = node.metadata.name
        return Instance(provider_id=node.spec.provider_id or f"local://{name}", addresses=node.status.addresses)

    async def exists(self, node: Node) -> bool:
        return True

    async def is_shut_down(self, node: Node) -> bool:
        return False


class LocalLoadBalancers:
    """Who has which port. Rebuilt after a restart, since Services that have an address already are ensured first."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses
        self._owners: dict[Port, str] = {}

    async def ensure(self, service: Service, nodes: Sequence[Node]) -> LoadBalancerStatus:
        owner = _key(service)
        wanted = {(port.protocol or "TCP", port.port) for port in service.spec.ports}
        for port in sorted(wanted):
            if self._owners.get(port, owner) != owner:
                raise ProviderError(f"port {port[1]}/{port[0]} is taken by Service {self._owners[port]}")
        addresses = self._addresses or addresses_of(nodes)
        if service.spec.load_balancer_ip:
            if service.spec.load_balancer_ip not in addresses:
                raise ProviderError(f"{service.spec.load_balancer_ip} is no address of a node")
            addresses = (service.spec.load_balancer_ip,)
        self._release(owner)
        self._owners.update(dict.fromkeys(wanted, owner))
        return LoadBalancerStatus(ingress=tuple(LoadBalancerIngress(ip=one, ip_mode="VIP") for one in addresses))

    async def delete(self, service: Service) -> None:
        self._release(_key(service))

    def _release(self, owner: str) -> None:
        self._owners = {port: other for port, other in self._owners.items() if other != owner}


def addresses_of(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Where nodes are reached: by their external addresses if any has one, else by the internal ones; each once."""
    for kind in _KINDS:
        found = {a.address for node in nodes for a in node.status.addresses if a.type == kind}
        if found:
            return tuple(sorted(found))
    return ()


def _key(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"

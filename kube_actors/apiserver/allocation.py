"""Cluster addresses and node ports of Services: who has which, and what is free.

Owns the book of what is taken, rebuilt from the store at start. A write claims before it stores and keeps or gives
back afterwards, so two writes under way never get the same address. Never stores anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.apiserver import limits
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.strategies.service_validation import stack_problems

JSONObject = dict[str, Any]

NODE_PORTS = range(30000, 32768)
DEFAULT_SERVICE_RANGE = "10.96.0.0/16"


class Claim:
    """What one write has taken beyond what the old object had; given back unless kept."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.ports: list[tuple[str, int]] = []
        self.changed = False
        self.kept = False

    def keep(self) -> None:
        """The write is stored."""
        self.kept = True


class Allocators:
    """The book of one cluster."""

    def __init__(
        self, entropy: Entropy, service_range: str = DEFAULT_SERVICE_RANGE, node_ports: range = NODE_PORTS
    ) -> None:
        self.network: IPv4Network | IPv6Network = ip_network(service_range)
        self._node_ports = node_ports
        self._entropy = entropy
        self._addresses: set[str] = set()
        self._ports: set[tuple[str, int]] = set()

    @property
    def api_address(self) -> str:
        """The first address of the range: the Service default/kubernetes."""
        return str(self.network.network_address + 1)

    def rebuild(self, services: Iterable[JSONObject]) -> None:
        """Start over from what is stored."""
        self._addresses.clear()
        self._ports.clear()
        for service in services:
            self._addresses.update(addresses_of(service))
            self._ports.update(ports_of(service))

    @contextmanager
    def claim(self, call: Call, new: JSONObject, old: JSONObject | None) -> Iterator[Claim]:
        """Take what a Service's write needs; a 422 when something asked for is taken or nothing is free."""
        claim = Claim()
        if call.kind.resource.plural != "services" or call.kind.resource.group:
            yield claim
            return
        try:
            self._fill(call, new, old, claim)
            yield claim
        finally:
            if not claim.kept:
                self._addresses.difference_update(claim.addresses)
                self._ports.difference_update(claim.ports)
            elif old is not None:
                self._addresses.difference_update(set(addresses_of(old)) - set(addresses_of(new)))
                self._ports.difference_update(set(ports_of(old)) - set(ports_of(new)))

    def removed(self, kind: Kind, service: JSONObject) -> None:
        """An object is gone; of a Service, what it had is free."""
        if kind.resource.plural != "services" or kind.resource.group:
            return
        self._addresses.difference_update(addresses_of(service))
        self._ports.difference_update(ports_of(service))

    def _fill(self, call: Call, new: JSONObject, old: JSONObject | None, claim: Claim) -> None:
        spec = new["spec"]
        problems = stack_problems(spec, self.network.version)
        if problems:
            raise errors.invalid("Service", call.name, problems)
        had = set(addresses_of(old)) if old is not None else set()
        if spec.get("type") != "ExternalName":
            asked = addresses_of(new)
            for position, address in enumerate(asked):
                if address not in had:
                    self._take_address(call, address, f"spec.clusterIPs[{position}]", new, claim)
            if not asked and spec.get("clusterIP") != "None":
                address = self._free_address(call, new)
                claim.addresses.append(address)
                self._addresses.add(address)
                spec["clusterIP"], spec["clusterIPs"] = address, [address]
                claim.changed = True
        self._fill_ports(call, new, old, claim)

    def _take_address(self, call: Call, address: str, path: str, new: JSONObject, claim: Claim) -> None:
        if ip_address(address) not in self.network:
            why = (
                f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
                f"The range of valid IPs is {self.network}"
            )
            raise errors.invalid("Service", call.name, [fields.invalid("spec.clusterIPs", _ips(new), why)])
        if address in self._addresses:
            why = f"failed to allocate IP {address}: provided IP is already allocated"
            raise errors.invalid("Service", call.name, [fields.invalid("spec.clusterIPs", _ips(new), why)])
        claim.addresses.append(address)
        self._addresses.add(address)

    def _free_address(self, call: Call, new: JSONObject) -> str:
        size = self.network.num_addresses
        base = self.network.network_address
        for _ in range(limits.ALLOCATION_ATTEMPTS):
            address = str(base + self._entropy.integer(2, max(2, size - 2)))
            if address not in self._addresses:
                return address
        for offset in range(2, size - 1):
            address = str(base + offset)
            if address not in self._addresses:
                return address
        raise errors.internal("failed to allocate a serviceIP: range is full")

    def _fill_ports(self, call: Call, new: JSONObject, old: JSONObject | None, claim: Claim) -> None:
        spec = new["spec"]
        if not needs_node_ports(spec):
            return
        had = set(ports_of(old)) if old is not None else set()
        numbers: dict[int, int] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            wanted = port.get("nodePort", 0)
            if not wanted and (protocol, numbers.get(port["port"], 0)) not in self._ports | {(protocol, 0)}:
                wanted = numbers[port["port"]]  # one number for the same port over TCP and UDP, as upstream
                port["nodePort"] = wanted
                claim.changed = True
            if not wanted:
                wanted = port["nodePort"] = self._free_port(protocol)
                claim.changed = True
            elif (protocol, wanted) not in had:
                self._check_port(call, protocol, wanted, index)
            numbers[port["port"]] = wanted
            if (protocol, wanted) not in had:
                claim.ports.append((protocol, wanted))
                self._ports.add((protocol, wanted))
        self._fill_health_port(spec, old, claim)

    def _fill_health_port(self, spec: JSONObject, old: JSONObject | None, claim: Claim) -> None:
        if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            return
        if not spec.get("healthCheckNodePort"):
            kept = old["spec"].get("healthCheckNodePort") if old is not None else None
            spec["healthCheckNodePort"] = kept or self._free_port("TCP")
            claim.changed = True
            if not kept:
                claim.ports.append(("TCP", spec["healthCheckNodePort"]))
                self._ports.add(("TCP", spec["healthCheckNodePort"]))

    def _check_port(self, call: Call, protocol: str, number: int, index: int) -> None:
        path = f"spec.ports[{index}].nodePort"
        if number not in self._node_ports:
            first, last = self._node_ports[0], self._node_ports[-1]
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            raise errors.invalid("Service", call.name, [fields.invalid(path, number, why)])
        if (protocol, number) in self._ports:
            why = "provided port is already allocated"
            raise errors.invalid("Service", call.name, [fields.invalid(path, number, why)])

    def _free_port(self, protocol: str) -> int:
        for _ in range(limits.ALLOCATION_ATTEMPTS):
            number = self._entropy.integer(self._node_ports[0], self._node_ports[-1])
            if (protocol, number) not in self._ports:
                return number
        for number in self._node_ports:
            if (protocol, number) not in self._ports:
                return number
        raise errors.internal("failed to allocate a nodePort: range is full")


def _ips(service: JSONObject) -> list[str]:
    found: list[str] = service["spec"].get("clusterIPs") or [service["spec"].get("clusterIP", "")]
    return found


def needs_node_ports(spec: JSONObject) -> bool:
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))


def addresses_of(service: JSONObject) -> list[str]:
    """The cluster addresses that a Service has or asks for."""
    spec = service.get("spec") or {}
    found = list(spec.get("clusterIPs") or ())
    if not found and spec.get("clusterIP"):
        found = [spec["clusterIP"]]
    return [address for address in found if address and address != "None"]


def ports_of(service: JSONObject) -> list[tuple[str, int]]:
    """The node ports that a Service has or asks for."""
    spec = service.get("spec") or {}
    found = [
        (port.get("protocol", "TCP"), port["nodePort"]) for port in spec.get("ports") or () if port.get("nodePort")
    ]
    if spec.get("healthCheckNodePort"):
        found.append(("TCP", spec["healthCheckNodePort"]))
    return found

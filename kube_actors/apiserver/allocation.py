"""Cluster addresses and node ports of Services: who has which, and what is free.

An address is taken by an IPAddress object of its name, made before the Service is stored and removed after it is gone,
so several API servers over one store never give out one twice (KEP-1880); the ranges are the ServiceCIDRs. Node ports
are a book in memory, rebuilt from the store at start. A write claims before it stores and keeps or gives back
afterwards. Never stores a Service itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import TracebackType
from typing import Any

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.apiserver import limits
from kube_actors.apiserver.addresses import AddressBook, Taken
from kube_actors.apiserver.core import Call, Core
from kube_actors.apiserver.strategies.service_validation import stack_problems

JSONObject = dict[str, Any]

NODE_PORTS = range(30000, 32768)
DEFAULT_SERVICE_RANGE = "10.96.0.0/16"


class Claim:
    """What one write of a Service takes beyond what the old object had; given back unless kept.

    Of writes that need nothing it is empty. Used as `async with`; `changed` says that the object got something.
    """

    __slots__ = ("_book", "_call", "_new", "_old", "addresses", "changed", "kept", "ports")

    def __init__(
        self,
        book: Allocators | None,
        call: Call | None,
        new: JSONObject,
        old: JSONObject | None,
    ) -> None:
        self._book = book
        self._call = call
        self._new = new
        self._old = old
        self.addresses: list[str] = []
        self.ports: list[tuple[str, int]] = []
        self.changed = False
        self.kept = False

    def keep(self) -> None:
        """The write is stored."""
        self.kept = True

    async def __aenter__(self) -> Claim:
        if self._book is not None and self._call is not None:
            try:
                await self._book.fill(self._call, self._new, self._old, self)
            except BaseException:
                await self._release()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._book is not None:
            await self._release()

    async def _release(self) -> None:
        """Give back what was not kept, or what the old object had and the new one has not."""
        assert self._book is not None and self._call is not None
        if not self.kept:
            await self._book.release(self._call, self.addresses, self.ports)
        elif self._old is not None:
            await self._book.release(
                self._call,
                sorted(set(addresses_of(self._old)) - set(addresses_of(self._new))),
                sorted(set(ports_of(self._old)) - set(ports_of(self._new))),
            )


NOTHING = Claim(None, None, {}, None)
"""The claim of every write that is not a Service's: shared, since it holds nothing."""


class Allocators:
    """The book of one cluster."""

    def __init__(
        self, entropy: Entropy, service_range: str = DEFAULT_SERVICE_RANGE, node_ports: range = NODE_PORTS
    ) -> None:
        self.network: IPv4Network | IPv6Network = ip_network(service_range)
        self._node_ports = node_ports
        self._entropy = entropy
        self._addresses = AddressBook(entropy, self.network)
        self._ports: set[tuple[str, int]] = set()

    @property
    def api_address(self) -> str:
        """The first address of the range: the Service default/kubernetes."""
        return str(self.network.network_address + 1)

    async def rebuild(self, core: Core, services: Iterable[JSONObject]) -> None:
        """Start over from what is stored; an address whose object got lost is given one again."""
        self._ports.clear()
        for service in services:
            self._ports.update(ports_of(service))
            for address in addresses_of(service):
                await self._addresses.take(core, address, service["metadata"])

    def claim(self, call: Call, new: JSONObject, old: JSONObject | None) -> Claim:
        """What a write needs; entering it raises a 422 when something asked for is taken or nothing is free."""
        resource = call.kind.resource
        if resource.plural != "services" or resource.group:
            return NOTHING
        return Claim(self, call, new, old)

    async def removed(self, call: Call, service: JSONObject) -> None:
        """An object is gone; of a Service, what it had is free."""
        resource = call.kind.resource
        if resource.plural == "services" and not resource.group:
            await self.release(call, addresses_of(service), ports_of(service))

    async def release(self, call: Call, addresses: Iterable[str], ports: Iterable[tuple[str, int]]) -> None:
        """Give back."""
        self._ports.difference_update(ports)
        if not call.dry_run:
            for address in addresses:
                await self._addresses.free(call.core, address)

    async def fill(self, call: Call, new: JSONObject, old: JSONObject | None, claim: Claim) -> None:
        """Take what the new object asks for and choose what it leaves open."""
        spec = new["spec"]
        problems = stack_problems(spec, self.network.version)
        if problems:
            raise errors.invalid("Service", call.name, problems)
        had = set(addresses_of(old)) if old is not None else set()
        if spec.get("type") != "ExternalName":
            asked = addresses_of(new)
            for address in asked:
                if address not in had:
                    await self._take_address(call, address, new, claim)
            if not asked and spec.get("clusterIP") != "None":
                address = await self._addresses.choose(call.core, new["metadata"], dry=call.dry_run)
                claim.addresses.append(address)
                spec["clusterIP"], spec["clusterIPs"] = address, [address]
                claim.changed = True
        self._fill_ports(call, new, old, claim)

    async def _take_address(self, call: Call, address: str, new: JSONObject, claim: Claim) -> None:
        why = f"failed to allocate IP {address}: "
        ranges = await self._addresses.ranges(call.core)
        if not any(self._addresses.holds(network, address) for network in ranges):
            valid = ",".join(str(network) for network in ranges)
            why += f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {valid}"
            raise errors.invalid("Service", call.name, [fields.invalid("spec.clusterIPs", _ips(new), why)])
        try:
            await self._addresses.take(call.core, address, new["metadata"], dry=call.dry_run)
        except Taken:
            why += "provided IP is already allocated"
            raise errors.invalid("Service", call.name, [fields.invalid("spec.clusterIPs", _ips(new), why)]) from None
        claim.addresses.append(address)

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

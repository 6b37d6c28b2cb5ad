"""Node IPAM: every Node gets a part of the cluster's pod range, one that no other Node has. Pure.

For clusters whose network goes by spec.podCIDR; our own nodes bring a range of their own, which is left to them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.types.core_v1 import Node, ObjectReference

from . import limits
from .contract import Caches, Emit, Patch, Plan, Source, own_key

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Parts:
    """Equal parts of a range: which are taken, and the next free one, found without looking at all of them."""

    def __init__(self, cluster: str, mask: int) -> None:
        self._network: Network = ipaddress.ip_network(cluster)
        if not self._network.prefixlen <= mask <= self._network.max_prefixlen:
            raise ValueError(f"{cluster} has no parts with a mask of {mask} bits")
        self._mask = mask
        self._bits = self._network.max_prefixlen - mask
        self.count: int = 1 << (mask - self._network.prefixlen)
        self._users: dict[int, int] = {}
        self._next = 0

    def _places(self, cidr: str) -> range:
        """The parts that a range meets; a foreign range may be wider than one, or outside."""
        try:
            given = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return range(0)
        if given.version != self._network.version:
            return range(0)
        base = int(self._network.network_address)
        first = (int(given.network_address) - base) >> self._bits
        last = (int(given.broadcast_address) - base) >> self._bits
        return range(max(0, first), min(self.count, last + 1))

    def occupy(self, cidr: str) -> None:
        for place in self._places(cidr):
            self._users[place] = self._users.get(place, 0) + 1

    def release(self, cidr: str) -> None:
        for place in self._places(cidr):
            left = self._users.get(place, 0) - 1
            if left > 0:
                self._users[place] = left
            else:
                self._users.pop(place, None)

    def allocate(self) -> str | None:
        """A part that nobody has, taken; None when there is none. One that was given back rests as long as it can."""
        if len(self._users) >= self.count:
            return None
        while self._next in self._users:
            self._next = (self._next + 1) % self.count
        place, self._next = self._next, (self._next + 1) % self.count
        self._users[place] = 1
        address = self._network[0] + (place << self._bits)
        return f"{address}/{self._mask}"


class Observed(Struct, frozen=True):
    """A Node without a range, and the part that it gets; None when there is none left."""

    node: Node
    part: str | None


def plan(observed: Observed) -> Plan:
    node = observed.node
    name = node.metadata.name
    if observed.part is None:
        about = ObjectReference(api_version="v1", kind="Node", name=name, uid=node.metadata.uid)
        event = Emit(about=about, reason="CIDRNotAvailable", message=f"Node {name} status is now: CIDRNotAvailable")
        return Plan(actions=(event,), requeue_after=limits.NODE_RANGE_RETRY_SECONDS)
    body = {
        "metadata": {"uid": node.metadata.uid},
        "spec": {"podCIDR": observed.part, "podCIDRs": [observed.part]},
    }
    return Plan(actions=(Patch(kind=Node, key=name, body=body, patch_type="merge", tolerate=("NotFound",)),))


class NodeRanges:
    """The node IPAM controller. It remembers which part it has chosen for whom, until the Node says so itself."""

    name = "node-ipam-controller"
    component = "cidrAllocator"
    workers = 1

    def __init__(self, cluster: str, mask: int) -> None:
        self._parts = Parts(cluster, mask)
        self._chosen: dict[str, str] = {}

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=Node, change=self._changed),)

    def _changed(self, old: Node | None, new: Node | None, caches: Caches) -> Iterable[str]:
        before = old.spec.pod_cidrs if old is not None else ()
        after = new.spec.pod_cidrs if new is not None else ()
        if before != after:
            for cidr in after:
                self._parts.occupy(cidr)
            for cidr in before:
                self._parts.release(cidr)
        self._settle(old, new)
        return own_key(new, caches) if new is not None and not after and old is None else ()

    def _settle(self, old: Node | None, new: Node | None) -> None:
        """A choice is over once the Node carries a range, or is gone."""
        node = new or old
        if node is not None and (new is None or new.spec.pod_cidrs):
            chosen = self._chosen.pop(node.metadata.uid, None)
            if chosen is not None:
                self._parts.release(chosen)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [node.metadata.name for node in caches.list(Node) if not node.spec.pod_cidrs]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        node = caches.get(Node, key)
        if node is None or node.spec.pod_cidrs or node.metadata.deletion_timestamp is not None:
            return None
        chosen = self._chosen.get(node.metadata.uid) or self._parts.allocate()
        if chosen is not None:
            self._chosen[node.metadata.uid] = chosen
        return Observed(node, chosen)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

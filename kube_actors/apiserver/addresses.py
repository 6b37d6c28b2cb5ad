"""The addresses of Services as IPAddress objects: made to take one, deleted to free it.

Owns the choice of a free address. The object's name is the address, so that the store's own rule (a key is created
once) is what keeps two Services apart. Writes past admission: nobody but the server makes these.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.apiserver import encoding, limits
from kube_actors.apiserver.core import Core
from kube_actors.store.contract import RevisionConflict

JSONObject = dict[str, Any]
Network = IPv4Network | IPv6Network

_GROUP = "networking.k8s.io"
_LABELS = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
_DEFAULT = "kubernetes"
"""The name of the ServiceCIDR that the server makes itself."""


class Taken(Exception):
    """The address belongs to somebody else."""


class AddressBook:
    """Addresses of one cluster, in the ranges of its ServiceCIDRs."""

    def __init__(self, entropy: Entropy, default: Network) -> None:
        self._entropy = entropy
        self._default = default

    async def ranges(self, core: Core) -> Sequence[Network]:
        """Where addresses may come from: the server's own range first, then each ServiceCIDR that is ready."""
        mirror = core.mirrors.of(core.kinds.get(_GROUP, "v1", "servicecidrs").list_prefix(""))
        found = [self._default]
        for cidr in (await mirror.read()).values():
            if cidr["metadata"]["name"] != _DEFAULT and _is_ready(cidr):
                networks = [ip_network(text) for text in cidr["spec"]["cidrs"]]
                found += [network for network in networks if network.version == self._default.version]
        return found

    @staticmethod
    def holds(network: Network, address: str) -> bool:
        """Whether an address may be given out of a range: not its own name, nor its broadcast address."""
        found = ip_address(address)
        if found not in network or found == network.network_address:
            return False
        return network.version == 6 or network.num_addresses <= 2 or found != network.broadcast_address

    async def take(self, core: Core, address: str, service: JSONObject, *, dry: bool = False) -> None:
        """Make the address the Service's; raises Taken. Taking what is already one's own is fine."""
        kind = core.kinds.get(_GROUP, "v1", "ipaddresses")
        name = str(ip_address(address))
        parent = {"group": "", "resource": "services", "namespace": service["namespace"], "name": service["name"]}
        current = await core.store.get(kind.key("", name))
        if current is None and not dry:
            obj = {"metadata": self._metadata(core, name), "spec": {"parentRef": parent}}
            try:
                await core.store.put(kind.key("", name), encoding.draft(kind.store_head, obj), expect=0)
                return
            except RevisionConflict as lost:
                current = lost.current
        if current is not None and not _same_parent(encoding.decode(current.value), parent):
            raise Taken(address)

    def _metadata(self, core: Core, name: str) -> JSONObject:
        family = {"ipaddress.kubernetes.io/ip-family": f"IPv{self._default.version}"}
        return {
            "name": name,
            "uid": core.system.entropy.uuid(),
            "creationTimestamp": core.now_text(),
            "generation": 1,
            "labels": {**family, **_LABELS},
        }

    async def choose(self, core: Core, service: JSONObject, *, dry: bool = False) -> str:
        """Take any free address: by chance first, and by looking at all once that has failed often enough."""
        for network in await self.ranges(core):
            for _ in range(limits.ALLOCATION_ATTEMPTS):
                address = self._drawn(network)
                if address is not None and await self._took(core, address, service, dry):
                    return address
            address = await self._search(core, network, service, dry)
            if address is not None:
                return address
        raise errors.internal("failed to allocate a serviceIP: range is full")

    def _drawn(self, network: Network) -> str | None:
        """Some address of the upper part: the lower one is left for people who choose theirs (KEP-3070)."""
        size = network.num_addresses
        low = min(max(16, size // 16), 256) if size > 32 else 1
        if size <= 2:
            return None
        return str(network.network_address + self._entropy.integer(low + 1, max(low + 1, size - 2)))

    async def _took(self, core: Core, address: str, service: JSONObject, dry: bool) -> bool:
        kind = core.kinds.get(_GROUP, "v1", "ipaddresses")
        if await core.store.get(kind.key("", address)) is not None:
            return False
        try:
            await self.take(core, address, service, dry=dry)
        except Taken:
            return False
        return True

    async def _search(self, core: Core, network: Network, service: JSONObject, dry: bool) -> str | None:
        prefix = core.kinds.get(_GROUP, "v1", "ipaddresses").list_prefix("")
        used = {entry.key[len(prefix) :] for entry in (await core.store.list(prefix)).entries}
        for offset in range(2, min(network.num_addresses, limits.SEARCHED_ADDRESSES)):
            address = str(network.network_address + offset)
            if address not in used and self.holds(network, address) and await self._took(core, address, service, dry):
                return address
        return None

    async def free(self, core: Core, address: str) -> None:
        """The address may be given out again."""
        kind = core.kinds.get(_GROUP, "v1", "ipaddresses")
        try:
            await core.store.delete(kind.key("", str(ip_address(address))), expect=None)
        except RevisionConflict:
            return  # somebody removed the object before


def _is_ready(cidr: JSONObject) -> bool:
    if cidr["metadata"].get("deletionTimestamp"):
        return False
    conditions = (cidr.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _same_parent(address: JSONObject, parent: JSONObject) -> bool:
    found = (address.get("spec") or {}).get("parentRef") or {}
    return all((found.get(key) or "") == value for key, value in parent.items())

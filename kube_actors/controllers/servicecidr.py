"""ServiceCIDRs: ready once made, held by a finalizer while addresses of theirs are in use. Pure.

Owns the finalizer and the Ready condition (KEP-1880). Addresses are given out by the API server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from kube_actors.api import conditions
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.meta_v1 import Condition
from kube_actors.api.types.networking_v1 import IPAddress, ServiceCIDR

from . import limits
from .contract import NOTHING, Caches, Plan, Source, Update, own_key

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
READY = "Kubernetes Service CIDR is ready"
HELD = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Observed(Struct, frozen=True, kw_only=True):
    """A ServiceCIDR; others: the ranges that stay without it; addresses: all that are given out."""

    cidr: ServiceCIDR
    others: tuple[str, ...]
    addresses: tuple[str, ...]
    now: float


def plan(observed: Observed) -> Plan:
    cidr = observed.cidr
    if cidr.metadata.deletion_timestamp is not None:
        return _plan_deletion(observed)
    if FINALIZER not in cidr.metadata.finalizers:
        metadata = structs.replace(cidr.metadata, finalizers=(*cidr.metadata.finalizers, FINALIZER))
        return Plan(actions=(Update(obj=structs.replace(cidr, metadata=metadata), tolerate=("NotFound",)),))
    if conditions.is_true(cidr.status.conditions, "Ready"):
        return NOTHING  # in whose words ever: the API server's own range has others
    return _told(observed, "True", "", READY)


def _told(observed: Observed, status: str, reason: str, message: str) -> Plan:
    cidr = observed.cidr
    condition = Condition(type="Ready", status=status, reason=reason, message=message, last_transition_time="")
    wanted = conditions.set_condition(cidr.status.conditions, condition, format_time(observed.now))
    if wanted == cidr.status.conditions:
        return NOTHING
    changed = structs.replace(cidr, status=structs.replace(cidr.status, conditions=wanted))
    return Plan(actions=(Update(obj=changed, subresource="status", tolerate=("NotFound",)),))


def _plan_deletion(observed: Observed) -> Plan:
    cidr = observed.cidr
    if FINALIZER not in cidr.metadata.finalizers:
        return NOTHING
    if not may_go(cidr.spec.cidrs, observed.others, observed.addresses):
        return structs.replace(
            _told(observed, "False", "Terminating", HELD), requeue_after=limits.SERVICE_CIDR_RETRY_SECONDS
        )
    # Every API server must have seen the deletion and given out nothing more.
    left = parse_time(cidr.metadata.deletion_timestamp or "") + limits.SERVICE_CIDR_GRACE_SECONDS - observed.now
    if left > 0:
        return Plan(requeue_after=left)
    finalizers = tuple(name for name in cidr.metadata.finalizers if name != FINALIZER)
    metadata = structs.replace(cidr.metadata, finalizers=finalizers)
    return Plan(actions=(Update(obj=structs.replace(cidr, metadata=metadata), tolerate=("NotFound",)),))


def may_go(ranges: Sequence[str], others: Sequence[str], addresses: Sequence[str]) -> bool:
    """Whether each address of these ranges is also in one that stays."""
    going = [ipaddress.ip_network(text) for text in ranges]
    staying = [ipaddress.ip_network(text) for text in others]
    left = [network for network in going if not any(_contains(other, network) for other in staying)]
    if not left:
        return True
    for text in addresses:
        address = ipaddress.ip_address(text)
        if any(address in network for network in left) and not any(address in network for network in staying):
            return False
    return True


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _all(_: IPAddress, caches: Caches) -> list[str]:
    """An address that goes may let a range go."""
    return [c.metadata.name for c in caches.list(ServiceCIDR) if c.metadata.deletion_timestamp is not None]


def _self_and_going(cidr: ServiceCIDR, caches: Caches) -> list[str]:
    going = [c.metadata.name for c in caches.list(ServiceCIDR) if c.metadata.deletion_timestamp is not None]
    return [*own_key(cidr, caches), *going]


class ServiceCIDRs:
    """The ServiceCIDR controller."""

    name = "service-cidr-controller"
    component = "service-cidr-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=ServiceCIDR, keys=_self_and_going), Source(kind=IPAddress, keys=_all))

    def initial(self, caches: Caches) -> Iterable[str]:
        return [cidr.metadata.name for cidr in caches.list(ServiceCIDR)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        cidr = caches.get(ServiceCIDR, key)
        if cidr is None:
            return None
        others: list[str] = []
        addresses: tuple[str, ...] = ()
        if cidr.metadata.deletion_timestamp is not None:
            for other in caches.list(ServiceCIDR):
                if other.metadata.deletion_timestamp is None and other.metadata.name != key:
                    others += other.spec.cidrs
            addresses = tuple(address.metadata.name for address in caches.list(IPAddress))
        return Observed(cidr=cidr, others=tuple(others), addresses=addresses, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

"""Endpoints: the older form of where the pods behind a Service are, one object a Service.

Pure. Its subsets are repacked, so that addresses with the same ports stand together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from kube_actors.api.types.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Pod, Service
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import limits, membership, pods
from .contract import NOTHING, Caches, Create, Delete, Plan, Source, Told, Update, own_key
from .members import Memo
from .membership import HEADLESS_LABEL, TRIGGER_TIME

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
CONTROLLER = "endpoint-controller"
LEADER = "control-plane.alpha.kubernetes.io/leader"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_TRUNCATED = "truncated"
_RESERVED = frozenset({HEADLESS_LABEL, MANAGED_BY})


class Prepared(Struct, frozen=True):
    """What a pod is in Endpoints: its address, where it has a place among the others, its ports, since when."""

    uid: str
    address: EndpointAddress | None = None
    order: tuple[int, ...] = ()
    ready: bool = False
    ports: tuple[EndpointPort | None, ...] = ()
    moment: str | None = None


class Observed(Struct, frozen=True, kw_only=True):
    """A Service (None when it is gone), its pods, and the Endpoints of its name."""

    service: Service | None
    members: tuple[Pod, ...] = ()
    known: Endpoints | None = None
    prepared: tuple[Prepared, ...] | None = None
    """What the pods are in Endpoints, where that is known already."""
    limit: int = limits.MAX_ENDPOINTS_PER_OBJECT


def plan(observed: Observed) -> Plan:
    """Make the Endpoints what they should be."""
    service, known = observed.service, observed.known
    if service is None:
        # Those of an election never had a Service.
        if known is None or LEADER in known.metadata.annotations:
            return NOTHING
        key = f"{known.metadata.namespace}/{known.metadata.name}"
        return Plan(actions=(Delete(kind=Endpoints, key=key, uid=known.metadata.uid),))
    prepared = observed.prepared
    if prepared is None:
        prepared = tuple(prepare(service, pod) for pod in observed.members)
    subsets, truncated = _truncated(repacked(prepared), observed.limit)
    own = {key: value for key, value in service.metadata.labels.items() if key not in _RESERVED}
    if known is not None and _is_current(known, subsets, own, truncated):
        return NOTHING
    metadata = known.metadata if known is not None else ObjectMeta(name=service.metadata.name)
    annotations = {key: value for key, value in metadata.annotations.items() if key != OVER_CAPACITY}
    moment = membership.latest(service, (each.moment for each in prepared), first=known is None)
    if moment is not None:
        annotations[TRIGGER_TIME] = moment
    if truncated:
        annotations[OVER_CAPACITY] = _TRUNCATED
    labels = own | ({HEADLESS_LABEL: ""} if membership.is_headless(service) else {}) | {MANAGED_BY: CONTROLLER}
    metadata = structs.replace(metadata, namespace=service.metadata.namespace, labels=labels, annotations=annotations)
    wanted = Endpoints(metadata=metadata, subsets=subsets)
    about = f"{service.metadata.namespace}/{service.metadata.name}"
    if known is None:
        text = f"Failed to create endpoint for service {about}: {{error}}"
        told = Told(about=wanted, failed_reason="FailedToCreateEndpoint", failed_message=text)
        return Plan(actions=(Create(obj=wanted, told=told),))
    text = f"Failed to update endpoint {about}: {{error}}"
    told = Told(about=known, failed_reason="FailedToUpdateEndpoint", failed_message=text)
    return Plan(actions=(Update(obj=wanted, told=told),))


def _is_current(known: Endpoints, subsets: Sequence[EndpointSubset], labels: dict[str, str], truncated: bool) -> bool:
    own = {key: value for key, value in known.metadata.labels.items() if key not in _RESERVED}
    marked = known.metadata.annotations.get(OVER_CAPACITY) == _TRUNCATED
    managed = known.metadata.labels.get(MANAGED_BY) == CONTROLLER
    return known.subsets == tuple(subsets) and own == labels and marked == truncated and managed


def prepare(service: Service, pod: Pod, _: object = None) -> Prepared:
    """What a pod is in a Service's Endpoints."""
    uid, moment = pod.metadata.uid, membership.moment_of(pod)
    unready_too = bool(service.spec.publish_not_ready_addresses)
    addresses = membership.of_family(pod, membership.families(service)[0])
    if not addresses or not membership.belongs(pod, terminating=unready_too):
        return Prepared(uid, moment=moment)
    address = EndpointAddress(
        ip=addresses[0],
        hostname=membership.hostname_of(pod, service),
        node_name=pod.spec.node_name or None,
        target_ref=membership.target_of(pod),
    )
    ready = unready_too or pods.is_ready(pod)
    return Prepared(uid, address, _address_order(addresses[0]), ready, tuple(_ports(service, pod)), moment)


def repacked(prepared: Iterable[Prepared]) -> tuple[EndpointSubset, ...]:
    """The pods of a Service as subsets: ports that lead to the same addresses stand together."""
    by_port: dict[EndpointPort | None, dict[str, Prepared]] = {}
    for each in prepared:
        if each.address is not None:
            for port in each.ports:
                by_port.setdefault(port, {})[each.uid] = each
    by_members: dict[frozenset[tuple[str, bool]], list[EndpointPort | None]] = {}
    for port, entries in by_port.items():
        identity = frozenset((uid, each.ready) for uid, each in entries.items())
        by_members.setdefault(identity, []).append(port)
    subsets = [
        _subset([p for p in ports if p is not None], by_port[ports[0]].values()) for ports in by_members.values()
    ]
    return tuple(sorted(subsets, key=lambda subset: [_port_order(port) for port in subset.ports]))


def _subset(ports: Sequence[EndpointPort], entries: Iterable[Prepared]) -> EndpointSubset:
    ready: list[EndpointAddress] = []
    others: list[EndpointAddress] = []
    for each in sorted(entries, key=lambda each: each.order):
        if each.address is not None:
            (ready if each.ready else others).append(each.address)
    return EndpointSubset(
        addresses=tuple(ready), not_ready_addresses=tuple(others), ports=tuple(sorted(ports, key=_port_order))
    )


def _ports(service: Service, pod: Pod) -> list[EndpointPort | None]:
    """The ports by which a pod is reached; a headless Service without ports has one that is none."""
    if not service.spec.ports:
        return [None] if membership.is_headless(service) else []
    found: list[EndpointPort | None] = []
    for port in service.spec.ports:
        number = membership.find_port(pod, port)
        if number is not None:
            found.append(
                EndpointPort(
                    name=port.name or None,
                    port=number,
                    protocol=port.protocol or "TCP",
                    app_protocol=port.app_protocol,
                )
            )
    return found


def _address_order(address: str) -> tuple[int, ...]:
    if membership.is_ipv6(address):
        return tuple(address.encode())
    return tuple(int(part) for part in address.split(".") if part.isdigit())


def _port_order(port: EndpointPort) -> tuple[str, int, str]:
    return port.name or "", port.port, port.protocol or ""


def _truncated(subsets: Sequence[EndpointSubset], limit: int) -> tuple[tuple[EndpointSubset, ...], bool]:
    """The subsets with at most limit addresses, ready ones first; whether any had to go."""
    ready = sum(len(subset.addresses) for subset in subsets)
    count = ready + sum(len(subset.not_ready_addresses) for subset in subsets)
    if count <= limit:
        return tuple(subsets), False
    room, spare = min(ready, limit), max(0, limit - ready)
    kept = []
    for subset in subsets:
        addresses, others = subset.addresses[:room], subset.not_ready_addresses[:spare]
        room, spare = room - len(addresses), spare - len(others)
        if addresses or others:
            kept.append(structs.replace(subset, addresses=addresses, not_ready_addresses=others))
    return tuple(kept), True


class EndpointsObjects:
    """The Endpoints controller."""

    name = "endpoints-controller"
    component = "endpoint-controller"
    workers = 5

    def __init__(self) -> None:
        self._memo: Memo[Prepared] = Memo(prepare)

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Service, keys=own_key, indexes=(membership.BY_SELECTOR,)),
            Source(
                kind=Pod,
                change=membership.services_of_change,
                pause=self._memo.pause,
                indexes=(membership.pods_of.index,),
            ),
            Source(kind=Endpoints, change=_keys_of_endpoints),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        found = {membership.key_of(service) for service in caches.list(Service)}
        return sorted(found | {f"{e.metadata.namespace}/{e.metadata.name}" for e in caches.list(Endpoints)})

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        service = caches.get(Service, key)
        known = caches.get(Endpoints, key)
        if service is None:
            self._memo.forget(key)
            return None if known is None else Observed(service=None, known=known)
        if not membership.is_served(service):
            return None
        members = membership.selected(service, caches)
        prepared = self._memo.prepared(key, service, members, lambda pod: None)
        return Observed(service=service, members=members, known=known, prepared=prepared)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _keys_of_endpoints(old: Endpoints | None, new: Endpoints | None, caches: Caches) -> Iterable[str]:
    """Endpoints that somebody makes before the Service are left alone: only those of a Service are looked at."""
    obj = old if new is None else new
    if obj is None:
        return ()
    key = f"{obj.metadata.namespace}/{obj.metadata.name}"
    return (key,) if caches.get(Service, key) is not None else ()

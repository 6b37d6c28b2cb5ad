"""Mirroring: Endpoints that somebody keeps by hand for a Service without a selector become EndpointSlices. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types import core_v1
from kube_actors.api.types.core_v1 import Endpoints, EndpointSubset, Service
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import limits, pods
from .contract import NOTHING, Action, Caches, Create, Delete, Emit, Plan, Source, Told, Update, own_key
from .endpointslice import MANAGED_BY, SERVICE_NAME
from .membership import TRIGGER_TIME, is_ipv6

CONTROLLER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MIRROR_INDEX = "mirror"
_NOT_COPIED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", TRIGGER_TIME})

Shape = tuple[str, tuple[EndpointPort, ...]]


class Observed(Struct, frozen=True, kw_only=True):
    """Endpoints and the Service of their name, if they are there, and the slices that mirror them."""

    endpoints: Endpoints | None
    service: Service | None
    slices: tuple[EndpointSlice, ...] = ()


def plan(observed: Observed) -> Plan:
    """One slice for each set of ports and each address family; none where there is nothing to mirror."""
    endpoints = observed.endpoints
    wanted: dict[Shape, EndpointSlice] = {}
    begin: tuple[Action, ...] = ()
    if endpoints is not None and _is_mirrored(endpoints, observed.service):
        wanted, skipped = _slices(endpoints)
        if skipped:
            most = f"A max of {limits.MAX_ENDPOINTS_PER_OBJECT} addresses can be mirrored to EndpointSlices"
            text = f"{most} per Endpoints subset. {skipped} addresses were skipped"
            begin = (Emit(about=endpoints, type="Warning", reason="TooManyAddressesToMirror", message=text),)
    elif not observed.slices:
        return NOTHING
    changed: list[EndpointSlice] = []
    spare: list[EndpointSlice] = []
    for known in observed.slices:
        new = wanted.pop((known.address_type, known.ports), None)
        if new is None:
            spare.append(known)
        elif not _same(known, new):
            changed.append(_in_place_of(known, new))
    created: list[EndpointSlice] = []
    for new in wanted.values():
        old = next((piece for piece in spare if piece.address_type == new.address_type), None)
        if old is None:
            created.append(new)
        else:
            spare.remove(old)
            changed.append(_in_place_of(old, new))
    return Plan(actions=begin + _actions(endpoints, created, changed, spare))


def _is_mirrored(endpoints: Endpoints, service: Service | None) -> bool:
    metadata = endpoints.metadata
    if service is None or service.spec.selector:
        return False
    return metadata.labels.get(SKIP) != "true" and LEADER not in metadata.annotations


def _slices(endpoints: Endpoints) -> tuple[dict[Shape, EndpointSlice], int]:
    """The slices, and how many addresses are too many for them: a subset gives only so many."""
    members: dict[Shape, list[Endpoint]] = {}
    skipped = 0
    for subset in endpoints.subsets:
        ports = _ports(subset)
        addresses = _addresses(subset)
        skipped += max(0, len(addresses) - limits.MAX_ENDPOINTS_PER_OBJECT)
        for address, ready in addresses[: limits.MAX_ENDPOINTS_PER_OBJECT]:
            shape = ("IPv6" if is_ipv6(address.ip) else "IPv4", ports)
            known = members.setdefault(shape, [])
            if len(known) < limits.MAX_ENDPOINTS_PER_OBJECT:
                known.append(_endpoint(address, ready))
    return {shape: _slice(endpoints, shape, found) for shape, found in members.items()}, skipped


def _addresses(subset: EndpointSubset) -> list[tuple[core_v1.EndpointAddress, bool]]:
    ready = [(address, True) for address in subset.addresses]
    return ready + [(address, False) for address in subset.not_ready_addresses]


def _ports(subset: EndpointSubset) -> tuple[EndpointPort, ...]:
    return tuple(
        EndpointPort(name=port.name or "", port=port.port, protocol=port.protocol, app_protocol=port.app_protocol)
        for port in subset.ports
    )


def _endpoint(address: core_v1.EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _slice(endpoints: Endpoints, shape: Shape, members: list[Endpoint]) -> EndpointSlice:
    family, ports = shape
    metadata = endpoints.metadata
    return EndpointSlice(
        metadata=ObjectMeta(
            generate_name=pods.name_prefix(metadata.name),
            namespace=metadata.namespace,
            labels={**metadata.labels, SERVICE_NAME: metadata.name, MANAGED_BY: CONTROLLER},
            annotations={key: value for key, value in metadata.annotations.items() if key not in _NOT_COPIED},
            owner_references=(controller_reference(endpoints),),
        ),
        address_type=family,
        ports=ports,
        endpoints=tuple(members),
    )


def _same(known: EndpointSlice, new: EndpointSlice) -> bool:
    return (known.endpoints, known.metadata.labels, known.metadata.annotations) == (
        new.endpoints,
        new.metadata.labels,
        new.metadata.annotations,
    )


def _in_place_of(known: EndpointSlice, new: EndpointSlice) -> EndpointSlice:
    metadata = structs.replace(known.metadata, labels=new.metadata.labels, annotations=new.metadata.annotations)
    return structs.replace(new, metadata=metadata)


def _actions(
    endpoints: Endpoints | None,
    created: Iterable[EndpointSlice],
    changed: Iterable[EndpointSlice],
    gone: Iterable[EndpointSlice],
) -> tuple[Action, ...]:
    told = None
    if endpoints is not None:
        about = f"{endpoints.metadata.namespace}/{endpoints.metadata.name}"
        text = f"Error mirroring EndpointSlices for Endpoints {about}: {{error}}"
        told = Told(about=endpoints, failed_reason="FailedToUpdateEndpointSlices", failed_message=text)
    actions: list[Action] = [Create(obj=piece, told=told) for piece in created]
    actions += [Update(obj=piece, told=told) for piece in changed]
    actions += [Delete(kind=EndpointSlice, key=_key(piece), uid=piece.metadata.uid) for piece in gone]
    return tuple(actions)


def _key(piece: EndpointSlice) -> str:
    return f"{piece.metadata.namespace}/{piece.metadata.name}"


class Mirroring:
    """The EndpointSlice mirroring controller."""

    name = "endpointslice-mirroring-controller"
    component = "endpoint-slice-mirroring-controller"
    workers = 5

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Endpoints, keys=own_key),
            Source(kind=Service, keys=own_key),
            Source(kind=EndpointSlice, keys=_keys_of_slice, indexes=((MIRROR_INDEX, _mirrored),)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{e.metadata.namespace}/{e.metadata.name}" for e in caches.list(Endpoints)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        slices = tuple(
            p for p in caches.by_index(EndpointSlice, MIRROR_INDEX, key) if not p.metadata.deletion_timestamp
        )
        endpoints, service = caches.get(Endpoints, key), caches.get(Service, key)
        if endpoints is None and not slices:
            return None
        return Observed(endpoints=endpoints, service=service, slices=slices)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _mirrored(piece: EndpointSlice) -> tuple[str, ...]:
    """The key of the Endpoints that a slice of ours mirrors."""
    labels = piece.metadata.labels
    name = labels.get(SERVICE_NAME)
    if not name or labels.get(MANAGED_BY) != CONTROLLER:
        return ()
    return (f"{piece.metadata.namespace}/{name}",)


def _keys_of_slice(piece: EndpointSlice, _: Caches) -> tuple[str, ...]:
    return _mirrored(piece)

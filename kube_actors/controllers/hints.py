"""For whom an endpoint is meant: the hints in EndpointSlices, by nearness or in proportion to the zones' CPUs.

Pure. Owns the rules of spec.trafficDistribution and of the annotation service.kubernetes.io/topology-mode; which
endpoints there are, and in which slices, is decided before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, structs

from kube_actors.api import conditions, quantity
from kube_actors.api.types.core_v1 import Node, Service
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointHints, EndpointSlice, ForNode, ForZone

ZONE = "topology.kubernetes.io/zone"
AUTO_INDEX = "topology-mode"
AUTO = "auto"
_ANNOTATIONS = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
_EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_CLOSE = ("PreferClose", "PreferSameZone", "PreferSameNode")
_OVERLOAD = 0.2
"""By how much more than its share an endpoint may be asked, at most."""

Event = tuple[Literal["Normal", "Warning"], str, str]
"""Type, reason and message."""

ENABLED: Event = ("Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled")
DISABLED: Event = ("Warning", "TopologyAwareHintsDisabled", "Topology Aware Hints has been disabled")
_NO_NODES = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
_NO_ZONE = "One or more endpoints do not have a zone specified"
_NONE = "No hints allocated for zones"
_FEW = "Insufficient number of endpoints"
_OVERLOADED = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"


class Slices(Struct, frozen=True, kw_only=True):
    """The slices of one address type: those that will be made, changed, and left alone."""

    create: list[EndpointSlice]
    update: list[EndpointSlice]
    unchanged: list[EndpointSlice]


class Share(Struct, frozen=True):
    """How many endpoints a zone must, may and should have."""

    least: int
    most: int
    desired: float


def is_auto(service: Service) -> bool:
    """Whether hints in proportion are asked for."""
    annotations = service.metadata.annotations
    value = next((annotations[key] for key in _ANNOTATIONS if key in annotations), "")
    return value in ("Auto", "auto")


def index_auto(service: Service) -> tuple[str, ...]:
    return (AUTO,) if is_auto(service) else ()


def face_of(node: Node) -> tuple[object, ...]:
    """What of a node counts for the zones' shares."""
    labels = node.metadata.labels
    excluded = any(label in labels for label in _EXCLUDED)
    ready = conditions.is_true(node.status.conditions, "Ready")
    return labels.get(ZONE), node.status.allocatable.get("cpu"), excluded, ready


def ratios_of(nodes: Iterable[Node]) -> dict[str, float] | None:
    """Each zone's share of all CPUs; None where a node does not say enough, or there are not two zones."""
    cpus: dict[str, int] = {}
    for node in nodes:
        zone, cpu, excluded, ready = face_of(node)
        if excluded or not ready:
            continue
        amount = quantity.milli(cpu) if isinstance(cpu, str) else 0
        if not isinstance(zone, str) or not zone or amount == 0:
            return None
        cpus[zone] = cpus.get(zone, 0) + amount
    total = sum(cpus.values())
    return {zone: cpu / total for zone, cpu in cpus.items()} if len(cpus) > 1 else None


def by_distribution(distribution: str | None, slices: Slices) -> Slices:
    """Hints by spec.trafficDistribution; without one there are none."""
    if distribution not in _CLOSE:
        return _each(slices, lambda endpoint: None if endpoint.hints is None else _with(endpoint, None))
    nodes = distribution == "PreferSameNode"

    def hinted(endpoint: Endpoint) -> Endpoint | None:
        if not endpoint.conditions or not endpoint.conditions.ready:
            return None
        zones = (ForZone(name=endpoint.zone),) if endpoint.zone is not None else ()
        names = (ForNode(name=endpoint.node_name),) if nodes and endpoint.node_name is not None else ()
        wanted = EndpointHints(for_zones=zones, for_nodes=names) if zones or names else None
        return None if endpoint.hints == wanted else _with(endpoint, wanted)

    return _each(slices, hinted)


def without(slices: Slices) -> Slices:
    return by_distribution(None, slices)


def in_proportion(ratios: Mapping[str, float] | None, slices: Slices, *, before: bool) -> tuple[Slices, Event | None]:
    """Hints by the zones' shares of CPU, as few moves away from an endpoint's own zone as that takes."""
    everything = [*slices.create, *slices.update, *slices.unchanged]
    ready = sum(1 for piece in everything for endpoint in piece.endpoints if _is_ready(endpoint))
    shares = _shares(ratios, ready)
    if isinstance(shares, str):
        return without(slices), ("Warning", DISABLED[1], shares)
    kept, moved, allocated = _kept(slices.unchanged, shares)
    update = [*slices.update, *moved]
    for piece in [*slices.create, *update]:
        for endpoint in piece.endpoints:
            if _is_ready(endpoint) and not endpoint.zone:
                return without(slices), ("Warning", DISABLED[1], _NO_ZONE)
            if _is_ready(endpoint) and endpoint.zone:
                allocated[endpoint.zone] = allocated.get(endpoint.zone, 0) + 1
    if not allocated:
        return without(slices), ("Warning", DISABLED[1], _NONE)
    giving, receiving = _moves(shares, allocated)

    def placed(endpoint: Endpoint) -> Endpoint:
        if not _is_ready(endpoint) or not endpoint.zone:
            return _with(endpoint, None)
        zone = endpoint.zone
        if giving.get(zone, 0) > 0:
            taker = next((name for name in sorted(receiving) if receiving[name] > 0), None)
            if taker is not None:
                giving[zone] -= 1
                receiving[taker] -= 1
                zone = taker
        return _with(endpoint, EndpointHints(for_zones=(ForZone(name=zone),)))

    def rewritten(piece: EndpointSlice) -> EndpointSlice:
        return structs.replace(piece, endpoints=tuple(placed(endpoint) for endpoint in piece.endpoints))

    create = [rewritten(piece) for piece in slices.create]
    changed = Slices(create=create, update=[rewritten(piece) for piece in update], unchanged=kept)
    return changed, None if before else ENABLED


def _shares(ratios: Mapping[str, float] | None, endpoints: int) -> dict[str, Share] | str:
    """What each zone is to have; why not, where it cannot be."""
    if ratios is None:
        return _NO_NODES
    counts = f"({endpoints} endpoints, {len(ratios)} zones)"
    if len(ratios) > endpoints:
        return f"{_FEW} {counts}"
    found: dict[str, tuple[int, float]] = {}
    for zone, ratio in ratios.items():
        desired = ratio * endpoints
        least = math.ceil(desired * (1 / (1 + _OVERLOAD)))
        found[zone] = least, max(desired, float(least))
    spare = endpoints - sum(least for least, _ in found.values())
    if spare < 0:
        return f"{_OVERLOADED} {counts}"
    return {zone: Share(least, least + spare, desired) for zone, (least, desired) in found.items()}


def _kept(
    unchanged: Sequence[EndpointSlice], shares: Mapping[str, Share]
) -> tuple[list[EndpointSlice], list[EndpointSlice], dict[str, int]]:
    """Slices whose hints still do, those whose hints do not, and how many endpoints each zone has of the former."""
    kept: list[EndpointSlice] = []
    moved: list[EndpointSlice] = []
    allocated: dict[str, int] = {}
    for piece in unchanged:
        found = _hints_of(piece, allocated, shares)
        if found is None:
            moved.append(piece)
            continue
        kept.append(piece)
        for zone, count in found.items():
            allocated[zone] = allocated.get(zone, 0) + count
    return kept, moved, allocated


def _hints_of(piece: EndpointSlice, allocated: Mapping[str, int], shares: Mapping[str, Share]) -> dict[str, int] | None:
    found: dict[str, int] = {}
    for endpoint in piece.endpoints:
        if not _is_ready(endpoint):
            continue
        zones = endpoint.hints.for_zones if endpoint.hints is not None else ()
        if not zones or any(zone.name not in shares for zone in zones):
            return None
        for zone in zones:
            found[zone.name] = found.get(zone.name, 0) + 1
    full = any(count + allocated.get(zone, 0) > shares[zone].most for zone, count in found.items())
    return None if full else found


def _moves(shares: Mapping[str, Share], allocated: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints each zone gives away and gets, in whole ones that make it better."""
    surplus = {zone: allocated.get(zone, 0) - share.desired for zone, share in shares.items()}
    giving: dict[str, int] = {}
    receiving: dict[str, int] = {}
    while True:
        giver = max(surplus, key=lambda zone: (surplus[zone], zone))
        taker = min(surplus, key=lambda zone: (surplus[zone], zone))
        given, taken = surplus[giver], -surplus[taker]
        if given < 0.5 or taken < 0.5 or (given < 1.0 and taken < 1.0):
            return giving, receiving
        giving[giver] = giving.get(giver, 0) + 1
        receiving[taker] = receiving.get(taker, 0) + 1
        surplus[giver] -= 1
        surplus[taker] += 1


def _each(slices: Slices, change: Callable[[Endpoint], Endpoint | None]) -> Slices:
    """Every endpoint as change has it, None for as it is; slices that were unchanged and are not become changed."""

    def changed(piece: EndpointSlice) -> EndpointSlice:
        new = [change(endpoint) for endpoint in piece.endpoints]
        if not any(endpoint is not None for endpoint in new):
            return piece
        endpoints = (given if made is None else made for made, given in zip(new, piece.endpoints, strict=True))
        return structs.replace(piece, endpoints=tuple(endpoints))

    update = [changed(piece) for piece in slices.update]
    unchanged = []
    for piece in slices.unchanged:
        new = changed(piece)
        if new is piece:
            unchanged.append(piece)
        else:
            update.append(new)
    return Slices(create=[changed(piece) for piece in slices.create], update=update, unchanged=unchanged)


def _with(endpoint: Endpoint, hints: EndpointHints | None) -> Endpoint:
    return structs.replace(endpoint, hints=hints)


def _is_ready(endpoint: Endpoint) -> bool:
    return endpoint.conditions is not None and bool(endpoint.conditions.ready)

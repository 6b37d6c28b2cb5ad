"""EndpointSlices: where the pods behind a Service are, in pieces of at most a hundred.

Pure. An endpoint that stands in a slice stays there; what is new goes where the fewest slices have to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types.core_v1 import Node, Pod, Service
from kube_actors.api.types.discovery_v1 import Endpoint, EndpointSlice
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import hints, limits, membership, pods
from .contract import NOTHING, Action, Caches, Create, Delete, Emit, Plan, Source, Told, Update, own_key
from .members import Memo
from .membership import HEADLESS_LABEL, TRIGGER_TIME
from .slice_endpoints import Identity, Ports, Prepared, identity_of, is_same, place_of, prepare, sorted_ports

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
SERVICE_NAME = "kubernetes.io/service-name"
SERVICE_INDEX = "service"
_RESERVED = frozenset({MANAGED_BY, SERVICE_NAME, HEADLESS_LABEL})


class Observed(Struct, frozen=True, kw_only=True):
    """A Service, its pods, the zones of the nodes that exist, and the slices that stand for it."""

    service: Service
    members: tuple[Pod, ...] = ()
    zones: dict[str, str | None] = {}
    slices: tuple[EndpointSlice, ...] = ()
    ratios: dict[str, float] | None = None
    """Each zone's share of CPUs, where hints in proportion are asked for."""
    prepared: tuple[Prepared, ...] | None = None
    """What the pods are in slices, where that is known already."""
    was_auto: bool = False
    """Whether such hints were asked for before."""
    limit: int = limits.MAX_ENDPOINTS_PER_SLICE


def plan(observed: Observed) -> Plan:
    """The changes of slices; one that would be deleted is used again for one that would be created."""
    service = observed.service
    families = membership.families(service)
    changes = _Changes()
    homeless = False
    for existing in observed.slices:
        if existing.address_type not in families:
            changes.delete.append(existing)
    events: list[Action] = []
    for family in families:
        mine = [piece for piece in observed.slices if piece.address_type == family]
        mine_changes = _Changes()
        homeless |= _reconcile_family(observed, family, mine, mine_changes)
        event = _hint(observed, mine_changes, mine)
        if event is not None:
            kind, reason, message = event
            text = f"{message}, addressType: {family}"
            events.append(Emit(about=service, type=kind, reason=reason, message=text))
        changes.add(mine_changes)
    changes.reuse()
    actions = events + _actions(observed, changes)
    if not actions and not homeless:
        return NOTHING
    # A pod whose node is not known yet is left out; its node's arrival brings no key back.
    return Plan(actions=tuple(actions), requeue_after=1.0 if homeless else None)


class _Changes:
    """What is to be created, updated and deleted."""

    def __init__(self) -> None:
        self.create: list[EndpointSlice] = []
        self.update: list[EndpointSlice] = []
        self.delete: list[EndpointSlice] = []

        self.unchanged: list[EndpointSlice] = []

    def add(self, more: _Changes) -> None:
        self.create += more.create
        self.update += more.update
        self.delete += more.delete

    def reuse(self) -> None:
        kept = []
        for old in self.delete:
            match = next((new for new in self.create if new.address_type == old.address_type), None)
            if match is None:
                kept.append(old)
                continue
            self.create.remove(match)
            metadata = structs.replace(
                old.metadata, labels=match.metadata.labels, owner_references=match.metadata.owner_references
            )
            self.update.append(structs.replace(match, metadata=metadata))
        self.delete = kept


def _hint(observed: Observed, changes: _Changes, known: Sequence[EndpointSlice]) -> hints.Event | None:
    """Hints for whom each endpoint is meant, by what the Service asks for; what is to be told about it."""
    service = observed.service
    slices = hints.Slices(create=changes.create, update=changes.update, unchanged=changes.unchanged)
    event: hints.Event | None = None
    if hints.is_auto(service):
        before = any(endpoint.hints is not None for piece in known for endpoint in piece.endpoints)
        slices, event = hints.in_proportion(observed.ratios, slices, before=before)
    else:
        slices = hints.by_distribution(service.spec.traffic_distribution, slices)
        event = hints.DISABLED if observed.was_auto else None
    changes.create, changes.update, changes.unchanged = slices.create, slices.update, slices.unchanged
    return event


def _reconcile_family(observed: Observed, family: str, slices: Sequence[EndpointSlice], changes: _Changes) -> bool:
    """Changes for one address type; whether a pod was left out since its node is not known."""
    wanted: dict[Ports, dict[Identity, Endpoint]] = {}
    homeless = False
    last: Ports | None = None
    into: dict[Identity, Endpoint] = {}
    for each in _prepared(observed):
        homeless |= each.homeless
        found = each.entries.get(family)
        if found is None:
            continue
        ports, identity, endpoint = found
        if ports is not last:
            last, into = ports, wanted.setdefault(ports, {})
        into[identity] = endpoint
    deleted_before = len(changes.delete)
    created_before = len(changes.create)
    by_ports: dict[Ports, list[EndpointSlice]] = {}
    for piece in slices:
        by_ports.setdefault(sorted_ports(piece.ports), []).append(piece)
    for ports, pieces in by_ports.items():
        if ports not in wanted:
            changes.delete.extend(pieces)
    for ports, endpoints in wanted.items():
        _fill(observed, family, ports, endpoints, by_ports.get(ports, []), changes)
    deleted = changes.delete[deleted_before:]
    if len(deleted) == len(slices) and len(changes.create) == created_before:
        _keep_placeholder(_new_slice(observed.service, family, ()), deleted, changes)
    return homeless


def _keep_placeholder(empty: EndpointSlice, deleted: Sequence[EndpointSlice], changes: _Changes) -> None:
    """A Service without endpoints has one empty slice, so that one can see that it was looked at."""
    if len(deleted) == 1:
        (only,) = deleted
        labels = only.metadata.labels == empty.metadata.labels
        if labels and not only.endpoints and not only.ports:
            changes.delete.remove(only)
            return
    changes.create.append(empty)


def _fill(
    observed: Observed,
    family: str,
    ports: Ports,
    wanted: dict[Identity, Endpoint],
    pieces: Sequence[EndpointSlice],
    changes: _Changes,
) -> None:
    """Distribute the endpoints of one set of ports over slices."""
    labels = _labels(observed.service)
    own = {key: value for key, value in labels.items() if key not in _RESERVED}
    changed: list[EndpointSlice] = []
    unchanged: list[EndpointSlice] = []
    left = dict(wanted)
    for piece in pieces:
        kept = []
        differs = False
        for endpoint in piece.endpoints:
            new = left.pop(identity_of(endpoint), None)
            if new is not None:
                kept.append(new)
                differs |= not is_same(new, endpoint)
        known = {key: value for key, value in piece.metadata.labels.items() if key not in _RESERVED}
        if differs or len(kept) != len(piece.endpoints):
            if kept:
                changed.append(_with(piece, kept, labels))
            else:
                changes.delete.append(piece)
        elif known != own:
            changed.append(_with(piece, kept, labels))
        else:
            unchanged.append(piece)
    rest = list(left.values())
    if rest:
        changed.sort(key=lambda piece: len(piece.endpoints), reverse=True)
        for number, piece in enumerate(changed):
            room = max(0, observed.limit - len(piece.endpoints))
            changed[number] = _with(piece, [*piece.endpoints, *rest[:room]], labels)
            rest = rest[room:]
    while rest:
        target = _roomiest(unchanged, len(rest), observed.limit)
        if target is not None:
            unchanged.remove(target)
            changed.append(_with(target, [*target.endpoints, *rest], labels))
            rest = []
        else:
            new_slice = _new_slice(observed.service, family, ports)
            changes.create.append(structs.replace(new_slice, endpoints=tuple(rest[: observed.limit])))
            rest = rest[observed.limit :]
    changes.update.extend(changed)
    changes.unchanged.extend(unchanged)


def _roomiest(pieces: Sequence[EndpointSlice], count: int, limit: int) -> EndpointSlice | None:
    """The fullest slice that still takes count endpoints."""
    fitting = [piece for piece in pieces if len(piece.endpoints) + count <= limit]
    return max(fitting, key=lambda piece: len(piece.endpoints), default=None) if count < limit else None


def _with(piece: EndpointSlice, endpoints: Sequence[Endpoint], labels: dict[str, str]) -> EndpointSlice:
    metadata = structs.replace(piece.metadata, labels=labels)
    return structs.replace(piece, metadata=metadata, endpoints=tuple(endpoints))


def _new_slice(service: Service, family: str, ports: Ports) -> EndpointSlice:
    metadata = ObjectMeta(
        generate_name=pods.name_prefix(service.metadata.name),
        namespace=service.metadata.namespace,
        labels=_labels(service),
        owner_references=(controller_reference(service),),
    )
    return EndpointSlice(metadata=metadata, address_type=family, ports=ports)


def _labels(service: Service) -> dict[str, str]:
    labels = {key: value for key, value in service.metadata.labels.items() if key not in _RESERVED}
    if membership.is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return labels | {SERVICE_NAME: service.metadata.name, MANAGED_BY: CONTROLLER}


def _prepared(observed: Observed) -> tuple[Prepared, ...]:
    if observed.prepared is not None:
        return observed.prepared
    return tuple(prepare(observed.service, pod, place_of(observed.zones, pod)) for pod in observed.members)


def _actions(observed: Observed, changes: _Changes) -> list[Action]:
    service = observed.service
    about = f"{service.metadata.namespace}/{service.metadata.name}"
    told = Told(
        about=service,
        failed_reason="FailedToUpdateEndpointSlices",
        failed_message=f"Error updating Endpoint Slices for Service {about}: {{error}}",
    )
    if not changes.create and not changes.update and not changes.delete:
        return []
    moments = (each.moment for each in _prepared(observed))
    moment = membership.latest(service, moments, first=not observed.slices)
    actions: list[Action] = []
    if service.metadata.deletion_timestamp is None:
        actions += [Create(obj=_stamped(piece, moment), told=told) for piece in changes.create]
    actions += [Update(obj=_stamped(piece, moment), told=told) for piece in changes.update]
    actions += [
        Delete(kind=EndpointSlice, key=f"{piece.metadata.namespace}/{piece.metadata.name}", uid=piece.metadata.uid)
        for piece in changes.delete
    ]
    return actions


def _stamped(piece: EndpointSlice, moment: str | None) -> EndpointSlice:
    if moment is None:
        return piece
    annotations = {**piece.metadata.annotations, TRIGGER_TIME: moment}
    return structs.replace(piece, metadata=structs.replace(piece.metadata, annotations=annotations))


class EndpointSlices:
    """The EndpointSlice controller."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"
    workers = 5

    def __init__(self) -> None:
        self._ratios: dict[str, float] | None = None
        self._has_ratios = False
        self._memo: Memo[Prepared] = Memo(prepare)
        self._hinted: set[str] = set()  # Services that have, or had until now, hints in proportion

    def sources(self) -> tuple[Source, ...]:
        by_mode = (hints.AUTO_INDEX, hints.index_auto)
        return (
            Source(kind=Service, keys=own_key, indexes=(membership.BY_SELECTOR, by_mode)),
            Source(
                kind=Pod,
                change=membership.services_of_change,
                pause=self._memo.pause,
                indexes=(membership.pods_of.index,),
            ),
            Source(kind=Node, change=self._of_node),
            Source(kind=EndpointSlice, keys=_key_of_slice, indexes=((SERVICE_INDEX, _index_by_service),)),
        )

    def _of_node(self, old: Node | None, new: Node | None, caches: Caches) -> Iterable[str]:
        """Another share of CPUs concerns the Services whose hints go by it."""
        if (None if old is None else hints.face_of(old)) == (None if new is None else hints.face_of(new)):
            return ()
        self._has_ratios = False
        return [membership.key_of(service) for service in caches.by_index(Service, hints.AUTO_INDEX, hints.AUTO)]

    def _shares(self, caches: Caches) -> dict[str, float] | None:
        if not self._has_ratios:
            self._ratios, self._has_ratios = hints.ratios_of(caches.list(Node)), True
        return self._ratios

    def initial(self, caches: Caches) -> Iterable[str]:
        return [membership.key_of(service) for service in caches.list(Service)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        service = caches.get(Service, key)
        if service is None or not membership.is_served(service):
            self._hinted.discard(key)
            self._memo.forget(key)
            return None  # the slices of a Service that is gone go with it, by their owner reference
        members = membership.selected(service, caches)
        zones: dict[str, str | None] = {}
        for name in {pod.spec.node_name for pod in members if pod.spec.node_name}:
            node = caches.get(Node, name)
            if node is not None:
                zones[name] = node.metadata.labels.get(hints.ZONE)
        slices = [p for p in caches.by_index(EndpointSlice, SERVICE_INDEX, key) if not p.metadata.deletion_timestamp]
        ratios, was_auto = None, key in self._hinted
        if hints.is_auto(service):
            self._hinted.add(key)
            ratios = self._shares(caches)
        else:
            self._hinted.discard(key)
        return Observed(
            service=service,
            members=members,
            zones=zones,
            slices=tuple(slices),
            ratios=ratios,
            was_auto=was_auto,
            prepared=self._memo.prepared(key, service, members, lambda pod: place_of(zones, pod)),
        )

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _index_by_service(piece: EndpointSlice) -> tuple[str, ...]:
    """The key of the Service that a slice of ours stands for."""
    labels = piece.metadata.labels
    name = labels.get(SERVICE_NAME)
    if not name or labels.get(MANAGED_BY) != CONTROLLER:
        return ()
    return (f"{piece.metadata.namespace}/{name}",)


def _key_of_slice(piece: EndpointSlice, _: Caches) -> tuple[str, ...]:
    return _index_by_service(piece)

"""The writes by which a volume and a claim become bound to each other, and come apart again. Pure.

Owns their order: the volume first, then the claim, each its spec before its status, so that whoever sees a half-done
binding knows how to finish it. Each write carries the version that it was decided on: of two claims that want one
volume, the server lets one have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from msgspec import structs

from kube_actors.api import quantity
from kube_actors.api.storage import BIND_COMPLETED, BOUND_BY_CONTROLLER, STORAGE, is_claimed_by, size_of
from kube_actors.api.types.core_v1 import ObjectReference, PersistentVolume, PersistentVolumeClaim

from .contract import NOTHING, Emit, Outcome, Plan, Update

PRE_RESIZE = "volume.alpha.kubernetes.io/pre-resize-capacity"


def annotated(obj: Any, annotations: Mapping[str, str]) -> Any:
    metadata = structs.replace(obj.metadata, annotations=dict(annotations))
    return structs.replace(obj, metadata=metadata)


def write(update: Update, then: Callable[[Any], Plan]) -> Plan:
    """One write, and what follows from how the object looks afterwards; a refusal ends it."""

    def rest(outcome: Outcome) -> Plan:
        return NOTHING if outcome.error is not None else then(outcome.results[0])

    return Plan(actions=(update,), then=rest)


# The volume


def reference_to(claim: PersistentVolumeClaim) -> ObjectReference:
    metadata = claim.metadata
    return ObjectReference(
        api_version="v1",
        kind="PersistentVolumeClaim",
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )


def volume_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume:
    """The volume bound to the claim; the very same if it is already."""
    reference, metadata = volume.spec.claim_ref, claim.metadata
    by_hand = is_claimed_by(volume, claim)
    if reference is None or (reference.name, reference.namespace, reference.uid) != (
        metadata.name,
        metadata.namespace,
        metadata.uid,
    ):
        volume = structs.replace(volume, spec=structs.replace(volume.spec, claim_ref=reference_to(claim)))
    if not by_hand and BOUND_BY_CONTROLLER not in volume.metadata.annotations:
        volume = annotated(volume, {**volume.metadata.annotations, BOUND_BY_CONTROLLER: "yes"})
    return volume


def phased(volume: PersistentVolume, phase: str, message: str = "") -> PersistentVolume:
    """The volume in this phase; the very same if it is in it already."""
    if volume.status.phase == phase:
        return volume
    return structs.replace(volume, status=structs.replace(volume.status, phase=phase, message=message or None))


def enter(
    volume: PersistentVolume, phase: str, then: Callable[[PersistentVolume], Plan] = lambda volume: NOTHING
) -> Plan:
    """Have the volume enter a phase, unless it is in it; then go on."""
    changed = phased(volume, phase)
    return then(volume) if changed is volume else write(Update(obj=changed, subresource="status"), then)


def fail(volume: PersistentVolume, reason: str, message: str) -> Plan:
    """Have the volume be Failed, and say why once."""
    changed = phased(volume, "Failed", message)
    if changed is volume:
        return NOTHING
    event = Emit(about=volume, type="Warning", reason=reason, message=message)
    return write(Update(obj=changed, subresource="status"), lambda made: Plan(actions=(event,)))


def release(volume: PersistentVolume) -> Plan:
    """Undo a binding: what the controller bound is free again, what a user had kept for a claim stays so."""
    reference = volume.spec.claim_ref
    assert reference is not None, "only a bound volume can be unbound"
    if BOUND_BY_CONTROLLER in volume.metadata.annotations:
        left = {key: value for key, value in volume.metadata.annotations.items() if key != BOUND_BY_CONTROLLER}
        changed = annotated(structs.replace(volume, spec=structs.replace(volume.spec, claim_ref=None)), left)
    else:
        bare = structs.replace(reference, uid=None)
        changed = structs.replace(volume, spec=structs.replace(volume.spec, claim_ref=bare))
    return write(Update(obj=changed), lambda made: enter(made, "Available"))


# The claim


def claim_for(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    """The claim bound to the volume; the very same if it is already."""
    annotations = dict(claim.metadata.annotations)
    if claim.spec.volume_name != volume.metadata.name:
        annotations.setdefault(BOUND_BY_CONTROLLER, "yes")
        claim = structs.replace(claim, spec=structs.replace(claim.spec, volume_name=volume.metadata.name))
    elif BIND_COMPLETED in annotations:
        return claim
    bound: PersistentVolumeClaim = annotated(
        claim, {**annotations, BIND_COMPLETED: annotations.get(BIND_COMPLETED, "yes")}
    )
    return bound


def claim_phased(
    claim: PersistentVolumeClaim, phase: Literal["Pending", "Bound", "Lost"], volume: PersistentVolume | None = None
) -> PersistentVolumeClaim:
    """The claim in this phase, with what the volume offers; the very same if nothing changes."""
    before = claim.status
    modes = volume.spec.access_modes if volume is not None else ()
    capacity = before.capacity if volume is not None else {}
    if volume is not None and before.phase != phase:
        unsized = volume.metadata.annotations.get(PRE_RESIZE)
        if unsized is not None:
            capacity = {**before.capacity, STORAGE: unsized}
        elif STORAGE not in before.capacity or quantity.parse(size_of(volume.spec.capacity)) != quantity.parse(
            before.capacity[STORAGE]
        ):
            capacity = volume.spec.capacity
    after = structs.replace(before, phase=phase, access_modes=modes, capacity=capacity)
    return claim if after == before else structs.replace(claim, status=after)


def settle(claim: PersistentVolumeClaim, phase: Literal["Pending", "Lost"], *events: Emit) -> Plan:
    """Have a claim without volume be in this phase, events said first."""
    changed = claim_phased(claim, phase)
    updates = () if changed is claim else (Update(obj=changed, subresource="status"),)
    return Plan(actions=(*events, *updates))


def lose(claim: PersistentVolumeClaim, reason: str, message: str) -> Plan:
    """Have a claim be Lost, and say so once."""
    if claim.status.phase == "Lost":
        return NOTHING
    event = Emit(about=claim, type="Warning", reason=reason, message=message)
    update = Update(obj=claim_phased(claim, "Lost"), subresource="status")
    return write(update, lambda made: Plan(actions=(event,)))


# Both


def bind(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Plan:
    """Every write that is still missing until both are bound to each other."""
    return _go_on(volume, claim, 0)


def _missing(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Iterator[Update | None]:
    bound = volume_for(volume, claim)
    yield None if bound is volume else Update(obj=bound)
    entered = phased(volume, "Bound")
    yield None if entered is volume else Update(obj=entered, subresource="status")
    named = claim_for(claim, volume)
    yield None if named is claim else Update(obj=named)
    settled = claim_phased(claim, "Bound", volume)
    yield None if settled is claim else Update(obj=settled, subresource="status")


def _go_on(volume: PersistentVolume, claim: PersistentVolumeClaim, done: int) -> Plan:
    """The next missing write; one that was made is not made again, whatever the server has kept of it."""
    for step, update in enumerate(_missing(volume, claim)):
        if step < done or update is None:
            continue

        def then(made: Any, step: int = step) -> Plan:
            if isinstance(made, PersistentVolume):
                return _go_on(made, claim, step + 1)
            return _go_on(volume, made, step + 1)

        return write(update, then)
    return NOTHING

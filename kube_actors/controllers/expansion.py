"""Claims that ask for more than they have: who is to make their volumes larger. Pure.

Owns what the controller manager still does about it, now that every volume that can grow is a driver's: it says that
somebody else has to, and names the driver for volumes that had a plugin of their own once. It never changes a size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from kube_actors.api import quantity, storage
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim

from . import volume_plugins
from .binding import PRE_RESIZE, annotated
from .contract import NOTHING, Caches, Emit, Plan, Source, Update

RESIZER = "volume.kubernetes.io/storage-resizer"


class Observed(Struct, frozen=True, kw_only=True):
    """A bound claim and its volume."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume


def is_short(claim: PersistentVolumeClaim) -> bool:
    """Whether a bound claim asks for more than it has."""
    has, asks = storage.size_of(claim.status.capacity), storage.requested(claim)
    return claim.status.phase == "Bound" and quantity.parse(asks) > quantity.parse(has)


def plan(observed: Observed) -> Plan:
    claim, volume = observed.claim, observed.volume
    reference, metadata = volume.spec.claim_ref, claim.metadata
    if reference is None or (reference.namespace, reference.uid) != (metadata.namespace, metadata.uid):
        return NOTHING
    if not is_short(claim) and PRE_RESIZE not in volume.metadata.annotations:
        return NOTHING
    plugin = volume_plugins.migrated_plugin_of(volume)
    if plugin is None:
        message = "waiting for an external controller to expand this PVC"
        return Plan(actions=(Emit(about=claim, reason="ExternalExpanding", message=message),))
    message = f"CSI migration operation for {plugin}; waiting for external resizer to expand the pvc"
    event = Emit(about=claim, reason="ExternalExpanding", message=message)
    driver = volume_plugins.MIGRATED[plugin]
    if metadata.annotations.get(RESIZER) == driver:
        return Plan(actions=(event,))
    return Plan(actions=(event, Update(obj=annotated(claim, {**metadata.annotations, RESIZER: driver}))))


def _claim_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    """Growing is what matters: a new claim, a larger request, another resizer."""
    if new is None or not is_short(new):
        return ()
    if old is not None:
        grown = quantity.parse(storage.requested(new)) > quantity.parse(storage.requested(old))
        if not grown and old.metadata.annotations.get(RESIZER) == new.metadata.annotations.get(RESIZER):
            return ()
    return (f"{new.metadata.namespace}/{new.metadata.name}",)


class VolumeExpansion:
    """The expansion controller; its keys are claims."""

    name = "persistentvolume-expander-controller"
    component = "volume_expand"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=PersistentVolumeClaim, change=_claim_changed), Source(kind=PersistentVolume))

    def initial(self, caches: Caches) -> Iterable[str]:
        claims = caches.list(PersistentVolumeClaim)
        return [f"{claim.metadata.namespace}/{claim.metadata.name}" for claim in claims if is_short(claim)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        claim = caches.get(PersistentVolumeClaim, key)
        if claim is None or not claim.spec.volume_name:
            return None
        volume = caches.get(PersistentVolume, claim.spec.volume_name)
        return None if volume is None else Observed(claim=claim, volume=volume)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

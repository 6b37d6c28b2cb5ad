"""Claims and volumes: what a claim asks for, and which volume suits it. Pure.

The binder and the scheduler share these: both have to come to the same answer. It neither binds nor looks anything up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from . import quantity, selectors
from .types.core_v1 import PersistentVolume, PersistentVolumeClaim
from .types.storage_v1 import StorageClass

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
STORAGE = "storage"
WAIT_FOR_CONSUMER = "WaitForFirstConsumer"


def class_name(thing: PersistentVolumeClaim | PersistentVolume) -> str:
    """The storage class; an old annotation goes before the field."""
    annotated = thing.metadata.annotations.get(CLASS_ANNOTATION)
    return annotated if annotated is not None else thing.spec.storage_class_name or ""


def names_class(claim: PersistentVolumeClaim) -> bool:
    """Whether a claim says which class it wants, be it none at all."""
    return CLASS_ANNOTATION in claim.metadata.annotations or claim.spec.storage_class_name is not None


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """The newest of the classes that are marked as default; of several, the first by name."""
    marked = [
        found
        for found in classes
        if "true" in (found.metadata.annotations.get(key) for key in (DEFAULT_CLASS, DEFAULT_CLASS_BETA))
    ]
    if not marked:
        return None
    newest = max(found.metadata.creation_timestamp or "" for found in marked)
    return min(
        (found for found in marked if (found.metadata.creation_timestamp or "") == newest),
        key=lambda found: found.metadata.name,
    )


def size_of(resources: dict[str, str] | None) -> str:
    return (resources or {}).get(STORAGE, "0")


def requested(claim: PersistentVolumeClaim) -> str:
    return size_of(claim.spec.resources.requests if claim.spec.resources is not None else None)


def mode_of(thing: PersistentVolumeClaim | PersistentVolume) -> str:
    return thing.spec.volume_mode or "Filesystem"


def attributes_of(thing: PersistentVolumeClaim | PersistentVolume) -> str:
    return thing.spec.volume_attributes_class_name or ""


def has_modes(claim: PersistentVolumeClaim, volume: PersistentVolume) -> bool:
    """Whether the volume can be used in every way that the claim asks for."""
    return set(claim.spec.access_modes) <= set(volume.spec.access_modes)


def is_claimed_by(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is kept for this claim, if only by its name."""
    reference = volume.spec.claim_ref
    if reference is None:
        return False
    if (reference.name, reference.namespace) != (claim.metadata.name, claim.metadata.namespace):
        return False
    return not reference.uid or reference.uid == claim.metadata.uid


def best_match(
    claim: PersistentVolumeClaim,
    volumes: Iterable[PersistentVolume],
    *,
    reachable: Callable[[PersistentVolume], bool] | None = None,
    delayed: bool = False,
    taken: Collection[str] = (),
) -> PersistentVolume | None:
    """The volume kept for this claim, or else the smallest that is large enough.

    reachable says whether a volume can be used where the claim's pod is to run. A delayed claim gets no other volume
    than one that is kept for it: which else, the scheduler decides.
    """
    wanted = quantity.parse(requested(claim))
    selector = None if claim.spec.selector is None else selectors.compile_selector(claim.spec.selector)
    best: PersistentVolume | None = None
    best_size = wanted
    for volume in volumes:
        spec = volume.spec
        kept = is_claimed_by(volume, claim)
        if volume.metadata.name in taken or (spec.claim_ref is not None and not kept):
            continue
        size = quantity.parse(size_of(spec.capacity))
        if size < wanted or volume.metadata.deletion_timestamp is not None:
            continue
        if mode_of(volume) != mode_of(claim) or attributes_of(volume) != attributes_of(claim):
            continue
        if kept:
            return volume if reachable is None or reachable(volume) else None
        if delayed or volume.status.phase != "Available":
            continue
        if selector is not None and not selector.matches(volume.metadata.labels):
            continue
        if class_name(volume) != class_name(claim) or not has_modes(claim, volume):
            continue
        if reachable is not None and not reachable(volume):
            continue
        if best is None or size < best_size:
            best, best_size = volume, size
    return best


def closest_match(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, delayed: bool
) -> PersistentVolume | None:
    """The best match among the volumes that can do hardly more than asked for, before those that can do much more."""
    by_modes: dict[tuple[str, ...], list[PersistentVolume]] = {}
    for volume in sorted(volumes, key=lambda volume: volume.metadata.name):
        if has_modes(claim, volume):
            by_modes.setdefault(tuple(sorted(set(volume.spec.access_modes))), []).append(volume)
    for modes in sorted(by_modes, key=lambda modes: (len(modes), modes)):
        found = best_match(claim, by_modes[modes], delayed=delayed)
        if found is not None:
            return found
    return None


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Why a claim cannot have the volume that it asks for by name; "" if it can."""
    if volume.metadata.deletion_timestamp is not None:
        return f'the volume is marked for deletion "{volume.metadata.name}"'
    if quantity.parse(size_of(volume.spec.capacity)) < quantity.parse(requested(claim)):
        return "requested PV is too small"
    if class_name(volume) != class_name(claim):
        return "storageClassName does not match"
    if attributes_of(volume) != attributes_of(claim):
        return "volumeAttributesClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    return "" if has_modes(claim, volume) else "incompatible accessMode"

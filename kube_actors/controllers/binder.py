"""The persistent volume binder: claims get volumes, volumes follow their claims. Pure.

Owns which volume a claim gets, the phases of both, and whom to ask for a volume when there is none. What is written in
which order stands in `binding`, what becomes of a volume without claim in `reclaim`. As upstream's it looks at a claim
or a volume when that itself changes, and at everything once a period: a claim that waits may wait that long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import storage
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from kube_actors.api.types.storage_v1 import StorageClass

from . import limits, pods, reclaim, volume_plugins
from .binding import annotated, bind, enter, lose, release, settle, write
from .contract import NOTHING, Caches, Emit, Outcome, Plan, Read, Source, Update
from .protection import CLAIM_INDEX, index_by_claim

FREE_INDEX = "free volumes by class"
KEPT_INDEX = "volumes by claim"

_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


class ClaimSeen(Struct, frozen=True, kw_only=True):
    """A claim; the volume that it names, if there is one; those that it may get; the pods that wait for it."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume | None = None
    candidates: tuple[PersistentVolume, ...] = ()
    storage_class: StorageClass | None = None
    default_class: StorageClass | None = None
    unscheduled: tuple[str, ...] = ()
    period: float = limits.BINDER_PERIOD_SECONDS


class VolumeSeen(Struct, frozen=True, kw_only=True):
    """A volume; the claim of the name that it is kept for; the pods that run with that; the pod that empties it."""

    volume: PersistentVolume
    claim: PersistentVolumeClaim | None = None
    users: tuple[str, ...] = ()
    recycler: Pod | None = None
    period: float = limits.BINDER_PERIOD_SECONDS


Seen = ClaimSeen | VolumeSeen


def plan(seen: Seen) -> Plan:
    made = _plan_claim(seen) if isinstance(seen, ClaimSeen) else _plan_volume(seen)
    return _again(made, seen.period)


def _again(made: Plan, period: float) -> Plan:
    """The same plan, with another look after a period wherever it ends."""
    then = made.then
    if then is None:
        return structs.replace(made, requeue_after=period)
    return structs.replace(made, then=lambda outcome: _again(then(outcome), period))


# Claims


def _plan_claim(seen: ClaimSeen) -> Plan:
    claim = seen.claim
    migrated = _migration_of(claim)
    if migrated is not claim:
        return write(Update(obj=migrated), lambda made: _plan_claim(structs.replace(seen, claim=made)))
    if storage.BIND_COMPLETED in claim.metadata.annotations:
        return _plan_bound(seen)
    if not claim.spec.volume_name:
        return _plan_free(seen)
    return _plan_named(seen)


def _migration_of(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    """The claim with the note that its provisioner's work is done by a CSI driver now, where that is so."""
    annotations = claim.metadata.annotations
    asked = annotations.get(storage.PROVISIONER, annotations.get(storage.PROVISIONER_BETA))
    if asked is None:
        return claim
    driver = volume_plugins.MIGRATED.get(asked)
    if annotations.get(storage.MIGRATED_TO) == driver:
        return claim
    left = {key: value for key, value in annotations.items() if key != storage.MIGRATED_TO}
    return annotated(claim, left if driver is None else {**left, storage.MIGRATED_TO: driver})  # type: ignore[no-any-return]


def _plan_free(seen: ClaimSeen) -> Plan:
    """A claim that takes any volume."""
    claim = seen.claim
    found = seen.storage_class
    delayed = found is not None and found.volume_binding_mode == storage.WAIT_FOR_CONSUMER
    volume = storage.closest_match(claim, seen.candidates, delayed=delayed)
    if volume is not None:
        return bind(volume, claim)
    if not storage.names_class(claim) and seen.default_class is not None:
        spec = structs.replace(claim.spec, storage_class_name=seen.default_class.metadata.name)
        return Plan(actions=(Update(obj=structs.replace(claim, spec=spec)),))
    if delayed and storage.SELECTED_NODE not in claim.metadata.annotations:
        return settle(claim, "Pending", _waiting(claim, seen.unscheduled))
    if storage.class_name(claim):
        return _provision(claim, found)
    message = "no persistent volumes available for this claim and no storage class is set"
    return settle(claim, "Pending", Emit(about=claim, reason="FailedBinding", message=message))


def _waiting(claim: PersistentVolumeClaim, unscheduled: tuple[str, ...]) -> Emit:
    if not unscheduled:
        message = "waiting for first consumer to be created before binding"
        return Emit(about=claim, reason="WaitForFirstConsumer", message=message)
    names, several = ",".join(unscheduled), "s" if len(unscheduled) > 1 else ""
    return Emit(about=claim, reason="WaitForPodScheduled", message=f"waiting for pod{several} {names} to be scheduled")


def _provision(claim: PersistentVolumeClaim, found: StorageClass | None) -> Plan:
    """Ask for a volume to be made: an annotation names who is to make it."""
    if found is None:
        return _unprovisioned(claim, f'storageclass.storage.k8s.io "{storage.class_name(claim)}" not found')
    try:
        name, external = volume_plugins.provisioner_of(found)
    except volume_plugins.PluginError as error:
        return _unprovisioned(claim, str(error))
    if external:
        after = Plan(actions=(Emit(about=claim, reason="ExternalProvisioning", message=_EXTERNAL.format(name)),))
    else:
        cause = f'Failed to create provisioner: provisioning in volume plugin "{name}" is disabled'
        after = _unprovisioned(claim, cause)
    annotations = claim.metadata.annotations
    if annotations.get(storage.PROVISIONER) == name:
        return after
    asking = annotated(claim, {**annotations, storage.PROVISIONER_BETA: name, storage.PROVISIONER: name})
    return write(Update(obj=asking), lambda made: after)


def _unprovisioned(claim: PersistentVolumeClaim, cause: str) -> Plan:
    return Plan(actions=(Emit(about=claim, type="Warning", reason="ProvisioningFailed", message=cause),))


def _plan_named(seen: ClaimSeen) -> Plan:
    """A claim that asks for one volume by name."""
    claim, volume = seen.claim, seen.volume
    if volume is None:
        return settle(claim, "Pending")
    if volume.spec.claim_ref is None:
        cause = storage.mismatch(volume, claim)
        if not cause:
            return bind(volume, claim)
        message = f'Cannot bind to requested volume "{volume.metadata.name}": {cause}'
        return settle(claim, "Pending", _warning(claim, "VolumeMismatch", message))
    if storage.is_claimed_by(volume, claim):
        return bind(volume, claim)
    taken = _warning(claim, "FailedBinding", f'volume "{volume.metadata.name}" already bound to a different claim.')
    if storage.BOUND_BY_CONTROLLER in claim.metadata.annotations:
        return Plan(actions=(taken,))
    return settle(claim, "Pending", taken)


def _warning(about: Any, reason: str, message: str) -> Emit:
    return Emit(about=about, type="Warning", reason=reason, message=message)


def _plan_bound(seen: ClaimSeen) -> Plan:
    """A claim that was bound once: it is so still, or it has lost its volume."""
    claim, volume = seen.claim, seen.volume
    if not claim.spec.volume_name:
        message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return lose(claim, "ClaimLost", message)
    if volume is None:
        return lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
    reference = volume.spec.claim_ref
    if reference is None or reference.uid == claim.metadata.uid:
        return bind(volume, claim)
    message = "Two claims are bound to the same volume, this one is bound incorrectly"
    return lose(claim, "ClaimMisbound", message)


# Volumes


def _plan_volume(seen: VolumeSeen) -> Plan:
    volume = seen.volume
    right = reclaim.finalized(volume)
    if right is not volume:
        return write(Update(obj=right), lambda made: _plan_volume(structs.replace(seen, volume=made)))
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return enter(volume, "Available")
    claim = seen.claim
    finished = volume.status.phase in ("Released", "Failed")
    if claim is None and finished:
        return _follow(seen, None)
    if claim is None or claim.metadata.uid != reference.uid:
        # The cache may be behind whoever bound the volume; only the server can say that the claim has gone.
        return _asked(seen)
    return _follow(seen, claim)


def _asked(seen: VolumeSeen) -> Plan:
    reference = seen.volume.spec.claim_ref
    assert reference is not None, "a volume without claim has nobody to ask for"
    key = f"{reference.namespace}/{reference.name}"

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        claim = outcome.results[0]
        same = claim is not None and claim.metadata.uid == reference.uid
        return _follow(seen, claim if same else None)

    return Plan(actions=(Read(kind=PersistentVolumeClaim, key=key, tolerate=("NotFound",)),), then=then)


def _follow(seen: VolumeSeen, claim: PersistentVolumeClaim | None) -> Plan:
    """What a volume does that belongs to this claim, or to one that has gone."""
    volume = seen.volume
    if claim is None:
        return _let_go(seen)
    if not claim.spec.volume_name:
        if storage.mode_of(volume) == storage.mode_of(claim):
            return NOTHING  # the claim's own turn finishes it
        name, other = volume.metadata.name, claim.metadata.name
        cause = "due to incompatible volumeMode."
        about_volume = f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{other}" {cause}'
        about_claim = f'Cannot bind PersistentVolume "{name}" to requested PersistentVolumeClaim {cause}'
        events = (_warning(volume, "VolumeMismatch", about_volume), _warning(claim, "VolumeMismatch", about_claim))
        return Plan(actions=events)
    if claim.spec.volume_name == volume.metadata.name:
        return enter(volume, "Bound")
    provisioned = storage.PROVISIONED_BY in volume.metadata.annotations
    if provisioned and volume.spec.persistent_volume_reclaim_policy == "Delete":
        return _let_go(seen)
    return release(volume)


def _let_go(seen: VolumeSeen) -> Plan:
    def then(volume: PersistentVolume) -> Plan:
        return reclaim.reclaim(volume, seen.users, seen.claim is not None, seen.recycler)

    if seen.volume.status.phase in ("Released", "Failed"):
        return then(seen.volume)
    return enter(seen.volume, "Released", then)


# The controller


def _key_of(reference: Any) -> str:
    return f"{reference.namespace}/{reference.name}"


def _free_class(volume: PersistentVolume) -> list[str]:
    return [storage.class_name(volume)] if volume.spec.claim_ref is None else []


def _kept_for(volume: PersistentVolume) -> list[str]:
    return [] if volume.spec.claim_ref is None else [_key_of(volume.spec.claim_ref)]


class PersistentVolumeBinder:
    """Keys: "namespace/name" of a claim, "name" of a volume."""

    name = "persistentvolume-binder-controller"
    component = "persistentvolume-controller"
    workers = 1

    def __init__(self, period: float = limits.BINDER_PERIOD_SECONDS) -> None:
        self._period = period

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=PersistentVolumeClaim, change=_claim_changed),
            Source(
                kind=PersistentVolume,
                change=_volume_changed,
                indexes=((FREE_INDEX, _free_class), (KEPT_INDEX, _kept_for)),
            ),
            Source(kind=StorageClass),
            Source(kind=Pod, keys=_recycled, indexes=((CLAIM_INDEX, index_by_claim),)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        volumes = [volume.metadata.name for volume in caches.list(PersistentVolume)]
        return volumes + [_key_of(claim.metadata) for claim in caches.list(PersistentVolumeClaim)]

    def observe(self, key: str, caches: Caches, now: float) -> Seen | None:
        if "/" in key:
            claim = caches.get(PersistentVolumeClaim, key)
            return None if claim is None else self._see_claim(key, claim, caches)
        volume = caches.get(PersistentVolume, key)
        return None if volume is None else self._see_volume(volume, caches)

    def _see_claim(self, key: str, claim: PersistentVolumeClaim, caches: Caches) -> ClaimSeen:
        name = claim.spec.volume_name
        if name or storage.BIND_COMPLETED in claim.metadata.annotations:
            volume = caches.get(PersistentVolume, name) if name else None
            return ClaimSeen(claim=claim, volume=volume, period=self._period)
        wanted = storage.class_name(claim)
        kept = caches.by_index(PersistentVolume, KEPT_INDEX, key)
        free = caches.by_index(PersistentVolume, FREE_INDEX, wanted)
        waiting = [
            pod.metadata.name
            for pod in caches.by_index(Pod, CLAIM_INDEX, key)
            if not pods.is_terminal(pod) and not pod.spec.node_name
        ]
        unclassed = not storage.names_class(claim)
        return ClaimSeen(
            claim=claim,
            candidates=(*kept, *free),
            storage_class=caches.get(StorageClass, wanted) if wanted else None,
            default_class=storage.default_class(caches.list(StorageClass)) if unclassed else None,
            unscheduled=tuple(waiting),
            period=self._period,
        )

    def _see_volume(self, volume: PersistentVolume, caches: Caches) -> VolumeSeen:
        reference = volume.spec.claim_ref
        if reference is None or not reference.uid:
            return VolumeSeen(volume=volume, period=self._period)
        key = _key_of(reference)
        recycler = None
        users: list[str] = []
        if volume.spec.persistent_volume_reclaim_policy == "Recycle":
            name = f"{reclaim.RECYCLER_NAMESPACE}/{reclaim.RECYCLER_PREFIX}{volume.metadata.name}"
            recycler = caches.get(Pod, name)
            found = caches.by_index(Pod, CLAIM_INDEX, key)
            users = [_key_of(pod.metadata) for pod in found if not pods.is_terminal(pod)]
        claim = caches.get(PersistentVolumeClaim, key)
        return VolumeSeen(volume=volume, claim=claim, users=tuple(users), recycler=recycler, period=self._period)

    def plan(self, observed: Seen) -> Plan:
        return plan(observed)


def _claim_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    """A claim that has gone concerns its volume."""
    if new is not None:
        return (_key_of(new.metadata),)
    return (old.spec.volume_name,) if old.spec.volume_name else ()


def _volume_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    """A volume that has gone concerns its claim; so does one that was made, or kept, for a claim that waits."""
    if new is None:
        return (_key_of(old.spec.claim_ref),) if old.spec.claim_ref is not None else ()
    keys = [new.metadata.name]
    reference = new.spec.claim_ref
    if reference is not None and reference.uid:
        claim = caches.get(PersistentVolumeClaim, _key_of(reference))
        if claim is not None and claim.metadata.uid == reference.uid and not claim.spec.volume_name:
            keys.append(_key_of(reference))
    return keys


def _recycled(pod: Pod, _: Caches) -> Iterable[str]:
    """The volume that a pod empties."""
    name = pod.metadata.name
    if not name.startswith(reclaim.RECYCLER_PREFIX) or pod.metadata.namespace != reclaim.RECYCLER_NAMESPACE:
        return ()
    return (name.removeprefix(reclaim.RECYCLER_PREFIX),)

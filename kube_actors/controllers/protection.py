"""Storage in use is not taken away: a claim while a pod uses it, a volume while it is bound, a class of attributes
while a claim or a volume names it. Pure.

Owns the finalizers kubernetes.io/pvc-protection, pv-protection and vac-protection (KEP-498, KEP-499 and KEP-3751): put
on where admission did not, taken off once nothing uses the object any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from kube_actors.api.owners import controller_of
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod
from kube_actors.api.types.storage_v1 import VolumeAttributesClass

from .contract import NOTHING, Caches, Call, Outcome, Plan, Source, Update, own_key

if TYPE_CHECKING:
    from kube_actors.client import Client

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"
CLAIM_INDEX = "claim"
CLASS_INDEX = "attributes class"


class Observed(Struct, frozen=True, kw_only=True):
    """A protected object and whether something uses it."""

    obj: Any
    finalizer: str
    used: bool


def plan(observed: Observed) -> Plan:
    obj, metadata = observed.obj, observed.obj.metadata
    held = observed.finalizer in metadata.finalizers
    if metadata.deletion_timestamp is None:
        if held:
            return NOTHING
        return Plan(actions=(_with(obj, (*metadata.finalizers, observed.finalizer)),))
    if not held or observed.used:
        return NOTHING
    left = tuple(name for name in metadata.finalizers if name != observed.finalizer)
    release = Plan(actions=(_with(obj, left),))
    if isinstance(obj, PersistentVolumeClaim):
        return _confirmed(obj, release)
    return release


def _confirmed(claim: PersistentVolumeClaim, release: Plan) -> Plan:
    """The release of a claim, once the server itself knows of no pod that uses it: the cache may be behind."""
    namespace = claim.metadata.namespace

    async def list_pods(client: Client) -> Any:
        return await client.list(Pod, namespace=namespace)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        (listed,) = outcome.results
        used = any(uses(pod, claim) for pod in listed.items)
        return NOTHING if used else release

    return Plan(actions=(Call(name="list pods", ask=list_pods),), then=then)


def _with(obj: Any, finalizers: tuple[str, ...]) -> Update:
    return Update(
        obj=structs.replace(obj, metadata=structs.replace(obj.metadata, finalizers=finalizers)), tolerate=("NotFound",)
    )


def claims_of(pod: Pod) -> list[str]:
    """The names of the claims that a pod uses, those of its ephemeral volumes included."""
    found = []
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None:
            found.append(volume.persistent_volume_claim.claim_name)
        elif volume.ephemeral is not None:
            found.append(f"{pod.metadata.name}-{volume.name}")
    return found


def index_by_claim(pod: Pod) -> list[str]:
    """The values of CLAIM_INDEX."""
    return [f"{pod.metadata.namespace}/{name}" for name in claims_of(pod)]


def uses(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """A pod that was never bound to a node uses nothing; one that has ended keeps its claims as long as it is there.

    A claim of its own, made for an ephemeral volume, it needs no longer once its node has let go of it.
    """
    if not pod.spec.node_name:
        return False
    metadata, name = pod.metadata, claim.metadata.name
    shut_down = metadata.deletion_timestamp is not None and metadata.deletion_grace_period_seconds == 0
    owner = controller_of(claim)
    owned = owner is not None and owner.uid == metadata.uid
    for volume in pod.spec.volumes:
        if volume.persistent_volume_claim is not None and volume.persistent_volume_claim.claim_name == name:
            return True
        if volume.ephemeral is not None and not shut_down and owned and f"{metadata.name}-{volume.name}" == name:
            return True
    return False


def _claims_of_changed_pod(pod: Pod, _: Caches) -> list[str]:
    return index_by_claim(pod) if pod.spec.volumes else []


class ClaimProtection:
    """The PVC protection controller."""

    name = "persistentvolumeclaim-protection-controller"
    component = "pvc-protection-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=PersistentVolumeClaim, keys=own_key),
            Source(kind=Pod, keys=_claims_of_changed_pod, indexes=((CLAIM_INDEX, index_by_claim),)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{c.metadata.namespace}/{c.metadata.name}" for c in caches.list(PersistentVolumeClaim)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        claim = caches.get(PersistentVolumeClaim, key)
        if claim is None:
            return None
        used = any(uses(pod, claim) for pod in caches.by_index(Pod, CLAIM_INDEX, key))
        return Observed(obj=claim, finalizer=CLAIM_FINALIZER, used=used)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


class VolumeProtection:
    """The PV protection controller."""

    name = "persistentvolume-protection-controller"
    component = "pv-protection-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=PersistentVolume, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [volume.metadata.name for volume in caches.list(PersistentVolume)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        volume = caches.get(PersistentVolume, key)
        if volume is None:
            return None
        return Observed(obj=volume, finalizer=VOLUME_FINALIZER, used=volume.status.phase == "Bound")

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _classes_of_volume(volume: PersistentVolume) -> list[str]:
    name = volume.spec.volume_attributes_class_name
    return [name] if name else []


def _classes_of_claim(claim: PersistentVolumeClaim) -> list[str]:
    """What a claim wants, what it has, and what it is on its way to."""
    status = claim.status
    underway = status.modify_volume_status
    target = underway.target_volume_attributes_class_name if underway is not None else None
    names = (claim.spec.volume_attributes_class_name, status.current_volume_attributes_class_name, target)
    return sorted({name for name in names if name})


def _named(obj: Any, _: Caches) -> list[str]:
    return _classes_of_claim(obj) if isinstance(obj, PersistentVolumeClaim) else _classes_of_volume(obj)


class AttributesClassProtection:
    """The VolumeAttributesClass protection controller."""

    name = "volumeattributesclass-protection-controller"
    component = "volumeattributesclass-protection-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=VolumeAttributesClass, keys=own_key),
            Source(kind=PersistentVolume, keys=_named, indexes=((CLASS_INDEX, _classes_of_volume),)),
            Source(kind=PersistentVolumeClaim, keys=_named, indexes=((CLASS_INDEX, _classes_of_claim),)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [found.metadata.name for found in caches.list(VolumeAttributesClass)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        found = caches.get(VolumeAttributesClass, key)
        if found is None:
            return None
        kinds = (PersistentVolume, PersistentVolumeClaim)
        used = any(caches.by_index(kind, CLASS_INDEX, key) for kind in kinds)
        return Observed(obj=found, finalizer=CLASS_FINALIZER, used=used)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

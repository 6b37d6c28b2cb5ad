"""What a pod's volumes are, looked up in the snapshot; shared by the plugins that look at volumes.

In-tree volumes are taken as they are: they are not translated to the CSI drivers that have replaced them.
"""

from __future__ import annotations

from collections.abc import Iterator

from kube_actors.api.storage import BIND_COMPLETED, class_name, requested
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

__all__ = [
    "claim_key",
    "claim_name",
    "claim_names",
    "claim_of",
    "class_name",
    "class_of",
    "is_bound",
    "requested",
    "storage_changes",
    "volume_of",
]


def claim_name(pod: Pod, volume: Volume) -> str:
    """The claim behind a volume, or ""."""
    if volume.persistent_volume_claim is not None:
        return volume.persistent_volume_claim.claim_name
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""


def claim_names(pod: Pod) -> Iterator[tuple[Volume, str]]:
    """Each volume that has a claim, with the claim's name."""
    for volume in pod.spec.volumes:
        name = claim_name(pod, volume)
        if name:
            yield volume, name


def claim_of(snapshot: Snapshot, namespace: str, name: str) -> PersistentVolumeClaim | None:
    found: PersistentVolumeClaim | None = snapshot.all_of("PersistentVolumeClaim").get(f"{namespace}/{name}")
    return found


def volume_of(snapshot: Snapshot, name: str) -> PersistentVolume | None:
    found: PersistentVolume | None = snapshot.all_of("PersistentVolume").get(name)
    return found


def class_of(snapshot: Snapshot, claim: PersistentVolumeClaim) -> StorageClass | None:
    found: StorageClass | None = snapshot.all_of("StorageClass").get(class_name(claim))
    return found


def claim_key(claim: PersistentVolumeClaim) -> str:
    return f"{claim.metadata.namespace}/{claim.metadata.name}"


def is_bound(claim: PersistentVolumeClaim) -> bool:
    """Both sides of the binding are written."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def storage_changes() -> tuple[Interest, ...]:
    """What may help a pod that was refused for its volumes."""
    return (
        Interest(Change.STORAGE, _concerns),
        Interest(Change.NODE_ADDED),
        Interest(Change.NODE_LABELS),
    )


def _concerns(pod: PodInfo, old: object, new: object) -> bool:
    """Another pod's claim does not matter; anything else may."""
    claim = new if new is not None else old
    if not isinstance(claim, PersistentVolumeClaim):
        return True
    if claim.metadata.namespace != pod.namespace:
        return False
    return any(name == claim.metadata.name for _, name in claim_names(pod.pod))

"""What becomes of a volume whose claim has gone: kept, recycled, or deleted. Pure.

Owns the reclaim policies. Storage outside of the cluster is its provisioner's; a directory of a node is emptied by a
pod there, as upstream does it. Nothing here touches a disk.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from kube_actors.api import quantity
from kube_actors.api.storage import MIGRATED_TO, PROVISIONED_BY
from kube_actors.api.types.core_v1 import (
    Container,
    HostPathVolumeSource,
    PersistentVolume,
    Pod,
    PodSpec,
    Volume,
    VolumeMount,
)
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import pods, volume_plugins
from .binding import fail, release, write
from .contract import NOTHING, Create, Delete, Emit, Outcome, Plan, Update

RECYCLER_PREFIX = "recycler-for-"
RECYCLER_NAMESPACE = "default"
IN_TREE_FINALIZER = "kubernetes.io/pv-controller"
EXTERNAL_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"

_RECYCLER_IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.4"
_SCRUB = "test -e /scrub && find /scrub -mindepth 1 -delete && test -z $(ls -A /scrub) || exit 1"
_MINIMUM_SECONDS = {"host_path": 60, "nfs": 300}
_SECONDS_PER_GI = 30


def finalized(volume: PersistentVolume) -> PersistentVolume:
    """The volume with the finalizers and the note of migration that its provisioner calls for."""
    metadata = volume.metadata
    provisioner = metadata.annotations.get(PROVISIONED_BY)
    if provisioner is None:
        return volume
    annotations, finalizers = dict(metadata.annotations), list(metadata.finalizers)
    driver = volume_plugins.MIGRATED.get(provisioner)
    if driver is not None:
        annotations[MIGRATED_TO] = driver
        finalizers = [name for name in finalizers if name != IN_TREE_FINALIZER]
    else:
        annotations.pop(MIGRATED_TO, None)
        if provisioner.startswith(volume_plugins.IN_TREE):
            deletes = volume.spec.persistent_volume_reclaim_policy == "Delete"
            if deletes and IN_TREE_FINALIZER not in finalizers:
                finalizers.append(IN_TREE_FINALIZER)
            unwanted = {EXTERNAL_FINALIZER} if deletes else {EXTERNAL_FINALIZER, IN_TREE_FINALIZER}
            finalizers = [name for name in finalizers if name not in unwanted]
    if annotations == metadata.annotations and tuple(finalizers) == metadata.finalizers:
        return volume
    changed = structs.replace(metadata, annotations=annotations, finalizers=tuple(finalizers))
    return structs.replace(volume, metadata=changed)


def reclaim(volume: PersistentVolume, users: Sequence[str], claim_exists: bool, recycler: Pod | None) -> Plan:
    """The next step for a released volume. users: pods that still run with its claim."""
    if volume.metadata.annotations.get(MIGRATED_TO):
        return NOTHING
    match volume.spec.persistent_volume_reclaim_policy:
        case "Retain":
            return NOTHING
        case "Recycle":
            return _recycle(volume, users, claim_exists, recycler)
        case "Delete":
            return _delete(volume)
    return fail(volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy")


def _delete(volume: PersistentVolume) -> Plan:
    annotations = volume.metadata.annotations
    try:
        ours = volume_plugins.is_deletable(volume, annotations.get(PROVISIONED_BY, ""), MIGRATED_TO in annotations)
    except volume_plugins.PluginError as error:
        return fail(volume, "VolumeFailedDelete", str(error))
    if not ours:
        return NOTHING
    path = volume.spec.host_path.path if volume.spec.host_path is not None else ""
    if not ("/tmp/" in path and path.split("/tmp/", 1)[1]):
        message = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        return fail(volume, "VolumeFailedDelete", message)
    return _deletion(volume)


def _deletion(volume: PersistentVolume) -> Plan:
    """The object goes, its own finalizer first. What a directory of a node holds is that node's."""
    metadata = volume.metadata
    delete = Delete(kind=PersistentVolume, key=metadata.name, uid=metadata.uid)
    gone = Plan(actions=() if metadata.deletion_timestamp is not None else (delete,))
    if IN_TREE_FINALIZER not in metadata.finalizers:
        return gone
    left = tuple(name for name in metadata.finalizers if name != IN_TREE_FINALIZER)
    bare = structs.replace(volume, metadata=structs.replace(metadata, finalizers=left))
    return write(Update(obj=bare), lambda made: gone)


# Recycling


def _recycle(volume: PersistentVolume, users: Sequence[str], claim_exists: bool, recycler: Pod | None) -> Plan:
    if users and not claim_exists:
        message = f"Volume is used by pods: {','.join(sorted(users))}"
        return Plan(actions=(Emit(about=volume, reason="VolumeFailedRecycle", message=message),))
    if not volume_plugins.is_recyclable(volume):
        return fail(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
    if recycler is None:
        return Plan(actions=(Create(obj=recycler_of(volume), tolerate=("AlreadyExists",)),))
    if not pods.is_terminal(recycler):
        return NOTHING
    metadata = recycler.metadata
    remove = Delete(kind=Pod, key=f"{metadata.namespace}/{metadata.name}", uid=metadata.uid)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        if recycler.status.phase == "Succeeded":
            return release(volume)
        cause = recycler.status.message or "pod failed, pod.Status.Message unknown"
        return fail(volume, "VolumeFailedRecycle", f"Recycle failed: {cause}")

    said = Emit(about=volume, reason="VolumeRecycled", message="Volume recycled")
    told = (said,) if recycler.status.phase == "Succeeded" else ()
    return Plan(actions=(*told, remove), then=then)


def recycler_of(volume: PersistentVolume) -> Pod:
    """The pod that empties a volume."""
    spec = volume.spec
    gibibytes = volume_size(volume) >> 30
    minimum = _MINIMUM_SECONDS["host_path" if spec.host_path is not None else "nfs"]
    source = Volume(
        name="vol",
        host_path=None if spec.host_path is None else HostPathVolumeSource(path=spec.host_path.path),
        nfs=spec.nfs,
    )
    container = Container(
        name="pv-recycler",
        image=_RECYCLER_IMAGE,
        command=("/bin/sh",),
        args=("-c", _SCRUB),
        volume_mounts=(VolumeMount(name="vol", mount_path="/scrub"),),
    )
    return Pod(
        metadata=ObjectMeta(name=RECYCLER_PREFIX + volume.metadata.name, namespace=RECYCLER_NAMESPACE),
        spec=PodSpec(
            active_deadline_seconds=max(minimum, _SECONDS_PER_GI * gibibytes),
            restart_policy="Never",
            volumes=(source,),
            containers=(container,),
        ),
    )


def volume_size(volume: PersistentVolume) -> int:
    from_spec = volume.spec.capacity.get("storage", "0")
    return quantity.units(from_spec)

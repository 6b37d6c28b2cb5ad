"""The volume behind a claim that a pod on this node uses, and the words for why there is none yet.

Owns the checks that come before a volume of a claim is mounted. It reads claims and volumes and changes neither.
"""

from __future__ import annotations

from kube_actors.api.errors import ApiError
from kube_actors.api.owners import controller_of
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kube_actors.client import Client

from .model import containers_of


class ClaimError(Exception):
    """A claim cannot be used now; the message is the kubelet's."""


async def volume_of(client: Client, pod: Pod, volume: Volume) -> PersistentVolume:
    """The persistent volume that the pod's volume stands for. Raises ClaimError."""
    try:
        return await _volume_of(client, pod, volume)
    except ClaimError as error:
        name = volume.name
        state = f"unmounted volumes=[{name}], unattached volumes=[], failed to process volumes=[{name}]"
        raise ClaimError(f"Unable to attach or mount volumes: {state}: {error}") from error


async def _volume_of(client: Client, pod: Pod, volume: Volume) -> PersistentVolume:
    namespace, chosen = pod.metadata.namespace, volume.persistent_volume_claim
    name = chosen.claim_name if chosen is not None else f"{pod.metadata.name}-{volume.name}"
    prefix = f"error processing PVC {namespace}/{name}: "
    try:
        claim = await client.get(PersistentVolumeClaim, name, namespace=namespace)
    except ApiError as error:
        raise ClaimError(f"{prefix}failed to fetch PVC from API server: {error.message}") from error
    if claim.metadata.deletion_timestamp is not None:
        raise ClaimError(f"{prefix}PVC is being deleted")
    if claim.status.phase != "Bound":
        raise ClaimError(f"{prefix}PVC is not bound")
    if not claim.spec.volume_name:
        raise ClaimError(f"{prefix}PVC has empty pvc.Spec.VolumeName")
    owner = controller_of(claim)
    if chosen is None and (owner is None or owner.uid != pod.metadata.uid):
        whole = f"{namespace}/{pod.metadata.name}"
        raise ClaimError(f"PVC {namespace}/{name} was not created for pod {whole} (pod is not owner)")
    bound = await _fetch(client, claim, claim.spec.volume_name)
    _check_mode(pod, volume, bound)
    return bound


async def _fetch(client: Client, claim: PersistentVolumeClaim, name: str) -> PersistentVolume:
    prefix = f"error processing PVC {claim.metadata.namespace}/{claim.metadata.name}: "
    try:
        bound = await client.get(PersistentVolume, name)
    except ApiError as error:
        raise ClaimError(f"{prefix}failed to fetch PV {name} from API server: {error.message}") from error
    reference, uid = bound.spec.claim_ref, claim.metadata.uid
    if reference is None:
        cause = "it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        raise ClaimError(f"{prefix}found PV object {name} but {cause}")
    if reference.uid != uid:
        cause = f"its pv.Spec.ClaimRef.UID {reference.uid or ''} does not point to claim.UID {uid}"
        raise ClaimError(f"{prefix}found PV object {name} but {cause}")
    return bound


def _check_mode(pod: Pod, volume: Volume, bound: PersistentVolume) -> None:
    """A file system is mounted, a block device is not."""
    mode = bound.spec.volume_mode or "Filesystem"
    for container, _ in containers_of(pod):
        mounted = any(mount.name == volume.name for mount in container.volume_mounts)
        attached = any(device.name == volume.name for device in container.volume_devices)
        if mounted and mode == "Block":
            raise ClaimError(f"volume {volume.name} has volumeMode Block, but is specified in volumeMounts")
        if attached and mode == "Filesystem":
            raise ClaimError(f"volume {volume.name} has volumeMode Filesystem, but is specified in volumeDevices")

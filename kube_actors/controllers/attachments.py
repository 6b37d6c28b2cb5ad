"""Which volumes have to be attached to a node, and the words about them. Pure.

Owns names: that of a VolumeAttachment follows from volume, driver and node, so that whoever looks finds the one there
is. Only drivers' volumes are attached by anybody any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from msgspec import Struct

from kube_actors.api.types.core_v1 import CSIPersistentVolumeSource, PersistentVolume, Pod
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.api.types.storage_v1 import VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec

_SHARED = frozenset({"ReadWriteMany", "ReadOnlyMany"})


class Wanted(Struct, frozen=True, kw_only=True):
    """A volume that pods of a node need there, and those pods; where else it is attached, and who uses it there."""

    volume: PersistentVolume
    pods: tuple[Pod, ...]
    elsewhere: bool = False
    others: tuple[Pod, ...] = ()

    @property
    def is_blocked(self) -> bool:
        """Whether it has to be let go of elsewhere first."""
        modes = self.volume.spec.access_modes
        return self.elsewhere and bool(modes) and not _SHARED.intersection(modes)


def source_of(volume: PersistentVolume) -> CSIPersistentVolumeSource:
    assert volume.spec.csi is not None, "only drivers' volumes are attached"
    return volume.spec.csi


def attachment_name(volume: PersistentVolume, node: str) -> str:
    source = source_of(volume)
    return "csi-" + sha256(f"{source.volume_handle}{source.driver}{node}".encode()).hexdigest()


def unique_name(volume: PersistentVolume) -> str:
    """As what a node's status lists the volume."""
    source = source_of(volume)
    return f"kubernetes.io/csi/{source.driver}^{source.volume_handle}"


def attachment_of(volume: PersistentVolume, node: str) -> VolumeAttachment:
    return VolumeAttachment(
        metadata=ObjectMeta(name=attachment_name(volume, node)),
        spec=VolumeAttachmentSpec(
            attacher=source_of(volume).driver,
            node_name=node,
            source=VolumeAttachmentSource(persistent_volume_name=volume.metadata.name),
        ),
    )


def failure(volume: PersistentVolume, cause: str) -> str:
    return f'AttachVolume.Attach failed for volume "{volume.metadata.name}" : {cause}'


def success(volume: PersistentVolume) -> str:
    # Upstream's text ends in a space.
    return f'AttachVolume.Attach succeeded for volume "{volume.metadata.name}" '


def timed_out(volume: PersistentVolume) -> str:
    source = source_of(volume)
    waited = f"external-attacher of {source.driver} CSI driver to attach volume {source.volume_handle}"
    return failure(volume, f"timed out waiting for {waited}")


def blocked(wanted: Wanted, pod: Pod) -> str:
    """Why a volume that only one node may have cannot come to this one, as a pod is told."""
    others = [other for other in wanted.others if other.metadata.uid != pod.metadata.uid]
    near = sorted(o.metadata.name for o in others if o.metadata.namespace == pod.metadata.namespace)
    far = len(others) - len(near)
    if not others:
        cause = "Volume is already exclusively attached to one node and can't be attached to another"
    elif not near:
        cause = f"Volume is already used by {far} pod(s) in different namespaces"
    else:
        more = f" and {far} pod(s) in different namespaces" if far else ""
        cause = f"Volume is already used by pod(s) {', '.join(near)}{more}"
    return f'Multi-Attach error for volume "{wanted.volume.metadata.name}" {cause}'


def unattached(wanted: Iterable[Wanted], found: Sequence[VolumeAttachment], node: str) -> list[VolumeAttachment]:
    """The attachments that no pod of the node needs any more."""
    needed = {attachment_name(one.volume, node) for one in wanted}
    return [one for one in found if one.metadata.name not in needed]

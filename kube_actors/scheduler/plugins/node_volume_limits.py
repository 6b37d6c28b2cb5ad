"""NodeVolumeLimits: a CSI driver can attach only so many volumes to a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .volumes import claim_names, claim_of, class_of, storage_changes, volume_of

NAME = "NodeVolumeLimits"
Attachment = tuple[str, str]
"""Driver, and what tells its volumes apart."""


class Wanted:
    """The pod's volumes that are attached by a driver; the snapshot, for those of the pods already there."""

    __slots__ = ("attachments", "snapshot")

    def __init__(self, attachments: frozenset[Attachment], snapshot: Snapshot) -> None:
        self.attachments = attachments
        self.snapshot = snapshot

    def copy(self) -> Wanted:
        return self


class NodeVolumeLimits:
    name = NAME
    refusal = unschedulable(NAME, "node(s) exceed max volume count")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        if not pod.pod.spec.volumes:
            return SKIP
        wanted = attachments_of(pod, snapshot)
        if not wanted:
            return SKIP
        state.data[NAME] = Wanted(wanted, snapshot)
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        wanted = state.data[NAME]
        assert isinstance(wanted, Wanted)
        limits = limits_of(node.name, wanted.snapshot)
        if not limits:
            return None
        present: set[Attachment] = set()
        for other in node.pods.values():
            if other.pod.spec.volumes:
                present |= attachments_of(other, wanted.snapshot)
        # What is attached but used by no pod here is not deducted: it may be on its way off the node.
        more = Counter(driver for driver, _ in wanted.attachments - present)
        have = Counter(driver for driver, _ in present | attached_to(node.name, wanted.snapshot))
        if any(have[driver] + count > limits[driver] for driver, count in more.items() if driver in limits):
            return self.refusal
        return None

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.POD_GONE, _had_volumes), *storage_changes())


def _had_volumes(pod: PodInfo, old: Any, new: Any) -> bool:
    return bool(old.pod.spec.volumes)


def limits_of(node: str, snapshot: Snapshot) -> dict[str, int]:
    """How many volumes each driver may attach, where it says so."""
    csi_node = snapshot.all_of("CSINode").get(node)
    if csi_node is None:
        return {}
    return {
        driver.name: driver.allocatable.count
        for driver in csi_node.spec.drivers
        if driver.allocatable is not None and driver.allocatable.count is not None
    }


def attachments_of(pod: PodInfo, snapshot: Snapshot) -> frozenset[Attachment]:
    """The volumes of a pod that a CSI driver attaches; one that is still to be made counts by its claim."""
    found = set()
    for _, name in claim_names(pod.pod):
        claim = claim_of(snapshot, pod.namespace, name)
        if claim is None:
            continue
        volume = volume_of(snapshot, claim.spec.volume_name) if claim.spec.volume_name else None
        if volume is not None:
            if volume.spec.csi is not None:
                found.add((volume.spec.csi.driver, volume.spec.csi.volume_handle))
            continue
        storage_class = class_of(snapshot, claim)
        if storage_class is not None:
            found.add((storage_class.provisioner, f"claim {pod.namespace}/{name}"))
    return frozenset(found)


def attached_to(node: str, snapshot: Snapshot) -> set[Attachment]:
    """What is attached to a node by the word of VolumeAttachments, whether a pod there uses it or not."""
    found = set()
    for attachment in snapshot.all_of("VolumeAttachment").values():
        name = attachment.spec.source.persistent_volume_name
        if attachment.spec.node_name == node and name:
            volume = volume_of(snapshot, name)
            if volume is not None and volume.spec.csi is not None:
                found.add((attachment.spec.attacher, volume.spec.csi.volume_handle))
    return found

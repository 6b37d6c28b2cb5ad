"""VolumeZone: a volume that is in a zone can be used from nodes in that zone only."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.api.types.core_v1 import PersistentVolume
from kube_actors.scheduler.events import Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unresolvable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .volumes import claim_of, class_name, storage_changes, volume_of

NAME = "VolumeZone"
_OLD = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
LABELS = (*_OLD, *_OLD.values())
Places = tuple[tuple[str, frozenset[str]], ...]


class Placed:
    """Where the pod's volumes are: a label and the values that will do."""

    __slots__ = ("places",)

    def __init__(self, places: Places) -> None:
        self.places = places

    def copy(self) -> Placed:
        return self


class VolumeZone:
    name = NAME
    refusal = unresolvable(NAME, "node(s) had no available volume zone")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        places: Places = ()
        for volume in pod.pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            found = _places_of_claim(pod, volume.persistent_volume_claim.claim_name, snapshot)
            if isinstance(found, Verdict):
                return found
            places += found
        if not places:
            return SKIP
        state.data[NAME] = Placed(places)
        return None

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        placed = state.data[NAME]
        assert isinstance(placed, Placed)
        labels = node.labels
        if not any(label in labels for label in LABELS):
            return None  # a cluster in one place need not say which
        for label, values in placed.places:
            value = labels.get(label, labels.get(_OLD.get(label, label)))
            if value not in values:
                return self.refusal
        return None

    def interests(self) -> Sequence[Interest]:
        return storage_changes()


def _places_of_claim(pod: PodInfo, name: str, snapshot: Snapshot) -> Places | Verdict:
    claim = claim_of(snapshot, pod.namespace, name)
    if claim is None:
        return unresolvable(NAME, f'persistentvolumeclaim "{name}" not found')
    if not claim.spec.volume_name:
        wanted = class_name(claim)
        if not wanted:
            return unresolvable(NAME, "PersistentVolumeClaim had no pv name and storageClass name")
        storage_class = snapshot.all_of("StorageClass").get(wanted)
        if storage_class is None:
            return unresolvable(NAME, f'storageclass.storage.k8s.io "{wanted}" not found')
        if storage_class.volume_binding_mode == "WaitForFirstConsumer":
            return ()
        return unresolvable(NAME, "PersistentVolume had no name")
    volume = volume_of(snapshot, claim.spec.volume_name)
    if volume is None:
        return unresolvable(NAME, f'persistentvolume "{claim.spec.volume_name}" not found')
    return _places_of(volume)


def _places_of(volume: PersistentVolume) -> Places:
    """A label may name several zones, joined by two underscores; one that names an empty zone says nothing."""
    labels = volume.metadata.labels
    found = []
    for label in LABELS:
        if label in labels:
            values = [value.strip() for value in labels[label].split("__")]
            if all(values):
                found.append((label, frozenset(values)))
    return tuple(found)

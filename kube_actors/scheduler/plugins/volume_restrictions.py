"""VolumeRestrictions: some disks can be used by one pod at a time only, and so can ReadWriteOncePod claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api.types.core_v1 import Volume
from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import SKIP, CycleState, Verdict, unresolvable, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .volumes import claim_of, storage_changes

NAME = "VolumeRestrictions"
SINGLE_POD = "ReadWriteOncePod"


class Exclusive:
    """Claims that the pod wants for itself, and how many pods have them."""

    __slots__ = ("claims", "users")

    def __init__(self, claims: frozenset[str], users: int) -> None:
        self.claims = claims
        self.users = users

    def copy(self) -> Exclusive:
        return Exclusive(self.claims, self.users)


class VolumeRestrictions:
    name = NAME
    disk_in_use = unschedulable(NAME, "node(s) had no available disk")
    claim_in_use = unschedulable(
        NAME,
        "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by "
        "another pod",
    )

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        volumes = pod.pod.spec.volumes
        if not volumes:
            return SKIP
        claims = set()
        for volume in volumes:
            if volume.persistent_volume_claim is None:
                continue
            name = volume.persistent_volume_claim.claim_name
            claim = claim_of(snapshot, pod.namespace, name)
            if claim is None:
                return unresolvable(NAME, f'persistentvolumeclaim "{name}" not found')
            if SINGLE_POD in claim.spec.access_modes:
                claims.add(name)
        exclusive = Exclusive(frozenset(claims), 0)
        if claims:
            used = set[str]()
            for node in snapshot.nodes.values():
                for other in node.pods.values():
                    if other.namespace == pod.namespace:
                        used |= exclusive.claims & _claims(other)
            exclusive.users = len(used)
        if not exclusive.users and not any(_is_disk(volume) for volume in volumes):
            return SKIP
        state.data[NAME] = exclusive
        return None

    def add_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _shift(state, pod, other, 1)

    def remove_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _shift(state, pod, other, -1)

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        for volume in pod.pod.spec.volumes:
            if _is_disk(volume):
                for other in node.pods.values():
                    if any(_clash(volume, theirs) for theirs in other.pod.spec.volumes):
                        return self.disk_in_use
        exclusive = state.data[NAME]
        assert isinstance(exclusive, Exclusive)
        return self.claim_in_use if exclusive.users > 0 else None

    def interests(self) -> Sequence[Interest]:
        return (Interest(Change.POD_GONE, _had_volumes), *storage_changes())


def _had_volumes(pod: PodInfo, old: Any, new: Any) -> bool:
    return bool(old.pod.spec.volumes)


def _claims(pod: PodInfo) -> set[str]:
    volumes = pod.pod.spec.volumes
    return {v.persistent_volume_claim.claim_name for v in volumes if v.persistent_volume_claim is not None}


def _shift(state: CycleState, pod: PodInfo, other: PodInfo, sign: int) -> None:
    exclusive = state.data[NAME]
    assert isinstance(exclusive, Exclusive)
    if other.namespace == pod.namespace:
        exclusive.users += sign * len(exclusive.claims & _claims(other))


def _is_disk(volume: Volume) -> bool:
    return bool(volume.gce_persistent_disk or volume.aws_elastic_block_store or volume.rbd or volume.iscsi)


def _clash(one: Volume, other: Volume) -> bool:
    """The same disk, and not both only read it."""
    if one.gce_persistent_disk is not None and other.gce_persistent_disk is not None:
        first, second = one.gce_persistent_disk, other.gce_persistent_disk
        return first.pd_name == second.pd_name and not (first.read_only and second.read_only)
    if one.aws_elastic_block_store is not None and other.aws_elastic_block_store is not None:
        return one.aws_elastic_block_store.volume_id == other.aws_elastic_block_store.volume_id
    if one.iscsi is not None and other.iscsi is not None:
        return one.iscsi.iqn == other.iscsi.iqn and not (one.iscsi.read_only and other.iscsi.read_only)
    if one.rbd is not None and other.rbd is not None:
        mine, theirs = one.rbd, other.rbd
        same = (mine.pool or "rbd", mine.image) == (theirs.pool or "rbd", theirs.image)
        return same and bool(set(mine.monitors) & set(theirs.monitors)) and not (mine.read_only and theirs.read_only)
    return False

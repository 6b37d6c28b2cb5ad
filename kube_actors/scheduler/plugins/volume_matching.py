"""Which persistent volume suits a claim on a node, and whether one could be made there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kube_actors.api import quantity, selectors
from kube_actors.api.node_terms import compile_terms
from kube_actors.api.storage import best_match, is_claimed_by, requested
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.snapshot import Snapshot

__all__ = ["can_provision", "find_match", "has_capacity", "is_claimed_by", "is_reachable"]

NO_PROVISIONER = "kubernetes.io/no-provisioner"


def is_reachable(volume: PersistentVolume, node: NodeInfo) -> bool:
    """Whether the volume can be used from the node."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    terms = compile_terms(affinity.required.node_selector_terms)
    return any(term.matches(node.name, node.labels) for term in terms)


def find_match(
    claim: PersistentVolumeClaim, volumes: Collection[PersistentVolume], node: NodeInfo, taken: Collection[str]
) -> PersistentVolume | None:
    """The volume kept for this claim, or else the smallest that is large enough."""
    return best_match(claim, volumes, reachable=lambda volume: is_reachable(volume, node), taken=taken)


def can_provision(storage_class: StorageClass, node: NodeInfo) -> bool:
    """Whether the class makes volumes at all, and where this node is."""
    if storage_class.provisioner in ("", NO_PROVISIONER):
        return False
    topologies = storage_class.allowed_topologies
    return not topologies or any(
        all(node.labels.get(one.key) in one.values for one in term.match_label_expressions)
        and bool(term.match_label_expressions)
        for term in topologies
    )


def has_capacity(
    storage_class: StorageClass, claim: PersistentVolumeClaim, labels: Mapping[str, str], snapshot: Snapshot
) -> bool:
    """Whether the driver says it has room for a volume near the node; most drivers say nothing."""
    driver = snapshot.all_of("CSIDriver").get(storage_class.provisioner)
    if driver is None or not driver.spec.storage_capacity:
        return True
    wanted = quantity.parse(requested(claim))
    for capacity in snapshot.all_of("CSIStorageCapacity").values():
        limit = capacity.maximum_volume_size or capacity.capacity
        if (
            capacity.storage_class_name == storage_class.metadata.name
            and limit is not None
            and quantity.parse(limit) >= wanted
            and capacity.node_topology is not None
            and selectors.compile_selector(capacity.node_topology).matches(labels)
        ):
            return True
    return False

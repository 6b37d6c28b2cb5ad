"""Which persistent volume suits a claim on a node, and whether one could be made there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kube_actors.api import quantity, selectors
from kube_actors.api.types.core_v1 import PersistentVolume, PersistentVolumeClaim
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.node_terms import compile_terms
from kube_actors.scheduler.snapshot import Snapshot

from .volumes import class_name, requested, size_of

NO_PROVISIONER = "kubernetes.io/no-provisioner"


def is_reachable(volume: PersistentVolume, node: NodeInfo) -> bool:
    """Whether the volume can be used from the node."""
    affinity = volume.spec.node_affinity
    if affinity is None or affinity.required is None:
        return True
    terms = compile_terms(affinity.required.node_selector_terms)
    return any(term.matches(node.name, node.labels) for term in terms)


def is_claimed_by(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    reference = volume.spec.claim_ref
    if reference is None:
        return False
    if (reference.name, reference.namespace) != (claim.metadata.name, claim.metadata.namespace):
        return False
    return not reference.uid or reference.uid == claim.metadata.uid


def find_match(
    claim: PersistentVolumeClaim, volumes: Collection[PersistentVolume], node: NodeInfo, taken: Collection[str]
) -> PersistentVolume | None:
    """The volume kept for this claim, or else the smallest that is large enough."""
    wanted = quantity.parse(requested(claim))
    selector = None if claim.spec.selector is None else selectors.compile_selector(claim.spec.selector)
    best: PersistentVolume | None = None
    best_size = wanted
    for volume in volumes:
        spec = volume.spec
        size = quantity.parse(size_of(spec.capacity))
        if volume.metadata.name in taken or size < wanted or volume.metadata.deletion_timestamp is not None:
            continue
        if (spec.volume_mode or "Filesystem") != (claim.spec.volume_mode or "Filesystem"):
            continue
        if (spec.volume_attributes_class_name or "") != (claim.spec.volume_attributes_class_name or ""):
            continue
        if spec.claim_ref is not None:
            if not is_claimed_by(volume, claim):
                continue
            return volume if is_reachable(volume, node) else None
        if volume.status.phase != "Available" or (
            selector is not None and not selector.matches(volume.metadata.labels)
        ):
            continue
        if class_name(volume) != class_name(claim) or not is_reachable(volume, node):
            continue
        if not set(claim.spec.access_modes) <= set(spec.access_modes):
            continue
        if best is None or size < best_size:
            best, best_size = volume, size
    return best


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

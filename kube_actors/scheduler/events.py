"""What can happen in a cluster that may help a pod which no node could take, and who cares.

Owns the kinds of change, and telling them from two states of an object. Whether a change helps a given pod is the
refusing plugin's word (`Interest.helps`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from kube_actors.api.types.core_v1 import Node, Pod

from .pod_info import PodInfo, is_finished


class Change(enum.Enum):
    """A kind of change."""

    NODE_ADDED = "NodeAdd"
    NODE_ALLOCATABLE = "NodeAllocatableChange"
    NODE_LABELS = "NodeLabelChange"
    NODE_TAINTS = "NodeTaintChange"
    NODE_IMAGES = "NodeConditionChange"
    POD_ASSIGNED = "AssignedPodAdd"
    POD_CHANGED = "AssignedPodUpdate"
    POD_GONE = "AssignedPodDelete"
    POD_ITSELF = "UnschedulablePodUpdate"
    NAMESPACE = "NamespaceLabelChange"
    STORAGE = "StorageChange"


Hint = Callable[[PodInfo, Any, Any], bool]


def always(pod: PodInfo, old: Any, new: Any) -> bool:
    return True


class Interest(Struct, frozen=True):
    """A change, and whether it helps a pod: `helps(pod, old, new)`."""

    change: Change
    helps: Hint = always


class Happening(Struct, frozen=True):
    """One change of one object. For pods on nodes the objects are PodInfo."""

    change: Change
    old: Any = None
    new: Any = None


def node_changes(old: Node | None, new: Node) -> list[Change]:
    """What differs between two states of a node, as far as scheduling goes."""
    if old is None:
        return [Change.NODE_ADDED]
    found = []
    if old.status.allocatable != new.status.allocatable:
        found.append(Change.NODE_ALLOCATABLE)
    if old.metadata.labels != new.metadata.labels:
        found.append(Change.NODE_LABELS)
    if old.spec.taints != new.spec.taints or bool(old.spec.unschedulable) != bool(new.spec.unschedulable):
        found.append(Change.NODE_TAINTS)
    return found


def is_scheduling_update(old: Pod, new: Pod) -> bool:
    """Whether a waiting pod changed in a way that is worth another try."""
    return (
        old.spec != new.spec
        or old.metadata.labels != new.metadata.labels
        or (old.metadata.deletion_timestamp is None) != (new.metadata.deletion_timestamp is None)
        or is_finished(old) != is_finished(new)
    )

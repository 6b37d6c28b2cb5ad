"""Turns what the informers tell into deltas of the snapshot and the queue.

Owns the meaning of a changed Pod, Node or other object for scheduling. Synchronous; it talks to no API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kube_actors.api.types.core_v1 import Node, Pod

from .events import Change, Happening, node_changes
from .framework import Profile
from .pod_info import PodInfo, is_finished
from .queue import SchedulingQueue
from .snapshot import Snapshot

STORAGE_KINDS = frozenset(
    {
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "StorageClass",
        "VolumeAttachment",
    }
)


class Tracker:
    """`changed` is called after anything that may make another cycle worth while."""

    def __init__(
        self,
        snapshot: Snapshot,
        queue: SchedulingQueue,
        profiles: Mapping[str, Profile],
        now: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._snapshot = snapshot
        self._queue = queue
        self._profiles = profiles
        self._now = now
        self._changed = changed

    def on_node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._snapshot.remove_node(old.metadata.name)
            return
        if old is not None and _same_for_scheduling(old, new):
            return  # a heartbeat
        known = old is not None and old.metadata.name in self._snapshot.nodes
        self._snapshot.set_node(new)
        changes = node_changes(old if known else None, new)
        self._tell(*(Happening(change, old, new) for change in changes))

    def on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and old is not None and old.metadata.uid != new.metadata.uid:
            self.on_pod(old, None)  # deleted and made anew while nobody watched
            old = None
        if new is None or is_finished(new):
            if old is not None:
                self._gone(old)
        elif new.spec.node_name:
            self._assigned(new)
        elif (new.spec.scheduler_name or "") in self._profiles and new.metadata.deletion_timestamp is None:
            self._pending(new)
        else:
            self._queue.remove(new.metadata.uid)
            self._snapshot.withdraw(new.metadata.uid)

    def _gone(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        self._queue.remove(uid)
        self._snapshot.withdraw(uid)
        info = self._snapshot.drop_pod(uid)
        if info is not None:
            self._tell(Happening(Change.POD_GONE, info, None))

    def _assigned(self, pod: Pod) -> None:
        """A pod is on a node: perhaps one that we put there, perhaps one that somebody else did."""
        uid, node = pod.metadata.uid, pod.spec.node_name or ""
        info = PodInfo(pod)
        waited = self._queue.get(uid) is not None
        self._queue.remove(uid)
        self._snapshot.withdraw(uid)
        home = self._snapshot.node_of(uid)
        before = self._snapshot.drop_pod(uid)
        self._snapshot.put_pod(info, node)
        if before is None or waited or home != node:
            self._tell(Happening(Change.POD_ASSIGNED, None, info))
        elif _differs(before, info):
            self._tell(Happening(Change.POD_CHANGED, before, info))

    def _pending(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        info = PodInfo(pod)
        if self._snapshot.is_assumed(uid):
            self._queue.add(info, self._now())  # for the next try, should the binding under way fail
            return
        if info.nominated_node:
            self._snapshot.nominate(info, info.nominated_node)
        else:
            self._snapshot.withdraw(uid)
        self._queue.add(info, self._now())
        self._changed()

    def on_object(self, kind: str, key: str, old: Any, new: Any) -> None:
        """Any other object that plugins ask for."""
        if new is None:
            self._snapshot.drop_object(kind, key)
        else:
            self._snapshot.put_object(kind, key, new)
        if kind in STORAGE_KINDS:
            self._tell(Happening(Change.STORAGE, old, new))
        elif kind == "Namespace" and new is not None and (old is None or old.metadata.labels != new.metadata.labels):
            self._tell(Happening(Change.NAMESPACE, old, new))

    def freed(self, pod: PodInfo) -> None:
        """A pod that was assumed to be on a node is not; its room may help others."""
        self._tell(Happening(Change.POD_GONE, pod, None))

    def _tell(self, *happenings: Happening) -> None:
        if happenings:
            self._queue.tell(happenings, self._now())
            self._changed()


def _same_for_scheduling(old: Node, new: Node) -> bool:
    return (
        old.spec == new.spec
        and old.metadata.labels == new.metadata.labels
        and old.status.allocatable == new.status.allocatable
        and old.status.images == new.status.images
    )


def _differs(old: PodInfo, new: PodInfo) -> bool:
    return old.labels != new.labels or old.request != new.request or old.terminating != new.terminating

"""The cluster as scheduling sees it, kept up to date by deltas and read by one cycle after the other.

Owns nodes, the pods on them (assumed ones too), nominated pods, and the few other objects that plugins ask for. A
cycle is synchronous, so nothing changes under it and nothing needs copying. It knows no API and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kube_actors.api.types.core_v1 import Node

from .journal import Journal
from .node_info import NodeInfo
from .pod_info import PodInfo

NO_LABELS: Mapping[str, str] = {}


class Image:
    """An image on some nodes. Its size is what the first node said; nodes may unpack it differently."""

    __slots__ = ("nodes", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.nodes = 0


class Snapshot:
    """Nodes by name, in order of arrival."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeInfo] = {}
        self.affinity_nodes: dict[str, NodeInfo] = {}
        self.anti_affinity_nodes: dict[str, NodeInfo] = {}
        self.images: dict[str, Image] = {}
        self.tainted: set[str] = set()
        """Nodes with taints that repel pods."""
        self.cordoned: set[str] = set()
        self.nominated: dict[str, dict[str, PodInfo]] = {}
        """Node name -> uid -> pods that wait for room there."""
        self.objects: dict[str, dict[str, Any]] = {}
        """Other objects by kind and key, as far as plugins need them (Namespace, Service, ReplicaSet, ...)."""
        self.generation = 0
        self.namespaces_stamp = 0
        """Counts changes of namespaces."""
        self.journal: Journal | None = None
        """What has changed since, once somebody asked for it; see `keep_journal`."""
        self.cycle: Any = None
        """What cycles on arrays keep for this snapshot (arrays.cycle.ArrayCycle)."""
        self._homes: dict[str, NodeInfo] = {}
        self._assumed: set[str] = set()
        self._unknown: dict[str, NodeInfo] = {}
        self._list: list[NodeInfo] | None = None

    def keep_journal(self) -> Journal:
        """Changes from now on, beginning with all there is."""
        if self.journal is None:
            self.journal = Journal()
            for info in self.nodes.values():
                self.journal.node(info)
        return self.journal

    # Nodes

    def node_list(self) -> list[NodeInfo]:
        """All nodes; the same list until nodes come or go."""
        if self._list is None:
            self._list = list(self.nodes.values())
        return self._list

    def set_node(self, node: Node) -> None:
        """A node is new or has changed."""
        name = node.metadata.name
        info = self.nodes.get(name)
        if info is None:
            info = self._unknown.pop(name, None) or NodeInfo(name)
            self.nodes[name] = info
            self._list = None
        self._count_images(info, -1)
        info.set_node(node)
        self._count_images(info, 1)
        for names, belongs in ((self.tainted, bool(info.hard_taints)), (self.cordoned, info.unschedulable)):
            (names.add if belongs else names.discard)(name)
        self._index(info)
        if self.journal is not None:
            self.journal.node(info)
        self.generation += 1

    def remove_node(self, name: str) -> None:
        """A node is gone; pods on it are remembered until they go too, or it comes back."""
        info = self.nodes.pop(name, None)
        if info is None:
            return
        self._list = None
        self._count_images(info, -1)
        self.tainted.discard(name)
        self.cordoned.discard(name)
        self.affinity_nodes.pop(name, None)
        self.anti_affinity_nodes.pop(name, None)
        info.set_node(None)
        info.images = {}
        if info.pods:
            self._unknown[name] = info
        if self.journal is not None:
            self.journal.gone(name)
        self.generation += 1

    def _count_images(self, info: NodeInfo, sign: int) -> None:
        for name, size in info.images.items():
            image = self.images.get(name)
            if image is None:
                image = self.images[name] = Image(size)
            image.nodes += sign
            if not image.nodes:
                del self.images[name]

    def _index(self, info: NodeInfo) -> None:
        if info.node is None:
            return
        for index, pods in (
            (self.affinity_nodes, info.affinity_pods),
            (self.anti_affinity_nodes, info.anti_affinity_pods),
        ):
            if pods:
                index[info.name] = info
            else:
                index.pop(info.name, None)

    # Pods

    def put_pod(self, pod: PodInfo, node: str) -> None:
        """A pod is on a node (or has changed there); an assumed one is confirmed."""
        self.drop_pod(pod.uid)
        info = self.nodes.get(node) or self._unknown.get(node)
        if info is None:
            info = self._unknown[node] = NodeInfo(node)
        info.add(pod)
        self._homes[pod.uid] = info
        if pod.has_affinity:
            self._index(info)
        if self.journal is not None:
            self.journal.pod(info, pod, 1)
        self.generation += 1

    def drop_pod(self, uid: str) -> PodInfo | None:
        """A pod is no longer on any node; what it was."""
        info = self._homes.pop(uid, None)
        self._assumed.discard(uid)
        if info is None:
            return None
        pod = info.remove(uid)
        if pod.has_affinity:
            self._index(info)
        if self.journal is not None:
            self.journal.pod(info, pod, -1)
        if info.node is None and not info.pods:
            self._unknown.pop(info.name, None)
        self.generation += 1
        return pod

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count a pod in before its binding is written."""
        self.put_pod(pod, node)
        self._assumed.add(pod.uid)

    def forget(self, uid: str) -> bool:
        """Count out a pod whose binding failed; False if it is there by confirmation or not at all."""
        if uid not in self._assumed:
            return False
        self.drop_pod(uid)
        return True

    def is_assumed(self, uid: str) -> bool:
        return uid in self._assumed

    def node_of(self, uid: str) -> str:
        """The node a pod is on, or ""."""
        info = self._homes.get(uid)
        return info.name if info is not None else ""

    # Nominations

    def nominate(self, pod: PodInfo, node: str) -> None:
        """A pod waits for room on a node."""
        self.withdraw(pod.uid)
        self.nominated.setdefault(node, {})[pod.uid] = pod

    def withdraw(self, uid: str) -> None:
        """A pod waits no longer."""
        for node, pods in self.nominated.items():
            if pods.pop(uid, None) is not None:
                if not pods:
                    del self.nominated[node]
                return

    def nominated_to(self, node: str) -> Sequence[PodInfo]:
        pods = self.nominated.get(node)
        return tuple(pods.values()) if pods else ()

    # Other objects

    def put_object(self, kind: str, key: str, value: Any) -> None:
        if kind == "Namespace":
            self.namespaces_stamp += 1
        self.objects.setdefault(kind, {})[key] = value

    def drop_object(self, kind: str, key: str) -> None:
        if kind == "Namespace":
            self.namespaces_stamp += 1
        self.objects.get(kind, {}).pop(key, None)

    def all_of(self, kind: str) -> Mapping[str, Any]:
        return self.objects.get(kind, {})

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        namespace = self.all_of("Namespace").get(name)
        return NO_LABELS if namespace is None else namespace.metadata.labels

    def check(self) -> None:
        """Sums and indexes agree with the pods."""
        for info in (*self.nodes.values(), *self._unknown.values()):
            info.check()
            for uid in info.pods:
                assert self._homes[uid] is info, f"{uid} has two homes"
        assert set(self.affinity_nodes) == {n for n, info in self.nodes.items() if info.affinity_pods}
        assert self._assumed <= self._homes.keys(), "an assumed pod has no home"

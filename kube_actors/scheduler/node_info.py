"""A node as the scheduler sees it: what it offers, the pods on it, and what these take.

Owns the running sums of one node. Mutable; the snapshot that holds it is the only writer.
"""

from __future__ import annotations

from kube_actors.api.selectors import Selector
from kube_actors.api.types.core_v1 import Node, Taint

from .amounts import Request, allocatable_of
from .pod_info import ANY_ADDRESS, PodInfo, Port

_NOTHING = Request()
_REPELLING = frozenset({"NoSchedule", "NoExecute"})
LATEST = ":latest"


class NodeInfo:
    """See the module. `node` is None for a node that pods are on but that is not (or no longer) known."""

    __slots__ = (
        "affinity_pods",
        "allocatable",
        "allowed_pods",
        "anti_affinity_pods",
        "cpu",
        "ephemeral",
        "hard_taints",
        "images",
        "labels",
        "matching",
        "memo",
        "memory",
        "name",
        "node",
        "nonzero_cpu",
        "nonzero_memory",
        "pods",
        "ports",
        "scalars",
        "soft_taints",
        "unschedulable",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Node | None = None
        self.labels: dict[str, str] = {}
        self.allocatable = _NOTHING
        self.allowed_pods = 0
        self.hard_taints: tuple[Taint, ...] = ()
        self.soft_taints: tuple[Taint, ...] = ()
        self.unschedulable = False
        self.images: dict[str, int] = {}
        self.cpu = self.memory = self.ephemeral = 0
        self.nonzero_cpu = self.nonzero_memory = 0
        self.scalars: dict[str, int] = {}
        self.memo: dict[int, tuple[int, int]] = {}
        """What plugins worked out for pods of one shape; forgotten when anything here changes."""
        self.matching: dict[tuple[Selector, str], int] = {}
        """How many pods here a selector finds in a namespace; forgotten when a pod comes or goes."""
        self.ports: dict[Port, int] = {}
        self.pods: dict[str, PodInfo] = {}
        self.affinity_pods: dict[str, PodInfo] = {}
        self.anti_affinity_pods: dict[str, PodInfo] = {}

    def set_node(self, node: Node | None) -> None:
        """Take over what the node says of itself."""
        self.node = node
        self.memo = {}
        if node is None:
            return
        self.labels = node.metadata.labels
        self.allocatable, self.allowed_pods = allocatable_of(node.status.allocatable)
        taints = node.spec.taints
        self.hard_taints = tuple(taint for taint in taints if taint.effect in _REPELLING)
        self.soft_taints = tuple(taint for taint in taints if taint.effect == "PreferNoSchedule")
        self.unschedulable = bool(node.spec.unschedulable)
        self.images = {image_name: image.size_bytes or 0 for image in node.status.images for image_name in image.names}

    def add(self, pod: PodInfo) -> None:
        """Count a pod in."""
        assert pod.uid not in self.pods, f"{pod.key} is on {self.name} already"
        self.pods[pod.uid] = pod
        self._count(pod, 1)
        for port in pod.ports:
            self.ports[port] = self.ports.get(port, 0) + 1
        if pod.has_affinity:
            self.affinity_pods[pod.uid] = pod
            if pod.anti_affinity:
                self.anti_affinity_pods[pod.uid] = pod

    def remove(self, uid: str) -> PodInfo:
        """Count a pod out."""
        pod = self.pods.pop(uid)
        self._count(pod, -1)
        for port in pod.ports:
            left = self.ports[port] - 1
            if left:
                self.ports[port] = left
            else:
                del self.ports[port]
        self.affinity_pods.pop(uid, None)
        self.anti_affinity_pods.pop(uid, None)
        return pod

    def _count(self, pod: PodInfo, sign: int) -> None:
        request = pod.request
        self.memo = {}
        self.matching = {}
        self.cpu += sign * request.cpu
        self.memory += sign * request.memory
        self.ephemeral += sign * request.ephemeral
        self.nonzero_cpu += sign * pod.nonzero_cpu
        self.nonzero_memory += sign * pod.nonzero_memory
        for name, amount in request.scalars.items():
            self.scalars[name] = self.scalars.get(name, 0) + sign * amount

    def conflicts(self, port: Port) -> bool:
        """Whether a host port is taken: the same one at the same address, or at all of them."""
        ports = self.ports
        if not ports:
            return False
        address, protocol, number = port
        if address == ANY_ADDRESS:
            return any(taken[1] == protocol and taken[2] == number for taken in ports)
        return port in ports or (ANY_ADDRESS, protocol, number) in ports

    def copy(self) -> NodeInfo:
        """A node of its own for trying something out; pods and labels are shared, since they never change."""
        new = NodeInfo.__new__(NodeInfo)
        for name in NodeInfo.__slots__:
            setattr(new, name, getattr(self, name))
        new.memo = {}
        new.matching = {}
        for name in ("scalars", "ports", "pods", "affinity_pods", "anti_affinity_pods"):
            setattr(new, name, dict(getattr(self, name)))
        return new

    def check(self) -> None:
        """The sums are the sums of the pods."""
        fresh = NodeInfo(self.name)
        for pod in self.pods.values():
            fresh.add(pod)
        for name in ("cpu", "memory", "ephemeral", "nonzero_cpu", "nonzero_memory", "ports"):
            assert getattr(fresh, name) == getattr(self, name), f"{self.name}: {name} is off"
        assert fresh.scalars == {n: a for n, a in self.scalars.items() if a}, f"{self.name}: scalars are off"

    def __repr__(self) -> str:
        return f"NodeInfo({self.name}, {len(self.pods)} pods)"

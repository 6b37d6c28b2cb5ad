"""Whether a node may run a pod that was bound to it; the last check, with the kubelet's reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from kube_actors.api import quantity
from kube_actors.api.quantity import Quantity
from kube_actors.api.tolerations import tolerates
from kube_actors.api.types.core_v1 import Node, Pod, Taint

from .affinity import matches_node
from .model import containers_of
from .resources import pod_requests


class Refusal(Struct, frozen=True):
    reason: str
    message: str


class Occupancy:
    """What the pods of a node take of it, kept up to date as they come and go."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[dict[str, Quantity], set[tuple[str, str, int]]]] = {}
        self.used: dict[str, Quantity] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def add(self, pod: Pod) -> None:
        requests = pod_requests(pod)
        self._pods[pod.metadata.uid] = (requests, host_ports(pod))
        self.used = quantity.total(self.used, requests)

    def remove(self, uid: str) -> None:
        requests, _ = self._pods.pop(uid, ({}, set()))
        self.used = quantity.total(self.used, {name: -amount for name, amount in requests.items()})

    def ports(self) -> Iterable[tuple[str, str, int]]:
        return (port for _, ports in self._pods.values() for port in ports)


def admit(pod: Pod, node: Node, allocatable: Mapping[str, str], occupancy: Occupancy) -> Refusal | None:
    """None: run it."""
    return (
        _fits(pod, allocatable, occupancy)
        or _matches(pod, node)
        or _ports_free(pod, occupancy)
        or _tolerated(pod, node.spec.taints)
    )


def _fits(pod: Pod, allocatable: Mapping[str, str], occupancy: Occupancy) -> Refusal | None:
    capacity = quantity.units(allocatable.get("pods", "110"))
    if len(occupancy) + 1 > capacity:
        return _out_of("pods", 1, len(occupancy), capacity)
    for name, amount in pod_requests(pod).items():
        if amount.sign <= 0:
            continue
        have = quantity.parse(allocatable.get(name, "0"))
        taken = occupancy.used.get(name, quantity.ZERO)
        if have < taken + amount:
            return _out_of(name, *(_count(name, one) for one in (amount, taken, have)))
    return None


def _count(name: str, amount: Quantity) -> int:
    return amount.milli_value() if name == "cpu" else amount.value()


def _out_of(name: str, wanted: int, used: int, capacity: int) -> Refusal:
    return Refusal(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}",
    )


def _matches(pod: Pod, node: Node) -> Refusal | None:
    if matches_node(pod, node):
        return None
    message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    return Refusal("NodeAffinity", message)


def _ports_free(pod: Pod, occupancy: Occupancy) -> Refusal | None:
    wanted = host_ports(pod)
    for address, protocol, port in occupancy.ports() if wanted else ():
        for mine in wanted:
            if (protocol, port) == mine[1:] and (address == mine[0] or "0.0.0.0" in (address, mine[0])):
                message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
                return Refusal("NodePorts", message)
    return None


def host_ports(pod: Pod) -> set[tuple[str, str, int]]:
    """(address, protocol, port) that a pod occupies on its node."""
    found = set()
    for container, role in containers_of(pod):
        if role == "ephemeral":
            continue
        for port in container.ports:
            number = port.host_port or (port.container_port if pod.spec.host_network else 0)
            if number:
                found.add((port.host_ip or "0.0.0.0", port.protocol or "TCP", number))
    return found


def _tolerated(pod: Pod, taints: tuple[Taint, ...]) -> Refusal | None:
    """Only NoExecute counts here: a pod that would be evicted at once is not begun."""
    for taint in taints:
        if taint.effect == "NoExecute" and not any(tolerates(one, taint) for one in pod.spec.tolerations):
            value = f": {taint.value}" if taint.value else ":"
            message = f"node(s) had untolerated taint {{{taint.key}{value}}}"
            return Refusal("TaintToleration", f"Predicate TaintToleration failed: {message}")
    return None

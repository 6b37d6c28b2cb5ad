"""How long a kubelet may keep a Secret or ConfigMap before it looks again: longer the more nodes there are. Pure.

The number of nodes has to change by some before the time does, or it would flap with one node coming and going.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.types.core_v1 import Node

from .contract import NOTHING, Caches, Patch, Plan, Source, own_key

ANNOTATION = "node.alpha.kubernetes.io/ttl"
# Least and most nodes of each step, and its seconds.
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10000, 300), (9000, 2**31, 600))


class Observed(Struct, frozen=True):
    node: Node
    seconds: int


def next_step(step: int, nodes: int) -> int:
    """The step for this many nodes, coming from another."""
    while nodes > STEPS[step][1]:
        step += 1
    while nodes < STEPS[step][0]:
        step -= 1
    return step


def plan(observed: Observed) -> Plan:
    node, text = observed.node, str(observed.seconds)
    if node.metadata.annotations.get(ANNOTATION) == text:
        return NOTHING
    body = {"metadata": {"uid": node.metadata.uid, "annotations": {ANNOTATION: text}}}
    return Plan(actions=(Patch(kind=Node, key=node.metadata.name, body=body, tolerate=("NotFound",)),))


class NodeTTL:
    """The node TTL controller. It remembers the step it is on."""

    name = "ttl-controller"
    component = "ttl-controller"
    workers = 1

    def __init__(self) -> None:
        self._step = 0

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=Node, change=_keys),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [node.metadata.name for node in caches.list(Node)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        self._step = next_step(self._step, len(caches.list(Node)))
        node = caches.get(Node, key)
        return None if node is None else Observed(node, STEPS[self._step][2])

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _keys(old: Node | None, new: Node | None, caches: Caches) -> Iterable[str]:
    """Only a node whose annotations changed; heartbeats are nothing to this controller."""
    if new is None or (old is not None and old.metadata.annotations == new.metadata.annotations):
        return ()
    return own_key(new, caches)

"""Node life cycle: a node that falls silent is marked unknown, tainted, and after a while loses its pods.

Pure. Two plans: one for the whole cluster, made every period, about silence and eviction; one for a single node,
made when it changes, about the taints and labels that follow from its conditions. The eviction itself is the
taint eviction controller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from kube_actors.api import codec, conditions
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.coordination_v1 import Lease
from kube_actors.api.types.core_v1 import Node, NodeCondition, ObjectReference, Pod, Taint

from . import health, limits, pods, taints
from .contract import NOTHING, Action, Batch, Caches, Emit, Patch, Plan, Source, Told
from .health import Health
from .taints import NO_EXECUTE, NOT_READY, UNREACHABLE

MONITOR = "*"
"""The key that stands for the whole cluster."""

NODE_INDEX = "node"
LEASE_NAMESPACE = "kube-node-lease"
_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_EVICTING = (NOT_READY, UNREACHABLE)
_SECONDARY = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}


class Settings(Struct, frozen=True, kw_only=True):
    """Periods in seconds, eviction rates in nodes a second."""

    period: float = limits.NODE_MONITOR_PERIOD_SECONDS
    grace: float = limits.NODE_MONITOR_GRACE_SECONDS
    startup_grace: float = limits.NODE_STARTUP_GRACE_SECONDS
    rate: float = limits.NODE_EVICTION_RATE
    secondary_rate: float = limits.NODE_SECONDARY_EVICTION_RATE
    threshold: float = limits.UNHEALTHY_ZONE_FRACTION
    large: int = limits.LARGE_ZONE_NODES


class Seen(Struct, frozen=True, kw_only=True):
    """A node, its health, the pods on it that say they are ready (looked up only when it matters), and whether new."""

    node: Node
    health: Health
    ready_pods: tuple[Pod, ...] = ()
    is_new: bool = False


class ObservedCluster(Struct, frozen=True, kw_only=True):
    nodes: tuple[Seen, ...]
    now: float
    settings: Settings = Settings()


class ObservedNode(Struct, frozen=True, kw_only=True):
    node: Node
    now: float


# One node


def plan_node(observed: ObservedNode) -> Plan:
    """The taints against scheduling and the old names of labels, as conditions and labels call for them."""
    node = observed.node
    wanted = taints.scheduling_taints(node, format_time(observed.now))
    body: dict[str, Any] = {}
    if wanted != node.spec.taints:
        body["spec"] = {"taints": [codec.to_dict(taint) for taint in wanted]}
    labels = {
        old: node.metadata.labels[name]
        for name, old in _SECONDARY.items()
        if name in node.metadata.labels and node.metadata.labels.get(old) != node.metadata.labels[name]
    }
    if not body and not labels:
        return NOTHING
    body["metadata"] = {"resourceVersion": node.metadata.resource_version} | ({"labels": labels} if labels else {})
    return Plan(actions=(Patch(kind=Node, key=node.metadata.name, body=body),))


# The whole cluster


def is_silent(seen: Seen, settings: Settings, now: float) -> bool:
    """No sign of life for longer than a living node would leave."""
    grace = settings.grace if seen.health.posted else settings.startup_grace
    return now > seen.health.seen_at + grace


def _is_up(seen: Seen, settings: Settings, now: float) -> bool:
    ready = health.ready_condition(seen.node)
    return ready is not None and ready.status == "True" and not is_silent(seen, settings, now)


def states(observed: ObservedCluster) -> dict[str, health.ZoneState]:
    settings, now = observed.settings, observed.now
    return health.zone_states(((s.node, _is_up(s, settings, now)) for s in observed.nodes), settings.threshold)


def plan_cluster(observed: ObservedCluster) -> Plan:
    """Mark silent nodes, their pods, and taint for eviction as many nodes as the rate allows."""
    actions: list[Action] = []
    patches: list[Patch] = []
    for seen in observed.nodes:
        if seen.is_new:
            name = seen.node.metadata.name
            actions.append(
                _event(seen.node, "RegisteredNode", f"Node {name} event: Registered Node {name} in Controller")
            )
        if is_silent(seen, observed.settings, observed.now):
            patch = _silence(seen, observed.now)
            if patch is not None:
                patches.append(patch)
                ready = health.ready_condition(seen.node)
                if ready is not None and ready.status == "True":
                    text = f"Node {seen.node.metadata.name} status is now: NodeNotReady"
                    actions.append(_event(seen.node, "NodeNotReady", text))
        patches += [_not_ready(pod, observed.now) for pod in seen.ready_pods]
    patches += _evictions(observed)
    if patches:
        actions.append(Batch(actions=tuple(patches)))
    return Plan(actions=tuple(actions), requeue_after=observed.settings.period)


def _event(node: Node, reason: str, message: str) -> Emit:
    about = ObjectReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    return Emit(about=about, reason=reason, message=message)


def _silence(seen: Seen, now: float) -> Patch | None:
    """The conditions of a node that is not heard of any more."""
    node = seen.node
    stamp = format_time(now)
    changed: list[NodeCondition] = []
    for kind in _WATCHED:
        known = conditions.find(node.status.conditions, kind)
        if known is None:
            changed.append(
                NodeCondition(
                    type=kind,
                    status="Unknown",
                    reason="NodeStatusNeverUpdated",
                    message="Kubelet never posted node status.",
                    last_heartbeat_time=node.metadata.creation_timestamp,
                    last_transition_time=stamp,
                )
            )
        elif known.status != "Unknown":
            changed.append(
                NodeCondition(
                    type=kind,
                    status="Unknown",
                    reason="NodeStatusUnknown",
                    message="Kubelet stopped posting node status.",
                    last_heartbeat_time=known.last_heartbeat_time,
                    last_transition_time=stamp,
                )
            )
    if not changed:
        return None
    body = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "status": {"conditions": [codec.to_dict(condition) for condition in changed]},
    }
    # A conflict means that the node has just written itself: it is not silent after all.
    return Patch(
        kind=Node,
        key=node.metadata.name,
        body=body,
        patch_type="strategic",
        subresource="status",
        tolerate=("Conflict", "NotFound"),
    )


def _not_ready(pod: Pod, now: float) -> Patch:
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": format_time(now)}
    body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
    told = Told(about=pod, type="Warning", reason="NodeNotReady", message="Node is not ready")
    return Patch(
        kind=Pod,
        key=f"{pod.metadata.namespace}/{pod.metadata.name}",
        body=body,
        patch_type="strategic",
        subresource="status",
        told=told,
        tolerate=("Conflict", "NotFound"),
    )


def _evictions(observed: ObservedCluster) -> list[Patch]:
    """Changes of the taints that evict: taken from nodes that are back, given to others at the zone's rate."""
    zones = states(observed)
    now = observed.now
    if health.is_cut_off(zones):
        return _swaps((seen, None) for seen in observed.nodes)
    wanted: list[tuple[Seen, str | None]] = []
    room = {zone: _room(observed, zone, state) for zone, state in zones.items()}
    for seen in observed.nodes:
        ready = health.ready_condition(seen.node)
        if ready is None:
            continue
        key = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready.status)
        present = _evicting(seen.node)
        if key is not None and not present:
            zone = health.zone_of(seen.node)
            if room[zone] <= 0:
                continue
            room[zone] -= 1
        wanted.append((seen, key))
    return _swaps(wanted, now)


def _evicting(node: Node) -> list[Taint]:
    return [t for t in taints.of_effect(node.spec.taints, NO_EXECUTE) if t.key in _EVICTING]


def _room(observed: ObservedCluster, zone: str, state: health.ZoneState) -> int:
    """How many nodes of a zone may be tainted for eviction now: one each time the rate allows."""
    settings = observed.settings
    mine = [seen.node for seen in observed.nodes if health.zone_of(seen.node) == zone]
    rate = settings.rate
    if state == "PartialDisruption":
        rate = settings.secondary_rate if len(mine) > settings.large else 0.0
    if rate <= 0:
        return 0
    added = [parse_time(t.time_added) for node in mine for t in _evicting(node) if t.time_added]
    if not added:
        return 1
    # What passed since the last one, at most what one period brings.
    return min(int((observed.now - max(added)) * rate), max(1, int(settings.period * rate)))


def _swaps(wanted: Iterable[tuple[Seen, str | None]], now: float = 0.0) -> list[Patch]:
    patches = []
    for seen, key in wanted:
        node = seen.node
        new = taints.with_keys(node, NO_EXECUTE, {key} if key else set(), _EVICTING, format_time(now))
        if new == node.spec.taints:
            continue
        body = {
            "metadata": {"resourceVersion": node.metadata.resource_version},
            "spec": {"taints": [codec.to_dict(taint) for taint in new] or None},
        }
        patches.append(Patch(kind=Node, key=node.metadata.name, body=body, tolerate=("Conflict", "NotFound")))
    return patches


class NodeLifecycle:
    """The node life cycle controller. It remembers when it last heard of each node, and nothing else."""

    name = "node-lifecycle-controller"
    component = "node-controller"
    workers = 1

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._health: dict[str, Health] = {}
        self._was_cut_off = False

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Node, change=_keys_of_change),
            Source(kind=Lease),
            Source(kind=Pod, indexes=(BY_NODE,)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [MONITOR, *(node.metadata.name for node in caches.list(Node))]

    def observe(self, key: str, caches: Caches, now: float) -> ObservedCluster | ObservedNode | None:
        if key != MONITOR:
            node = caches.get(Node, key)
            return None if node is None else ObservedNode(node=node, now=now)
        nodes = caches.list(Node)
        news = {node.metadata.uid for node in nodes if node.metadata.uid not in self._health}
        self._health = {
            node.metadata.uid: health.heard(
                self._health.get(node.metadata.uid),
                node,
                caches.get(Lease, f"{LEASE_NAMESPACE}/{node.metadata.name}"),
                now,
            )
            for node in nodes
        }
        observed = self._look(nodes, news, caches, now)
        cut_off = health.is_cut_off(states(observed))
        if self._was_cut_off and not cut_off:
            # We have been away: everybody gets the whole grace period to be heard again.
            self._health = {uid: _refreshed(known, now) for uid, known in self._health.items()}
            observed = self._look(nodes, news, caches, now)
        self._was_cut_off = cut_off
        return observed

    def _look(self, nodes: Iterable[Node], news: set[str], caches: Caches, now: float) -> ObservedCluster:
        seen = tuple(
            Seen(
                node=node,
                health=self._health[node.metadata.uid],
                ready_pods=_ready_pods(node, caches),
                is_new=node.metadata.uid in news,
            )
            for node in nodes
        )
        return ObservedCluster(nodes=seen, now=now, settings=self._settings)

    def plan(self, observed: ObservedCluster | ObservedNode) -> Plan:
        return plan_node(observed) if isinstance(observed, ObservedNode) else plan_cluster(observed)


def _refreshed(known: Health, now: float) -> Health:
    return Health(heartbeat=known.heartbeat, posted=known.posted, renewed=known.renewed, seen_at=now)


def _ready_pods(node: Node, caches: Caches) -> tuple[Pod, ...]:
    """The pods that still say they are ready on a node that was found silent."""
    ready = health.ready_condition(node)
    if ready is None or ready.reason != "NodeStatusUnknown":
        return ()
    return tuple(pod for pod in caches.by_index(Pod, NODE_INDEX, node.metadata.name) if pods.is_ready(pod))


def _keys_of_change(old: Node | None, new: Node | None, _: Caches) -> Iterable[str]:
    if new is None:
        return ()
    if old is not None and _face(old) == _face(new):
        return ()
    return (new.metadata.name,)


def _face(node: Node) -> tuple[Any, ...]:
    """What of a node its own plan depends on; heartbeats are not part of it."""
    states = tuple((condition.type, condition.status) for condition in node.status.conditions)
    return states, node.spec.unschedulable, node.spec.taints, node.metadata.labels


def index_by_node(pod: Pod) -> tuple[str, ...]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()


BY_NODE = (NODE_INDEX, index_by_node)

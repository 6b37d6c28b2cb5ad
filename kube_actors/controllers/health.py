"""Whether nodes are alive: when each was last heard of, and how much of the cluster is down.

Pure. Times of other hosts are never compared with ours: a sign of life counts from when it was seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from kube_actors.api import conditions
from kube_actors.api.time import parse_time
from kube_actors.api.types.coordination_v1 import Lease
from kube_actors.api.types.core_v1 import Node, NodeCondition

ZoneState = Literal["Normal", "PartialDisruption", "FullDisruption"]
_PARTIAL_NODES = 2


class Health(Struct, frozen=True, kw_only=True):
    """What was last seen of a node, and when (our time) it last showed a sign of life."""

    heartbeat: str | None
    posted: bool
    renewed: str | None
    seen_at: float


def ready_condition(node: Node) -> NodeCondition | None:
    return conditions.find(node.status.conditions, "Ready")


def heard(known: Health | None, node: Node, lease: Lease | None, now: float) -> Health:
    """The health of a node after another look at it and at its lease."""
    ready = ready_condition(node)
    heartbeat = None if ready is None else ready.last_heartbeat_time
    renewed = lease.spec.renew_time if lease is not None else None
    posted = ready is not None
    if known is None:
        created = node.metadata.creation_timestamp
        since = parse_time(created) if created and not posted else now
        return Health(heartbeat=heartbeat, posted=posted, renewed=renewed, seen_at=since)
    alive = (posted and (heartbeat != known.heartbeat or not known.posted)) or (
        renewed is not None and renewed != known.renewed
    )
    return Health(
        heartbeat=heartbeat,
        posted=posted,
        renewed=renewed if renewed is not None else known.renewed,
        seen_at=now if alive else known.seen_at,
    )


def zone_of(node: Node) -> str:
    labels = node.metadata.labels
    region = labels.get("topology.kubernetes.io/region") or labels.get("failure-domain.beta.kubernetes.io/region", "")
    zone = labels.get("topology.kubernetes.io/zone") or labels.get("failure-domain.beta.kubernetes.io/zone", "")
    return f"{region}/{zone}"


def zone_state(ready: int, not_ready: int, threshold: float) -> ZoneState:
    if ready == 0 and not_ready > 0:
        return "FullDisruption"
    if not_ready > _PARTIAL_NODES and not_ready / (ready + not_ready) >= threshold:
        return "PartialDisruption"
    return "Normal"


def zone_states(nodes: Iterable[tuple[Node, bool]], threshold: float) -> dict[str, ZoneState]:
    """The state of every zone, from its nodes and whether each is ready."""
    counts: dict[str, list[int]] = {}
    for node, ready in nodes:
        counts.setdefault(zone_of(node), [0, 0])[0 if ready else 1] += 1
    return {zone: zone_state(up, down, threshold) for zone, (up, down) in counts.items()}


def is_cut_off(states: Mapping[str, ZoneState]) -> bool:
    """Every zone is down at once: then it is we who are cut off, not all of them."""
    return bool(states) and all(state == "FullDisruption" for state in states.values())

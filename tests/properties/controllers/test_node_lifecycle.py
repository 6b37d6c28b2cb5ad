"""Node life cycle: who falls silent is found out, nobody else is touched, and rates are kept, from any state."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Node, NodeCondition, Taint
from kube_actors.controllers.contract import Batch, Patch
from kube_actors.controllers.health import Health
from kube_actors.controllers.nodes import ObservedCluster, Seen, Settings, plan_cluster

START = 1_800_000_000.0
RULES = Settings(period=5.0, grace=40.0, rate=0.1, secondary_rate=0.01, threshold=0.55, large=50)
KINDS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def node(name: str, zone: str, *, tainted: bool) -> Node:
    conditions = [{"type": kind, "status": "True" if kind == "Ready" else "False"} for kind in KINDS]
    taints = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}] if tainted else []
    labels = {"topology.kubernetes.io/zone": zone}
    tree = {
        "metadata": {"name": name, "uid": name, "labels": labels, "creationTimestamp": format_time(START - 9999)},
        "spec": {"taints": taints},
        "status": {"conditions": conditions},
    }
    return msgspec.convert(tree, Node)


def patched(old: Node, patch: Patch) -> Node:
    """What the server would make of a plan's patch."""
    body = patch.body
    if patch.subresource == "status":
        new = {one["type"]: msgspec.convert(one, NodeCondition) for one in body["status"]["conditions"]}
        kept = tuple(new.pop(one.type, one) for one in old.status.conditions)
        status = msgspec.structs.replace(old.status, conditions=(*kept, *new.values()))
        return msgspec.structs.replace(old, status=status)
    taints = tuple(msgspec.convert(one, Taint) for one in body["spec"]["taints"] or ())
    return msgspec.structs.replace(old, spec=msgspec.structs.replace(old.spec, taints=taints))


class World:
    """Nodes that live or are silent since the start, and a server that carries every plan out."""

    def __init__(self, zones: dict[str, tuple[str, bool, bool]]) -> None:
        self.nodes = {name: node(name, zone, tainted=tainted) for name, (zone, _, tainted) in zones.items()}
        self.living = {name for name, (_, alive, _) in zones.items() if alive}
        self.tainted_at: dict[str, float] = {}

    def step(self, now: float) -> int:
        """One period; how many writes it took."""
        seen = []
        for name, one in self.nodes.items():
            health = Health(heartbeat="", posted=True, renewed="", seen_at=now if name in self.living else START)
            seen.append(Seen(node=one, health=health))
        plan = plan_cluster(ObservedCluster(nodes=tuple(seen), now=now, settings=RULES))
        patches: list[Any] = [one for action in plan.actions if isinstance(action, Batch) for one in action.actions]
        for patch in patches:
            before = self.evicted(patch.key)
            self.nodes[patch.key] = patched(self.nodes[patch.key], patch)
            if not before and self.evicted(patch.key):
                self.tainted_at[patch.key] = now
        assert plan.requeue_after == RULES.period
        return len(patches)

    def evicted(self, name: str) -> bool:
        return any(taint.effect == "NoExecute" for taint in self.nodes[name].spec.taints)

    def ready(self, name: str) -> str:
        return next(one.status for one in self.nodes[name].status.conditions if one.type == "Ready")


ZONES = st.dictionaries(
    st.sampled_from([f"n{number}" for number in range(8)]),
    st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()),
    min_size=1,
)


@settings(max_examples=25)
@given(ZONES)
def test_the_silent_are_found_out_and_evicted_at_the_zones_rate(zones: dict[str, tuple[str, bool, bool]]) -> None:
    world = World(zones)
    for step in range(60):
        now = START + RULES.grace + 1 + step * RULES.period
        world.step(now)
        assert not any(world.evicted(name) for name in world.living), "a node that lives keeps its pods"
    for name in world.nodes:
        assert world.ready(name) == ("True" if name in world.living else "Unknown")
    if not world.living:
        assert not world.tainted_at, "when everybody is silent it is we who are cut off"
    for zone in {zone for zone, _, _ in zones.values()}:
        mine = {name for name, (where, _, _) in zones.items() if where == zone}
        down = mine - world.living
        moments = sorted(at for name, at in world.tainted_at.items() if name in mine)
        assert all(later - earlier >= 1 / RULES.rate for earlier, later in itertools.pairwise(moments))
        partial = len(down) > 2 and bool(mine & world.living) and len(down) / len(mine) >= RULES.threshold
        if world.living and not partial:
            assert all(world.evicted(name) for name in down), "in the end all that are silent lose their pods"
        elif partial:
            assert not moments, "a small zone that is half down evicts nobody"
    assert world.step(START + 1000) == 0, "once all is said nothing is written"

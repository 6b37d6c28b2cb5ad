"""One pod, one decision: which node, or why none.

Owns the order of the extension points. Pure: `decide` reads the snapshot, changes nothing, and draws only by the
function that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from . import limits
from .diagnosis import Diagnosis
from .framework import (
    Code,
    CycleState,
    Filter,
    NodeNames,
    Nomination,
    Profile,
    Verdict,
    unresolvable,
)
from .node_info import NodeInfo
from .pod_info import PodInfo
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .arrays.cycle import ArrayCycle

Draw = Callable[[int], int]
"""A number from 0 up to but not including the given one."""

NodeScores = dict[str, dict[str, int]]


class Decision(Struct, kw_only=True):
    """node is "" when there is none; then `diagnosis` says why, and `nomination` where there may be room soon
    (or, without a node, that there will be none).

    refused and absent say why the other nodes of a pod that was placed are out, as far as they were looked at.
    looked_at says how many nodes were looked at, so that the next cycle can begin behind them.
    """

    node: str = ""
    state: CycleState
    feasible: Sequence[str] = ()
    refused: Mapping[str, Verdict] = {}
    absent: Verdict | None = None
    diagnosis: Diagnosis | None = None
    nomination: Nomination | None = None
    looked_at: int = 0


class Found(Struct):
    """What filtering gives."""

    feasible: list[NodeInfo]
    refused: dict[str, Verdict]
    absent: Verdict | None = None
    prefilter: Verdict | None = None
    looked_at: int = 0


def decide(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, draw: Draw, *, start: int = 0, percentage: int = 0
) -> Decision:
    """Place a pod. `percentage` of the nodes must be found feasible before the search ends.

    0 leaves that to the size of the cluster: all are looked at on arrays, which costs less than stopping early.
    """
    if len(snapshot.nodes) >= limits.ARRAY_NODES and percentage in (0, 100) and not pod.pod.spec.node_name:
        placed = _decide_on_arrays(pod, snapshot, profile, draw)
        if placed is not None:
            return placed
    return decide_node_by_node(pod, snapshot, profile, draw, start=start, percentage=percentage)


def _decide_on_arrays(pod: PodInfo, snapshot: Snapshot, profile: Profile, draw: Draw) -> Decision | None:
    """The same decision by rows; None when there is no node, and words have to be found for that."""
    if snapshot.cycle is None:
        from .arrays.cycle import ArrayCycle  # lazy: numpy, for large clusters

        snapshot.cycle = ArrayCycle(snapshot)
    cycle: ArrayCycle = snapshot.cycle
    state = CycleState()
    rows = cycle.feasible(pod, profile, state)
    if rows is None:
        return None
    names = cycle.names(rows)
    chosen = 0
    if len(rows) > 1:
        totals = cycle.totals(pod, profile, state, rows)
        hosts = (totals == totals.max()).nonzero()[0]
        chosen = int(hosts[draw(len(hosts))]) if len(hosts) > 1 else int(hosts[0])
    return Decision(node=names[chosen], state=state, feasible=names, looked_at=len(snapshot.nodes))


def decide_node_by_node(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, draw: Draw, *, start: int = 0, percentage: int = 0
) -> Decision:
    """The plain cycle: every plugin asks every node."""
    state = CycleState()
    if not snapshot.nodes:
        return Decision(state=state, diagnosis=Diagnosis(total=0))
    found = find_feasible(pod, snapshot, profile, state, start=start, percentage=percentage)
    if not found.feasible:
        return _refuse(pod, snapshot, profile, state, found)
    names = [node.name for node in found.feasible]
    if len(names) == 1:
        return _placed(names[0], state, names, found)
    totals = total_scores(pod, snapshot, profile, state, found.feasible)
    best = max(totals)
    hosts = [name for name, total in zip(names, totals, strict=True) if total == best]
    chosen = hosts[draw(len(hosts))] if len(hosts) > 1 else hosts[0]
    return _placed(chosen, state, names, found)


def _placed(node: str, state: CycleState, names: Sequence[str], found: Found) -> Decision:
    return Decision(
        node=node,
        state=state,
        feasible=names,
        refused=found.refused,
        absent=found.absent,
        looked_at=found.looked_at,
    )


def _refuse(pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState, found: Found) -> Decision:
    total = len(snapshot.nodes)
    refused = found.refused
    everywhere = found.prefilter or found.absent
    if everywhere is not None:
        refused = {name: refused.get(name, everywhere) for name in snapshot.nodes}
    nomination, message = _post_filter(pod, snapshot, profile, state, refused)
    diagnosis = Diagnosis(
        total=total, refused=found.refused, absent=found.absent, prefilter=found.prefilter, postfilter=message
    )
    return Decision(state=state, diagnosis=diagnosis, nomination=nomination, looked_at=found.looked_at)


def _post_filter(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState, refused: Mapping[str, Verdict]
) -> tuple[Nomination | None, str]:
    """The first plugin that finds a way wins; what the others say is put together."""
    reasons: list[str] = []
    nomination: Nomination | None = None
    for plugin in profile.post_filters:
        answer = plugin.post_filter(profile, state, pod, snapshot, refused)
        if isinstance(answer, Nomination):
            if answer.refusal is None:
                return answer, ""
            nomination, answer = answer, answer.refusal
        reasons += answer.reasons
        if answer.code is not Code.UNSCHEDULABLE:
            return nomination, answer.message
    return nomination, ", ".join(reasons)


def run_pre_filters(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState
) -> tuple[Verdict | None, frozenset[str] | None, list[str]]:
    """The rejection, if any; the only nodes that can do, if that is known; and which plugins said so."""
    names: frozenset[str] | None = None
    narrowing: list[str] = []
    for plugin in profile.pre_filters:
        answer = plugin.pre_filter(state, pod, snapshot)
        if answer is None:
            continue
        if isinstance(answer, NodeNames):
            narrowing.append(plugin.name)
            names = answer.names if names is None else names & answer.names
            if not names:
                said = f"[{' '.join(sorted(narrowing))}] simultaneously" if len(narrowing) > 1 else narrowing[0]
                word = "plugin(s)" if len(narrowing) > 1 else "plugin"
                return unresolvable(plugin.name, f"node(s) didn't satisfy {word} {said}"), names, narrowing
        elif answer.code is Code.SKIP:
            state.skipped_filters.add(plugin.name)
        else:
            return answer, names, narrowing
    return None, names, narrowing


def find_feasible(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState, *, start: int = 0, percentage: int = 0
) -> Found:
    """The nodes that the pod can run on, or enough of them."""
    rejection, names, narrowing = run_pre_filters(pod, snapshot, profile, state)
    if rejection is not None:
        return Found([], {}, prefilter=rejection)
    filters = [plugin for plugin in profile.filters if plugin.name not in state.skipped_filters]
    nominated = pod.nominated_node
    refused: dict[str, Verdict] = {}
    if nominated and nominated in snapshot.nodes:
        node = snapshot.nodes[nominated]
        verdict = fits(pod, node, snapshot, profile, state, filters)
        if verdict is None:
            return Found([node], {}, looked_at=0)
        refused[nominated] = verdict
    nodes = snapshot.node_list()
    absent = None
    if names is not None:
        nodes = [node for node in nodes if node.name in names]
        absent = unresolvable("", f"node(s) didn't satisfy plugin(s) [{' '.join(narrowing)}]")
        absent = Verdict(absent.code, absent.reasons, narrowing[0])
    enough = enough_feasible(len(nodes), percentage)
    begin = start % len(nodes) if nodes and enough < len(nodes) else 0
    found = Found([], refused, absent=absent)
    _filter(pod, snapshot, profile, state, filters, nodes[begin:] + nodes[:begin] if begin else nodes, enough, found)
    return found


def _filter(
    pod: PodInfo,
    snapshot: Snapshot,
    profile: Profile,
    state: CycleState,
    filters: list[Filter],
    nodes: Sequence[NodeInfo],
    enough: int,
    found: Found,
) -> None:
    """The hot loop: every node, every filter, until enough nodes are found."""
    calls = [plugin.filter for plugin in filters]
    nominated, feasible, refused = snapshot.nominated, found.feasible, found.refused
    looked_at = 0
    for node in nodes:
        looked_at += 1
        if nominated and node.name in nominated:
            verdict = fits(pod, node, snapshot, profile, state, filters)
            if verdict is not None:
                refused[node.name] = verdict
                continue
        else:
            for call in calls:
                verdict = call(state, pod, node)
                if verdict is not None:
                    refused[node.name] = verdict
                    break
            else:
                verdict = None
            if verdict is not None:
                continue
        feasible.append(node)
        if len(feasible) >= enough:
            break
    found.looked_at = looked_at


def enough_feasible(total: int, percentage: int) -> int:
    """How many feasible nodes end the search: all in a small cluster, a falling share in a large one."""
    if total < limits.MIN_FEASIBLE_NODES:
        return total
    if not percentage:
        percentage = max(50 - total // 125, limits.MIN_FEASIBLE_PERCENT)
    return max(total * min(percentage, 100) // 100, limits.MIN_FEASIBLE_NODES)


def fits(
    pod: PodInfo,
    node: NodeInfo,
    snapshot: Snapshot,
    profile: Profile,
    state: CycleState,
    filters: Sequence[Filter] | None = None,
) -> Verdict | None:
    """Whether a node can take the pod, with the pods nominated to it and without them. None means yes."""
    if filters is None:
        filters = [plugin for plugin in profile.filters if plugin.name not in state.skipped_filters]
    waiting = [
        other
        for other in snapshot.nominated_to(node.name)
        if other.priority >= pod.priority and other.uid != pod.uid and other.uid not in node.pods
    ]
    if waiting:
        crowded, supposed = node.copy(), state.copy()
        for other in waiting:
            crowded.add(other)
            for plugin in profile.extensions:
                if plugin.name not in state.skipped_filters:
                    plugin.add_pod(supposed, pod, other, crowded, snapshot)
        verdict = _run_filters(pod, crowded, supposed, filters)
        if verdict is not None:
            return verdict
    return _run_filters(pod, node, state, filters)


def _run_filters(pod: PodInfo, node: NodeInfo, state: CycleState, filters: Sequence[Filter]) -> Verdict | None:
    for plugin in filters:
        verdict = plugin.filter(state, pod, node)
        if verdict is not None:
            return verdict
    return None


def plugin_scores(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState, nodes: Sequence[NodeInfo]
) -> dict[str, list[int]]:
    """Weighted scores by plugin, in the order of the nodes; plugins that skip scoring are absent."""
    for pre in profile.pre_scores:
        answer = pre.pre_score(state, pod, nodes, snapshot)
        if answer is not None and answer.code is Code.SKIP:
            state.skipped_scores.add(pre.name)
    found: dict[str, list[int]] = {}
    for plugin in profile.scores:
        if plugin.name in state.skipped_scores:
            continue
        scores = plugin.score(state, pod, nodes, snapshot)
        normalizer = profile.normalizers.get(plugin.name)
        if normalizer is not None:
            scores = normalizer.normalize(state, nodes, scores)
        weight = profile.weights.get(plugin.name, 1)
        found[plugin.name] = [score * weight for score in scores] if weight != 1 else scores
    return found


def total_scores(
    pod: PodInfo, snapshot: Snapshot, profile: Profile, state: CycleState, nodes: Sequence[NodeInfo]
) -> list[int]:
    """The sum of all scores, in the order of the nodes."""
    found = plugin_scores(pod, snapshot, profile, state, nodes)
    return list(map(sum, zip(*found.values(), strict=True))) if found else [0] * len(nodes)

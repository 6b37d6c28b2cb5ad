"""PodTopologySpread: matching pods should be spread evenly over zones, hosts or whatever a label says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import MAX_SCORE, SKIP, CycleState, Verdict, unresolvable, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .spread_constraints import (
    HARD,
    HOSTNAME,
    SOFT,
    Constraint,
    count_matching,
    default_constraints,
    has_all_keys,
    own_constraints,
)

if TYPE_CHECKING:
    from kube_actors.scheduler.arrays.table import Bools, Ints, Table

NAME = "PodTopologySpread"
_NO_DOMAIN = 2**31 - 1
"""The least count when there is no domain: nothing can then be too crowded."""


class Spread:
    """The hard constraints, and per constraint how many matching pods each domain has."""

    __slots__ = ("constraints", "counts", "selves")

    def __init__(self, pod: PodInfo, constraints: Sequence[Constraint]) -> None:
        self.constraints = constraints
        self.counts: list[dict[str, int]] = [{} for _ in constraints]
        self.selves = [int(constraint.selector.matches(pod.labels)) for constraint in constraints]

    def copy(self) -> Spread:
        new = Spread.__new__(Spread)
        new.constraints, new.selves = self.constraints, self.selves
        new.counts = [dict(counts) for counts in self.counts]
        return new

    def least(self, index: int) -> int:
        counts = self.counts[index]
        if len(counts) < self.constraints[index].min_domains:
            return 0
        return min(counts.values(), default=_NO_DOMAIN)


class PodTopologySpread:
    name = NAME
    no_label = unresolvable(NAME, "node(s) didn't match pod topology spread constraints (missing required label)")
    too_crowded = unschedulable(NAME, "node(s) didn't match pod topology spread constraints")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        constraints = own_constraints(pod.pod, HARD) if pod.pod.spec.topology_spread_constraints else []
        if not constraints:
            return SKIP
        spread = Spread(pod, constraints)
        for node in snapshot.nodes.values():
            if not has_all_keys(node.labels, constraints):
                continue
            for constraint, counts in zip(constraints, spread.counts, strict=True):
                if constraint.includes(pod, node):
                    value = node.labels[constraint.topology_key]
                    found = count_matching(node, constraint.selector, pod.namespace)
                    counts[value] = counts.get(value, 0) + found
        state.data[NAME] = spread
        return None

    def add_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _shift(state, pod, other, node, 1)

    def remove_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _shift(state, pod, other, node, -1)

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        spread = state.data[NAME]
        assert isinstance(spread, Spread)
        for index, constraint in enumerate(spread.constraints):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                return self.no_label
            skew = spread.counts[index].get(value, 0) + spread.selves[index] - spread.least(index)
            if skew > constraint.max_skew:
                return self.too_crowded
        return None

    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        strict = bool(pod.pod.spec.topology_spread_constraints)
        constraints = own_constraints(pod.pod, SOFT) if strict else default_constraints(pod.pod, snapshot)
        if not constraints:
            return SKIP
        # With the system's constraints a node without a zone still takes part, as one of an unnamed zone.
        domains = Domains(constraints, strict=strict)
        domains.open(nodes)
        domains.count(pod, snapshot)
        state.data[NAME + "/score"] = domains
        return None

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        domains = _domains(state)
        return [0 if node.name in domains.ignored else domains.crowding(pod, node) for node in nodes]

    def normalize(self, state: CycleState, nodes: Sequence[NodeInfo], scores: list[int]) -> list[int]:
        ignored = _domains(state).ignored
        counted = [score for node, score in zip(nodes, scores, strict=True) if node.name not in ignored]
        if not counted:
            return [0] * len(scores)
        most, least = max(0, *counted), min(counted)
        found = []
        for node, score in zip(nodes, scores, strict=True):
            if node.name in ignored:
                found.append(0)
            else:
                found.append(MAX_SCORE * (most + least - score) // most if most else MAX_SCORE)
        return found

    def filter_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table) -> Bools | None:
        from kube_actors.scheduler.arrays import spreading  # lazy: numpy, for large clusters

        return spreading.allowed(pod, table)

    def score_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
        from kube_actors.scheduler.arrays import spreading  # lazy: numpy, for large clusters

        return spreading.scores(pod, snapshot, table, rows)

    def interests(self) -> Sequence[Interest]:
        return (
            Interest(Change.POD_ASSIGNED, _counts_for),
            Interest(Change.POD_CHANGED, _either_counts_for),
            Interest(Change.POD_GONE, _counted_for),
            Interest(Change.NODE_ADDED),
            Interest(Change.NODE_LABELS),
            Interest(Change.NODE_TAINTS),
        )


class Domains:
    """The soft constraints, and how crowded each domain of a feasible node is."""

    def __init__(self, constraints: Sequence[Constraint], *, strict: bool) -> None:
        self.constraints = constraints
        self.strict = strict
        self.ignored: set[str] = set()
        self.counts: list[dict[str, int]] = [{} for _ in constraints]
        self.weights: list[float] = []

    def copy(self) -> Domains:
        return self

    def open(self, nodes: Sequence[NodeInfo]) -> None:
        """Note the domains, and weigh each constraint by how many it has, so that small ones are not drowned."""
        for node in nodes:
            if self.strict and not has_all_keys(node.labels, self.constraints):
                self.ignored.add(node.name)
                continue
            for constraint, counts in zip(self.constraints, self.counts, strict=True):
                if constraint.topology_key != HOSTNAME:
                    counts.setdefault(node.labels.get(constraint.topology_key, ""), 0)
        for constraint, counts in zip(self.constraints, self.counts, strict=True):
            hosts = constraint.topology_key == HOSTNAME
            size = len(nodes) - len(self.ignored) if hosts else len(counts)
            self.weights.append(math.log(size + 2))

    def count(self, pod: PodInfo, snapshot: Snapshot) -> None:
        """Count matching pods, on all nodes; single hosts are counted when they are scored."""
        wide = [
            (constraint, counts)
            for constraint, counts in zip(self.constraints, self.counts, strict=True)
            if constraint.topology_key != HOSTNAME
        ]
        if not wide:
            return
        for node in snapshot.nodes.values():
            if self.strict and not has_all_keys(node.labels, self.constraints):
                continue
            for constraint, counts in wide:
                value = node.labels.get(constraint.topology_key, "")
                if value in counts and node.pods and constraint.includes(pod, node):
                    counts[value] += count_matching(node, constraint.selector, pod.namespace)

    def crowding(self, pod: PodInfo, node: NodeInfo) -> int:
        """The higher, the more crowded."""
        total = 0.0
        for constraint, counts, weight in zip(self.constraints, self.counts, self.weights, strict=True):
            value = node.labels.get(constraint.topology_key)
            if value is None:
                continue
            if constraint.topology_key == HOSTNAME:
                found = count_matching(node, constraint.selector, pod.namespace)
            else:
                found = counts[value]
            total += found * weight + (constraint.max_skew - 1)
        return math.floor(total + 0.5)


def _domains(state: CycleState) -> Domains:
    domains = state.data[NAME + "/score"]
    assert isinstance(domains, Domains)
    return domains


def _shift(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, sign: int) -> None:
    spread = state.data[NAME]
    assert isinstance(spread, Spread)
    if other.namespace != pod.namespace or not has_all_keys(node.labels, spread.constraints):
        return
    for constraint, counts in zip(spread.constraints, spread.counts, strict=True):
        if constraint.selector.matches(other.labels) and constraint.includes(pod, node):
            value = node.labels[constraint.topology_key]
            counts[value] = counts.get(value, 0) + sign


def _matters(pod: PodInfo, other: PodInfo) -> bool:
    return other.namespace == pod.namespace and any(
        constraint.selector.matches(other.labels) for constraint in own_constraints(pod.pod, HARD)
    )


def _counts_for(pod: PodInfo, old: Any, new: Any) -> bool:
    return _matters(pod, new)


def _counted_for(pod: PodInfo, old: Any, new: Any) -> bool:
    return _matters(pod, old)


def _either_counts_for(pod: PodInfo, old: Any, new: Any) -> bool:
    return _matters(pod, old) != _matters(pod, new)

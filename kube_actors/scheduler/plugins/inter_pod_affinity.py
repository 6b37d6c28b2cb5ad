"""InterPodAffinity: pods that want to be near certain others, or far from them.

Neighbourhoods are pairs of a topology key and a value; what matters are counts of matching pods per pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kube_actors.scheduler.events import Change, Interest
from kube_actors.scheduler.framework import MAX_SCORE, SKIP, CycleState, Verdict, unresolvable, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import AffinityTerm, PodInfo
from kube_actors.scheduler.snapshot import Snapshot

if TYPE_CHECKING:
    from kube_actors.scheduler.arrays.table import Bools, Ints, Table

NAME = "InterPodAffinity"
HARD_AFFINITY_WEIGHT = 1
"""What an existing pod's required affinity to the new pod counts for."""

Pair = tuple[str, str]
Labels = Mapping[str, str]
NamespaceLabels = Callable[[str], Labels]


class Counts:
    """How many pods stand for and against each neighbourhood."""

    __slots__ = ("far", "near", "repelled", "self_match")

    def __init__(self) -> None:
        self.near: dict[Pair, int] = {}
        self.far: dict[Pair, int] = {}
        self.repelled: dict[Pair, int] = {}
        self.self_match = False

    def copy(self) -> Counts:
        new = Counts()
        new.near, new.far, new.repelled = dict(self.near), dict(self.far), dict(self.repelled)
        new.self_match = self.self_match
        return new

    def take(self, pod: PodInfo, other: PodInfo, labels: Labels, namespace_labels: NamespaceLabels, sign: int) -> None:
        """Count another pod, on a node with these labels, in or out."""
        for term in other.anti_affinity:
            if term.matches(pod, namespace_labels):
                _count(self.repelled, term, labels, sign)
        if pod.affinity and matches_all(pod.affinity, other, namespace_labels):
            for term in pod.affinity:
                _count(self.near, term, labels, sign)
        for term in pod.anti_affinity:
            if term.matches(other, namespace_labels):
                _count(self.far, term, labels, sign)


class InterPodAffinity:
    name = NAME
    not_near = unresolvable(NAME, "node(s) didn't match pod affinity rules")
    not_far = unschedulable(NAME, "node(s) didn't match pod anti-affinity rules")
    repelled = unschedulable(NAME, "node(s) didn't satisfy existing pods anti-affinity rules")

    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | None:
        counts = Counts()
        labels_of = snapshot.namespace_labels
        if pod.affinity or pod.anti_affinity:
            for node in snapshot.nodes.values():
                for other in node.pods.values():
                    counts.take(pod, other, node.labels, labels_of, 1)
        else:
            for node in snapshot.anti_affinity_nodes.values():
                for other in node.anti_affinity_pods.values():
                    counts.take(pod, other, node.labels, labels_of, 1)
            if not counts.repelled:
                return SKIP
        counts.self_match = matches_all(pod.affinity, pod, labels_of)
        state.data[NAME] = counts
        return None

    def add_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _counts(state).take(pod, other, node.labels, snapshot.namespace_labels, 1)

    def remove_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        _counts(state).take(pod, other, node.labels, snapshot.namespace_labels, -1)

    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        counts = _counts(state)
        labels = node.labels
        if pod.affinity and not _is_near(pod.affinity, counts, labels):
            return self.not_near
        if counts.far:
            for term in pod.anti_affinity:
                value = labels.get(term.topology_key)
                if value is not None and counts.far.get((term.topology_key, value), 0) > 0:
                    return self.not_far
        if counts.repelled and any(counts.repelled.get(pair, 0) > 0 for pair in labels.items()):
            return self.repelled
        return None

    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        weights = Weights()
        own = bool(pod.preferred_affinity or pod.preferred_anti_affinity)
        for node in (snapshot.nodes if own else snapshot.affinity_nodes).values():
            if not node.labels:
                continue
            for other in (node.pods if own else node.affinity_pods).values():
                weights.take(pod, other, node.labels, snapshot.namespace_labels)
        if not weights.by_pair:
            return SKIP
        state.data[NAME + "/score"] = weights
        return None

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        weights = state.data[NAME + "/score"]
        assert isinstance(weights, Weights)
        by_pair = weights.by_pair
        keys = {key for key, _ in by_pair}
        return [sum(by_pair.get((key, node.labels.get(key, "")), 0) for key in keys) for node in nodes]

    def normalize(self, state: CycleState, nodes: Sequence[NodeInfo], scores: list[int]) -> list[int]:
        least, span = min(scores), max(scores) - min(scores)
        if not span:
            return [0] * len(scores)
        return [int(MAX_SCORE * ((score - least) / span)) for score in scores]

    def filter_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table) -> Bools | None:
        from kube_actors.scheduler.arrays import nearness  # lazy: numpy, for large clusters

        return nearness.allowed(pod, snapshot, table)

    def score_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
        from kube_actors.scheduler.arrays import nearness  # lazy: numpy, for large clusters

        return nearness.scores(pod, snapshot, table, rows)

    def interests(self) -> Sequence[Interest]:
        return (
            Interest(Change.POD_ASSIGNED, _is_wanted),
            Interest(Change.POD_CHANGED, _relabelled),
            Interest(Change.POD_GONE, _was_in_the_way),
            Interest(Change.NODE_ADDED),
            Interest(Change.NODE_LABELS),
            Interest(Change.NAMESPACE),
        )


class Weights:
    """How much each neighbourhood is liked."""

    __slots__ = ("by_pair",)

    def __init__(self) -> None:
        self.by_pair: dict[Pair, int] = {}

    def copy(self) -> Weights:
        new = Weights()
        new.by_pair = dict(self.by_pair)
        return new

    def take(self, pod: PodInfo, other: PodInfo, labels: Labels, labels_of: NamespaceLabels) -> None:
        """What the new pod thinks of an existing one, and the other way round."""
        weigh = self._weigh
        for term in pod.preferred_affinity:
            weigh(term, other, labels, labels_of, term.weight)
        for term in pod.preferred_anti_affinity:
            weigh(term, other, labels, labels_of, -term.weight)
        for term in other.affinity:
            weigh(term, pod, labels, labels_of, HARD_AFFINITY_WEIGHT)
        for term in other.preferred_affinity:
            weigh(term, pod, labels, labels_of, term.weight)
        for term in other.preferred_anti_affinity:
            weigh(term, pod, labels, labels_of, -term.weight)

    def _weigh(self, term: AffinityTerm, pod: PodInfo, labels: Labels, labels_of: NamespaceLabels, weight: int) -> None:
        value = labels.get(term.topology_key)
        if value is not None and term.matches(pod, labels_of):
            pair = (term.topology_key, value)
            self.by_pair[pair] = self.by_pair.get(pair, 0) + weight


def _counts(state: CycleState) -> Counts:
    counts = state.data[NAME]
    assert isinstance(counts, Counts)
    return counts


def _count(counts: dict[Pair, int], term: AffinityTerm, labels: Labels, sign: int) -> None:
    value = labels.get(term.topology_key)
    if value is None:
        return
    pair = (term.topology_key, value)
    left = counts.get(pair, 0) + sign
    if left:
        counts[pair] = left
    else:
        counts.pop(pair, None)


def matches_all(terms: Iterable[AffinityTerm], pod: PodInfo, labels_of: NamespaceLabels) -> bool:
    """Whether a pod is what every term speaks of; no terms speak of nobody."""
    found = False
    for term in terms:
        if not term.matches(pod, labels_of):
            return False
        found = True
    return found


def _is_near(terms: Sequence[AffinityTerm], counts: Counts, labels: Labels) -> bool:
    """All neighbourhoods have a matching pod; the first pod of a group that wants its own kind is let in."""
    everywhere = True
    for term in terms:
        value = labels.get(term.topology_key)
        if value is None:
            return False
        if counts.near.get((term.topology_key, value), 0) <= 0:
            everywhere = False
    return everywhere or (not counts.near and counts.self_match)


def _speaks_of(terms: Iterable[AffinityTerm], pod: PodInfo) -> bool:
    """Whether a term may speak of a pod; namespace labels are not looked at, so it errs towards yes."""
    return any(
        term.selector.matches(pod.labels) and (term.namespace_selector is not None or pod.namespace in term.namespaces)
        for term in terms
    )


def _is_wanted(pod: PodInfo, old: Any, new: Any) -> bool:
    return _speaks_of(pod.affinity, new)


def _relabelled(pod: PodInfo, old: Any, new: Any) -> bool:
    return bool(old.labels != new.labels)


def _was_in_the_way(pod: PodInfo, old: Any, new: Any) -> bool:
    return _speaks_of(pod.anti_affinity, old) or _speaks_of(old.anti_affinity, pod)

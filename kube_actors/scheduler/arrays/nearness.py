"""InterPodAffinity on columns: who is near whom, counted by domain."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np

from kube_actors.scheduler.framework import MAX_SCORE
from kube_actors.scheduler.plugins.inter_pod_affinity import HARD_AFFINITY_WEIGHT, matches_all
from kube_actors.scheduler.pod_info import AffinityTerm, NamespaceLabels, PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .table import Bools, Ints, Sums, Table

Sort = tuple[Hashable, Callable[[PodInfo], int]]


def allowed(pod: PodInfo, snapshot: Snapshot, table: Table) -> Bools | None:
    """The nodes where nobody is in the way and everybody is near; None when no term has a say."""
    found: Bools | None = None
    if pod.affinity:
        found = _near(pod, snapshot, table)
    for term in pod.anti_affinity:
        far = _without(table, _matching(term, snapshot), term.topology_key)
        found = far if found is None else found & far
    for role, term in table.carried().pods:
        if role == "anti_affinity" and term.matches(pod, snapshot.namespace_labels):
            far = _without(table, _carrying(role, term), term.topology_key)
            found = far if found is None else found & far
    return found


def _near(pod: PodInfo, snapshot: Snapshot, table: Table) -> Bools:
    """All neighbourhoods have a pod that every term means; the first of a group that wants its own kind is let in."""
    labelled: Bools | None = None
    everywhere: Bools | None = None
    nobody = True
    sort = _matching_all(pod, snapshot)
    for term in pod.affinity:
        ids = table.topology(term.topology_key).ids
        sums = table.sums(*sort, term.topology_key).sums
        there = ids >= 0
        near = np.append(sums > 0, False)[ids]
        labelled = there if labelled is None else labelled & there
        everywhere = near if everywhere is None else everywhere & near
        nobody = nobody and not sums.any()
    assert labelled is not None and everywhere is not None
    if nobody and matches_all(pod.affinity, pod, snapshot.namespace_labels):
        return labelled
    return everywhere


def _without(table: Table, sort: Sort, key: str) -> Bools:
    """The nodes in whose domain there is none of a sort."""
    ids = table.topology(key).ids
    return np.append(table.sums(*sort, key).sums <= 0, True)[ids]


def scores(pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
    """The normalised scores of feasible rows; None when nobody likes or dislikes anything."""
    weights: dict[str, Ints] = {}
    for terms, sign in ((pod.preferred_affinity, 1), (pod.preferred_anti_affinity, -1)):
        for term in terms:
            _weigh(weights, table, _matching(term, snapshot), term.topology_key, sign * term.weight)
    for role, term in table.carried().pods:
        if role != "anti_affinity" and term.matches(pod, snapshot.namespace_labels):
            weight = HARD_AFFINITY_WEIGHT if role == "affinity" else term.weight
            sign = -1 if role == "preferred_anti_affinity" else 1
            _weigh(weights, table, _carrying(role, term), term.topology_key, sign * weight)
    raw: Ints | None = None
    for key, by_domain in weights.items():
        topology = table.topology(key)
        ids = topology.ids[rows]
        # A node without the label stands where one stands whose label is empty, as the plugin has it.
        unlabelled = topology.values.get("", -1)
        values = np.append(by_domain, 0)[ids if unlabelled < 0 else np.where(ids < 0, unlabelled, ids)]
        raw = values if raw is None else raw + values
    return None if raw is None else _normalised(raw)


def _weigh(weights: dict[str, Ints], table: Table, sort: Sort, key: str, weight: int) -> None:
    sums: Sums = table.sums(*sort, key)
    if not sums.sums.any():
        return
    before: Any = weights.get(key)
    weights[key] = sums.sums * weight if before is None else before + sums.sums * weight


def _normalised(raw: Ints) -> Ints:
    least = int(raw.min())
    span = int(raw.max()) - least
    if not span:
        return np.zeros(len(raw), np.int64)
    found: Ints = (MAX_SCORE * ((raw - least) / span)).astype(np.int64)
    return found


def _stamp(snapshot: Snapshot, *terms: AffinityTerm) -> int:
    """Namespaces' labels may change who is meant, where a term looks at them."""
    return snapshot.namespaces_stamp if any(term.namespace_selector is not None for term in terms) else 0


def _matching(term: AffinityTerm, snapshot: Snapshot) -> Sort:
    sort = ("matching", term.selector, term.namespaces, term.namespace_selector, _stamp(snapshot, term))
    return sort, partial(_is_meant, term, snapshot.namespace_labels)


def _is_meant(term: AffinityTerm, labels_of: NamespaceLabels, other: PodInfo) -> int:
    return int(term.matches(other, labels_of))


def _matching_all(pod: PodInfo, snapshot: Snapshot) -> Sort:
    terms = pod.affinity
    return ("matching all", terms, _stamp(snapshot, *terms)), partial(_are_meant, terms, snapshot.namespace_labels)


def _are_meant(terms: tuple[AffinityTerm, ...], labels_of: NamespaceLabels, other: PodInfo) -> int:
    return int(matches_all(terms, other, labels_of))


def _carrying(role: str, term: AffinityTerm) -> Sort:
    return ("carrying", role, term), partial(_carries, role, term)


def _carries(role: str, term: AffinityTerm, other: PodInfo) -> int:
    terms: tuple[AffinityTerm, ...] = getattr(other, role)
    return terms.count(term)

"""PodTopologySpread on columns: the same counts and skews as node by node."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial

import numpy as np

from kube_actors.api.selectors import Selector
from kube_actors.scheduler.framework import MAX_SCORE
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.plugins.spread_constraints import (
    HARD,
    HOSTNAME,
    SOFT,
    Constraint,
    default_constraints,
    has_all_keys,
    own_constraints,
)
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

from .table import Bools, Ints, Sums, Table

_NO_DOMAIN = 2**31 - 1


def allowed(pod: PodInfo, table: Table) -> Bools | None:
    """The nodes that the hard constraints let have one more; None when the pod has none."""
    constraints = own_constraints(pod.pod, HARD) if pod.pod.spec.topology_spread_constraints else []
    if not constraints:
        return None
    found: Bools | None = None
    for constraint in constraints:
        sums = _sums(pod, table, constraint, constraints)
        ids = table.topology(constraint.topology_key).ids
        present = sums.sums[sums.present]
        least = int(present.min()) if len(present) else _NO_DOMAIN
        if len(present) < constraint.min_domains:
            least = 0
        itself = int(constraint.selector.matches(pod.labels))
        roomy = sums.sums + (itself - least) <= constraint.max_skew
        # A value whose nodes do not count has nobody in it, as one that is not known.
        mask = np.append(roomy, False)[ids]
        found = mask if found is None else found & mask
    return found


def scores(pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
    """The normalised scores of feasible rows; None when the plugin has nothing to say."""
    strict = bool(pod.pod.spec.topology_spread_constraints)
    constraints = own_constraints(pod.pod, SOFT) if strict else default_constraints(pod.pod, snapshot)
    if not constraints:
        return None
    # With the system's constraints a node without a zone still takes part, as one of an unnamed zone.
    topologies = [table.topology(constraint.topology_key, unlabelled=not strict) for constraint in constraints]
    labelled = [table.topology(constraint.topology_key).ids[rows] >= 0 for constraint in constraints]
    counted = np.logical_and.reduce(labelled) if strict else None
    total = np.zeros(len(rows))
    for constraint, topology, there in zip(constraints, topologies, labelled, strict=True):
        ids = topology.ids[rows]
        if constraint.topology_key == HOSTNAME:
            size = len(rows) if counted is None else int(np.count_nonzero(counted))
            found = table.tally(*_sort(pod, constraint)).counts[rows]
        else:
            among = ids if counted is None else ids[counted]
            size = int(np.count_nonzero(np.bincount(among, minlength=1)))
            sums = _sums(pod, table, constraint, constraints if strict else (), unlabelled=not strict)
            found = np.append(sums.sums, 0)[ids]
        crowd = found * math.log(size + 2) + (constraint.max_skew - 1)
        total += crowd if strict else np.where(there, crowd, 0.0)
    return _normalised(np.floor(total + 0.5).astype(np.int64), counted)


def _normalised(raw: Ints, counted: Bools | None) -> Ints:
    among = raw if counted is None else raw[counted]
    if not len(among):
        return np.zeros(len(raw), np.int64)
    most, least = max(0, int(among.max())), int(among.min())
    found = MAX_SCORE * (most + least - raw) // most if most else np.full(len(raw), MAX_SCORE, np.int64)
    return found if counted is None else np.where(counted, found, 0)


def _sort(pod: PodInfo, constraint: Constraint) -> tuple[Hashable, Callable[[PodInfo], int]]:
    selector, namespace = constraint.selector, pod.namespace
    return ("spread", namespace, selector), partial(_counts, selector, namespace)


def _counts(selector: Selector, namespace: str, other: PodInfo) -> int:
    """An empty selector counts nobody, and neither do pods on their way out."""
    if selector.is_everything or other.terminating or other.namespace != namespace:
        return 0
    return int(selector.matches(other.labels))


def _sums(
    pod: PodInfo, table: Table, constraint: Constraint, together: Sequence[Constraint], *, unlabelled: bool = False
) -> Sums:
    """Matching pods by domain, over the nodes that have the labels of all constraints that go together."""
    keys = tuple(sorted({each.topology_key for each in together} - {constraint.topology_key}))
    indifferent = pod.node_requirements.is_indifferent
    if not keys and (indifferent or not constraint.honours_affinity) and not constraint.honours_taints:
        included = None
    else:
        memory = (keys, constraint.honours_affinity, constraint.honours_taints, pod.node_requirements, pod.tolerations)
        included = (memory, partial(_includes, pod, constraint, tuple(together)))
    return table.sums(*_sort(pod, constraint), constraint.topology_key, included, unlabelled=unlabelled)


def _includes(pod: PodInfo, constraint: Constraint, together: Sequence[Constraint], node: NodeInfo) -> bool:
    return has_all_keys(node.labels, together) and constraint.includes(pod, node)

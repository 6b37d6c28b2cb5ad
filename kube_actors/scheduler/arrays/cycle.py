"""A cycle on arrays: the feasible rows and their totals, in the same numbers as node by node.

Owns which plugin is asked how: those that look at one node alone by the sheet of the pod's kind, those with an array
form by that, all others node by node over what is left. A pod that finds no node, or whose preparation is refused, is
left to the plain cycle, which owns the words for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kube_actors.scheduler.framework import (
    ArrayFilter,
    Code,
    CycleState,
    Filter,
    NodeNames,
    Profile,
    Score,
    has_array_filter,
    has_array_score,
)
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo

from .sheet import Sheet, kind_of
from .table import Bools, Ints, Table

if TYPE_CHECKING:
    from kube_actors.scheduler.snapshot import Snapshot


class Names(Sequence[str]):
    """The names of rows, made when somebody reads them."""

    def __init__(self, nodes: list[NodeInfo | None], rows: Ints) -> None:
        self._nodes = nodes
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self)[index]
        node = self._nodes[int(self._rows[index])]
        assert node is not None
        return node.name

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self._rows)))


class Plan:
    """How each plugin of a profile is asked; worked out once a profile."""

    def __init__(self, profile: Profile) -> None:
        self.local_filters: list[Filter] = [plugin for plugin in profile.filters if is_local(plugin)]
        self.local_scores: list[Score] = [plugin for plugin in profile.scores if is_local(plugin)]
        self.array_filters: list[ArrayFilter] = [each for each in profile.filters if has_array_filter(each)]
        asked = {plugin.name for plugin in (*self.local_filters, *self.array_filters)}
        self.prepared = [plugin for plugin in profile.pre_filters if plugin.name not in asked]
        self.other_filters = [plugin for plugin in profile.filters if plugin.name not in asked]
        self.pre_scores = {plugin.name: plugin for plugin in profile.pre_scores}


def is_local(plugin: object) -> bool:
    return bool(getattr(plugin, "local", False))


class ArrayCycle:
    """What a snapshot keeps for its cycles: the table of columns, and a plan for each profile."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.table = Table(snapshot.keep_journal())
        self._plans: dict[int, tuple[Profile, Plan]] = {}

    def _plan(self, profile: Profile) -> Plan:
        known = self._plans.get(id(profile))
        if known is None or known[0] is not profile:
            known = self._plans[id(profile)] = (profile, Plan(profile))
        return known[1]

    def feasible(self, pod: PodInfo, profile: Profile, state: CycleState) -> Ints | None:
        """The rows that can take the pod; None when there is none, or the plain cycle has to say why."""
        snapshot, plan = self._snapshot, self._plan(profile)
        others = self._prepare(pod, plan, state)
        if others is None:
            return None
        mask: Bools = self._sheet(pod, profile, plan).mask
        for plugin in plan.array_filters:
            allowed = plugin.filter_rows(pod, snapshot, self.table)
            if allowed is not None:
                mask = mask & allowed
        if others:
            mask = self._ask(pod, state, others, mask)
        if snapshot.nominated:
            mask = self._with_nominated(pod, profile, mask)
        row = self.table.journal.rows.get(pod.nominated_node) if pod.nominated_node else None
        if row is not None and mask[row]:
            return np.array([row])
        rows: Ints = np.flatnonzero(mask)
        return rows if len(rows) else None

    def _sheet(self, pod: PodInfo, profile: Profile, plan: Plan) -> Sheet:
        def make() -> Sheet:
            return Sheet(self.table, self._snapshot, pod, plan.local_filters, plan.local_scores)

        return self.table.column(("sheet", id(profile), kind_of(pod)), make)

    def _prepare(self, pod: PodInfo, plan: Plan, state: CycleState) -> list[Filter] | None:
        """The plugins that have to be asked node by node; None when one of them refuses the pod, or names nodes."""
        for plugin in plan.prepared:
            answer = plugin.pre_filter(state, pod, self._snapshot)
            if answer is None:
                continue
            if isinstance(answer, NodeNames) or answer.code is not Code.SKIP:
                return None
            state.skipped_filters.add(plugin.name)
        return [plugin for plugin in plan.other_filters if plugin.name not in state.skipped_filters]

    def _ask(self, pod: PodInfo, state: CycleState, plugins: list[Filter], mask: Bools) -> Bools:
        """Node by node, as long as nobody has refused the node."""
        found, nodes = mask.copy(), self.table.journal.nodes
        for row in np.flatnonzero(mask).tolist():
            node = nodes[row]
            assert node is not None
            found[row] = all(plugin.filter(state, pod, node) is None for plugin in plugins)
        return found

    def _with_nominated(self, pod: PodInfo, profile: Profile, mask: Bools) -> Bools:
        """Nodes where pods that matter as much wait for room must hold these as well."""
        from kube_actors.scheduler.cycle import fits, run_pre_filters  # lazy: that module leads to this one

        snapshot, rows = self._snapshot, self.table.journal.rows
        found, state = mask, None
        for name, waiting in snapshot.nominated.items():
            row = rows.get(name)
            if row is None or not mask[row]:
                continue
            if not any(other.priority >= pod.priority and uid != pod.uid for uid, other in waiting.items()):
                continue
            if state is None:
                state, found = CycleState(), mask.copy()
                run_pre_filters(pod, snapshot, profile, state)
            found[row] = fits(pod, snapshot.nodes[name], snapshot, profile, state) is None
        return found

    def totals(self, pod: PodInfo, profile: Profile, state: CycleState, rows: Ints) -> Ints:
        """The sum of all scores, in the order of the rows. What is the same for every node is left out."""
        total: Ints = np.zeros(len(rows), np.int64)
        for found in self.scores(pod, profile, state, rows).values():
            total += found
        return total

    def scores(self, pod: PodInfo, profile: Profile, state: CycleState, rows: Ints) -> dict[str, Ints]:
        """Weighted scores by plugin, of those that have something to say."""
        snapshot, plan = self._snapshot, self._plan(profile)
        sheet = self._sheet(pod, profile, plan)
        nodes: list[NodeInfo] | None = None
        found: dict[str, Ints] = {}
        for plugin in profile.scores:
            name = plugin.name
            if has_array_score(plugin):
                given = plugin.score_rows(pod, snapshot, self.table, rows)
                if given is None:
                    continue
                scores = given
            else:
                if not is_local(plugin) and nodes is None:
                    nodes = self._nodes(rows)
                pre = plan.pre_scores.get(name)
                answer = None if pre is None else pre.pre_score(state, pod, nodes or (), snapshot)
                if answer is not None and answer.code is Code.SKIP:
                    continue
                if nodes is not None and not is_local(plugin):
                    scores = np.array(plugin.score(state, pod, nodes, snapshot), np.int64)
                else:
                    scores = sheet.raw(name)[rows]
                scores = self._normalise(profile, name, state, rows, scores)
            weight = profile.weights.get(name, 1)
            found[name] = scores * weight if weight != 1 else scores
        return found

    def _normalise(self, profile: Profile, name: str, state: CycleState, rows: Ints, scores: Ints) -> Ints:
        normalizer = profile.normalizers.get(name)
        if normalizer is None:
            return scores
        if not scores.any():
            # Normalising looks at scores alone, and nothing but zeros comes out the same for every node.
            return np.full(len(rows), normalizer.normalize(state, (), [0])[0], np.int64)
        # Few different scores, many nodes: each value is normalised once.
        values, places = np.unique(scores, return_inverse=True)
        return np.array(normalizer.normalize(state, (), values.tolist()), np.int64)[places]

    def _nodes(self, rows: Ints) -> list[NodeInfo]:
        nodes = self.table.journal.nodes
        return [node for node in (nodes[row] for row in rows.tolist()) if node is not None]

    def names(self, rows: Ints) -> Names:
        return Names(self.table.journal.nodes, rows)

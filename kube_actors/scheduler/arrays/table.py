"""Columns over the rows of a journal, each made on first use and brought up to date when it is read.

Owns the kinds of columns: where a label puts a node, how many pods of a sort a node has, how many of them each domain
of a label has. Columns know no plugin; plugins say which pods count and read sums.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from kube_actors.scheduler import limits
from kube_actors.scheduler.journal import Change, Journal
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import AffinityTerm, PodInfo

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
C = TypeVar("C", bound="Column")


class Column:
    """What all columns share: reading on in the journal, and room for more rows."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._position = -1

    def refresh(self) -> None:
        """Take in what has changed since the last time."""
        journal = self.table.journal
        if self._position == journal.position:
            return
        changes = None if self._position < 0 else journal.since(self._position)
        self._position = journal.position
        if changes is None:
            self._begin()
            changes = [(row, None, 0) for row in range(len(journal.nodes))]
        self._take(changes)

    def _begin(self) -> None:
        """Every row is told again; a column that derives more from rows than their own cells forgets it here."""

    @abstractmethod
    def _take(self, changes: list[Change]) -> None: ...


def grown(array: NDArray[Any], rows: int, filler: int) -> NDArray[Any]:
    """The array, or a longer one that begins with it."""
    if rows <= len(array):
        return array
    longer = np.full(max(rows, 2 * len(array), 64), filler, dtype=array.dtype)
    longer[: len(array)] = array
    return longer


class Topology(Column):
    """Which domain of a label each node is in; -1 without the label or the node.

    With `unlabelled` nodes without the label are in the domain of the empty value.
    """

    def __init__(self, table: Table, key: str, *, unlabelled: bool = False) -> None:
        super().__init__(table)
        self.key = key
        self._missing = "" if unlabelled else None
        self.values: dict[str, int] = {}
        self._ids: Ints = np.empty(0, np.int64)

    @property
    def ids(self) -> Ints:
        return self._ids[: len(self.table.journal.nodes)]

    def _begin(self) -> None:
        self.values = {}

    def _take(self, changes: list[Change]) -> None:
        nodes, key, values, missing = self.table.journal.nodes, self.key, self.values, self._missing
        self._ids = grown(self._ids, len(nodes), -1)
        for row, pod, _ in changes:
            if pod is None:
                node = nodes[row]
                value = None if node is None else node.labels.get(key, missing)
                self._ids[row] = -1 if value is None else values.setdefault(value, len(values))


class Tally(Column):
    """How many pods of a sort each node has; `weigh` says what one pod counts."""

    def __init__(self, table: Table, weigh: Callable[[PodInfo], int]) -> None:
        super().__init__(table)
        self.weigh = weigh
        self._counts: Ints = np.empty(0, np.int64)

    @property
    def counts(self) -> Ints:
        return self._counts[: len(self.table.journal.nodes)]

    def _take(self, changes: list[Change]) -> None:
        nodes, weigh = self.table.journal.nodes, self.weigh
        self._counts = counts = grown(self._counts, len(nodes), 0)
        # A node counts as it is now, so what became of its pods before and after is in that already.
        whole = {row for row, pod, _ in changes if pod is None}
        for row in whole:
            node = nodes[row]
            counts[row] = 0 if node is None else sum(map(weigh, node.pods.values()))
        for row, pod, sign in changes:
            if pod is not None and row not in whole:
                weight = weigh(pod)
                if weight:
                    counts[row] += sign * weight


class Sums(Column):
    """A tally by domain, over the nodes that `included` lets count (None: all that have the label)."""

    def __init__(self, table: Table, tally: Tally, topology: Topology, included: Included | None) -> None:
        super().__init__(table)
        self._tally, self._topology, self._included = tally, topology, included
        self._layout = -1
        self._where: Bools = np.empty(0, np.bool_)
        self.sums: Ints = np.empty(0, np.int64)
        self.present: Bools = np.empty(0, np.bool_)
        """Which domains have a node that counts."""

    def refresh(self) -> None:
        self._topology.refresh()
        self._tally.refresh()
        super().refresh()

    def _begin(self) -> None:
        self._layout = -1

    def _take(self, changes: list[Change]) -> None:
        if self._layout != self.table.journal.layout:
            self._anew()
            return
        ids, where, weigh = self._topology.ids, self._where, self._tally.weigh
        for row, pod, sign in changes:
            if pod is not None and where[row]:
                weight = weigh(pod)
                if weight:
                    self.sums[ids[row]] += sign * weight

    def _anew(self) -> None:
        self._layout = self.table.journal.layout
        ids = self._topology.ids
        where = ids >= 0
        if self._included is not None:
            self._included.refresh()
            where &= self._included.mask
        self._where = where
        size = len(self._topology.values)
        chosen = ids[where]
        counted = np.bincount(chosen, weights=self._tally.counts[where], minlength=size)
        self.sums = counted.astype(np.int64)
        self.present = np.bincount(chosen, minlength=size) > 0


class Included(Column):
    """Nodes that a rule lets take part; the rule looks at nothing but the node itself."""

    def __init__(self, table: Table, rule: Callable[[NodeInfo], bool]) -> None:
        super().__init__(table)
        self._rule = rule
        self._mask: Bools = np.empty(0, np.bool_)

    @property
    def mask(self) -> Bools:
        return self._mask[: len(self.table.journal.nodes)]

    def _take(self, changes: list[Change]) -> None:
        nodes, rule = self.table.journal.nodes, self._rule
        self._mask = grown(self._mask, len(nodes), False)
        for row, pod, _ in changes:
            if pod is None:
                node = nodes[row]
                self._mask[row] = node is not None and rule(node)


class Carried(Column):
    """Every affinity term that pods on nodes have, by its role, with how many pods there have it."""

    ROLES = ("anti_affinity", "affinity", "preferred_affinity", "preferred_anti_affinity")

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.pods: dict[tuple[str, AffinityTerm], int] = {}
        self._told: dict[int, dict[str, PodInfo]] = {}

    def _begin(self) -> None:
        self.pods = {}
        self._told = {}

    def _take(self, changes: list[Change]) -> None:
        nodes = self.table.journal.nodes
        for row in {row for row, pod, _ in changes if pod is None or pod.has_affinity}:
            node = nodes[row]
            now = {} if node is None else node.affinity_pods
            before = self._told.get(row, {})
            for uid, pod in before.items():
                if now.get(uid) is not pod:
                    self._count(pod, -1)
            for uid, pod in now.items():
                if before.get(uid) is not pod:
                    self._count(pod, 1)
            if now:
                self._told[row] = dict(now)
            else:
                self._told.pop(row, None)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for role in self.ROLES:
            for term in getattr(pod, role):
                left = self.pods.get((role, term), 0) + sign
                if left:
                    self.pods[role, term] = left
                else:
                    del self.pods[role, term]


class Table:
    """The columns of one journal, by what they are about; the ones not read for longest go first."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._columns: dict[Hashable, Column] = {}

    def column(self, key: Hashable, make: Callable[[], C]) -> C:
        """The column of this key, up to date."""
        columns = self._columns
        found = columns.pop(key, None)
        if found is None:
            found = make()
            while len(columns) >= limits.COLUMNS:
                del columns[next(iter(columns))]
        columns[key] = found
        found.refresh()
        return cast(C, found)

    def topology(self, key: str, *, unlabelled: bool = False) -> Topology:
        return self.column(("topology", key, unlabelled), lambda: Topology(self, key, unlabelled=unlabelled))

    def sums(
        self,
        sort: Hashable,
        weigh: Callable[[PodInfo], int],
        key: str,
        included: tuple[Hashable, Callable[[NodeInfo], bool]] | None = None,
        *,
        unlabelled: bool = False,
    ) -> Sums:
        """Pods of a sort by the domains of a label. `sort` and the first of `included` are what memory goes by."""

        def make() -> Sums:
            mask = None if included is None else self._included(*included)
            return Sums(self, self.tally(sort, weigh), self.topology(key, unlabelled=unlabelled), mask)

        return self.column(("sums", sort, key, unlabelled, None if included is None else included[0]), make)

    def tally(self, sort: Hashable, weigh: Callable[[PodInfo], int]) -> Tally:
        return self.column(("tally", sort), lambda: Tally(self, weigh))

    def included(self, sort: Hashable, rule: Callable[[NodeInfo], bool]) -> Bools:
        """The nodes for which a rule holds that looks at the node itself, not at its pods."""
        return self._included(sort, rule).mask

    def _included(self, sort: Hashable, rule: Callable[[NodeInfo], bool]) -> Included:
        return self.column(("included", sort), lambda: Included(self, rule))

    def carried(self) -> Carried:
        return self.column("carried", lambda: Carried(self))

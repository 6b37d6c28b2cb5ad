"""What plugins that look at one node alone say about pods of one kind: a row a node, asked again when the node changed.

Owns the memory; the answers are the plugins' own. Two pods are of one kind when those plugins cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from kube_actors.scheduler.framework import CycleState, Filter, Score
from kube_actors.scheduler.journal import Change
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo

from .table import Bools, Column, Ints, Table, grown

if TYPE_CHECKING:
    from kube_actors.scheduler.snapshot import Snapshot


def kind_of(pod: PodInfo) -> Hashable:
    """All of a pod that a plugin may look at to judge one node."""
    return (pod.shape, pod.tolerations, pod.node_requirements, pod.ports)


class Sheet(Column):
    """`mask`: the nodes that every local filter lets pass; `raw`: the local scores as they are before normalising."""

    def __init__(
        self, table: Table, snapshot: Snapshot, pod: PodInfo, filters: list[Filter], scores: list[Score]
    ) -> None:
        super().__init__(table)
        self._snapshot = snapshot
        self._pod = pod
        self._filters = [plugin.filter for plugin in filters]
        self._scores = scores
        self._state = CycleState()
        self._mask: Bools = np.empty(0, np.bool_)
        self._raw: dict[str, Ints] = {plugin.name: np.empty(0, np.int64) for plugin in scores}

    @property
    def mask(self) -> Bools:
        return self._mask[: len(self.table.journal.nodes)]

    def raw(self, plugin: str) -> Ints:
        return self._raw[plugin][: len(self.table.journal.nodes)]

    def _take(self, changes: list[Change]) -> None:
        nodes = self.table.journal.nodes
        self._mask = grown(self._mask, len(nodes), False)
        rows = list({row for row, _, _ in changes})
        asked: list[NodeInfo] = []
        known: list[int] = []
        for row in rows:
            node = nodes[row]
            fits = node is not None and self._passes(node)
            self._mask[row] = fits
            if node is not None and fits:
                asked.append(node)
                known.append(row)
        for plugin in self._scores:
            column = self._raw[plugin.name] = grown(self._raw[plugin.name], len(nodes), 0)
            if asked:
                column[known] = plugin.score(self._state, self._pod, asked, self._snapshot)

    def _passes(self, node: NodeInfo) -> bool:
        state, pod = self._state, self._pod
        return all(check(state, pod, node) is None for check in self._filters)

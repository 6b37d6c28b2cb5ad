"""Rows for nodes, and what has changed on them since: how arrays beside a snapshot are kept up to date by deltas.

Owns the numbering (a row stays a node's until the node goes, then another may have it) and a bounded list of changes.
Readers remember how far they have read; one that has fallen too far behind begins anew.
"""

from __future__ import annotations

from . import limits
from .node_info import NodeInfo
from .pod_info import PodInfo

Change = tuple[int, PodInfo | None, int]
"""A row, and the pod that came (1) or went (-1); without a pod it is the node itself that changed."""


class Journal:
    """`nodes` by row, None where no node is. `layout` counts changes of nodes themselves."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.nodes: list[NodeInfo | None] = []
        self.layout = 0
        self._free: list[int] = []
        self._changes: list[Change] = []
        self._forgotten = 0

    @property
    def position(self) -> int:
        """Behind the newest change."""
        return self._forgotten + len(self._changes)

    def since(self, position: int) -> list[Change] | None:
        """The changes from a position on; None when they are no longer known."""
        if position < self._forgotten:
            return None
        return self._changes[position - self._forgotten :]

    def node(self, info: NodeInfo) -> None:
        """A node is new or has changed."""
        row = self.rows.get(info.name)
        if row is None:
            if self._free:
                row = self._free.pop()
                self.nodes[row] = info
            else:
                row = len(self.nodes)
                self.nodes.append(info)
            self.rows[info.name] = row
        self._note((row, None, 0))

    def gone(self, name: str) -> None:
        """A node is no longer there."""
        row = self.rows.pop(name)
        self.nodes[row] = None
        self._free.append(row)
        self._note((row, None, 0))

    def pod(self, info: NodeInfo, pod: PodInfo, sign: int) -> None:
        """A pod came to a node or went from it; nodes that are not known have no row."""
        row = self.rows.get(info.name)
        if row is not None:
            self._note((row, pod, sign))

    def _note(self, change: Change) -> None:
        if change[1] is None:
            self.layout += 1
        if len(self._changes) >= limits.JOURNAL_CHANGES:
            cut = limits.JOURNAL_CHANGES // 2
            del self._changes[:cut]
            self._forgotten += cut
        self._changes.append(change)

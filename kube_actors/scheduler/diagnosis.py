"""Why a pod found no node, in the words that users read.

Owns the text of the PodScheduled condition and of the FailedScheduling event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from .framework import Code, Verdict

NO_NODES = "no nodes available to schedule pods"
EVENT_MESSAGE_LIMIT = 1024
_CUT = 1020


class Diagnosis(Struct, frozen=True, kw_only=True):
    """total: how many nodes there are; refused: node -> why; absent: why the nodes not in it are out;
    prefilter: what ended the cycle before any node was looked at; postfilter: what was tried then."""

    total: int
    refused: Mapping[str, Verdict] = {}
    absent: Verdict | None = None
    prefilter: Verdict | None = None
    postfilter: str = ""

    @property
    def message(self) -> str:
        if not self.total:
            return NO_NODES
        if self.prefilter is not None:
            text = f"0/{self.total} nodes are available: {self.prefilter.message}."
        else:
            text = f"0/{self.total} nodes are available: {', '.join(self._histogram())}."
        return f"{text} {self.postfilter}" if self.postfilter else text

    def _histogram(self) -> list[str]:
        """Each reason with how many nodes gave it, sorted as text."""
        counted: Counter[str] = Counter()
        for verdict in self.refused.values():
            counted.update(verdict.reasons)
        if self.absent is not None:
            for reason in self.absent.reasons:
                counted[reason] += self.total - len(self.refused)
        return sorted(f"{count} {reason}" for reason, count in counted.items() if count)

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that refused the pod, or a node."""
        found = {verdict.plugin for verdict in self.refused.values() if verdict.plugin}
        for verdict in (self.prefilter, self.absent):
            if verdict is not None and verdict.plugin:
                found.add(verdict.plugin)
        return frozenset(found)

    def of(self, node: str) -> Verdict:
        """Why a node is out."""
        if self.prefilter is not None:
            return self.prefilter
        verdict = self.refused.get(node) or self.absent
        return verdict if verdict is not None else Verdict(Code.UNRESOLVABLE)


def event_message(text: str) -> str:
    """A message cut to what an event may hold."""
    return text if len(text.encode()) <= EVENT_MESSAGE_LIMIT else text.encode()[:_CUT].decode(errors="ignore") + " ..."

"""What the autoscaler controller remembers between two looks, and whose pods may be claimed by several autoscalers.

Owns the index by which the rivals of an autoscaler are found. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.api.selectors import Selector
from kube_actors.api.types.core_v1 import Pod

from .membership import exact_labels
from .scaling import History


class Memory:
    """What is known of one autoscaler between two looks."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.history = History()
        self.selector: Selector | None = None


class Rivals:
    """The autoscalers of a namespace, found by a label of their selectors, so that many cost no more than few."""

    def __init__(self) -> None:
        self.known: dict[str, Memory] = {}
        self._by_label: dict[str, set[str]] = {}

    def file(self, name: str, selector: Selector) -> None:
        """Note whose pods an autoscaler goes by."""
        memory = self.known.get(name)
        if memory is not None and memory.selector != selector:
            self._leave(name, memory)
            memory.selector = selector
            self._by_label.setdefault(_first_label(selector), set()).add(name)

    def forget(self, name: str) -> None:
        memory = self.known.pop(name, None)
        if memory is not None:
            self._leave(name, memory)

    def rivals(self, members: Sequence[Pod]) -> dict[str, Selector]:
        """The selectors that may select one of some pods."""
        labels = {f"{key}={value}" for pod in members for key, value in pod.metadata.labels.items()}
        found: dict[str, Selector] = {}
        for label in ("", *labels):
            for name in self._by_label.get(label, ()):
                selector = self.known[name].selector
                if selector is not None:
                    found[name] = selector
        return found

    def _leave(self, name: str, memory: Memory) -> None:
        if memory.selector is not None:
            label = _first_label(memory.selector)
            names = self._by_label[label]
            names.discard(name)
            if not names:
                del self._by_label[label]


def _first_label(selector: Selector) -> str:
    """A label that everything has which a selector selects; "" where there is none such."""
    return next(iter(exact_labels(selector)), "")

"""The order of admission: every step may complete the object, then every step may refuse it.

Owns the order and nothing of what the steps decide. A step sees one attempt of one write; it may read the store
through the core, never write to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from kube_actors.apiserver.core import Call

JSONObject = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Attempt:
    """One write as admission sees it: obj is None for a delete, old is None for a create."""

    __slots__ = ("call", "obj", "old", "operation", "subresource")

    def __init__(
        self, call: Call, operation: Operation, obj: JSONObject | None, old: JSONObject | None, subresource: str = ""
    ) -> None:
        self.call = call
        self.operation = operation
        self.obj = obj
        self.old = old
        self.subresource = subresource

    def concerns(self, group: str, plural: str) -> bool:
        """Whether the write is on this resource itself, no sub-resource of it."""
        resource = self.call.kind.resource
        return resource.group == group and resource.plural == plural and not self.subresource


class Step:
    """One admission step; most do one half only."""

    name = ""

    async def complete(self, attempt: Attempt) -> None:
        """Fill in; may refuse by raising ApiError."""

    async def check(self, attempt: Attempt) -> None:
        """Refuse by raising ApiError; the object is as it will be stored."""


class Admission:
    """The steps in their order."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self._steps)

    async def complete(self, attempt: Attempt) -> None:
        for step in self._steps:
            await step.complete(attempt)

    async def check(self, attempt: Attempt) -> None:
        for step in self._steps:
            await step.check(attempt)

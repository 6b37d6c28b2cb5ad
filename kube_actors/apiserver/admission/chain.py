"""The order of admission: every step may complete the object, then every step may refuse it.

Owns the order, what a step sees of one attempt, and the refusal's wording; nothing of what the steps decide. A step
may read the store through the core; the one that writes is the quota's, which charges what it lets pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from kube_actors.api import errors
from kube_actors.api.errors import ApiError, Cause
from kube_actors.apiserver.core import Call

JSONObject = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Attempt:
    """One write as admission sees it: obj is None for a delete, old is None for a create.

    obj of a CONNECT is the options object. options is the write's own options object, as webhooks are shown it.
    A step that replaces obj says so by assigning it.
    """

    __slots__ = ("call", "name", "namespace", "obj", "old", "operation", "subresource")

    def __init__(
        self,
        call: Call,
        operation: Operation,
        obj: JSONObject | None,
        old: JSONObject | None,
        subresource: str = "",
        *,
        name: str | None = None,
    ) -> None:
        self.call = call
        self.operation = operation
        self.obj = obj
        self.old = old
        self.subresource = subresource
        self.name = call.name if name is None else name
        self.namespace = call.namespace

    def concerns(self, group: str, plural: str) -> bool:
        """Whether the write is on this resource itself, no sub-resource of it."""
        resource = self.call.kind.resource
        return resource.plural == plural and resource.group == group and not self.subresource

    def shown_name(self) -> str:
        """The name in refusals: an object that is still to be named is called by its prefix."""
        if self.name:
            return self.name
        metadata = (self.obj or {}).get("metadata") or {}
        return metadata.get("name") or metadata.get("generateName") or "Unknown"

    def forbidden(self, why: str, causes: Sequence[Cause] = ()) -> ApiError:
        return errors.forbidden(self.call.kind.resource, self.shown_name(), why, causes)

    def annotate(self, key: str, value: str) -> None:
        """Note something for the audit log."""
        self.call.annotations[key] = value


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
        self._completing = tuple(step for step in steps if type(step).complete is not Step.complete)
        self._checking = tuple(step for step in steps if type(step).check is not Step.check)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self._steps)

    async def complete(self, attempt: Attempt) -> None:
        for step in self._completing:
            await step.complete(attempt)

    async def check(self, attempt: Attempt) -> None:
        for step in self._checking:
            await step.check(attempt)

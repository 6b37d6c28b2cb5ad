"""The order of admission: every step may complete the object, then every step may refuse it.

Owns the order, what a step sees of one attempt, and the refusal's wording; nothing of what the steps decide. A step
may read the store through the core; the one that writes is the quota's, which charges what it lets pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from kube_actors.api import errors
from kube_actors.api.errors import ApiError, Cause
from kube_actors.apiserver import limits
from kube_actors.apiserver.core import NOTES, Call

JSONObject = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Rounds:
    """Which parts of one completing step ask to be asked again once others have changed the object after them."""

    __slots__ = ("due", "last", "seen")

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.due: set[str] = set()
        self.last: bytes | None = None

    def changed(self) -> None:
        """The object has changed: all that was asked before is to be asked again."""
        self.due |= self.seen
        self.seen = set()


class Attempt:
    """One write as admission sees it: obj is None for a delete, old is None for a create.

    obj of a CONNECT is the options object. A step that makes another object of obj changes it in place.
    """

    __slots__ = (
        "_rounds", "again", "call", "is_again", "name", "namespace", "obj", "old", "operation", "subresource",
    )  # fmt: skip

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
        resource = call.kind.resource
        self.namespace = self.name if resource.plural == "namespaces" and not resource.group else call.namespace
        self.again = False
        """Set by a step that has changed the object so that the earlier steps should see it once more."""
        self.is_again = False
        self._rounds: dict[str, Rounds] | None = None

    def rounds(self, step: str) -> Rounds:
        if self._rounds is None:
            self._rounds = {}
        return self._rounds.setdefault(step, Rounds())

    @property
    def shown_kind(self) -> tuple[str, str, str]:
        """Group, version and kind of obj, which for a sub-resource may be another one."""
        resource = self.call.kind.resource
        if self.operation == "CONNECT" and self.obj is not None:
            return "", "v1", self.obj["kind"]
        if self.subresource:
            known = resource.subresources.get(self.subresource.partition("/")[0])
            if known is not None:
                return known.group or resource.group, known.version or resource.version, known.kind
        return resource.gvk

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
        notes = NOTES.get()
        if notes is not None:
            notes[key] = value


Resources = frozenset[tuple[str, str]]
"""Groups and plurals."""
PODS: Resources = frozenset({("", "pods")})


class Step:
    """One admission step; most do one half only."""

    name = ""
    only: ClassVar[Resources | None] = None
    """The resources that it has to do with, sub-resources and all; None: any."""

    def sleeps(self, attempt: Attempt) -> bool:
        """Whether it has surely nothing to do, whatever is written."""
        return False

    async def complete(self, attempt: Attempt) -> None:
        """Fill in; may refuse by raising ApiError."""

    async def check(self, attempt: Attempt) -> None:
        """Refuse by raising ApiError; the object is as it will be stored."""


class Admission:
    """The steps in their order."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self._plans: dict[tuple[str, str], _Plan] = {}

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._steps

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self._steps)

    async def complete(self, attempt: Attempt) -> None:
        steps = self._plan(attempt).completing.of(attempt)
        for step in steps:
            await step.complete(attempt)
        if attempt.again:
            attempt.again, attempt.is_again = False, True
            for step in steps:
                await step.complete(attempt)

    async def check(self, attempt: Attempt) -> None:
        for step in self._plan(attempt).checking.of(attempt):
            await step.check(attempt)

    def _plan(self, attempt: Attempt) -> _Plan:
        resource = attempt.call.kind.resource
        key = resource.group, resource.plural
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= limits.ADMISSION_PLANS:
                self._plans.clear()
            mine = [step for step in self._steps if step.only is None or key in step.only]
            found = self._plans[key] = _Plan(
                _Half([step for step in mine if type(step).complete is not Step.complete]),
                _Half([step for step in mine if type(step).check is not Step.check]),
            )
        return found


class _Half:
    """The steps of one half that have to do with a resource; without those that sleep, as long as they all do."""

    __slots__ = ("_awake", "_sleepers", "_steps")

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)
        self._sleepers = tuple(step for step in steps if type(step).sleeps is not Step.sleeps)
        self._awake = tuple(step for step in steps if type(step).sleeps is Step.sleeps)

    def of(self, attempt: Attempt) -> tuple[Step, ...]:
        for step in self._sleepers:
            if not step.sleeps(attempt):
                return self._steps
        return self._awake


class _Plan(NamedTuple):
    """What a resource's writes go through."""

    completing: _Half
    checking: _Half

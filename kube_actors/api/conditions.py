"""Conditions: the named yes-or-no statements in an object's status.

Owns finding one and replacing one with the rule about its transition time. Works on every kind's condition
struct. Pure: the time is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

TRUE = "True"
FALSE = "False"
UNKNOWN = "Unknown"


class Condition(Protocol):
    """What all condition structs have."""

    @property
    def type(self) -> str: ...

    @property
    def status(self) -> str: ...


C = TypeVar("C", bound=Condition)

_TIMES = frozenset({"last_transition_time", "last_update_time", "last_heartbeat_time", "last_probe_time"})


def find(conditions: Sequence[C], kind: str) -> C | None:
    """The condition of this type, or None."""
    for condition in conditions:  # a generator would take twice as long, and this is asked of every pod
        if condition.type == kind:
            return condition
    return None


def is_true(conditions: Sequence[C], kind: str) -> bool:
    found = find(conditions, kind)
    return found is not None and found.status == TRUE


def set_condition(conditions: Sequence[C], new: C, now: str) -> tuple[C, ...]:
    """The conditions with `new` in place of the one of its type, or at the end.

    last_transition_time (and last_update_time, where the struct has it) become `now`, except that the transition
    time stays when the status does; when nothing but times would change, the conditions stay as they are.
    """
    old = find(conditions, new.type)
    if old is not None and _same(old, new):
        return tuple(conditions)
    stamps: dict[str, Any] = {}
    fields = new.__struct_fields__  # type: ignore[attr-defined]
    if "last_update_time" in fields:
        stamps["last_update_time"] = now
    if "last_transition_time" in fields:
        kept = getattr(old, "last_transition_time", None) if old is not None and old.status == new.status else None
        stamps["last_transition_time"] = kept or now
    stamped: C = msgspec.structs.replace(new, **stamps)  # type: ignore[type-var]
    if old is None:
        return (*conditions, stamped)
    return tuple(stamped if condition.type == new.type else condition for condition in conditions)


def _same(old: Any, new: Any) -> bool:
    """Whether two conditions say the same, whenever they said it."""
    return all(getattr(old, name) == getattr(new, name) for name in new.__struct_fields__ if name not in _TIMES)


def remove(conditions: Sequence[C], kind: str) -> tuple[C, ...]:
    """The conditions without the one of this type."""
    return tuple(condition for condition in conditions if condition.type != kind)

"""Which event to write for what happened: a new one, one more count on an old one, or none. Pure.

As Kubernetes' clients do it: the same event again raises its count; many similar events about one object become
one "combined" event; an object that floods is cut off by a bucket of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from msgspec import Struct, structs

from kube_actors.api.types.core_v1 import ObjectReference

from . import limits
from .ratelimits import TokenBucket

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

COMBINED = "(combined from similar events): "


class Occurrence(Struct, frozen=True, kw_only=True):
    """Something happened to an object. at is Unix seconds."""

    about: ObjectReference
    type: str
    reason: str
    message: str
    at: float
    related: ObjectReference | None = None


class Written(Struct, frozen=True, kw_only=True):
    """What is known of an event in the API."""

    name: str
    namespace: str
    count: int
    first_at: float


class Verdict(Struct, frozen=True, kw_only=True):
    """What to write. previous None: create an event with this message; otherwise raise that event's count."""

    key: tuple[str, ...]
    message: str
    count: int
    previous: Written | None = None


class _Similar(Struct):
    messages: set[str]
    at: float


class _Recent(Generic[K, V]):
    """The most recently used entries; making one when it is missing."""

    def __init__(self, make: Callable[[], V], capacity: int = limits.EVENT_CACHE_ENTRIES) -> None:
        self._make = make
        self._capacity = capacity
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __getitem__(self, key: K) -> V:
        entry = self._entries.pop(key, None)
        if entry is None:
            entry = self._make()
        self._entries[key] = entry
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
        return entry

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)

    def peek(self, key: K) -> V | None:
        return self._entries.get(key)

    def discard(self, key: K) -> None:
        self._entries.pop(key, None)


class Correlator:
    """Remembers what was written, and decides. `judge` first; `wrote` or `lost` when the outcome is known."""

    def __init__(self) -> None:
        self._similar: _Recent[tuple[str, ...], _Similar] = _Recent(lambda: _Similar(set(), float("-inf")))
        self._buckets: _Recent[tuple[str, ...], TokenBucket] = _Recent(
            lambda: TokenBucket(1.0 / limits.EVENT_SPAM_REFILL_SECONDS, limits.EVENT_SPAM_BURST)
        )
        self._written: _Recent[tuple[str, ...], Written] = _Recent(
            lambda: Written(name="", namespace="", count=0, first_at=0.0)
        )

    def judge(self, occurrence: Occurrence) -> Verdict | None:
        """What to write for an occurrence; None when its object has flooded."""
        key, message = self._aggregate(occurrence)
        previous = self._written.peek(key)
        if previous is not None:
            # Also what is suppressed below counts, so that the next write tells the true number.
            self._written[key] = structs.replace(previous, count=previous.count + 1)
        if not self._buckets[_spam_key(occurrence.about)].try_take(occurrence.at):
            return None
        count = previous.count + 1 if previous is not None else 1
        return Verdict(key=key, message=message, count=count, previous=previous)

    def wrote(self, verdict: Verdict, written: Written) -> None:
        self._written[verdict.key] = written

    def lost(self, verdict: Verdict) -> None:
        """The event that was counted on is gone (events expire); the next one is new."""
        self._written.discard(verdict.key)

    def _aggregate(self, occurrence: Occurrence) -> tuple[tuple[str, ...], str]:
        group = (*_spam_key(occurrence.about), occurrence.type, occurrence.reason)
        similar = self._similar[group]
        if occurrence.at - similar.at > limits.EVENT_SIMILAR_SECONDS:
            similar.messages.clear()
        similar.messages.add(occurrence.message)
        similar.at = occurrence.at
        if len(similar.messages) < limits.EVENT_SIMILAR_LIMIT:
            field_path = occurrence.about.field_path or ""
            return (*group, field_path, occurrence.message), occurrence.message
        # One message is dropped so that the set stays at its limit and later ones still count as similar.
        similar.messages.pop()
        return group, COMBINED + occurrence.message


def _spam_key(about: ObjectReference) -> tuple[str, ...]:
    return (
        about.kind or "",
        about.namespace or "",
        about.name or "",
        about.uid or "",
        about.api_version or "",
    )

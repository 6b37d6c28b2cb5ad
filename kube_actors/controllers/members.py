"""What was worked out for each pod of a large Service, so that one pod's change costs one pod's work.

A memo is only a memo: without it the same comes out, later. Owns also how long changes of a large Service wait for each
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kube_actors.api.types.core_v1 import Pod, Service

from . import limits

P = TypeVar("P")

Make = Callable[[Service, Pod, object], P]


class Memo(Generic[P]):
    """By Service key: what make gave for each of its pods, for as long as Service, pod and context are the same."""

    def __init__(self, make: Make[P]) -> None:
        self._make = make
        self._known: dict[str, tuple[Service, dict[str, tuple[Pod, object, P]]]] = {}

    def prepared(
        self, key: str, service: Service, members: Sequence[Pod], context: Callable[[Pod], object]
    ) -> tuple[P, ...]:
        """What there is of each pod, in their order."""
        if len(members) < limits.LARGE_SERVICE_PODS:
            self._known.pop(key, None)
            return tuple(self._make(service, pod, context(pod)) for pod in members)
        before, known = self._known.get(key, (service, {}))
        if before is not service:
            known = {}
        new: dict[str, tuple[Pod, object, P]] = {}
        for pod in members:
            around = context(pod)
            entry = known.get(pod.metadata.uid)
            if entry is None or entry[0] is not pod or entry[1] != around:
                entry = (pod, around, self._make(service, pod, around))
            new[pod.metadata.uid] = entry
        self._known[key] = service, new
        return tuple(made for _, _, made in new.values())

    def forget(self, key: str) -> None:
        self._known.pop(key, None)

    def pause(self, key: str) -> float:
        """How long a change waits for others before all are looked at together; nothing for a small Service."""
        known = self._known.get(key)
        return 0.0 if known is None else min(limits.MAX_BATCH_SECONDS, len(known[1]) * limits.BATCH_SECONDS_PER_POD)

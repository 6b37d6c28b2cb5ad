"""What a watch on all pods has shown: which are bound, which were tried, and when the scheduler was seen to place them.

Owns the count of pods by namespace, so that waiting for thousands costs nothing a pod.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping

import trio

from kube_actors.api.types.core_v1 import Pod

from .errors import WorkloadError

WAIT_SECONDS = 600.0
"""How long the pods of one operation may take to be placed, as in scheduler_perf."""


class Collecting:
    """One collection of metrics: the pods of some namespaces that are bound while it is open."""

    def __init__(self, name: str, namespaces: Collection[str], labels: Mapping[str, str], now: float, cpu: float):
        self.name = name
        self.namespaces = frozenset(namespaces)
        self.labels = labels
        self.began = now
        self.cpu = cpu
        self.bound_at: list[float] = []
        self.latencies: list[float] = []


class Batch:
    """The pods of one operation; `left` of them have not been seen bound."""

    def __init__(self, namespace: str, count: int) -> None:
        self.namespace = namespace
        self.count = count
        self.left = count


class Ledger:
    """Fed by an informer; asked by whoever runs the operations."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.pods: dict[str, dict[str, Pod]] = defaultdict(dict)
        self.bound: dict[str, int] = defaultdict(int)
        self.open: Collecting | None = None
        self._now = now
        self._expected: dict[tuple[str, str], Batch] = {}
        self._created: dict[tuple[str, str], float] = {}
        self._changed = trio.Event()

    def creating(self, namespace: str, name: str) -> None:
        """A request to create this pod is about to be sent."""
        if self.open is not None:
            self._created[namespace, name] = self._now()

    def expect(self, namespace: str, names: Collection[str]) -> Batch:
        """Pods that are about to be created, whose binding is waited for with `done`."""
        batch = Batch(namespace, len(names))
        self._expected.update({(namespace, name): batch for name in names})
        return batch

    def on_pod(self, old: Pod | None, new: Pod | None) -> None:
        """The informer's handler."""
        pod = new if new is not None else old
        assert pod is not None
        namespace, name = pod.metadata.namespace or "", pod.metadata.name or ""
        was = self.pods[namespace].get(name)
        self.bound[namespace] += _is_bound(new) - _is_bound(was)
        if new is None:
            self.pods[namespace].pop(name, None)
        else:
            self.pods[namespace][name] = new
            if _is_bound(new) and not _is_bound(was):
                self._note(namespace, name, new)
        self._changed.set()

    def _note(self, namespace: str, name: str, pod: Pod) -> None:
        batch = self._expected.pop((namespace, name), None)
        if batch is not None:
            batch.left -= 1
        found = self.open
        if found is None or namespace not in found.namespaces or not matches(pod, found.labels):
            return
        now = self._now()
        found.bound_at.append(now - found.began)
        created = self._created.pop((namespace, name), None)
        if created is not None:
            found.latencies.append(now - created)

    async def wait(self, wanted: Callable[[], bool], what: Callable[[], str]) -> None:
        """Until it is so. Raises WorkloadError, saying how far it came, when it takes too long."""
        with trio.move_on_after(WAIT_SECONDS):
            while not wanted():
                self._changed = trio.Event()
                await self._changed.wait()
            return
        raise WorkloadError(f"{what()} after {WAIT_SECONDS:g} s")

    async def changes(self) -> None:
        """Until something has changed."""
        self._changed = trio.Event()
        await self._changed.wait()

    async def done(self, batch: Batch) -> None:
        """Until every pod of a batch has been seen bound."""
        told = f"namespace {batch.namespace}: {{}} of {batch.count} pods are bound"
        await self.wait(lambda: not batch.left, lambda: told.format(batch.count - batch.left))

    async def all_bound(self, namespace: str, count: int, labels: Mapping[str, str] | None = None) -> None:
        """Until so many pods of a namespace are bound."""

        def bound() -> int:
            if not labels:
                return self.bound[namespace]
            return sum(_is_bound(pod) for pod in self.pods[namespace].values() if matches(pod, labels))

        await self.wait(lambda: bound() >= count, lambda: f"namespace {namespace}: {bound()} of {count} pods are bound")

    async def all_tried(self, namespace: str, count: int, labels: Mapping[str, str] | None = None) -> None:
        """Until so many pods of a namespace have been through a scheduling cycle."""

        def tried() -> int:
            return sum(_is_tried(pod) for pod in self.pods[namespace].values() if matches(pod, labels or {}))

        await self.wait(
            lambda: tried() >= count, lambda: f"namespace {namespace}: {tried()} of {count} pods were tried"
        )


def matches(pod: Pod, labels: Mapping[str, str]) -> bool:
    own = pod.metadata.labels or {}
    return all(own.get(key) == value for key, value in labels.items())


def _is_bound(pod: Pod | None) -> bool:
    return pod is not None and bool(pod.spec.node_name)


def _is_tried(pod: Pod) -> bool:
    return _is_bound(pod) or any(each.type == "PodScheduled" for each in pod.status.conditions or ())

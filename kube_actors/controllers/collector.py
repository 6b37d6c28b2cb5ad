"""The garbage collector's shell: the metadata of every object there is, watched cheaply, into the graph.

Owns which kinds are watched; new custom kinds are found when their definitions appear. Kinds that other controllers
watch in full anyway are not watched twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import trio

from kube_actors.actors import System, idle_moment
from kube_actors.api.errors import ApiError
from kube_actors.api.resources import Resource
from kube_actors.client import Client, Informer, ItemBackoff, TransportError, WorkQueue

from . import garbage, kinds, limits
from .caches import SharedCaches
from .contract import Caches, Plan, Source
from .garbage import Observed
from .ownership import Graph, item_of
from .runner import Written

_DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
# Nobody owns for the sake of an event, and there are very many.
_IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})


class GarbageCollector:
    """The controller: observing is reading the graph. Its keys are uids."""

    name = "garbage-collector-controller"
    component = "garbage-collector-controller"
    workers = 20

    def __init__(self) -> None:
        self.graph = Graph()
        self.kinds: dict[tuple[str, str], Resource] = {}

    def sources(self) -> tuple[Source, ...]:
        return ()

    def initial(self, caches: Caches) -> Iterable[str]:
        return self.graph.suspicious()

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        item = self.graph.get(key)
        if item is None:
            return None
        misplaced = self.graph.misplaced(item)
        return Observed(
            item=item,
            dependents=tuple(self.graph.dependents(key)),
            kinds=self.kinds,
            misplaced=tuple(misplaced),
        )

    def plan(self, observed: Observed) -> Plan:
        return garbage.plan(observed)


class CollectorFeed:
    """Watches all kinds and fills the graph; gives the uids that changes make suspicious."""

    part = "graph"

    def __init__(self, controller: GarbageCollector, caches: SharedCaches, client: Client, system: System) -> None:
        self.controller = controller
        self.caches = caches
        self.queue: WorkQueue[str] | None = None
        self.written: dict[str, list[Written]] = {}
        self._client = client
        self._metadata_client = kinds.metadata_client(client)
        self._system = system
        self._scopes: dict[tuple[str, str], trio.CancelScope] = {}
        self._uids: dict[tuple[str, str], set[str]] = {}
        self._filled = trio.Event()
        self._changed = trio.Event()

    async def open(self) -> WorkQueue[str]:
        """The queue, once every kind has been seen: before that, any owner might seem to be missing."""
        await self._filled.wait()
        backoff: ItemBackoff[str] = ItemBackoff(limits.RETRY_INITIAL_SECONDS, limits.RETRY_MAX_SECONDS)
        self.queue = WorkQueue(self.controller.name, backoff)
        for uid in self.controller.initial(self.caches):
            self.queue.add(uid)
        return self.queue

    async def run(self) -> None:
        """Keep the graph current until cancelled."""
        self._scopes.clear()
        await trio.sleep(limits.GC_START_SECONDS)
        await idle_moment(limits.LATE_PATIENCE_SECONDS, limits.LATE_QUIET_SECONDS)
        async with trio.open_nursery() as nursery:
            while True:
                await self._look(nursery)
                self._filled.set()
                self._changed = trio.Event()
                with trio.move_on_after(limits.GC_DISCOVERY_SECONDS):
                    await self._changed.wait()

    async def _look(self, nursery: trio.Nursery) -> None:
        """Watch the kinds that are new, and stop watching those that are gone."""
        try:
            found = await kinds.deletable(self._client)
        except (ApiError, TransportError) as error:
            self._system.story.tell(self.controller.name, "discovery failed", detail=str(error))
            if self._scopes:
                return
            found = kinds.preferred(self._client.kinds.resources)
        wanted = {(r.group, r.plural): r for r in found if "watch" in r.verbs and (r.group, r.plural) not in _IGNORED}
        for resource in found:
            if self._client.kinds.resources.get(resource.group, resource.version, resource.plural) is None:
                self._client.kinds.resources.add(resource)
        self.controller.kinds.update({(r.group, r.kind): r for r in found})
        for gone in self._scopes.keys() - wanted.keys():
            self._scopes.pop(gone).cancel()
            for uid in self._uids.pop(gone, set()):
                self.controller.graph.remove(uid)
        new = [resource for name, resource in wanted.items() if name not in self._scopes]
        informers = [self._watch(nursery, resource) for resource in new]
        for informer in informers:
            # A kind that cannot be listed must not keep all others from being looked after.
            with trio.move_on_after(limits.GC_SYNC_SECONDS):
                await informer.synced()

    def _watch(self, nursery: trio.Nursery, resource: Resource) -> Informer[Any]:
        scope = trio.CancelScope()
        name = (resource.group, resource.plural)
        self._scopes[name] = scope
        shared = self.caches.whole(resource.gvk)
        if shared is not None:
            shared.add_handler(self._handler(resource))
            return shared
        word = f"{resource.api_version}/{resource.kind}"
        informer: Informer[Any] = Informer(self._metadata_client, self._system, word, mode="stream")
        informer.add_handler(self._handler(resource))

        async def run() -> None:
            with scope:
                await informer.run()

        nursery.start_soon(run, name=f"garbage/{word}")
        return informer

    def _handler(self, resource: Resource) -> Any:
        name = (resource.group, resource.plural)
        mine = self._uids.setdefault(name, set())

        def handle(old: Any, new: Any) -> None:
            suspects: list[str] = []
            if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
                mine.discard(old.metadata.uid)
                suspects += self.controller.graph.remove(old.metadata.uid)
            if new is not None:
                mine.add(new.metadata.uid)
                suspects += self.controller.graph.put(item_of(resource, new.metadata))
            elif old is None:
                return
            if name == _DEFINITIONS:
                self._changed.set()
            self._add(suspects)

        return handle

    def _add(self, suspects: Sequence[str]) -> None:
        if self.queue is not None:
            for uid in suspects:
                self.queue.add(uid)

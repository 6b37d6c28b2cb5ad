"""Which changes give a quota something back: the ends of objects of the kinds that quotas name, watched only then.

Owns the watches of those kinds, by metadata only; without a quota there are none. Never counts anything.
"""

from __future__ import annotations

from typing import Any

import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.resources import Resource
from kube_actors.api.types.core_v1 import PersistentVolumeClaim, Pod, ResourceQuota, Service
from kube_actors.client import Client, Informer, TransportError

from . import kinds, limits, pods
from .caches import SharedCaches
from .contract import Source
from .quota import ResourceQuotas, kinds_of
from .runner import CacheFeed


class QuotaFeed(CacheFeed):
    """The keys of quotas whose namespace has lost something, or has something that uses less than before."""

    part = "kinds"

    def __init__(self, controller: ResourceQuotas, caches: SharedCaches, client: Client, system: System) -> None:
        super().__init__(controller, caches)
        self._client = client
        self._metadata_client = kinds.metadata_client(client)
        self._system = system
        self._quotas: Informer[ResourceQuota] = self.informers[0]
        self._quotas.add_handler(self._note)
        self._known: set[tuple[str, ...]] = set()
        self._watched: set[tuple[str, str]] = set()
        self._changed = trio.Event()

    def _note(self, old: ResourceQuota | None, new: ResourceQuota | None) -> None:
        if new is not None and tuple(sorted(new.spec.hard)) not in self._known:
            self._changed.set()

    async def run(self) -> None:
        """Watch what quotas name, until cancelled."""
        self._watched.clear()
        self._known.clear()
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                for quota in self._quotas.list():
                    names = tuple(sorted(quota.spec.hard))
                    if names not in self._known:
                        await self._watch_for(nursery, names)
                with trio.move_on_after(limits.QUOTA_RESYNC_SECONDS):
                    await self._changed.wait()

    async def _watch_for(self, nursery: trio.Nursery, names: tuple[str, ...]) -> None:
        try:
            found = await kinds_of(self._client, names)
        except (ApiError, TransportError) as error:
            self._system.story.tell(self.controller.name, "discovery failed", detail=str(error))
            return
        if len(self._known) < limits.QUOTA_NAME_SETS:
            self._known.add(names)
        for resource, _ in found:
            if (resource.group, resource.plural) not in self._watched:
                self._watched.add((resource.group, resource.plural))
                nursery.start_soon(self._recount_once_seen, self._watch(nursery, resource))

    async def _recount_once_seen(self, informer: Informer[Any]) -> None:
        """What went between the first count and the first list has been told to nobody."""
        await informer.synced()
        if self.queue is not None:
            for key in self._quotas.keys():  # noqa: SIM118 - a method of ours
                self.queue.add(key)

    def _watch(self, nursery: trio.Nursery, resource: Resource) -> Informer[Any]:
        kind = _TYPED.get(resource.gvk)
        if kind is not None:
            shared = self.caches.watch(Source(kind=kind))
            shared.add_handler(self._give_back)
            return shared
        if self._client.kinds.resources.get(resource.group, resource.version, resource.plural) is None:
            self._client.kinds.resources.add(resource)
        word = f"{resource.api_version}/{resource.kind}"
        informer: Informer[Any] = Informer(self._metadata_client, self._system, word)
        informer.add_handler(self._give_back)
        nursery.start_soon(informer.run, name=f"quota/{word}")
        return informer

    def _give_back(self, old: Any, new: Any) -> None:
        """Every quota of the namespace is counted anew; which one it concerned, counting shows."""
        if self.queue is None or old is None or not _gives_back(old, new):
            return
        for quota in self._quotas.list(old.metadata.namespace):
            self.queue.add(f"{quota.metadata.namespace}/{quota.metadata.name}")


_TYPED: dict[tuple[str, str, str], type[Any]] = {kind.gvk: kind for kind in (Pod, Service, PersistentVolumeClaim)}


def _gives_back(old: Any, new: Any) -> bool:
    """Whether less may be used than before."""
    if new is None or new.metadata.uid != old.metadata.uid:
        return True
    if isinstance(old, Pod):
        return pods.is_terminal(new) != pods.is_terminal(old) or bool(old.spec != new.spec)
    if isinstance(old, Service):
        return bool(old.spec.type != new.spec.type or old.spec.ports != new.spec.ports)
    if isinstance(old, PersistentVolumeClaim):
        return bool(old.spec != new.spec or old.status != new.status)
    return False

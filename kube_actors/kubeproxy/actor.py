"""The actor that keeps a `netproxy.Proxy` in step with the API's Services and EndpointSlices.

Owns its informers and the table; the proxy is given, and outlives the actor: a restarted actor applies the whole
table again, which changes nothing where nothing has changed, and cuts no connection. Changes that arrive while a
table is being applied are taken together with the next one. What the proxy could not open goes into the story of
its Service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Service
from kube_actors.api.types.discovery_v1 import EndpointSlice
from kube_actors.client import Client, Informer, key_of
from netproxy.contract import Failure, Frontend, Proxy

from .plan import Locality, service_key_of
from .tables import Tables

_SERVICE_INDEX = "service"


class KubeProxy:
    """`handled` counts the tables that were applied."""

    def __init__(
        self, client: Client, system: System, proxy: Proxy, *, locality: Locality | None = None, name: str = "kubeproxy"
    ) -> None:
        self.handled = 0
        self.synced = trio.Event()
        """The first table has been applied."""
        self._name = name
        self._story = system.story
        self._proxy = proxy
        self._services: Informer[Service] = Informer(client, system, Service)
        self._slices: Informer[EndpointSlice] = Informer(client, system, EndpointSlice)
        self._slices.add_index(_SERVICE_INDEX, _service_index)
        self._tables = Tables(locality or Locality(), self._services.get, self._slices_of)
        # Not a mailbox: it holds keys of Services that exist or did a moment ago, each once.
        self._dirty: set[str] = set()
        self._changed = trio.Event()
        self._told: dict[tuple[str, Frontend], str] = {}
        self._services.add_handler(self._on_service)
        self._slices.add_handler(self._on_slice)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._services.run, name=f"{self._name}/services")
            nursery.start_soon(self._slices.run, name=f"{self._name}/endpointslices")
            # A table made of half of the objects would take away what the other half is for.
            await self._services.synced()
            await self._slices.synced()
            while True:
                await self._apply()
                await self._changed.wait()

    async def _apply(self) -> None:
        self._changed = trio.Event()
        dirty, self._dirty = self._dirty, set()
        if self._tables.update(dirty) or not self.synced.is_set():
            failures = await self._proxy.apply(self._tables.table())
            self.handled += 1
            self._tell(failures)
        self.synced.set()

    def _tell(self, failures: Sequence[Failure]) -> None:
        now = {(failure.route, failure.frontend): str(failure.error) for failure in failures}
        for (route, frontend), reason in now.items():
            if self._told.get((route, frontend)) != reason:
                self._tell_of(route, "cannot be served", reason)
        for route, frontend in self._told.keys() - now.keys():
            self._tell_of(route, "is no longer refused", str(frontend))
        self._told = now

    def _tell_of(self, route: str, what: str, detail: str) -> None:
        key = self._tables.owner_of(route)
        service = self._services.get(key)
        if service is not None:
            self._story.tell(self._name, what, uid=service.metadata.uid or "", key=f"Service {key}", detail=detail)

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        self._note(key_of(new if new is not None else old))

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for slice_ in (old, new):
            key = service_key_of(slice_) if slice_ is not None else None
            if key is not None:
                self._note(key)

    def _note(self, key: str) -> None:
        self._dirty.add(key)
        self._changed.set()

    def _slices_of(self, key: str) -> Sequence[EndpointSlice]:
        return self._slices.by_index(_SERVICE_INDEX, key)


def _service_index(slice_: Any) -> tuple[str, ...]:
    key = service_key_of(slice_)
    return () if key is None else (key,)

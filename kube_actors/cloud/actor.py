"""The cloud-controller-manager as an actor: the controllers that a provider has something for, over shared informers.

Owns their lives and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Node, Service
from kube_actors.client import Client, EventRecorder, InformerFactory

from . import limits
from .contract import Provider
from .nodes import NodeController
from .providers.local import LocalProvider
from .services import ServiceController


class CloudControllerManager:
    """Restartable at any moment; the provider is given, and may outlive it."""

    def __init__(
        self, client: Client, system: System, provider: Provider | None = None, *, name: str = "cloud"
    ) -> None:
        self.name = name
        self.provider: Provider = provider or LocalProvider()
        self._informers = InformerFactory(client, system)
        self._recorder = EventRecorder(client, system, "cloud-controller-manager")
        self._services: ServiceController | None = None
        self._nodes: NodeController | None = None
        nodes = self._informers.informer(Node)
        if self.provider.load_balancers is not None:
            services = self._informers.informer(Service)
            self._services = ServiceController(client, self.provider.load_balancers, services, nodes, self._recorder)
        if self.provider.instances is not None:
            self._nodes = NodeController(client, system, self.provider.instances, nodes, self._recorder)

    @property
    def handled(self) -> int:
        parts = (self._services, self._nodes)
        return sum(part.handled for part in parts if part is not None)

    async def run(self) -> None:
        """Work until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._recorder.run, name=f"{self.name}/events")
            await nursery.start(self._informers.run)
            await self._informers.synced()
            if self._services is not None:
                nursery.start_soon(self._services.run, name=f"{self.name}/services")
            if self._nodes is not None:
                nursery.start_soon(self._nodes.run, name=f"{self.name}/nodes")
                nursery.start_soon(_repeat, limits.NODE_MONITOR_SECONDS, self._nodes.monitor)
                nursery.start_soon(_repeat, limits.NODE_REFRESH_SECONDS, self._nodes.refresh)


async def _repeat(period: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await trio.sleep(period)
        await work()

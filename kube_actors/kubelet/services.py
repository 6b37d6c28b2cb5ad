"""The Services that containers are told of by variables: a watch that is begun when the first container starts.

A node without pods, of which a simulation has thousands, pays nothing for it. An assembly with many nodes gives them
one informer to share instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Service
from kube_actors.client import Client, Informer


class OwnServices:
    """A `ServiceSource`. `later` runs the informer for as long as the node lives."""

    def __init__(self, client: Client, system: System, later: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        self._informer: Informer[Service] = Informer(client, system, Service)
        self._later = later
        self._begun = False

    def list(self, namespace: str = "") -> Sequence[Service]:
        return self._informer.list(namespace)

    async def synced(self) -> None:
        if not self._begun:
            self._begun = True
            self._later(self._informer.run)
        await self._informer.synced()

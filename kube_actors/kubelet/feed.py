"""Where a node learns of its pods: a watch of its own, or one that many nodes of a process share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client, Informer
from kube_actors.client.reflector import Selection

Handler = Callable[[Pod | None, Pod | None], None]


class PodFeed(Protocol):
    """A source of the pods that are bound to nodes."""

    def open(self, node: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Tell the handler `(old, new)` of the node's pods while the block lasts. All that exist have been told when
        the block begins; a pod that leaves the node is told as `(old, None)`."""
        ...


class WatchFeed:
    """One informer a node, selected by spec.nodeName."""

    def __init__(self, client: Client, system: System) -> None:
        self._client = client
        self._system = system

    @asynccontextmanager
    async def open(self, node: str, handler: Handler) -> AsyncIterator[None]:
        informer = Informer(
            self._client, self._system, Pod, selection=Selection(field_selector=f"spec.nodeName={node}")
        )
        informer.add_handler(handler)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(informer.run, name=f"{node}/pods")
            await informer.synced()
            yield
            nursery.cancel_scope.cancel()


def _place(pod: Pod | None) -> tuple[str, str] | None:
    """The node and UID of a bound pod."""
    if pod is None or not pod.spec.node_name:
        return None
    return pod.spec.node_name, pod.metadata.uid


class SharedFeed:
    """Deals the pods of one informer, which somebody else runs, out to the nodes of this process."""

    def __init__(self, informer: Informer[Pod]) -> None:
        self._informer = informer
        self._handlers: dict[str, Handler] = {}
        self._by_node: dict[str, dict[str, Pod]] = {}
        informer.add_handler(self._deal)

    def _deal(self, old: Pod | None, new: Pod | None) -> None:
        """A pod that moved or was replaced by one of the same name leaves before it comes."""
        before = _place(old)
        after = _place(new)
        if before is not None and before != after:
            node, uid = before
            self._by_node.get(node, {}).pop(uid, None)
            self._tell(node, old, None)
            old = None
        if after is not None and new is not None:
            node, uid = after
            self._by_node.setdefault(node, {})[uid] = new
            self._tell(node, old if before == after else None, new)

    def _tell(self, node: str, old: Pod | None, new: Pod | None) -> None:
        handler = self._handlers.get(node)
        if handler is not None:
            handler(old, new)

    @asynccontextmanager
    async def open(self, node: str, handler: Handler) -> AsyncIterator[None]:
        await self._informer.synced()
        assert node not in self._handlers, f"node {node} listens already"
        self._handlers[node] = handler
        try:
            for pod in tuple(self._by_node.get(node, {}).values()):
                handler(None, pod)
            yield
        finally:
            del self._handlers[node]

"""What the nodes say of their containers, asked through the API server's node proxy when somebody wants to know.

Owns the last two readings of each node that is asked about; a node that nobody asks about is never bothered.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import trio

from kube_actors.actors import Clock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.client import Client, TransportError

from . import limits
from .usage import Container, Pair, Summed, Usage, needs_another, paired, readings, usage


class _Node:
    """What is known of one node."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.asked = 0.0
        self.pairs: dict[Container, Pair] = {}


class Scraper:
    """Asks nodes, many at once, each by one at a time."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._nodes: dict[str, _Node] = {}
        self._limit = trio.CapacityLimiter(limits.PARALLEL_SCRAPES)

    async def usages(self, names: Iterable[str]) -> dict[str, dict[Container, Usage]]:
        """What the containers of these nodes use; a node that does not answer is left out."""
        found: dict[str, dict[Container, Usage]] = {}

        async def one(name: str) -> None:
            async with self._limit:
                pairs = await self._pairs(name)
            if pairs:
                told = {who: usage(pair) for who, pair in pairs.items()}
                found[name] = {who: each for who, each in told.items() if each is not None}

        async with trio.open_nursery() as nursery:
            for name in dict.fromkeys(names):
                nursery.start_soon(one, name)
        self._forget()
        return found

    async def _pairs(self, name: str) -> dict[Container, Pair]:
        node = self._nodes.setdefault(name, _Node())
        async with node.lock:
            if self._clock.now() - node.asked >= limits.RESOLUTION_SECONDS:
                if not await self._ask(name, node):
                    self._nodes.pop(name, None)
                    return {}
                if needs_another(node.pairs.values()):
                    await trio.sleep(limits.PAUSE_SECONDS)
                    await self._ask(name, node)
            return node.pairs

    async def _ask(self, name: str, node: _Node) -> bool:
        """Have a node say what its containers use; whether it did."""
        request = Request(verb="get", version="v1", resource="nodes", name=name, subresource="proxy/stats/summary")
        with trio.move_on_after(limits.SCRAPE_SECONDS):
            try:
                answer = await self._client.send(request)
                new = readings(msgspec.json.decode(answer.body, type=Summed))
            except (ApiError, TransportError, msgspec.DecodeError, ValueError):
                return False
            node.pairs = paired(node.pairs, new)
            node.asked = self._clock.now()
            return True
        return False

    def _forget(self) -> None:
        since = self._clock.now() - limits.FORGET_SECONDS
        for name in [name for name, node in self._nodes.items() if node.asked < since and not node.lock.locked()]:
            del self._nodes[name]

"""What a workload runs in: an API server over the memory store and the real scheduler, in this process.

Nodes are nothing but their objects: no kubelet, no controller, no proxy. The admission steps that want a controller
or an object made before (ServiceAccount, the taint of nodes that are not ready, priority classes) are left out, as
scheduler_perf leaves them out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kube_actors.actors import System
from kube_actors.apiserver import Access, APIServer
from kube_actors.apiserver.admission import default_steps
from kube_actors.assembly import components, identity
from kube_actors.client import ChannelTransport, Client
from kube_actors.store.memory import MemoryStore

WITHOUT = frozenset({"ServiceAccount", "TaintNodesByCondition", "Priority"})


@asynccontextmanager
async def embedded(system: System) -> AsyncIterator[Client]:
    """A client of a cluster without nodes, whose scheduler runs."""
    store = MemoryStore()
    steps = [step for step in default_steps() if step.name not in WITHOUT]
    server = APIServer(system, store, admission=steps, access=Access(system, store))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        mine = Client(ChannelTransport(server.mailbox, identity.SCHEDULER), resources=server.resources)
        nursery.start_soon(components.scheduler(mine, system).run)
        yield Client(ChannelTransport(server.mailbox, identity.ADMIN), resources=server.resources)
        nursery.cancel_scope.cancel()

"""What a workload runs in: an API server and the real scheduler.

Embedded, both are in this process, with the memory store and the channel between them. Served, the API server is a
process of its own with SQLite, and is reached over HTTPS.

Nodes are nothing but their objects: no kubelet, no controller, no proxy. The admission steps that want a controller
or an object made before (ServiceAccount, the taint of nodes that are not ready, priority classes) are left out, as
scheduler_perf leaves them out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from kube_actors.actors import System
from kube_actors.apiserver import Access, APIServer
from kube_actors.apiserver.admission import default_steps
from kube_actors.apiserver.admission.chain import Step
from kube_actors.assembly import components, identity
from kube_actors.client import ChannelTransport, Client, HTTPTransport, load_config
from kube_actors.store.memory import MemoryStore

from .errors import WorkloadError

START_SECONDS = 60.0
WITHOUT = frozenset({"ServiceAccount", "TaintNodesByCondition", "Priority"})


def admission() -> list[Step]:
    """The default steps but those that want what is not here."""
    return [step for step in default_steps() if step.name not in WITHOUT]


@asynccontextmanager
async def embedded(system: System) -> AsyncIterator[Client]:
    """A client of a cluster without nodes, whose scheduler runs."""
    store = MemoryStore()
    server = APIServer(system, store, admission=admission(), access=Access(system, store))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        mine = Client(ChannelTransport(server.mailbox, identity.SCHEDULER), resources=server.resources)
        nursery.start_soon(components.scheduler(mine, system).run)
        yield Client(ChannelTransport(server.mailbox, identity.ADMIN), resources=server.resources)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served(system: System) -> AsyncIterator[Client]:
    """The same, with the API server as another process; the scheduler has connections of its own."""
    with tempfile.TemporaryDirectory(prefix="kube-actors-bench-") as directory:
        command = [sys.executable, "-m", "benchmarks.scheduler.serving", directory]
        process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            where = load_config(await _kubeconfig(process))
            async with (
                HTTPTransport(where, system.entropy) as scheduling,
                HTTPTransport(where, system.entropy) as working,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(components.scheduler(Client(scheduling), system).run)
                yield Client(working)
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(START_SECONDS):
                assert process.stdin is not None and process.stdout is not None
                await process.stdin.aclose()
                await process.wait()
                await process.stdout.aclose()
            process.kill()


async def _kubeconfig(process: trio.Process) -> str:
    """The line that the server prints when it answers."""
    assert process.stdout is not None
    told = b""
    with trio.move_on_after(START_SECONDS):
        while not told.endswith(b"\n"):
            more = await process.stdout.receive_some()
            if not more:
                break
            told += more
    if not told.endswith(b"\n"):
        raise WorkloadError(f"the API server did not answer within {START_SECONDS:g} s, or ended")
    return told.decode().strip()


MODES: dict[str, Callable[[System], AbstractAsyncContextManager[Client]]] = {"embedded": embedded, "served": served}

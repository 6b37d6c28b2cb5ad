"""The API server of the served mode, as a process of its own: HTTPS on loopback over SQLite.

    python -m benchmarks.scheduler.serving DIRECTORY

Prints the path of a kubeconfig when it answers, and serves until its standard input is closed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from kube_actors.actors import RestartPolicy, System, open_supervisor
from kube_actors.apiserver import Access, APIServer
from kube_actors.assembly.config import ClusterConfig
from kube_actors.assembly.serving import open_serving
from kube_actors.store.opening import open_store

from .world import admission

SERVICES = "10.96.0.0/16"
NEVER = RestartPolicy(restart="never")


async def serve(directory: Path) -> None:
    system = System()
    store = await open_store(f"sqlite:{directory / 'store.db'}")
    try:
        config = ClusterConfig(listen="127.0.0.1:0", nodes=0)
        async with (
            open_serving(config, system, SERVICES, data_dir=directory) as serving,
            open_supervisor("bench", system) as supervisor,
        ):
            access = Access(system, store)
            server = APIServer(system, store, admission=admission(), access=access, service_range=SERVICES)
            supervisor.start("apiserver", lambda: server, NEVER)
            await server.ready.wait()
            await serving.start(supervisor, server.handle, access, server.at_once)
            print(serving.kubeconfig, flush=True)
            await trio.to_thread.run_sync(sys.stdin.readline)
            supervisor.cancel()
    finally:
        await store.aclose()


if __name__ == "__main__":
    trio.run(serve, Path(sys.argv[1]))

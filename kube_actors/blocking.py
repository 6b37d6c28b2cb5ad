"""A cluster for programs that are not trio's: synchronous ones, asyncio ones, and plain pytest tests.

`Cluster` here runs the trio cluster in a thread of its own. Every call blocks its caller until the answer is there; an
asyncio program calls it through `asyncio.to_thread`. Nothing is decided here; all of it is `assembly.Cluster`.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import trio

from kube_actors.assembly.cluster import Cluster as AsyncCluster

P = ParamSpec("P")
R = TypeVar("R")


class BlockingClient:
    """The client's methods, each waiting for its answer: `get`, `list`, `create`, `patch`, `delete`, `logs`, ...

    Watches and sessions stay trio's: use `Cluster.call` with an async function of your own for those.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._cluster.cluster.client, name)
        return partial(self._cluster.call, method)


class Cluster:
    """`with kube_actors.blocking.Cluster(nodes=3) as cluster:`; arguments are those of `kube_actors.Cluster`.

    May be used from several threads. Leaving the block stops the cluster and waits for its thread.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.cluster = AsyncCluster(*args, **options)
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop: trio.Event | None = None
        self._settled = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="kube-actors", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._settled.wait()
        if self._token is None:
            self._thread.join()
            raise self._failure if self._failure is not None else RuntimeError("the cluster did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, stop = self._token, self._stop
        if token is not None and stop is not None:
            try:
                token.run_sync_soon(stop.set)
            except trio.RunFinishedError:
                pass  # it has failed already; the failure is raised below
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as failure:  # handed to the thread that asked; it raises it there
            self._failure = failure
        finally:
            self._settled.set()

    async def _main(self) -> None:
        async with self.cluster:
            self._stop = trio.Event()
            self._token = trio.lowlevel.current_trio_token()
            self._settled.set()
            await self._stop.wait()

    def call(self, function: Callable[P, Awaitable[R]], *args: P.args, **options: P.kwargs) -> R:
        """Run an async function in the cluster's trio thread and give its result."""
        if self._token is None:
            raise RuntimeError("the cluster is not running; use it in a with block")
        return trio.from_thread.run(partial(function, *args, **options), trio_token=self._token)

    @property
    def client(self) -> BlockingClient:
        return BlockingClient(self)

    @property
    def kubeconfig(self) -> str | None:
        """Path of the kubeconfig; None unless the cluster listens."""
        return self.cluster.kubeconfig

    @property
    def server(self) -> str | None:
        """The API server's URL; None unless the cluster listens."""
        return self.cluster.server

    def apply(self, *args: Any, **options: Any) -> list[Any]:
        """As `kube_actors.Cluster.apply`."""
        return self.call(self.cluster.apply, *args, **options)

    def wait(self, *args: Any, **options: Any) -> Any:
        """As `kube_actors.Cluster.wait`."""
        return self.call(self.cluster.wait, *args, **options)

"""The HTTPS server of `tests.kit.https` in a thread with a trio loop of its own, for clients that block or loop.

with served(directory) as api:
    kubernetes.config.load_kube_config(api.kubeconfig)
    api.call(api.store.compact, 7)          # run something in the server's loop
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import trio

from kube_actors.assembly.kubeconfig import kubeconfig
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

T = TypeVar("T")
START_SECONDS = 30


class Served:
    """What `served` gives."""

    def __init__(self, https: HttpsServer, token: trio.lowlevel.TrioToken) -> None:
        self.https = https
        self.store = https.store
        self.server = https.server
        self.url = https.url
        self.kubeconfig = str(https.kubeconfig)
        self.ca_file = str(https.kubeconfig.parent / "ca.crt")
        Path(self.ca_file).write_bytes(https.pki.ca_certificate)
        self._token = token

    def call(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run an async function in the server's loop; its result or its exception comes back."""
        return trio.from_thread.run(function, *arguments, trio_token=self._token)

    def compact(self) -> None:
        """Forget every revision but the newest."""

        async def newest() -> None:
            await self.store.compact(self.store.revision)

        self.call(newest)

    def kubeconfig_for(self, token: str | None) -> str:
        """Path of a kubeconfig that holds this bearer token, or nothing at all."""
        path = self.https.kubeconfig.parent / f"kubeconfig-{token or 'nobody'}"
        path.write_text(kubeconfig(self.url, self.https.pki.ca_certificate, token=token))
        return str(path)


@contextmanager
def served(directory: Path, **options: Any) -> Iterator[Served]:
    """A server that answers on loopback for as long as the block lasts. Its failure is raised at the block's end."""
    started: queue.SimpleQueue[tuple[Served, trio.Event] | None] = queue.SimpleQueue()
    failures: list[BaseException] = []

    async def run() -> None:
        async with https_apiserver(directory, **options) as https:
            stop = trio.Event()
            started.put((Served(https, trio.lowlevel.current_trio_token()), stop))
            await stop.wait()

    def work() -> None:
        try:
            trio.run(run)
        except BaseException as error:  # re-raised below, in the thread that asked
            failures.append(error)
        finally:
            started.put(None)

    thread = threading.Thread(target=work, name="apiserver", daemon=True)
    thread.start()
    found = started.get(timeout=START_SECONDS)
    try:
        if found is not None:
            yield found[0]
    finally:
        if found is not None and thread.is_alive():
            trio.from_thread.run_sync(found[1].set, trio_token=found[0]._token)
        thread.join(START_SECONDS)
        if failures:
            raise failures[0]


__all__ = ["ADMIN_TOKEN", "Served", "served"]

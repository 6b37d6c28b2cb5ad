"""Brings a pod's status to the API: the newest one, only what changed, patiently.

Owns what it last wrote. It never decides a status; `make` computes the newest when there is time to write it, so that
whatever happens within a moment becomes one write.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Pod, PodStatus
from kube_actors.client import Client

from . import limits
from .patience import patiently
from .status import difference


class StatusWriter:
    """`changed` is called after every step; `run` writes; `flush` waits until what is known has been written."""

    def __init__(
        self,
        client: Client,
        pod: Pod,
        make: Callable[[PodStatus], PodStatus],
        busy: Callable[[], bool],
    ) -> None:
        self.lost = False
        """The pod is gone from the API, or another has its name: there is nothing to write to."""
        self.writes = 0
        self._client = client
        self._pod = pod
        self._written = pod.status
        self._make = make
        self._busy = busy
        self._lock = trio.Lock()
        self._changed = trio.Event()
        self._settled = trio.Event()

    def changed(self) -> None:
        """There may be something to write."""
        self._changed.set()
        self.settled()

    def settled(self) -> None:
        """Work has ended; if nothing else is under way, there is no reason to wait any longer."""
        if not self._busy():
            self._settled.set()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            if self._busy():
                self._settled = trio.Event()
                with trio.move_on_after(limits.STATUS_DELAY):
                    await self._settled.wait()
            await self.flush()

    async def flush(self) -> None:
        """Write what differs from what was written last."""
        async with self._lock:
            if not self.lost:
                await patiently(self._write)

    async def _write(self) -> None:
        status = self._make(self._written)
        patch = difference(self._written, status)
        if not patch:
            return
        metadata = self._pod.metadata
        body = {"metadata": {"uid": metadata.uid}, "status": patch}
        try:
            written = await self._client.patch(
                Pod, metadata.name, body, namespace=metadata.namespace, subresource="status"
            )
        except ApiError as error:
            if error.is_not_found or error.is_conflict or error.is_invalid:
                self.lost = await self._is_lost(error)
                if self.lost:
                    return
            raise
        self.writes += 1
        # Others write conditions too; a later difference must not undo them.
        self._written = written.status if written.metadata.uid == metadata.uid else status

    async def _is_lost(self, error: ApiError) -> bool:
        if error.is_not_found:
            return True
        try:
            found = await self._client.get(Pod, self._pod.metadata.name, namespace=self._pod.metadata.namespace)
        except ApiError as refusal:
            if refusal.is_not_found:
                return True
            raise
        return found.metadata.uid != self._pod.metadata.uid

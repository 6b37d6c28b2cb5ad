"""All objects of one prefix, read once and again only when one of them has changed.

For the few small collections that admission looks at on every write (priority classes, storage classes, limits).
A watch of the prefix says whether what is known still holds; nothing is updated in the background.
"""

from __future__ import annotations

from typing import Any

from kube_actors.apiserver import encoding
from kube_actors.store.contract import Compacted, Store, WatchStream

JSONObject = dict[str, Any]

_WATCH_EVENTS = 16
"""More changes than this between two reads only mean that all is read again, as after one."""


class Memo:
    """The objects under one prefix. What it gives is shared: read it, never change it."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._stream: WatchStream | None = None
        self._known: tuple[JSONObject, ...] = ()

    async def read(self) -> tuple[JSONObject, ...]:
        """Every object under the prefix, as committed now."""
        if self._stream is not None and self._stream.position >= self._store.revision:
            return self._known
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        page = await self._store.list(self._prefix)
        self._known = tuple(encoding.decode(entry.value) for entry in page.entries)
        try:
            self._stream = self._store.watch(self._prefix, after=page.revision, capacity=_WATCH_EVENTS)
        except Compacted:
            self._stream = None  # so much has happened meanwhile that the next read starts over
        return self._known

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

"""The objects under one prefix, decoded once and kept up with the store without a task of its own.

For collections that are read on every write, and change meanwhile (namespaces, quotas, policies): a change costs one
decode, not a list. Owns the watch and the decoded objects; whoever reads may keep what it derives by
`version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from kube_actors.apiserver import encoding
from kube_actors.store.contract import Store, StoreClosed, StoreError, WatchStream

JSONObject = dict[str, Any]

WATCH_EVENTS = 1024
"""Changes between two reads beyond which all is read again."""


class Mirror:
    """What it gives is shared: read it, never change it. Keys are those of the store without the prefix."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._stream: WatchStream | None = None
        self._known: dict[str, JSONObject] = {}
        self._reading = trio.Lock()
        self.version = 0

    def is_empty(self) -> bool:
        """Whether there is nothing under the prefix, as far as that can be said without waiting."""
        stream = self._stream
        return stream is not None and not self._known and stream.position >= self._store.revision

    def is_current(self) -> bool:
        """Whether what was read last is all there is, as far as that can be said without waiting."""
        stream = self._stream
        return stream is not None and stream.position >= self._store.revision

    async def read(self) -> Mapping[str, JSONObject]:
        """Every object under the prefix, as committed now."""
        stream = self._stream
        if stream is not None and stream.position >= self._store.revision:
            return self._known
        async with self._reading:  # a watch has one reader at a time
            stream = self._stream
            if stream is not None and (stream.position >= self._store.revision or await self._catch_up(stream)):
                return self._known
            return await self._read_all()

    async def _catch_up(self, stream: WatchStream) -> bool:
        if not stream.statistics().pending:
            return False
        try:
            events = await stream.receive_batch()
        except StoreClosed:
            raise
        except StoreError:  # overrun or compacted: everything is read again
            return False
        cut = len(self._prefix)
        for event in events:
            if event.deleted:
                self._known.pop(event.key[cut:], None)
            else:
                self._known[event.key[cut:]] = encoding.decode(event.value)
        self.version += 1
        return stream.position >= self._store.revision

    async def _read_all(self) -> Mapping[str, JSONObject]:
        self.close()
        page = await self._store.list(self._prefix)
        cut = len(self._prefix)
        self._known = {entry.key[cut:]: encoding.decode(entry.value) for entry in page.entries}
        self.version += 1
        try:
            self._stream = self._store.watch(self._prefix, after=page.revision, capacity=WATCH_EVENTS)
        except StoreError:
            self._stream = None  # so much has happened meanwhile that the next read starts over
        return self._known

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class Mirrors:
    """One mirror a prefix, made at first use."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_prefix: dict[str, Mirror] = {}

    def of(self, prefix: str) -> Mirror:
        found = self._by_prefix.get(prefix)
        if found is None:
            found = self._by_prefix[prefix] = Mirror(self._store, prefix)
        return found

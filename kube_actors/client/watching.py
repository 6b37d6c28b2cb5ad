"""A typed watch: the events of a stream, decoded one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

from kube_actors.api import errors
from kube_actors.api.messages import EventStream, WatchEvent

from .answers import ObjectEvent, read_head
from .decoding import decode

T = TypeVar("T")


class Watcher(Generic[T]):
    """Iterates over a running watch. Bookmarks only move `resource_version`; an ERROR event is raised."""

    def __init__(self, stream: EventStream, kind: type[T], resource_version: str) -> None:
        self.resource_version = resource_version
        self._stream = stream
        self._kind = kind
        self._waiting: deque[WatchEvent] = deque()

    def __aiter__(self) -> Watcher[T]:
        return self

    async def __anext__(self) -> ObjectEvent[T]:
        while True:
            while not self._waiting:
                batch = await self._stream.receive_batch()
                if not batch:
                    raise StopAsyncIteration
                self._waiting.extend(batch)
            event = self._waiting.popleft()
            if event.type == "ERROR":
                raise errors.decode(0, event.object)
            self.resource_version = str(event.revision) if event.revision else read_head(event.object).resource_version
            if event.type != "BOOKMARK":
                return ObjectEvent(event.type, decode(event.object, self._kind))

    def close(self) -> None:
        self._stream.close()


class Watching(Generic[T]):
    """A watch about to run: `async with` opens it and closes it again."""

    def __init__(self, opening: Callable[[], Awaitable[Watcher[T]]]) -> None:
        self._opening = opening
        self._watcher: Watcher[T] | None = None

    async def __aenter__(self) -> Watcher[T]:
        self._watcher = await self._opening()
        return self._watcher

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.close()

"""What every `WatchStream` does alike: it closes with its block, and iterating over it ends when it is closed.

Owns nothing else: where events come from and how long they wait is the stream's own.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

from kube_actors.store.contract import Event, StoreClosed

if TYPE_CHECKING:
    from types import TracebackType


class Stream:
    """The part of a stream that rests on `receive` and `close`."""

    __slots__ = ()

    @abstractmethod
    async def receive(self) -> Event: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self.receive()
        except StoreClosed:
            raise StopAsyncIteration from None

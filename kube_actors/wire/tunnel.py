"""A connection that has switched to a protocol which is not ours: bytes both ways, passed on as they come.

It does not read from the connection; the connection's reader calls `feed`.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import trio

from .errors import PeerGone
from .limits import Limits
from .transport import Transport


class Pipe(Protocol):
    """The far side of a tunnel."""

    async def send(self, data: bytes) -> None: ...

    async def receive_some(self) -> bytes: ...

    def close(self) -> None: ...


class Tunnel:
    """`send` and `receive`; the peer's end of stream is b""."""

    def __init__(self, transport: Transport, limits: Limits, trailing: bytes = b"") -> None:
        self._transport = transport
        self._limit = limits.messages_bytes
        self._parts: deque[bytes] = deque([trailing] if trailing else [])
        self._size = len(trailing)
        self._ended = False
        self._arrived = trio.Event()
        self._taken = trio.Event()

    async def send(self, data: bytes) -> None:
        """Raises PeerGone."""
        await self._transport.send(data)

    async def receive(self) -> bytes:
        """Some bytes; b"" is the end."""
        while not self._parts:
            if self._ended:
                return b""
            self._arrived = trio.Event()
            await self._arrived.wait()
        data = self._parts.popleft()
        self._size -= len(data)
        self._taken.set()
        return data

    async def feed(self, data: bytes = b"") -> None:
        """What the connection received; waits while nobody takes it."""
        while self._size > self._limit:
            self._taken = trio.Event()
            await self._taken.wait()
        if data:
            self._parts.append(data)
            self._size += len(data)
            self._arrived.set()

    def feed_eof(self) -> None:
        self._ended = True
        self._arrived.set()


async def relay(tunnel: Tunnel, pipe: Pipe) -> None:
    """Carry bytes both ways until either side ends; closes the pipe."""
    try:
        async with trio.open_nursery() as nursery:

            async def upload() -> None:
                try:
                    while data := await tunnel.receive():
                        await pipe.send(data)
                except PeerGone:
                    pass  # the other end is gone, so is the reason to go on
                nursery.cancel_scope.cancel()

            nursery.start_soon(upload)
            try:
                while data := await pipe.receive_some():
                    await tunnel.send(data)
            except PeerGone:
                pass  # as above
            nursery.cancel_scope.cancel()
    finally:
        pipe.close()

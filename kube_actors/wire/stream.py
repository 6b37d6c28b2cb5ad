"""The body of a streamed answer on its way out: many small sends become few writes, within a bound.

The producer appends; one flusher task writes what has gathered meanwhile. So events that come in a burst leave
as one chunk, one TLS record and one system call, and a single event waits for nothing.
"""

from __future__ import annotations

import trio

from .encode import LAST_CHUNK, encode_chunk
from .errors import PeerGone
from .transport import Transport


class BodyStream:
    """`send` is given to the producer; `flush_loop` runs beside it until `finish`."""

    def __init__(self, transport: Transport, head: bytes, chunked: bool, limit: int, prompt: bool = False) -> None:
        self._transport = transport
        self._head = head
        self._chunked = chunked
        self._limit = limit
        self._prompt = prompt
        self._headed = False
        self._gone: PeerGone | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._complete = False
        self._arrived = trio.Event()
        self._taken = trio.Event()

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while more than the limit is waiting already."""
        while self._size > self._limit:
            await self._taken.wait()
        if self._prompt and self._headed and not self._waiting and data:
            await self._write(data)
            return
        if data:
            self._waiting.append(data)
            self._size += len(data)
            self._arrived.set()

    def send_now(self, data: bytes) -> bool:
        """Write without waiting; False, and nothing is taken, when others are in front. See `StreamResponse.lend`."""
        if not self._headed or self._waiting or self._complete or self._gone is not None:
            return False
        try:
            taken = self._transport.send_now(encode_chunk(data) if self._chunked else data)
        except PeerGone as gone:
            self._gone = gone
            self._arrived.set()
            return True
        if not self._transport.settled:
            self._arrived.set()
        return taken

    async def _write(self, data: bytes) -> None:
        """At once; that the client has gone is told by the flusher, as for everything else."""
        try:
            await self._transport.send(encode_chunk(data) if self._chunked else data)
        except PeerGone as gone:
            self._gone = gone
            self._arrived.set()
            await trio.sleep_forever()

    def finish(self) -> None:
        """The body is complete: the flusher ends after writing the rest."""
        self._complete = True
        self._arrived.set()

    async def flush_loop(self) -> None:
        """Write until finished. Raises PeerGone when the client has gone or takes nothing."""
        await self._transport.send(self._head)
        self._headed = True
        while True:
            if not self._waiting and not self._complete:
                await self._arrived.wait()
            if self._gone is not None:
                raise self._gone
            self._arrived = trio.Event()
            if not self._transport.settled:
                await self._transport.settle()
                if not self._waiting and not self._complete:
                    continue
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            self._taken.set()
            self._taken = trio.Event()
            ending = self._complete
            if data and self._chunked:
                data = encode_chunk(data)
            if ending and self._chunked:
                data += LAST_CHUNK
            if data:
                await self._transport.send(data)
            if ending and not self._waiting:
                return

"""Connections to one server, kept between requests; for whoever asks one server again and again.

Owns which connections are open and which are idle. A connection serves one request at a time, and one whose answer is
not read to its end is closed. Nothing is opened before the first request; no redirect is followed.
"""

from __future__ import annotations

import ssl
from collections import deque

import trio

from .client import Reply
from .dialing import Dial, dial_tcp
from .encode import encode_head
from .errors import PeerGone
from .limits import Limits
from .messages import HeaderPairs
from .transport import Transport


class Pool:
    """Close it with `close`, which ends every answer that is still being read."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        connections: int,
        idle: int,
        idle_seconds: float,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        limits: Limits | None = None,
        dial: Dial | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._server_hostname = server_hostname
        self._limits = limits or Limits()
        self._dial: Dial = dial or dial_tcp
        self._room = trio.Semaphore(connections, max_value=connections)
        self._idle: deque[tuple[float, Transport]] = deque()
        self._most_idle = idle
        self._idle_seconds = idle_seconds
        self._open: set[Transport] = set()
        self._closed = False

    async def call(self, method: str, target: str, headers: HeaderPairs, body: bytes = b"") -> PooledReply:
        """Send a request and wait for the head of its answer. Content-Length is set here; Host is the caller's.

        Raises ValueError for what cannot be sent, PeerGone and BadAnswer.
        """
        if body or method in ("POST", "PUT", "PATCH"):
            headers = (*headers, ("Content-Length", str(len(body))))
        head = encode_head(200, headers).partition(b"\r\n")[2]
        message = b"%b %b HTTP/1.1\r\n%b%b" % (method.encode(), target.encode(), head, body)
        await self._room.acquire()
        try:
            return await self._ask(method, message)
        except BaseException:
            self._room.release()
            raise

    async def _ask(self, method: str, message: bytes) -> PooledReply:
        while True:
            transport = self._take()
            used_before = transport is not None
            if transport is None:
                transport = await self._connect()
            reply = PooledReply(self, transport, self._limits, method)
            try:
                await transport.send(message)
                await reply.read_head()
            except PeerGone:
                self.drop(transport)
                # Closed for being idle just when we wrote; a question may be asked again.
                if used_before and method == "GET" and not reply.begun:
                    continue
                raise
            except BaseException:
                self.drop(transport)
                raise
            return reply

    def _take(self) -> Transport | None:
        """An idle connection that is still good; the one used last, so that the others may grow old."""
        limit = trio.current_time() - self._idle_seconds
        while self._idle and self._idle[0][0] < limit:
            self.drop(self._idle.popleft()[1])
        while self._idle:
            _, transport = self._idle.pop()
            if transport.quiet():
                return transport
            self.drop(transport)
        return None

    async def _connect(self) -> Transport:
        transport = await self._dial(
            self._host, self._port, tls=self._tls, server_hostname=self._server_hostname, limits=self._limits
        )
        self._open.add(transport)
        if self._closed:
            self.drop(transport)
            raise PeerGone("the connections are closed")
        return transport

    def give_back(self, transport: Transport, reusable: bool) -> None:
        """An answer is over; its connection may serve the next one."""
        self._room.release()
        if not reusable or self._closed or len(self._idle) >= self._most_idle:
            self.drop(transport)
        else:
            self._idle.append((trio.current_time(), transport))

    def drop(self, transport: Transport) -> None:
        if transport in self._open:
            self._open.discard(transport)
            transport.close()

    def close(self) -> None:
        self._closed = True
        self._idle.clear()
        for transport in tuple(self._open):
            self.drop(transport)


class PooledReply(Reply):
    """An answer whose connection goes back to the pool at its end. Whoever holds it reads it out or closes it."""

    def __init__(self, pool: Pool, transport: Transport, limits: Limits, method: str) -> None:
        super().__init__(transport, limits, method)
        self._pool = pool
        self._over = False

    async def receive_some(self) -> bytes:
        data = await super().receive_some()
        if not data:
            self._finish(self.reusable)
        return data

    async def read(self) -> bytes:
        """The rest of the body."""
        parts = []
        try:
            while data := await self.receive_some():
                parts.append(data)
        finally:
            self.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """A reader that waits gets a trio.ClosedResourceError."""
        self._finish(False)

    def _finish(self, reusable: bool) -> None:
        if not self._over:
            self._over = True
            self._pool.give_back(self._transport, reusable)

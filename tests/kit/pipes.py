"""Byte streams within this process, in virtual time: what stands in for sockets beneath the real client and server.

An end behaves as a non-blocking socket of a local connection does: it holds a bounded number of bytes, tells its end
of stream, and what is sent is there to be received at once. So no time passes on the way, and a virtual clock never
jumps over bytes that are still travelling.
"""

from __future__ import annotations

import socket
import ssl

import trio

from kube_actors.wire import HttpServer, Limits, Unreachable
from kube_actors.wire.transport import TlsTransport, Transport

BUFFER_BYTES = 64 * 1024
PEER = ("127.0.0.1", 40000)


class End:
    """One end of a connection, as a `wire.transport.Pipe`."""

    def __init__(self) -> None:
        self.other: End = self
        self.arrived = bytearray()
        self.ended = False  # the other end sends no more
        self.closed = False
        self.waiting = trio.lowlevel.ParkingLot()

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self.arrived:
            if self.ended:
                return b""
            raise BlockingIOError
        data = bytes(self.arrived[:size])
        if not flags & socket.MSG_PEEK:
            del self.arrived[:size]
            self.other.waiting.unpark_all()
        return data

    def send(self, data: bytes | memoryview) -> int:
        if self.other.closed:
            raise BrokenPipeError(32, "Broken pipe")
        room = BUFFER_BYTES - len(self.other.arrived)
        if room <= 0:
            raise BlockingIOError
        self.other.arrived += data[:room]
        self.other.waiting.unpark_all()
        return min(room, len(data))

    def shutdown(self, how: int) -> None:
        self.other.ended = True
        self.other.waiting.unpark_all()

    def close(self) -> None:
        self.closed = True
        self.shutdown(socket.SHUT_RDWR)
        self.waiting.unpark_all()

    async def until_readable(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self.arrived and not self.ended and not self.closed:
            await self.waiting.park()
        self._check()

    async def until_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while len(self.other.arrived) >= BUFFER_BYTES and not self.other.closed and not self.closed:
            await self.waiting.park()
        self._check()

    def _check(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError("another task closed this end")


class PipeTransport(Transport):
    """The wire's transport over one end."""

    def __init__(self, end: End, write_seconds: float) -> None:
        super().__init__(end, write_seconds)
        self._end = end

    async def _readable(self) -> None:
        await self._end.until_readable()

    async def _writable(self) -> None:
        await self._end.until_writable()

    def close(self) -> None:
        self._end.close()


def pair(limits: Limits) -> tuple[PipeTransport, PipeTransport]:
    """The two transports of one connection."""
    one, two = End(), End()
    one.other, two.other = two, one
    return PipeTransport(one, limits.write_seconds), PipeTransport(two, limits.write_seconds)


class Wires:
    """A `Dial` that leads to one server of this process."""

    def __init__(self, server: HttpServer, nursery: trio.Nursery, limits: Limits) -> None:
        self.cut = False
        self._server = server
        self._nursery = nursery
        self._limits = limits

    async def __call__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, server_hostname: str | None, limits: Limits
    ) -> Transport:
        assert tls is None, "nobody listens between two ends of one process"
        await trio.lowlevel.checkpoint()
        if self.cut:
            raise Unreachable(host, port, "Connection refused")
        ours, theirs = pair(limits)
        self._nursery.start_soon(self._server.serve, theirs, PEER)
        return ours


__all__ = ["BUFFER_BYTES", "PipeTransport", "TlsTransport", "Wires", "pair"]

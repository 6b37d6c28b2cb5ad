"""The tiny HTTP server of a simulated container in the loopback network, and its answers without a network.

`answer` is pure and serves both tiers. A connection carries several requests; once the container drains, it takes no
new connections, answers what is in flight and hangs up. It never decides which container serves.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from runtimes import limits
from runtimes.contract import RuntimeFault

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}

Answer = Callable[[str], tuple[int, bytes]]


def answer(path: str, paths: dict[str, int], hostname: str, version: str) -> tuple[int, bytes]:
    """Status and body: who answered, or what the script says about this path."""
    path = path.split("?", 1)[0]
    status = paths.get(path, 200)
    if status != 200:
        return status, f"{_REASONS.get(status, 'scripted')}\n".encode()
    if path in ("/healthz", "/readyz", "/livez"):
        return 200, b"ok\n"
    return 200, f"{hostname} {version}\n".encode()


class HttpServer:
    def __init__(self, respond: Answer, draining: trio.Event) -> None:
        self._respond = respond
        self._draining = draining
        self._idle: set[trio.CancelScope] = set()
        self._fresh: set[trio.CancelScope] = set()

    async def serve(self, ip: str, port: int) -> None:
        """Listen until the container drains, then finish what is in flight. Raises RuntimeFault if the address
        cannot be had."""
        try:
            listeners = await trio.open_tcp_listeners(port, host=ip)
        except OSError as error:
            raise RuntimeFault(f"cannot listen on {ip}:{port}: {error.strerror or error}") from error
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._accept, listener, connections)
            for scope in tuple(self._idle):
                scope.cancel()
            for scope in tuple(self._fresh):
                scope.deadline = trio.current_time() + limits.SIMULATED_FRESH_SECONDS

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        async with listener:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._take, listener, connections)
                await self._draining.wait()
                nursery.cancel_scope.cancel()
            # What the kernel has taken for us already is answered, and who does not know yet that we go.
            with trio.move_on_after(limits.SIMULATED_LINGER_SECONDS):
                await self._take(listener, connections)

    async def _take(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        while True:
            connections.start_soon(self._converse, await listener.accept())

    async def _converse(self, stream: trio.SocketStream) -> None:
        fresh = True  # a connection whose first request is still under way is not idle, and is not cut by a drain
        async with stream:
            buffer = bytearray()
            try:
                while (head := await self._next_head(stream, buffer, fresh=fresh)) is not None:
                    fresh = False
                    if await self._answer_one(stream, head, buffer):
                        return
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the client went away; its affair

    async def _next_head(self, stream: trio.SocketStream, buffer: bytearray, *, fresh: bool) -> bytes | None:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if len(buffer) > limits.SIMULATED_REQUEST_BYTES:
                return None
            received = await self._receive(stream, idle=not buffer, fresh=fresh)
            if not received:
                return None
            buffer += received
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        return head

    async def _receive(self, stream: trio.SocketStream, *, idle: bool, fresh: bool = False) -> bytes | bytearray:
        """More bytes, or nothing when the client is done or an idle connection meets the drain."""
        if not idle:
            return await stream.receive_some(limits.READ_BYTES)
        if self._draining.is_set() and not fresh:
            return b""
        with trio.CancelScope() as scope:
            if fresh:
                self._fresh.add(scope)
            else:
                self._idle.add(scope)
            try:
                return await stream.receive_some(limits.READ_BYTES)
            finally:
                self._idle.discard(scope)
                self._fresh.discard(scope)
        return b""

    async def _answer_one(self, stream: trio.SocketStream, head: bytes, buffer: bytearray) -> bool:
        """Answer a request; True when the connection ends with it."""
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "0")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not length.isdigit():
            status, body, close = 400, b"malformed request\n", True
        else:
            status, body = self._respond(words[1])
            close = self._draining.is_set() or words[2] == "HTTP/1.0" or "transfer-encoding" in headers
            close = close or headers.get("connection", "").lower() == "close"
            await self._skip(stream, buffer, int(length))
        lines_out = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: {'close' if close else 'keep-alive'}\r\n\r\n"
        )
        await stream.send_all(lines_out.encode() + (b"" if words[0] == "HEAD" else body))
        return close

    async def _skip(self, stream: trio.SocketStream, buffer: bytearray, count: int) -> None:
        while count > 0:
            if not buffer:
                received = await self._receive(stream, idle=False)
                if not received:
                    return
                buffer += received
            taken = min(count, len(buffer))
            del buffer[:taken]
            count -= taken

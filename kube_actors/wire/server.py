"""The listener: accepts connections up to a limit, watches over their deadlines, and ends them politely.

Owns the sockets and the set of connections. What is said on a connection is the connection's and the handler's
business; no fault of either ends the server.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable, Sequence

import msgspec
import trio

from .connection import Connection
from .encode import DateLine
from .errors import ListenError
from .limits import ACCEPT_RETRY_SECONDS, Limits
from .messages import AtOnce, Handler
from .transport import TlsTransport, Transport, tune

log = logging.getLogger("kube_actors.wire")

_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class ServerStatistics(msgspec.Struct, frozen=True):
    connections: int
    accepted: int
    requests: int


async def listen_tcp(host: str, port: int, *, backlog: int = 1024) -> list[socket.socket]:
    """Sockets listening on every address of this host (\"\" = all). Port 0 picks one, the same for all.

    Raises ListenError, whose text names the address and the cause.
    """
    try:
        found = await trio.socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, proto, _, address in found:
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            sock = socket.socket(family, kind, proto)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            sock.listen(backlog)
            port = port or sock.getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ListenError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}") from None
    return sockets


class HttpServer:
    """Serves a handler on listening sockets, which it owns from now on."""

    def __init__(
        self,
        handler: Handler,
        sockets: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        now: Callable[[], float] | None = None,
        at_once: AtOnce | None = None,
    ) -> None:
        self._handler = handler
        self._at_once = at_once
        self._sockets = tuple(sockets)
        self._tls = tls
        self._limits = limits or Limits()
        self._date = DateLine(now)
        self._connections: set[Connection] = set()
        self._accepted = 0
        self._requests = 0  # of connections that have ended
        self._left = trio.Event()  # set whenever a connection ends
        self._came = trio.Event()  # set whenever one begins
        self._shutdown = trio.Event()
        self.addresses: tuple[tuple[str, int], ...] = tuple(s.getsockname()[:2] for s in self._sockets)

    @property
    def port(self) -> int:
        return self.addresses[0][1]

    def statistics(self) -> ServerStatistics:
        served = sum(connection.served for connection in self._connections)
        return ServerStatistics(len(self._connections), self._accepted, self._requests + served)

    def shutdown(self) -> None:
        """Stop accepting, end streams and idle connections, let requests finish; then `run` returns."""
        self._shutdown.set()

    def replace_tls(self, tls: ssl.SSLContext) -> None:
        """New connections use this context: a renewed certificate needs no restart."""
        assert self._tls is not None, "a plain server does not become a TLS server"
        self._tls = tls

    async def run(self, *, task_status: trio.TaskStatus[HttpServer] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `shutdown` or cancellation. Started once connections are accepted."""
        try:
            async with trio.open_nursery() as connections:
                async with trio.open_nursery() as accepting:
                    for sock in self._sockets:
                        accepting.start_soon(self._accept, sock, connections)
                    connections.start_soon(self._sweep)
                    task_status.started(self)
                    await self._shutdown.wait()
                    accepting.cancel_scope.cancel()
                self._close_sockets()
                await self._drain()
                connections.cancel_scope.cancel()
        finally:
            self._close_sockets()

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                trio.lowlevel.notify_closing(sock)
                sock.close()

    async def _drain(self) -> None:
        for connection in tuple(self._connections):
            connection.drain()
        with trio.move_on_after(self._limits.drain_seconds):
            while self._connections:
                await self._wait_left()

    async def _wait_left(self) -> None:
        self._left = trio.Event()
        await self._left.wait()

    async def _accept(self, sock: socket.socket, nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(sock)
            with contextlib.suppress(BlockingIOError):
                while True:
                    try:
                        accepted, address = sock.accept()
                    except BlockingIOError:
                        raise
                    except OSError as error:
                        await self._on_accept_error(error)
                        continue
                    self._accepted += 1
                    await self._make_room()
                    self._start(accepted, address, nursery)

    async def _on_accept_error(self, error: OSError) -> None:
        if error.errno in _OUT_OF_RESOURCES:
            log.error("cannot accept connections: %s", error.strerror)
            await trio.sleep(ACCEPT_RETRY_SECONDS)
        else:
            await trio.lowlevel.checkpoint()  # that client is gone already; the next one matters

    async def _make_room(self) -> None:
        while len(self._connections) >= self._limits.connections:
            idle = [(c.idle_since, c) for c in self._connections if c.idle_since is not None]
            if idle:
                min(idle, key=lambda pair: pair[0])[1].abort()
            await self._wait_left()

    def _start(self, sock: socket.socket, address: tuple[str, int], nursery: trio.Nursery) -> None:
        try:
            tune(sock)
        except OSError:
            sock.close()
            return
        seconds = self._limits.write_seconds
        transport = Transport(sock, seconds) if self._tls is None else TlsTransport(sock, seconds, self._tls)
        nursery.start_soon(self._serve, self._join(transport, (address[0], address[1])))

    async def serve(self, transport: Transport, peer: tuple[str, int]) -> None:
        """Serve a connection that came another way than through our sockets, until it ends. While `run` runs."""
        self._accepted += 1
        await self._serve(self._join(transport, peer))

    def _join(self, transport: Transport, peer: tuple[str, int]) -> Connection:
        connection = Connection(transport, self._handler, self._limits, self._date, peer, self._at_once)
        self._connections.add(connection)
        self._came.set()
        return connection

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception:
            # Boundary: one connection's failure is a bug worth a traceback, and must not end the others.
            log.exception("a connection failed")
        finally:
            self._connections.discard(connection)
            self._requests += connection.served
            self._left.set()

    async def _sweep(self) -> None:
        """Sleeps for good while there are no connections: an idle server does not wake up."""
        while True:
            if not self._connections:
                self._came = trio.Event()
                await self._came.wait()
            await trio.sleep(self._limits.sweep_seconds)
            now = trio.current_time()
            for connection in tuple(self._connections):
                connection.sweep(now)


async def serve_http(
    handler: Handler,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    now: Callable[[], float] | None = None,
    task_status: trio.TaskStatus[HttpServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen and serve until cancelled or shut down: `server = await nursery.start(serve_http, ...)`."""
    limits = limits or Limits()
    sockets = await listen_tcp(host, port, backlog=limits.backlog)
    await HttpServer(handler, sockets, tls=tls, limits=limits, now=now).run(task_status=task_status)

"""A remote command over a WebSocket, in Kubernetes' v5.channel.k8s.io protocol: the first byte names the channel."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import trio

from kube_actors.api import errors
from kube_actors.wire import HandshakeFailed, PeerGone, WebSocketClosed
from kube_actors.wire.dialing import Dial
from kube_actors.wire.websocket import WebSocket
from kube_actors.wire.websocket_client import connect_websocket

from .errors import Unavailable

SUBPROTOCOL = "v5.channel.k8s.io"


class WebSocketSession:
    """The `Session` of an open WebSocket. Its connection is kept by a task that ends with `close`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._ws: WebSocket | None = None
        self._failure: Exception | None = None
        self._opened = trio.Event()
        self._closing = trio.Event()

    async def opened(self) -> None:
        """Wait for the handshake; raises what it failed with."""
        try:
            await self._opened.wait()
        except trio.Cancelled:
            self.close()
            raise
        if self._failure is not None:
            raise self._failure

    async def keep(
        self,
        url: str,
        key: bytes,
        tls: ssl.SSLContext | None,
        server_hostname: str | None,
        headers: Sequence[tuple[str, str]],
        dial: Dial | None,
    ) -> None:
        """Hold the connection until closed. What goes wrong is kept for whoever opened it."""
        try:
            async with connect_websocket(
                url,
                key=key,
                tls=tls,
                server_hostname=server_hostname,
                headers=tuple(headers),
                subprotocols=(SUBPROTOCOL,),
                dial=dial,
            ) as self._ws:
                self._opened.set()
                await self._closing.wait()
        except HandshakeFailed as error:
            if error.status:
                self._failure = errors.decode(error.status, error.body)
            else:
                self._failure = Unavailable(f"{self._what}: {error}")
        except (PeerGone, WebSocketClosed, OSError, trio.BrokenResourceError) as error:
            self._failure = Unavailable(f"{self._what}: {error}")
        except Exception as error:  # whoever opened it gets it; out of a system task it would end the program
            self._failure = error
        finally:
            self._opened.set()

    async def send(self, channel: int, data: bytes) -> None:
        try:
            await self._open_socket().send(bytes([channel]) + data)
        except WebSocketClosed as error:
            raise Unavailable(f"{self._what}: the session is closed") from error

    async def receive(self) -> tuple[int, bytes] | None:
        while True:
            try:
                message = await self._open_socket().receive()
            except WebSocketClosed:
                return None
            data = message.encode() if isinstance(message, str) else message
            if data:
                return data[0], data[1:]

    def close(self) -> None:
        self._closing.set()

    def _open_socket(self) -> WebSocket:
        assert self._ws is not None, "a session is given out when it is open"
        return self._ws


async def open_session(
    url: str,
    *,
    key: bytes,
    tls: ssl.SSLContext | None,
    server_hostname: str | None,
    headers: Sequence[tuple[str, str]],
    what: str,
    dial: Dial | None = None,
) -> WebSocketSession:
    """Open a remote command. ApiError when the server refuses it, Unavailable when it cannot be reached."""
    session = WebSocketSession(what)
    # The session outlives this call and belongs to no nursery of ours: whoever holds it closes it.
    trio.lowlevel.spawn_system_task(session.keep, url, key, tls, server_hostname, headers, dial)
    await session.opened()
    return session

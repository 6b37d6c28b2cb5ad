"""One open WebSocket, on either side: messages in and out, pings answered, closed politely.

It does not read from the connection: whoever does (the server's connection, the client's pump) calls `feed`.
Frames are wsproto's business, bytes the transport's.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque

import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .errors import PeerGone, WebSocketClosed
from .limits import Limits
from .transport import Transport

NORMAL = 1000
GOING_AWAY = 1001
ABNORMAL = 1006
PROTOCOL_ERROR = 1002
TOO_BIG = 1009
INTERNAL_ERROR = 1011

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that proves that this key was understood."""
    return base64.b64encode(hashlib.sha1(key.encode() + _ACCEPT_GUID).digest()).decode()


class WebSocket:
    """`send`, `receive` and `aclose`; any task may send, one receives."""

    def __init__(
        self,
        transport: Transport,
        limits: Limits,
        *,
        subprotocol: str | None,
        client: bool = False,
        trailing: bytes = b"",
    ) -> None:
        self.subprotocol = subprotocol
        self._transport = transport
        self._limits = limits
        self._frames = Connection(ConnectionType.CLIENT if client else ConnectionType.SERVER)
        self._trailing = trailing  # came in one piece with the handshake: goes before what is fed
        self._feeding = trio.Lock()
        self._messages: deque[str | bytes] = deque()
        self._waiting_bytes = 0
        self._parts: list[str | bytes] = []
        self._parts_size = 0
        self._arrived = trio.Event()
        self._taken = trio.Event()
        self._peer_closed = trio.Event()
        self._closed: WebSocketClosed | None = None
        self._lost = False

    @property
    def closed(self) -> WebSocketClosed | None:
        """Why it is closed, or None while it is open."""
        return self._closed

    async def send(self, message: bytes | bytearray | memoryview | str) -> None:
        """One message: bytes as binary, str as text. Waits while the peer is slow; raises WebSocketClosed."""
        if self._closed is not None:
            raise self._closed
        event: Event = TextMessage(message) if isinstance(message, str) else BytesMessage(bytes(message))
        try:
            await self._transport.send(self._frames.send(event))
        except PeerGone:
            self.feed_eof()
            raise WebSocketClosed(ABNORMAL, "connection lost") from None

    async def receive(self) -> str | bytes:
        """The next message, complete. Raises WebSocketClosed after the last one."""
        while not self._messages:
            if self._closed is not None:
                raise self._closed
            await self._arrived.wait()
        message = self._messages.popleft()
        self._waiting_bytes -= len(message)
        self._taken.set()
        return message

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame and wait a little for the peer's. Harmless when closed already."""
        if self._closed is None:
            self._set_closed(WebSocketClosed(code, reason))
        try:
            if self._frames.state is ConnectionState.OPEN and not self._lost:
                # A close frame holds at most 125 bytes, two of them the code.
                await self._transport.send(self._frames.send(CloseConnection(code, _cut(reason, 123))))
        except PeerGone:
            return
        with trio.move_on_after(self._limits.close_seconds):
            await self._peer_closed.wait()

    async def wait_peer_closed(self) -> None:
        """Until the peer's close frame or the end of the connection."""
        await self._peer_closed.wait()

    async def feed(self, data: bytes = b"") -> None:
        """Bytes from the peer. Waits while too many messages lie untaken. Raises PeerGone."""
        async with self._feeding:
            if self._trailing:
                data, self._trailing = self._trailing + data, b""
            if not data or self._frames.state not in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
                return
            try:
                self._frames.receive_data(data)
                for event in self._frames.events():
                    await self._on_event(event)
            except RemoteProtocolError as error:
                await self._fail(PROTOCOL_ERROR, str(error))
            while self._waiting_bytes > self._limits.messages_bytes and self._closed is None:
                self._taken = trio.Event()
                await self._taken.wait()

    def feed_eof(self) -> None:
        """The connection has ended."""
        self._lost = True
        self._set_closed(WebSocketClosed(ABNORMAL, "connection lost"))
        self._peer_closed.set()

    async def _on_event(self, event: Event) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            await self._on_part(event)
        elif isinstance(event, Ping):
            await self._transport.send(self._frames.send(event.response()))
        elif isinstance(event, CloseConnection):
            if self._frames.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
                await self._fail(int(event.code), event.reason or "")  # wsproto's word for a broken frame
                return
            if self._frames.state is ConnectionState.REMOTE_CLOSING:
                await self._transport.send(self._frames.send(event.response()))
            self._set_closed(WebSocketClosed(int(event.code), event.reason or ""))
            self._peer_closed.set()

    async def _on_part(self, event: TextMessage | BytesMessage) -> None:
        if self._closed is not None:
            return
        part = event.data if isinstance(event.data, str) else bytes(event.data)
        self._parts.append(part)
        self._parts_size += len(part)
        if self._parts_size > self._limits.message_bytes:
            await self._fail(TOO_BIG, "message is too big")
            return
        if not event.message_finished:
            return
        parts, self._parts, self._parts_size = self._parts, [], 0
        message = parts[0] if len(parts) == 1 else type(parts[0])().join(parts)  # type: ignore[arg-type]
        self._messages.append(message)
        self._waiting_bytes += len(message)
        self._arrived.set()
        self._arrived = trio.Event()

    async def _fail(self, code: int, reason: str) -> None:
        """The peer broke the rules: say so, expect no polite answer."""
        self._set_closed(WebSocketClosed(code, reason))
        self._peer_closed.set()
        try:
            await self._transport.send(self._frames.send(CloseConnection(code, _cut(reason, 123))))
        except LocalProtocolError:
            return  # we had sent a close frame of our own before

    def _set_closed(self, closed: WebSocketClosed) -> None:
        if self._closed is None:
            self._closed = closed
        self._arrived.set()
        self._taken.set()


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")

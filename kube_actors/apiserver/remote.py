"""Remote commands over WebSockets: Kubernetes' channel protocols on one side, a `Session` on the other.

Owns framing and the differences between the protocol's versions. Never knows what runs at the other end.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec
import trio

from kube_actors.api.messages import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, ByteStream, Session
from kube_actors.client import TransportError
from kube_actors.wire import WebSocketClosed

if TYPE_CHECKING:
    from kube_actors.wire.websocket import WebSocket

V5, V4, V1 = "v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"
SESSION_PROTOCOLS = (V5, V4, "v4.base64.channel.k8s.io", V1, "base64.channel.k8s.io")
STREAM_PROTOCOLS = ("binary.k8s.io", "base64.binary.k8s.io")
_SUCCESS = "Success"


class _Status(msgspec.Struct):
    status: str = ""
    message: str = ""


class Frames:
    """One version's framing."""

    def __init__(self, protocol: str | None) -> None:
        protocol = protocol or V1
        self._text = "base64" in protocol
        self._plain_errors = not protocol.startswith(("v4", "v5"))
        self._closes = protocol == V5

    def pack(self, channel: int, data: bytes) -> bytes | str | None:
        """A frame for the client; None when its version has no word for it."""
        if channel == ERROR and self._plain_errors:
            data = _error_text(data)
            if not data:
                return None
        if channel == CLOSE and not self._closes:
            return None
        if self._text:
            return f"{channel}{base64.b64encode(data).decode()}"
        return bytes([channel]) + data

    def unpack(self, message: bytes | str) -> tuple[int, bytes] | None:
        """A frame of the client; None for what makes no sense, which is left out as kube-apiserver does."""
        if not message:
            return None
        if self._text:
            text = message if isinstance(message, str) else message.decode("ascii", errors="replace")
            if not text[0].isdigit():
                return None
            try:
                return int(text[0]), base64.b64decode(text[1:])
            except (binascii.Error, ValueError):
                return None
        data = message.encode() if isinstance(message, str) else message
        if data[0] == CLOSE and not self._closes:
            return None
        return data[0], data[1:]


def _error_text(data: bytes) -> bytes:
    """Before version 4 the error channel carries plain text, and nothing when all went well."""
    try:
        status = msgspec.json.decode(data, type=_Status)
    except msgspec.DecodeError:
        return data
    return b"" if status.status == _SUCCESS else status.message.encode()


async def serve_session(ws: WebSocket, session: Session) -> None:
    """Carry frames both ways until the command or the client ends."""
    frames = Frames(ws.subprotocol)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_upload, ws, session, frames, nursery.cancel_scope)
            await _download(ws, session, frames)
            nursery.cancel_scope.cancel()
    finally:
        session.close()


async def _upload(ws: WebSocket, session: Session, frames: Frames, ending: trio.CancelScope) -> None:
    try:
        while True:
            frame = frames.unpack(await ws.receive())
            if frame is not None and frame[0] in (STDIN, RESIZE, CLOSE):
                await session.send(*frame)
    except WebSocketClosed:
        ending.cancel()  # nobody is left to read what the command says
    except TransportError:
        return  # the way to the node is gone; what it had said until then is still on its way to the client


async def _download(ws: WebSocket, session: Session, frames: Frames) -> None:
    try:
        # An empty frame tells the client that the command is connected.
        hello = frames.pack(STDOUT, b"")
        if hello is not None:
            await ws.send(hello)
        while (frame := await session.receive()) is not None:
            if frame[0] not in (STDOUT, STDERR, ERROR, CLOSE):
                continue
            message = frames.pack(*frame)
            if message is not None:
                await ws.send(message)
    except WebSocketClosed:
        return


async def serve_stream(ws: WebSocket, stream: ByteStream) -> None:
    """A body that goes on, such as a log, as messages."""
    text = (ws.subprotocol or "").startswith("base64")
    try:
        while data := await stream.receive_some():
            await ws.send(base64.b64encode(data).decode() if text else data)
    except WebSocketClosed:
        return
    finally:
        stream.close()

"""Remote commands over a WebSocket, on the node's side: the channel.k8s.io protocols, versions 4 and 5.

Owns framing and the carrying of frames both ways; what runs at the other end is the session's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from kube_actors.api.messages import CLOSE, RESIZE, STDIN, STDOUT, Session
from kube_actors.wire import WebSocketClosed

if TYPE_CHECKING:
    from kube_actors.wire.websocket import WebSocket

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)


async def carry(socket: WebSocket, session: Session) -> None:
    """Until the command or the client ends; the session is closed then."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_upload, socket, session, nursery.cancel_scope)
            await _download(socket, session)
            nursery.cancel_scope.cancel()
    finally:
        session.close()


async def _upload(socket: WebSocket, session: Session, ending: trio.CancelScope) -> None:
    closes = socket.subprotocol == V5
    try:
        while True:
            message = await socket.receive()
            data = message.encode() if isinstance(message, str) else message
            if data and (data[0] in (STDIN, RESIZE) or (closes and data[0] == CLOSE)):
                await session.send(data[0], data[1:])
    except WebSocketClosed:
        ending.cancel()  # nobody is left to read what the command says


async def _download(socket: WebSocket, session: Session) -> None:
    try:
        # An empty frame tells the client that the command is connected.
        await socket.send(bytes([STDOUT]))
        while (frame := await session.receive()) is not None:
            await socket.send(bytes([frame[0]]) + frame[1])
    except WebSocketClosed:
        return

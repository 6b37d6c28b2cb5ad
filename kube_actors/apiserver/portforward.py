"""Forwarded ports over a WebSocket: kubectl's SPDY inside it, or one channel a port as older clients have it.

Owns streams and their ends. Where a port's bytes go is the caller's `dial`.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import trio

from kube_actors.apiserver import spdy
from kube_actors.wire import WebSocketClosed

if TYPE_CHECKING:
    from kube_actors.wire.websocket import WebSocket

Dial = Callable[[int], Awaitable[trio.SocketStream]]
"""A connection to a port of the pod; raises OSError."""

TUNNELED = "SPDY/3.1+portforward.k8s.io"
CHANNELS = "v4.channel.k8s.io"
PROTOCOLS = (TUNNELED, CHANNELS)
CHUNK_BYTES = 32 * 1024
WAITING = 64
"""Pieces from the client that wait for a slow port; then everything waits."""


async def serve(ws: WebSocket, dial: Dial, ports: Sequence[int]) -> None:
    """Forward until the client leaves."""
    try:
        if ws.subprotocol == TUNNELED:
            await _Tunneled(ws, dial).run()
        else:
            await _channels(ws, dial, ports)
    except WebSocketClosed:
        return


class _Tunneled:
    """Each connection of the client is two streams, of data and of errors, tied by a number."""

    def __init__(self, ws: WebSocket, dial: Dial) -> None:
        self._ws = ws
        self._dial = dial
        self._spdy = spdy.Connection()
        self._errors: dict[str, int] = {}
        self._inputs: dict[int, trio.MemorySendChannel[bytes]] = {}

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            try:
                while True:
                    message = await self._ws.receive()
                    for frame in self._spdy.feed(message.encode() if isinstance(message, str) else message):
                        await self._take(frame, nursery)
            except (WebSocketClosed, spdy.SpdyError):
                nursery.cancel_scope.cancel()

    async def _take(self, frame: spdy.Frame, nursery: trio.Nursery) -> None:
        match frame.type:
            case spdy.SYN_STREAM:
                await self._ws.send(self._spdy.reply(frame.stream))
                asked = frame.headers.get("requestid", "")
                if frame.headers.get("streamtype") == "error":
                    self._errors[asked] = frame.stream
                else:
                    send, receive = trio.open_memory_channel[bytes](WAITING)
                    self._inputs[frame.stream] = send
                    nursery.start_soon(self._forward, frame.stream, frame.headers.get("port", ""), asked, receive)
            case 0:
                channel = self._inputs.get(frame.stream)
                if channel is not None:
                    await _put(channel, frame.data)
                    if frame.fin:
                        channel.close()
            case spdy.PING:
                await self._ws.send(spdy.pong(frame.data))
            case spdy.RST_STREAM:
                channel = self._inputs.pop(frame.stream, None)
                if channel is not None:
                    channel.close()
            case _:
                pass

    async def _forward(self, stream: int, port: str, asked: str, inputs: trio.MemoryReceiveChannel[bytes]) -> None:
        problem = b""
        try:
            connection = await self._dial(int(port))
        except (OSError, ValueError) as error:
            problem = f"an error occurred forwarding {port}: {error}".encode()
        else:
            async with connection:
                await _relay(connection, inputs, lambda piece: self._ws.send(spdy.data(stream, piece)))
        inputs.close()
        self._inputs.pop(stream, None)
        try:
            await self._ws.send(spdy.data(stream, b"", fin=True))
            error_stream = self._errors.pop(asked, None)
            if error_stream is not None:
                await self._ws.send(spdy.data(error_stream, problem, fin=True))
        except WebSocketClosed:
            return  # nobody is left to be told


async def _put(channel: trio.MemorySendChannel[bytes], piece: bytes) -> None:
    try:
        if piece:
            await channel.send(piece)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # the port was faster to close


async def _relay(
    connection: trio.SocketStream, inputs: trio.MemoryReceiveChannel[bytes], output: Callable[[bytes], Awaitable[None]]
) -> None:
    """Both ways, until the port has said all it has to say."""
    async with trio.open_nursery() as nursery:

        async def upload() -> None:
            try:
                async for piece in inputs:
                    await connection.send_all(piece)
                await connection.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
                return  # it listens no more; what it says may still come

        nursery.start_soon(upload)
        try:
            while piece := await connection.receive_some(CHUNK_BYTES):
                await output(piece)
        except (trio.BrokenResourceError, WebSocketClosed):
            pass  # either side is gone
        nursery.cancel_scope.cancel()


async def _channels(ws: WebSocket, dial: Dial, ports: Sequence[int]) -> None:
    """Channel 2n carries the bytes of the nth port, 2n+1 its error; each begins with the port's number."""
    inputs: list[trio.MemorySendChannel[bytes]] = []
    async with trio.open_nursery() as nursery:
        for place, port in enumerate(ports):
            for channel in (2 * place, 2 * place + 1):
                await ws.send(bytes([channel]) + struct.pack("<H", port))
            send, receive = trio.open_memory_channel[bytes](WAITING)
            inputs.append(send)
            nursery.start_soon(_channel, ws, dial, 2 * place, port, receive)
        try:
            while True:
                message = await ws.receive()
                data = message.encode() if isinstance(message, str) else message
                if data and not data[0] % 2 and data[0] // 2 < len(inputs):
                    await _put(inputs[data[0] // 2], data[1:])
        except WebSocketClosed:
            nursery.cancel_scope.cancel()


async def _channel(
    ws: WebSocket, dial: Dial, channel: int, port: int, inputs: trio.MemoryReceiveChannel[bytes]
) -> None:
    head, error_head = bytes([channel]), bytes([channel + 1])
    try:
        connection = await dial(port)
    except OSError as error:
        await ws.send(error_head + f"an error occurred forwarding {port}: {error}".encode())
        return
    async with connection:
        await _relay(connection, inputs, lambda piece: ws.send(head + piece))
    inputs.close()

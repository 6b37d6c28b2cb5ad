"""Puts one answer on the wire: complete, streamed, or as a WebSocket. Decides nothing about the connection."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .encode import DateLine, accepts_gzip, encode_head, gzip, has_body
from .errors import PeerGone, WebSocketClosed
from .limits import MOVE_TO_THREAD_BYTES, SMALL_BYTES, Limits
from .messages import (
    HeaderPairs,
    HttpRequest,
    HttpResponse,
    StreamResponse,
    TunnelUpgrade,
    WebSocketUpgrade,
    wants_websocket,
)
from .stream import BodyStream
from .transport import Transport
from .tunnel import Tunnel

if TYPE_CHECKING:
    from .websocket import WebSocket

log = logging.getLogger("kube_actors.wire")

_CLOSE = "Connection: close\r\n"


class Responder:
    """Writes the answers of one connection, one at a time."""

    def __init__(self, transport: Transport, limits: Limits, date: DateLine) -> None:
        self._transport = transport
        self._limits = limits
        self._date = date
        self.websocket: WebSocket | Tunnel | None = None  # open, or closing
        self.producing: trio.CancelScope | None = None  # around a streamed answer's producer

    async def small(self, request: HttpRequest, response: HttpResponse) -> None:
        """An answer to a GET on a connection that stays; by the shortest way if it is small and its head is ready."""
        body, limit = response.body, self._limits.gzip_bytes
        small = 0 < len(body) <= SMALL_BYTES and not 0 < limit < len(body)
        if response.status != 200 or response.headers or not small:
            await self.plain(request, response, close=False)
            return
        head = f"HTTP/1.1 200 OK\r\n{response.lines}{self._date()}Content-Length: {len(body)}\r\n\r\n"
        await self._transport.send(head.encode() + body)

    async def plain(self, request: HttpRequest, response: HttpResponse, close: bool) -> None:
        """A complete answer, in one write when it is small."""
        headers, body, pieces = response.headers, response.body, response.pieces
        limit = self._limits.gzip_bytes
        if pieces and (accepts_gzip(request) or request.method == "HEAD"):
            body, pieces = b"".join(pieces), ()
        if limit and len(body) > limit and accepts_gzip(request) and not _names(headers, "content-encoding"):
            body = await trio.to_thread.run_sync(gzip, body) if len(body) > MOVE_TO_THREAD_BYTES else gzip(body)
            headers += (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
        extra = response.lines + self._date() + (_CLOSE if close else "")
        if has_body(response.status):
            extra += f"Content-Length: {sum(map(len, pieces)) if pieces else len(body)}\r\n"
        else:
            body = b""
        head = encode_head(response.status, headers, extra)
        if request.method == "HEAD":
            body = b""
        await self._transport.send(head + body if len(body) <= self._limits.stream_buffer_bytes else head)
        if len(body) > self._limits.stream_buffer_bytes:
            await self._transport.send(body)
        for piece in pieces:
            await self._transport.send(piece)

    async def stream(self, request: HttpRequest, response: StreamResponse, close: bool) -> bool:
        """A streamed answer. False when it was broken off: the connection must then be cut."""
        chunked = request.version != "1.0"
        extra = self._date() + (_CLOSE if close else "") + ("Transfer-Encoding: chunked\r\n" if chunked else "")
        head = encode_head(response.status, response.headers, extra)
        if request.method == "HEAD":
            await self._transport.send(head)
            return True
        body = BodyStream(self._transport, head, chunked, self._limits.stream_buffer_bytes, response.prompt)
        self.producing = trio.CancelScope()
        gone: PeerGone | None = None
        failed = False

        async def flush() -> None:
            nonlocal gone
            try:
                await body.flush_loop()
            except PeerGone as reason:
                gone = reason
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            try:
                with self.producing:
                    if response.lend is not None:
                        response.lend(body.send_now)
                    await response.produce(body.send)
            except Exception:
                # Boundary: the handler's fault, told to the log; the client sees a truncated body.
                log.exception("the stream for %s %s failed", request.method, request.path)
                failed = True
                nursery.cancel_scope.cancel()
            body.finish()
        self.producing = None
        if gone is not None:
            raise gone
        return not failed

    async def upgrade(self, request: HttpRequest, answer: WebSocketUpgrade, trailing: bytes) -> None:
        """101, then the WebSocket until its handler returns."""
        # lazy: heavy import; wsproto is needed only by those who exec, attach or forward.
        from .websocket import INTERNAL_ERROR, WebSocket, accept_key

        if not wants_websocket(request):
            raise ValueError("a WebSocket was answered to a request that asks for none")
        headers: HeaderPairs = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(request.headers.get("sec-websocket-key") or "")),
        )
        if answer.subprotocol is not None:
            headers += (("Sec-WebSocket-Protocol", answer.subprotocol),)
        head = encode_head(101, headers + answer.headers)
        ws = WebSocket(self._transport, self._limits, subprotocol=answer.subprotocol, trailing=trailing)
        try:
            await self._transport.send(head)
        except PeerGone:
            ws.feed_eof()  # the handler runs all the same: it holds what has to be freed
        self.websocket = ws
        async with trio.open_nursery() as nursery:
            handling = trio.CancelScope()
            nursery.start_soon(self._follow_peer, ws, handling)
            try:
                with handling:
                    await answer.handle(ws)
                await ws.aclose()
            except Exception as error:
                # Boundary: the usual way for a handler to end is that its client left; everything else is the
                # handler's fault, told to the log and, by code, to the client.
                if _is_departure(error):
                    await ws.aclose()
                else:
                    log.exception("the WebSocket for %s failed", request.path)
                    await ws.aclose(INTERNAL_ERROR, "internal error")
            nursery.cancel_scope.cancel()

    async def tunnel(self, request: HttpRequest, answer: TunnelUpgrade, trailing: bytes) -> None:
        """101, then bytes both ways until the handler returns."""
        tunnel = Tunnel(self._transport, self._limits, trailing)
        try:
            await self._transport.send(encode_head(101, answer.headers))
        except PeerGone:
            tunnel.feed_eof()  # the handler runs all the same: it holds what has to be freed
        self.websocket = tunnel
        try:
            await answer.handle(tunnel)
        except PeerGone:
            return
        except Exception:
            # Boundary: the handler's fault, told to the log; the client sees its connection end.
            log.exception("the tunnel for %s failed", request.path)

    async def _follow_peer(self, ws: WebSocket, handling: trio.CancelScope) -> None:
        """A handler does not outlive its client, but gets a moment to end by itself."""
        try:
            await ws.feed()
        except PeerGone:
            ws.feed_eof()
        await ws.wait_peer_closed()
        handling.deadline = trio.current_time() + self._limits.half_close_seconds


def _is_departure(error: Exception) -> bool:
    """Also when the handler's own nurseries have wrapped it."""
    if isinstance(error, ExceptionGroup):
        return error.split(WebSocketClosed)[1] is None
    return isinstance(error, WebSocketClosed)


def _names(headers: HeaderPairs, wanted: str) -> bool:
    return any(name.lower() == wanted for name, _ in headers)

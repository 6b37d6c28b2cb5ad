"""One HTTP connection on the server's side: a reader and a worker over one transport.

The reader takes what arrives, also while a handler runs, so that a client's departure is noticed at once; the
worker answers the requests in order. Owns the connection's whole life; knows nothing of other connections.
Deadlines are only kept here; the server's sweep looks at them.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import trio

from .encode import CONTINUE, DateLine
from .errors import BodyTooLarge, PeerGone, Refused
from .limits import Limits
from .messages import (
    Answer,
    AtOnce,
    Handler,
    Headers,
    HttpRequest,
    HttpResponse,
    StreamResponse,
    TunnelUpgrade,
    WebSocketUpgrade,
)
from .parser import Incoming, RequestParser
from .responder import Responder
from .transport import Transport

log = logging.getLogger("kube_actors.wire")

_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_FAILED = HttpResponse(500, _TEXT, b"500 Internal Server Error: the server failed to answer; its log says why\n")
# What was refused has no method; its answer is written as to a GET.
_UNREADABLE = HttpRequest(method="GET", target="", path="", query="", headers=Headers([]))


class Connection:
    """Runs until either side has had enough."""

    def __init__(
        self,
        transport: Transport,
        handler: Handler,
        limits: Limits,
        date: DateLine,
        peer: tuple[str, int],
        at_once: AtOnce | None = None,
    ) -> None:
        self.served = 0
        self._transport = transport
        self._handler = handler
        self._at_once = at_once
        self._limits = limits
        self._peer = peer
        self._responder = Responder(transport, limits, date)
        self._parser: RequestParser | None = None  # there once the handshake is done
        self._scope = trio.CancelScope()
        self._deadline = trio.current_time() + limits.handshake_seconds
        self._queue: deque[Incoming] = deque()
        self._refused: Refused | None = None
        self._trailing = b""  # came behind an upgrade request, before its answer
        self._closing = False  # shutdown: the next answer is the last
        self._ended = False  # the peer's end of stream has come
        self._discarding = False  # nothing that comes matters any more
        self._busy = False  # a request is being answered
        self._idle_anew = False  # answered something since the last sweep, so the deadline is to be counted from there
        self._parked: trio.lowlevel.Task | None = None
        self._room = trio.Event()

    @property
    def idle_since(self) -> float | None:
        """The deadline of a connection between two requests, for choosing whom nobody will miss."""
        waiting = not self._busy and self._parser is not None and not self._parser.in_message
        if waiting and self._idle_anew:
            self._count_anew(trio.current_time())
        return self._deadline if waiting else None

    def _count_anew(self, now: float) -> None:
        self._idle_anew = False
        self._deadline = now + self._limits.idle_seconds

    def sweep(self, now: float) -> None:
        """End it if the peer has taken too long over what it should be sending."""
        if self._idle_anew:
            self._count_anew(now)
        if not self._busy and now > self._deadline:
            self._scope.cancel()

    def abort(self) -> None:
        """End now, whatever is under way."""
        self._scope.cancel()

    def drain(self) -> None:
        """End politely: now if idle, a stream at its last chunk's end, a request after its answer."""
        self._closing = True
        if not self._busy:
            self._scope.cancel()
        elif self._responder.producing is not None:
            self._responder.producing.cancel()

    async def run(self) -> None:
        """Never raises for what a peer or a handler does."""
        try:
            with self._scope:
                await self._transport.handshake()
                self._parser = RequestParser(
                    self._limits, self._peer, self._transport.certificate, self._transport.secure
                )
                self._deadline = trio.current_time() + self._limits.head_seconds
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, self._parser)
                    await self._work()
                    nursery.cancel_scope.cancel()
        except PeerGone as gone:
            log.info("%s port %d: %s", *self._peer, gone)
        finally:
            self._transport.close()

    # -- reader -------------------------------------------------------------------------------------------

    async def _read(self, parser: RequestParser) -> None:
        try:
            while data := await self._transport.receive():
                if self._responder.websocket is not None:
                    await self._responder.websocket.feed(data)
                elif parser.finished or self._discarding:
                    self._hold(data)
                elif self._at_once is None or self._busy or not await self._answered(parser, data, self._at_once):
                    await self._take(parser, data)
        except PeerGone:
            self._scope.cancel()
            return
        self._on_end()

    async def _answered(self, parser: RequestParser, data: bytes, at_once: AtOnce) -> bool:
        """Whether the bytes were a request that could be answered without waiting: no other task is woken for it."""
        if self._queue or self._closing:
            return False
        request = parser.again(data)
        if request is None:
            return False
        response = at_once(request)
        if response is None:
            self._queue.append(Incoming(request, keep_alive=True, upgrade=False))
            self._wake()
            return True
        self._busy = True
        try:
            await self._responder.small(request, response)
        finally:
            self._busy = False
        self.served += 1
        self._idle_anew = True
        if self._closing:
            self._wake()
        return True

    def _hold(self, data: bytes) -> None:
        """Bytes behind an upgrade wait for its answer; bytes behind a refusal are dropped."""
        if not self._discarding:
            self._trailing += data
            if len(self._trailing) > self._limits.messages_bytes:
                raise PeerGone("too much was sent ahead of the upgrade")

    async def _take(self, parser: RequestParser, data: bytes) -> None:
        was_in_message, was_in_body = parser.in_message, parser.in_body
        ready = parser.feed(data)
        if parser.refusal is not None:
            self._refused = parser.refusal
            self._discarding = True
        if ready:
            self._queue.extend(ready)
            self._trailing = parser.trailing
            self._discarding = self._discarding or ready[-1].request.content is None
        if ready or self._refused:
            self._wake()
        if parser.in_message:
            fresh = ready or not was_in_message
            self._idle_anew = False
            if parser.in_body and (fresh or not was_in_body):
                self._deadline = trio.current_time() + self._limits.body_seconds
            elif fresh:
                self._deadline = trio.current_time() + self._limits.head_seconds
        if parser.wants_continue and not self._busy and not self._queue:
            parser.wants_continue = False
            await self._transport.send(CONTINUE)
        while len(self._queue) >= self._limits.pipelined:
            self._room = trio.Event()
            await self._room.wait()

    def _on_end(self) -> None:
        self._ended = True
        if self._responder.websocket is not None:
            self._responder.websocket.feed_eof()
        elif self._responder.producing is not None:
            self._scope.cancel()
        elif self._busy:
            # Whoever closes its sending side right after the request may still be reading the answer.
            self._scope.deadline = trio.current_time() + self._limits.half_close_seconds
        self._wake()

    # -- worker -------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while True:
                if self._queue:
                    self._busy = True
                    incoming = self._queue.popleft()
                    self._room.set()
                    keep = await self._answer(incoming)
                    self.served += 1
                    if not keep:
                        break
                elif self._refused is not None:
                    await self._refuse(self._refused)
                    break
                elif self._ended or self._closing:
                    return
                else:
                    await self._wait_for_request()
            if self._discarding and not self._ended:
                await self._linger()
        except PeerGone as gone:
            log.debug("%s port %d: %s", *self._peer, gone)

    async def _wait_for_request(self) -> None:
        assert self._parser is not None
        if self._busy and not self._parser.in_message:
            self._deadline = trio.current_time() + self._limits.idle_seconds
        self._busy = False
        await self._park()

    async def _answer(self, incoming: Incoming) -> bool:
        """True if the connection stays."""
        request = incoming.request
        close = self._closing or not incoming.keep_alive or incoming.upgrade
        try:
            answer = await self._handler(request)
        except BodyTooLarge as error:
            answer = HttpResponse(413, _TEXT, f"413 Request Entity Too Large: {error}\n".encode())
        except Exception:
            # Boundary: a handler's fault ends its request and this connection, never the server.
            log.exception("the handler for %s %s failed", request.method, request.path)
            answer, close = _FAILED, True
        close = close or self._closing
        try:
            return await self._put(request, answer, close)
        except ValueError:
            # Boundary: an answer that cannot be written; nothing of it has left.
            log.exception("the answer to %s %s cannot be sent", request.method, request.path)
            await self._responder.plain(request, _FAILED, close=True)
            return False

    async def _put(self, request: HttpRequest, answer: Answer, close: bool) -> bool:
        if isinstance(answer, HttpResponse):
            await self._responder.plain(request, answer, close)
            return not close
        if isinstance(answer, StreamResponse):
            if self._ended:
                return False
            complete = await self._responder.stream(request, answer, close)
            return complete and not close and request.version != "1.0"
        trailing, self._trailing = self._trailing, b""
        if isinstance(answer, TunnelUpgrade):
            await self._responder.tunnel(request, answer, trailing)
            return False
        assert isinstance(answer, WebSocketUpgrade), f"a handler answered {type(answer).__name__}"
        await self._responder.upgrade(request, answer, trailing)
        return False

    async def _refuse(self, refused: Refused) -> None:
        self._busy = True
        body = f"{refused.status} {refused.reason}\n".encode()
        await self._responder.plain(_UNREADABLE, HttpResponse(refused.status, _TEXT, body), close=True)

    async def _linger(self) -> None:
        """Closing with bytes unread resets the connection, and the client would never see its refusal."""
        self._transport.send_eof()
        with trio.move_on_after(self._limits.linger_seconds):
            while not self._ended:
                await self._park()

    async def _park(self) -> None:
        self._parked = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _wake(self) -> None:
        task, self._parked = self._parked, None
        if task is not None:
            self._busy = True
            trio.lowlevel.reschedule(task)

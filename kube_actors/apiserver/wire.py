"""Answers of the API server as HTTP answers.

Owns headers, the chunks of a watch, and what becomes of streams and sessions. What they hold is freed however the
client leaves. Never decides what is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import (
    Answer,
    AnyAnswer,
    ByteStream,
    EventStream,
    ForwardAnswer,
    SessionAnswer,
    StreamAnswer,
    TunnelAnswer,
    WatchAnswer,
)
from kube_actors.apiserver import remote
from kube_actors.apiserver.views import EventView
from kube_actors.apiserver.watching import Deliver
from kube_actors.wire import Answer as HttpAnswer
from kube_actors.wire import (
    HeaderPairs,
    HttpRequest,
    HttpResponse,
    Send,
    SendNow,
    StreamResponse,
    TunnelUpgrade,
    WebSocketClosed,
    WebSocketUpgrade,
    choose_subprotocol,
    wants_websocket,
)
from kube_actors.wire.tunnel import Tunnel, relay

if TYPE_CHECKING:
    from kube_actors.wire.websocket import WebSocket

CHUNK_BYTES = 64 * 1024
"""Events are handed to the connection in pieces of about this size, so that a big initial state is not held twice."""

FORWARD_PROTOCOLS = ("SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io")
_CACHE = ("Cache-Control", "no-cache, private")
NO_UPGRADE = (
    "unable to upgrade: the request must ask for a WebSocket of version 13; SPDY is not served (subprotocols: "
    f"{', '.join(remote.SESSION_PROTOCOLS)})"
)


def head(audit_id: str, content_type: str = "") -> HeaderPairs:
    """The headers that every answer has."""
    found = (("Audit-Id", audit_id), _CACHE)
    return (*found, ("Content-Type", content_type)) if content_type else found


def complete(answer: Answer, audit_id: str) -> HttpResponse:
    """A finished answer, its body already in the form that was asked for."""
    content_type = answer.content_type if answer.body or answer.status == 200 else ""
    headers = answer.headers
    if any(name == "Cache-Control" for name, _ in headers):
        headers = (("Audit-Id", audit_id), ("Content-Type", content_type), *headers)
    else:
        headers = head(audit_id, content_type) + headers
    if answer.status == 403:
        headers += (("X-Content-Type-Options", "nosniff"),)
    return HttpResponse(answer.status, headers, answer.body, pieces=answer.pieces)


def refusal(error: ApiError, audit_id: str) -> HttpResponse:
    """An error as a complete answer."""
    retry = (("Retry-After", str(error.retry_after)),) if error.retry_after else ()
    return complete(Answer(status=error.code, body=error.status.encode(), headers=retry), audit_id)


def release(answer: AnyAnswer) -> None:
    """Free what an answer holds that nobody is going to read."""
    match answer:
        case WatchAnswer(stream=stream):
            stream.close()
        case StreamAnswer(stream=body):
            body.close()
        case SessionAnswer(session=session):
            session.close()
        case TunnelAnswer(pipe=pipe):
            pipe.close()
        case _:
            pass


def watching(
    request: HttpRequest, answer: WatchAnswer, view: EventView, audit_id: str, ended: Callable[[], None]
) -> HttpAnswer:
    """A watch as chunked lines, or as WebSocket messages."""
    if wants_websocket(request):

        async def handle(ws: WebSocket) -> None:
            try:
                await _watch_socket(ws, answer.stream, view)
            finally:
                ended()

        return WebSocketUpgrade(handle, choose_subprotocol(request, remote.STREAM_PROTOCOLS))

    async def produce(send: Send) -> None:
        try:
            await _watch_lines(send, answer.stream, view)
        finally:
            ended()

    lend: Callable[[Deliver], None] | None = getattr(answer.stream, "lend", None)  # those of other servers have none

    def lent(send_now: SendNow) -> None:
        if lend is not None:
            lend(lambda events: not events or send_now(b"".join([view.line(event) for event in events])))

    return StreamResponse(200, head(audit_id, answer.content_type), produce, prompt=True, lend=lent)


async def _watch_lines(send: Send, stream: EventStream, view: EventView) -> None:
    try:
        while batch := await stream.receive_batch():
            lines: list[bytes] = []
            size = 0
            for event in batch:
                line = view.line(event)
                lines.append(line)
                size += len(line)
                if size > CHUNK_BYTES:
                    await send(b"".join(lines))
                    lines, size = [], 0
            if lines:
                await send(b"".join(lines))
    finally:
        stream.close()


async def _watch_socket(ws: WebSocket, stream: EventStream, view: EventView) -> None:
    try:
        while batch := await stream.receive_batch():
            for event in batch:
                await ws.send(view.line(event).decode())
    except WebSocketClosed:
        return
    finally:
        stream.close()


def streaming(request: HttpRequest, answer: StreamAnswer, audit_id: str, ended: Callable[[], None]) -> HttpAnswer:
    """A body that goes on."""
    stream = answer.stream
    if wants_websocket(request):

        async def handle(ws: WebSocket) -> None:
            try:
                await remote.serve_stream(ws, stream)
            finally:
                ended()

        return WebSocketUpgrade(handle, choose_subprotocol(request, remote.STREAM_PROTOCOLS))

    async def produce(send: Send) -> None:
        try:
            await _copy(send, stream)
        finally:
            ended()

    return StreamResponse(answer.status, head(audit_id, answer.content_type) + answer.headers, produce)


async def _copy(send: Send, stream: ByteStream) -> None:
    try:
        while data := await stream.receive_some():
            await send(data)
    finally:
        stream.close()


def tunnel(answer: TunnelAnswer, audit_id: str, ended: Callable[[], None]) -> HttpAnswer:
    """A back end's own protocol, passed on."""

    async def handle(near: Tunnel) -> None:
        try:
            await relay(near, answer.pipe)
        finally:
            ended()

    return TunnelUpgrade((("Audit-Id", audit_id), *answer.headers), handle)


def session(request: HttpRequest, answer: SessionAnswer, ended: Callable[[], None]) -> HttpAnswer:
    """A remote command over a WebSocket; the request is known to ask for one."""

    async def handle(ws: WebSocket) -> None:
        try:
            await remote.serve_session(ws, answer.session)
        finally:
            ended()

    return WebSocketUpgrade(handle, choose_subprotocol(request, remote.SESSION_PROTOCOLS))


def forward(request: HttpRequest, answer: ForwardAnswer, ended: Callable[[], None]) -> HttpAnswer:
    """Ports of a pod over a WebSocket; the request is known to ask for one."""

    async def dial(port: int) -> trio.SocketStream:
        return await trio.open_tcp_stream(answer.address, port)

    async def handle(ws: WebSocket) -> None:
        from kube_actors.apiserver import portforward  # lazy: only for those who forward ports

        try:
            await portforward.serve(ws, dial, answer.ports)
        finally:
            ended()

    return WebSocketUpgrade(handle, choose_subprotocol(request, FORWARD_PROTOCOLS))


def check_upgrade(request: HttpRequest, protocols: tuple[str, ...] = remote.SESSION_PROTOCOLS) -> None:
    """Raise a 400 unless this request may become a WebSocket of one of these protocols."""
    if not wants_websocket(request):
        raise errors.bad_request(NO_UPGRADE)
    offered = request.headers.tokens("sec-websocket-protocol")
    if offered and choose_subprotocol(request, protocols) is None:
        known = ", ".join(protocols)
        raise errors.bad_request(f"none of the WebSocket subprotocols {', '.join(offered)} is served, only {known}")

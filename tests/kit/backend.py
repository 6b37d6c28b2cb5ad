"""A small HTTP server on loopback that tells what it was asked: the far end of proxies."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    HttpServer,
    Send,
    StreamResponse,
    WebSocketUpgrade,
    listen_tcp,
    wants_websocket,
)
from kube_actors.wire.websocket import WebSocket

PAGE = (
    b'<html><a href="/about">a</a><A HREF="rel">b</A><img src=\'/i.png?x=1&amp;y\'>'
    b'<a href="http://elsewhere/x">c</a>&copy; <!-- <a href="/no"> --></html>'
)
BIG = 3 * 1024 * 1024


async def echo(http: HttpRequest) -> Answer:
    """Tells method, target, headers and body; /page, /moved, /big and WebSockets besides."""
    if wants_websocket(http):

        async def handle(ws: WebSocket) -> None:
            while True:
                message = await ws.receive()
                await ws.send(message if isinstance(message, str) else bytes(message)[::-1])

        return WebSocketUpgrade(handle)
    if http.path == "/page":
        return HttpResponse(200, (("Content-Type", "text/html; charset=utf-8"),), PAGE)
    if http.path == "/moved":
        return HttpResponse(302, (("Location", "/page?x=1"),))
    if http.path == "/big":

        async def produce(send: Send) -> None:
            for _ in range(BIG // 65536):
                await send(b"x" * 65536)

        return StreamResponse(200, (("Content-Type", "text/plain"),), produce)
    told = {
        "method": http.method,
        "target": http.target,
        "headers": dict(http.headers),
        "body": http.body.decode(),
        "user": http.certificate.common_name if http.certificate else "",
    }
    return HttpResponse(200, (("Content-Type", "application/json"),), json.dumps(told).encode())


@asynccontextmanager
async def backend(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port on which it listens."""
    server = HttpServer(echo, await listen_tcp("127.0.0.1", 0), tls=tls)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server.port
        nursery.cancel_scope.cancel()

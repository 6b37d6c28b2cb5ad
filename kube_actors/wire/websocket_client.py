"""Opens a WebSocket to somebody else's server: connect, TLS, handshake, and a pump while it is in use."""

from __future__ import annotations

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httptools
import trio

from .dialing import Dial, dial_tcp
from .encode import encode_head
from .errors import HandshakeFailed, PeerGone
from .limits import Limits
from .messages import HeaderPairs
from .transport import Transport
from .websocket import WebSocket, accept_key

_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


@contextlib.asynccontextmanager
async def connect_websocket(
    url: str,
    *,
    key: bytes,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    headers: HeaderPairs = (),
    subprotocols: Sequence[str] = (),
    limits: Limits | None = None,
    dial: Dial | None = None,
) -> AsyncIterator[WebSocket]:
    """An open WebSocket for the block; closed with 1000 at its end.

    `url` is ws:, wss:, http: or https:, the secure ones need `tls`. `key` is 16 random bytes (randomness is an
    input here). Raises HandshakeFailed with the server's status and body when it does not switch, PeerGone when
    it cannot be reached. Inside the block, an exception of the caller arrives outside as it is.
    """
    limits = limits or Limits()
    parts = urlsplit(url)
    secure = parts.scheme in ("wss", "https")
    assert not secure or tls is not None, "a secure WebSocket needs a TLS context"
    with trio.move_on_after(limits.handshake_seconds) as scope:
        transport = await (dial or dial_tcp)(
            parts.hostname or "",
            parts.port or _PORTS[parts.scheme],
            tls=tls if secure else None,
            server_hostname=server_hostname,
            limits=limits,
        )
        try:
            ws = await _shake_hands(transport, url, key, headers, subprotocols, limits)
        except BaseException:
            transport.close()
            raise
    if scope.cancelled_caught:
        raise PeerGone(f"{parts.netloc} did not answer within {limits.handshake_seconds:g} s")
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pump, transport, ws)
            try:
                yield ws
                await ws.aclose()
            except Exception as error:
                failure = error  # re-raised below, outside the nursery, which would wrap it in a group
            nursery.cancel_scope.cancel()
    finally:
        transport.close()
    if failure is not None:
        raise failure


async def _shake_hands(
    transport: Transport,
    url: str,
    key: bytes,
    headers: HeaderPairs,
    subprotocols: Sequence[str],
    limits: Limits,
) -> WebSocket:
    parts = urlsplit(url)
    nonce = base64.b64encode(key).decode()
    lines: HeaderPairs = (
        ("Host", parts.netloc.rpartition("@")[2]),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", nonce),
    )
    if subprotocols:
        lines += (("Sec-WebSocket-Protocol", ", ".join(subprotocols)),)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = encode_head(200, lines + headers).partition(b"\r\n")[2]
    await transport.send(b"GET %b HTTP/1.1\r\n%b" % (target.encode(), head))
    answer = await _read_answer(transport, limits)
    status, found = answer.status, answer.headers
    if status != 101:
        raise HandshakeFailed(f"{parts.netloc} answered {status} instead of a WebSocket", status, answer.body)
    if found.get(b"sec-websocket-accept", b"").decode("latin-1") != accept_key(nonce):
        raise HandshakeFailed(f"{parts.netloc} answered with a wrong Sec-WebSocket-Accept", status)
    chosen = found.get(b"sec-websocket-protocol", b"").decode("latin-1") or None
    if chosen is not None and chosen not in subprotocols:
        raise HandshakeFailed(f"{parts.netloc} chose the subprotocol {chosen!r}, which was not offered", status)
    return WebSocket(transport, limits, subprotocol=chosen, client=True, trailing=answer.trailing)


class _AnswerParser:
    """Collects one answer from httptools' callbacks."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.trailing = b""
        self.complete = False
        self._parser: Any = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.trailing = data[upgrade.args[0] :]
            self.complete = True
        except httptools.HttpParserError as error:
            raise HandshakeFailed(f"the server's answer is malformed: {error}") from None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


async def _read_answer(transport: Transport, limits: Limits) -> _AnswerParser:
    answer = _AnswerParser()
    taken = 0
    while not answer.complete:
        data = await transport.receive()
        if not data and answer.status:
            return answer  # a refusal whose body ends with the connection
        if not data:
            raise PeerGone("the server closed the connection during the WebSocket handshake")
        taken += len(data)
        if taken > limits.head_bytes + limits.body_bytes:
            raise HandshakeFailed("the server's answer is too long")
        answer.feed(data)
    return answer


async def _pump(transport: Transport, ws: WebSocket) -> None:
    try:
        await ws.feed()
        while data := await transport.receive():
            await ws.feed(data)
    except PeerGone:
        pass  # told to the user as code 1006 below
    ws.feed_eof()

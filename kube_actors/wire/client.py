"""One HTTP/1.1 request to somebody else's server, its answer streamed; for whoever passes requests on.

Owns one connection an answer: nothing is pooled here (`pool` is), nothing decoded, no redirect followed. An answer that
switches protocols becomes a pipe of bytes.
"""

from __future__ import annotations

import ssl
from collections import deque
from typing import Any

import httptools
import trio

from .dialing import dial_tcp
from .encode import encode_head
from .errors import PeerGone, WireError
from .limits import Limits
from .messages import HeaderPairs
from .transport import Transport


class BadAnswer(WireError):
    """What came is no HTTP answer."""


class Reply:
    """The head of an answer, and its body as it comes. Whoever holds it closes it."""

    def __init__(self, transport: Transport, limits: Limits, method: str) -> None:
        self.status = 0
        self.headers: HeaderPairs = ()
        self.upgraded = False
        self._transport = transport
        self._limits = limits
        self._bodiless = method == "HEAD"
        self._lines: list[tuple[str, str]] = []
        self._size = 0
        self._body: deque[bytes] = deque()
        self._complete = False
        self._headed = False
        self._framed = False
        self._kept_alive = False
        self._excess = False  # something came behind the end
        self.begun = False
        self._parser: Any = httptools.HttpResponseParser(self)

    @property
    def reusable(self) -> bool:
        """Whether the connection can serve another request: this answer is over, and it was no end of connection."""
        whole = self._complete and not self.upgraded and not self._excess and not self._body
        return whole and (self._framed or self._bodiless) and self._kept_alive

    async def read_head(self) -> None:
        """Wait for status and headers; interim answers are left out."""
        while not self._headed:
            await self._more()

    async def receive_some(self) -> bytes:
        """Some of the body; b"" is its end. Raises PeerGone when it is cut short."""
        while not self._body and not self._complete:
            if self.upgraded:
                return await self._transport.receive()
            await self._more()
        if self._body:
            return self._body.popleft()
        return await self._transport.receive() if self.upgraded else b""

    def put_back(self, parts: list[bytes]) -> None:
        """What was taken is to be read again."""
        self._body.extendleft(reversed(parts))

    async def send(self, data: bytes) -> None:
        """To an answer that switched protocols."""
        await self._transport.send(data)

    def close(self) -> None:
        self._transport.close()

    async def _more(self) -> None:
        data = await self._transport.receive()
        if not data:
            self._end()
            return
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._complete = True
            rest = data[upgrade.args[0] :]
            if rest:
                self._body.append(rest)
        except httptools.HttpParserError as error:
            raise BadAnswer(f"malformed HTTP response: {error}") from None

    def _end(self) -> None:
        if not self._headed or (self._framed and not self._bodiless):
            raise PeerGone("EOF")
        self._complete = True

    # -- httptools' callbacks -----------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._lines = []
        self._excess = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > self._limits.head_bytes or len(self._lines) >= self._limits.headers:
            raise BadAnswer("too many headers")
        self._lines.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            return
        self.status, self.headers, self._headed = status, tuple(self._lines), True
        self.upgraded = status == 101
        self._kept_alive = self._parser.should_keep_alive()
        self._framed = status in (204, 304) or any(
            name.lower() in ("content-length", "transfer-encoding") for name, _ in self.headers
        )
        self._complete = self._complete or self._bodiless

    def on_body(self, part: bytes) -> None:
        self._body.append(part)

    def on_message_complete(self) -> None:
        if self._headed and not self.upgraded:
            self._complete = True


async def call(
    host: str,
    port: int,
    *,
    method: str,
    target: str,
    headers: HeaderPairs,
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    limits: Limits | None = None,
    timeout: float = float("inf"),
) -> Reply:
    """Send a request and wait for the head of its answer. Content-Length is set here; Host is the caller's.

    Raises BadAnswer, and PeerGone when there is no connection or the head is not there in time.
    """
    limits = limits or Limits()
    transport = await dial_tcp(host, port, tls=tls, server_hostname=server_hostname, limits=limits)
    try:
        reply = Reply(transport, limits, method)
        sized = (
            (*headers, ("Content-Length", str(len(body)))) if body or method in ("POST", "PUT", "PATCH") else headers
        )
        head = encode_head(200, sized).partition(b"\r\n")[2]
        await transport.send(b"%b %b HTTP/1.1\r\n%b%b" % (method.encode(), target.encode(), head, body))
        with trio.move_on_after(timeout) as scope:
            await reply.read_head()
        if scope.cancelled_caught:
            raise PeerGone("net/http: timeout awaiting response headers")
    except BaseException:
        transport.close()
        raise
    return reply

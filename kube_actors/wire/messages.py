"""What a handler is given and what it answers. Values only: nothing here touches a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from .errors import BodyTooLarge

if TYPE_CHECKING:
    from .tunnel import Tunnel
    from .websocket import WebSocket

HeaderPairs = tuple[tuple[str, str], ...]

Send = Callable[[bytes], Awaitable[None]]
SendNow = Callable[[bytes], bool]


_KEYS = {
    name: name.encode()
    for name in (
        "accept", "audit-id", "authorization", "content-type", "if-none-match", "upgrade", "user-agent",
    )
}  # fmt: skip
"""Asked for on every request."""


class Headers:
    """An immutable multimap of header lines. Names are lower case; text is decoded only when asked for."""

    __slots__ = ("_first", "_lines", "note")

    def __init__(self, lines: list[tuple[bytes, bytes]]) -> None:
        self.note: object = None
        """What a handler has made of these lines, for the next request that brings the same ones."""
        self._lines = lines
        self._first: dict[bytes, bytes] | None = None

    @classmethod
    def of(cls, *pairs: tuple[str, str]) -> Headers:
        return cls([(name.lower().encode(), value.encode()) for name, value in pairs])

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value under this name."""
        first = self._first
        if first is None:
            first = self._first = dict(reversed(self._lines))
        value = first.get(_KEYS.get(name) or name.lower().encode())
        return default if value is None else _text(value)

    def get_all(self, name: str) -> tuple[str, ...]:
        wanted = _KEYS.get(name) or name.lower().encode()
        return tuple([_text(value) for key, value in self._lines if key == wanted])

    def starting(self, prefix: str) -> tuple[tuple[str, str], ...]:
        """The lines whose names begin so."""
        wanted = prefix.encode()
        return tuple([(_text(key), _text(value)) for key, value in self._lines if key.startswith(wanted)])

    def tokens(self, name: str) -> tuple[str, ...]:
        """The comma-separated members of all lines under this name, stripped, in order."""
        members = (member.strip() for line in self.get_all(name) for member in line.split(","))
        return tuple(member for member in members if member)

    def __contains__(self, name: str) -> bool:
        wanted = name.lower().encode()
        return any(key == wanted for key, _ in self._lines)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((_text(key), _text(value)) for key, value in self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        # Values may be credentials: a log line shows names only.
        return f"Headers({', '.join(_text(key) for key, _ in self._lines)})"


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class PeerCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A client certificate whose chain was verified against the context's authorities.

    Its dates were NOT verified (so that the handler can answer 401 instead of the handshake failing): whoever
    authenticates by it must compare `not_before` and `not_after`, seconds since the epoch, with its clock.
    """

    common_name: str
    organizations: tuple[str, ...]
    not_before: float
    not_after: float
    serial: str
    der: bytes

    def valid_at(self, now: float) -> bool:
        return self.not_before <= now <= self.not_after


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, read completely before its handler runs."""

    method: str
    target: str  # as sent
    path: str  # as sent, still percent-encoded, without the query
    query: str  # as sent, without the question mark
    headers: Headers
    content: bytes | None = b""  # None: larger than body_limit; use `body`
    body_limit: int = 0
    peer: tuple[str, int] = ("", 0)
    certificate: PeerCertificate | None = None
    secure: bool = False
    version: str = "1.1"

    @property
    def body(self) -> bytes:
        """The body; raises BodyTooLarge when it exceeded the limit."""
        if self.content is None:
            raise BodyTooLarge(self.body_limit)
        return self.content

    def query_pairs(self) -> list[tuple[str, str]]:
        """The decoded query parameters in order, empty values kept."""
        return parse_qsl(self.query, keep_blank_values=True) if self.query else []

    def params(self) -> dict[str, list[str]]:
        """The decoded query parameters by name."""
        found: dict[str, list[str]] = {}
        for name, value in self.query_pairs():
            found.setdefault(name, []).append(value)
        return found


class HttpResponse(msgspec.Struct, frozen=True):
    """A complete answer. The server adds Content-Length, Connection, Date, and compresses where it pays."""

    status: int
    headers: HeaderPairs = ()
    body: bytes = b""
    lines: str = ""
    """More headers as ready lines, each with its line end; whoever makes them sees to it that no value breaks one."""
    pieces: tuple[bytes, ...] = ()
    """The body in pieces, which are written one after the other and never joined; `body` is then empty."""


class StreamResponse(msgspec.Struct, frozen=True):
    """An answer whose body is written over time: `produce(send)` runs until it returns.

    The head goes out at once. `send` hands over bytes and waits only when the client is slow; several sends
    in a row leave as one write. `produce` is cancelled when the client goes away or the server shuts down; an
    exception in it cuts the connection, so that the client sees a truncated body and not a complete one.
    prompt: what is sent has been gathered already, so each send is a write of its own, without a detour.
    """

    status: int
    headers: HeaderPairs
    produce: Callable[[Send], Awaitable[None]]
    prompt: bool = False
    lend: Callable[[SendNow], None] | None = None
    """Called before `produce` with a way to write a piece at once, from any task. It says False, and takes nothing,
    when that cannot be; `produce` must then send it. To be used only while `produce` waits for something to send."""


class WebSocketUpgrade(msgspec.Struct, frozen=True):
    """Answer to a request for which `wants_websocket` holds: 101, then `handle(ws)` runs until it returns.

    The socket is closed with 1000 afterwards, with 1011 after an exception. `handle` is cancelled when the
    connection breaks, and soon after the client's close frame.
    """

    handle: Callable[[WebSocket], Awaitable[None]]
    subprotocol: str | None = None
    headers: HeaderPairs = ()


class TunnelUpgrade(msgspec.Struct, frozen=True):
    """Answer to a request that asks for another protocol: 101 with these headers, then `handle(tunnel)`.

    `handle` is cancelled soon after the client has ended its side.
    """

    headers: HeaderPairs
    handle: Callable[[Tunnel], Awaitable[None]]


Answer = HttpResponse | StreamResponse | WebSocketUpgrade | TunnelUpgrade
Handler = Callable[[HttpRequest], Awaitable[Answer]]

AtOnce = Callable[[HttpRequest], HttpResponse | None]
"""Answers what can be answered without waiting, None for the rest, which then goes to the handler. It saves the way to
another task, so it must be short and must not raise."""


def wants_websocket(request: HttpRequest) -> bool:
    """Whether this request asks for a WebSocket of the one version there is."""
    headers = request.headers
    return (
        request.method == "GET"
        and (headers.get("upgrade") or "").lower() == "websocket"
        and "upgrade" in (token.lower() for token in headers.tokens("connection"))
        and headers.get("sec-websocket-version") == "13"
        and "sec-websocket-key" in headers
    )


def choose_subprotocol(request: HttpRequest, supported: tuple[str, ...]) -> str | None:
    """The first subprotocol that the client offers and we support: its order is its preference."""
    return next((offer for offer in request.headers.tokens("sec-websocket-protocol") if offer in supported), None)

"""Bytes in, requests out: httptools with our limits around it. No sockets, no time.

Owns where one message is on its way in. It never answers: what is wrong with a message becomes a Refused.
"""

from __future__ import annotations

import re
from typing import Any

import httptools
import msgspec

from .errors import Refused
from .limits import Limits
from .messages import Headers, HttpRequest, PeerCertificate

FRAMING_FACTOR = 8  # a chunk of one byte takes six; beyond that it is extensions and trailers without end

_LINE = re.compile(rb"GET (/[!\"$-~]*) HTTP/1\.1")
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"connection"})


class Incoming(msgspec.Struct, frozen=True):
    """A request and what the connection must know about it."""

    request: HttpRequest
    keep_alive: bool
    upgrade: bool


class RequestParser:
    """Feed it what arrives; it returns the requests completed by that.

    After an upgrade or an oversized body no further request follows: `finished` is true, and what comes behind
    an upgrade is in `trailing`.
    """

    def __init__(
        self,
        limits: Limits,
        peer: tuple[str, int],
        certificate: PeerCertificate | None = None,
        secure: bool = False,
    ) -> None:
        self._limits = limits
        self._peer = peer
        self._certificate = certificate
        self._secure = secure
        self._parser: Any = httptools.HttpRequestParser(self)
        self._ready: list[Incoming] = []
        self._reset()
        self.in_message = False  # a first byte has come, the last has not
        self.in_body = False
        self.wants_continue = False
        self.finished = False
        self.refusal: Refused | None = None
        self.trailing = b""
        self._usual = b""  # the header lines of the last plain GET, as they came
        self._usual_headers = Headers([])

    def again(self, data: bytes) -> HttpRequest | None:
        """The request, if the bytes are one GET with the very header lines of an earlier one: clients repeat theirs
        all day, and these have been found in order. None: `feed` must look."""
        if self.in_message or self.finished or not self._usual:
            return None
        line, _, rest = data.partition(b"\r\n")
        if rest != self._usual:
            return None
        found = _LINE.fullmatch(line)
        if found is None or len(line) > self._limits.target_bytes:
            return None
        return self._request("GET", found[1].decode("ascii"), self._usual_headers, b"", "1.1")

    def _learn(self, data: bytes, incoming: Incoming) -> None:
        """Whether a request that came alone, in one piece and without anything special may be the pattern of others."""
        line, _, rest = data.partition(b"\r\n")
        plain = incoming.keep_alive and not incoming.upgrade and not incoming.request.content
        whole = _LINE.fullmatch(line) and rest.find(b"\r\n\r\n") == len(rest) - 4
        if plain and whole and not any(name in _FRAMING for name, _ in self._lines):
            self._usual, self._usual_headers = rest, incoming.request.headers

    def _reset(self) -> None:
        self._target = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._size = 0  # of everything since the first byte, framing included
        self._body: list[bytes] = []
        self._body_size = 0

    def feed(self, data: bytes) -> list[Incoming]:
        """The requests that these bytes complete, in order; those before a refused one are still good."""
        if self.finished:
            return []
        fresh = not self.in_message
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.finished = True
            self.trailing = data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as failure:
            # Our own callbacks raise only Refused; anything else is a bug and must show.
            if not isinstance(failure.__context__, Refused):
                raise
            self._refuse(failure.__context__)
        except httptools.HttpParserError as failure:
            self._refuse(Refused(400, f"malformed HTTP request: {failure}"))
        ready, self._ready = self._ready, []
        if self.in_message and not self.finished:
            # An endless line never reaches a callback, so the bytes themselves are counted.
            self._size += 0 if ready else len(data)
            if self.in_body:
                if self._size > self._limits.head_bytes + FRAMING_FACTOR * self._limits.body_bytes:
                    self._refuse(Refused(413, "request body has too much framing"))
            elif self._size > self._limits.head_bytes:
                self._refuse(Refused(431, "request headers are too large"))
        elif fresh and len(ready) == 1:
            self._learn(data, ready[0])
        return ready

    def _refuse(self, refusal: Refused) -> None:
        if not self.finished:  # what follows an oversized body does not matter
            self.refusal = refusal
        self.finished = True

    def on_message_begin(self) -> None:
        self._reset()
        self.in_message = True
        self.in_body = False

    def on_url(self, part: bytes) -> None:
        self._target += part
        if len(self._target) > self._limits.target_bytes:
            raise Refused(414, "request target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines.append((name.lower(), value))
        if len(self._lines) > self._limits.headers:
            raise Refused(431, "request has too many headers")

    def on_headers_complete(self) -> None:
        self.in_body = True
        length, host = 0, False
        for name, value in self._lines:
            if name == b"host":
                host = True
            elif name == b"content-length":
                length = int(value)
            elif name == b"expect":
                self.wants_continue = value.lower() == b"100-continue"
        if not host and self._parser.get_http_version() == "1.1":
            raise Refused(400, "missing required Host header")
        if length > self._limits.body_bytes:
            self._emit(None)

    def on_body(self, part: bytes) -> None:
        if self.finished:
            return
        self.wants_continue = False
        self._body_size += len(part)
        if self._body_size > self._limits.body_bytes:
            self._emit(None)
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        if not self.finished:
            self._emit(self._body[0] if len(self._body) == 1 else b"".join(self._body))

    def _emit(self, content: bytes | None) -> None:
        parser = self._parser
        method, target = parser.get_method().decode("latin-1"), self._target.decode("latin-1")
        request = self._request(method, target, Headers(self._lines), content, parser.get_http_version())
        oversized = content is None
        self._ready.append(
            Incoming(request, parser.should_keep_alive() and not oversized, bool(parser.should_upgrade()))
        )
        self.finished = oversized
        self.in_message = self.in_body = self.wants_continue = False

    def _request(self, method: str, target: str, headers: Headers, content: bytes | None, version: str) -> HttpRequest:
        path, _, query = target.partition("?")
        if not path.startswith("/"):
            path = _origin_form(path)
        return HttpRequest(
            method=method,
            target=target,
            path=path,
            query=query,
            headers=headers,
            content=content,
            body_limit=self._limits.body_bytes,
            peer=self._peer,
            certificate=self._certificate,
            secure=self._secure,
            version=version,
        )


def _origin_form(path: str) -> str:
    """`http://host/path`, as proxies send it, means `/path`; `*` and `host:port` stay as they are."""
    scheme, mark, rest = path.partition("://")
    if not mark or scheme.lower() not in ("http", "https"):
        return path
    slash = rest.find("/")
    return rest[slash:] if slash >= 0 else "/"

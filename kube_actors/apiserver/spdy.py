"""Frames of SPDY/3.1 as far as port forwarding needs them, which kubectl speaks inside a WebSocket. Pure.

Owns framing and header compression of one connection. Never knows what a stream is for.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from msgspec import Struct

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in (*_WORDS.split(), *_MORE)) + _TAIL.encode()
)
"""What both sides know of headers before the first one: part of the protocol."""

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
FRAME_BYTES = 1024 * 1024
HEADERS_BYTES = 64 * 1024


class SpdyError(Exception):
    """What came is not of this protocol."""


class Frame(Struct, frozen=True):
    """One frame. type 0 is data; headers are those of a SYN_STREAM."""

    type: int
    stream: int = 0
    data: bytes = b""
    fin: bool = False
    headers: dict[str, str] = {}


class Connection:
    """Both directions of one connection, seen from the server."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete; raises SpdyError."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            size, flags = second & 0xFFFFFF, second >> 24
            if size > FRAME_BYTES:
                raise SpdyError("a frame is too long")
            if len(self._buffer) < 8 + size:
                return
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            if not first >> 31:
                yield Frame(0, first, payload, bool(flags & FIN))
            else:
                yield self._control(first & 0xFFFF, flags, payload)

    def _control(self, kind: int, flags: int, payload: bytes) -> Frame:
        if kind == SYN_STREAM:
            if len(payload) < 10:
                raise SpdyError("a stream begins too short")
            headers = self._headers(payload[10:])
            return Frame(kind, _number(payload), fin=bool(flags & FIN), headers=headers)
        if kind == PING:
            return Frame(kind, data=payload)
        return Frame(kind, _number(payload) if len(payload) >= 4 else 0)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._inflate.decompress(block, HEADERS_BYTES)
        except zlib.error as error:
            raise SpdyError(f"headers cannot be read: {error}") from None
        found: dict[str, str] = {}
        try:
            (count,), at = struct.unpack_from(">I", raw), 4
            for _ in range(count):
                words = []
                for _ in range(2):
                    (size,) = struct.unpack_from(">I", raw, at)
                    words.append(raw[at + 4 : at + 4 + size].decode())
                    at += 4 + size
                found[words[0].lower()] = words[1]
        except (struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"headers cannot be read: {error}") from None
        return found

    def reply(self, stream: int) -> bytes:
        """A stream is accepted, with no headers to say."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _packed(SYN_REPLY, struct.pack(">I", stream) + block)


def _number(payload: bytes) -> int:
    return int(struct.unpack_from(">I", payload)[0]) & 0x7FFFFFFF


def _packed(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(payload)) + payload


def data(stream: int, content: bytes, *, fin: bool = False) -> bytes:
    """A data frame."""
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(content)) + content


def pong(payload: bytes) -> bytes:
    """The answer to a PING is the same frame."""
    return _packed(PING, payload)

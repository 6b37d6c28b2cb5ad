"""Answers as bytes: status line, headers, chunks, compression. Pure, but for the cache of the last Date line."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from .messages import HeaderPairs, HttpRequest

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

SHARED_BYTES = 64 * 1024
"""A longer chunk is not kept for the next connection."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
PLAIN_HTTP_TO_TLS = (
    b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


def encode_head(status: int, headers: HeaderPairs, extra: str = "") -> bytes:
    """Status line and headers. `extra` is ready-made lines, each with its line end."""
    lines = [_STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"]
    for name, value in headers:
        if "\r" in value or "\n" in value or "\r" in name or "\n" in name:
            raise ValueError(f"header {name!r} holds a line break")
        lines.append(f"{name}: {value}\r\n")
    lines.append(extra)
    lines.append("\r\n")
    return "".join(lines).encode()


def has_body(status: int) -> bool:
    return status >= 200 and status not in (204, 304)


class _Last:
    """The chunk that was made last: a thousand watchers are sent the same one."""

    pair: tuple[bytes | None, bytes] = (None, b"")  # one value, since servers may run in several threads


def encode_chunk(data: bytes) -> bytes:
    known, chunk = _Last.pair
    if data is not known:
        chunk = b"%x\r\n%b\r\n" % (len(data), data)
        if len(data) <= SHARED_BYTES:
            _Last.pair = (data, chunk)
    return chunk


def accepts_gzip(request: HttpRequest) -> bool:
    for token in request.headers.tokens("accept-encoding"):
        coding, _, weight = token.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def gzip(data: bytes) -> bytes:
    """Level 1: on a local network the time of better compression exceeds what it saves in transfer."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    return compressor.compress(data) + compressor.flush()


class DateLine:
    """The Date header from a clock that is given, formatted once a second. Without a clock there is none."""

    __slots__ = ("_now", "_second", "_text")

    def __init__(self, now: Callable[[], float] | None) -> None:
        self._now = now
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        if self._now is None:
            return ""
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._text = f"Date: {http_date(second)}\r\n"
        return self._text


def http_date(second: int) -> str:
    """The fixed English form that HTTP wants, whatever the locale."""
    at = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} GMT"

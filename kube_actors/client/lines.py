"""Watch events out of a response body: lines, cut from chunks that end anywhere. Pure."""

from __future__ import annotations

from typing import cast

import msgspec
from msgspec import Struct

from kube_actors.api.messages import EventType, WatchEvent

from . import limits
from .answers import read_head
from .errors import ProtocolError


class Lines:
    """Collects chunks and gives complete lines."""

    def __init__(self, limit: int = limits.WATCH_LINE_BYTES) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends and without empty ones."""
        *complete, rest = chunk.split(b"\n")
        lines = []
        if complete:
            complete[0] = b"".join([*self._parts, complete[0]])
            self._parts, self._size = [], 0
            lines = [line for line in complete if line.strip()]
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._limit:
            raise ProtocolError(f"a watch event of more than {self._limit} bytes")
        return lines

    @property
    def unfinished(self) -> bool:
        """A line has begun and not ended."""
        return bool(self._parts)


class _Wire(Struct):
    type: str
    object: msgspec.Raw


_decoder = msgspec.json.Decoder(_Wire)
_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


def parse_event(line: bytes) -> WatchEvent:
    """One line as an event. An ERROR has no revision; neither has an object whose revision is no number."""
    try:
        wire = _decoder.decode(line)
        body = bytes(wire.object)
        version = "" if wire.type == "ERROR" else read_head(body).resource_version
    except msgspec.DecodeError as error:
        raise ProtocolError(f"not a watch event: {error}") from error
    if wire.type not in _TYPES:
        raise ProtocolError(f"not a watch event: unknown type {wire.type!r}")
    return WatchEvent(cast(EventType, wire.type), body, int(version) if version.isdigit() else 0)

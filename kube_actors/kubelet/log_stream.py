"""A container's log as bytes: the engine's lines, with timestamps if asked, cut at a limit."""

from __future__ import annotations

from datetime import UTC, datetime

import trio

from runtimes.contract import LogLine, RuntimeFault, Stream

from . import limits
from .session import Later


class LogBytes:
    """Implements `api.messages.ByteStream`. Lines that are there at once come in one chunk."""

    def __init__(
        self, lines: Stream[LogLine], *, timestamps: bool, limit: int | None, follow: bool, later: Later
    ) -> None:
        self._lines = lines
        self._follow = follow
        self._later = later
        self._timestamps = timestamps
        self._left = limit
        self._scope: trio.CancelScope | None = None
        self._ended = False
        self._released = False

    async def receive_some(self) -> bytes:
        if self._ended:
            return b""
        chunks: list[bytes] = []
        with trio.CancelScope() as self._scope:
            await self._read(chunks)
        data = b"".join(chunks)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self._ended = self._ended or self._left <= 0
        self._ended = self._ended or not data
        return data

    async def _read(self, chunks: list[bytes]) -> None:
        """Gather a chunk; one who follows gets every line as it comes."""
        size = 0
        try:
            async for line in self._lines:
                chunks.append(self._text(line))
                size += len(chunks[-1])
                if self._follow or size >= limits.LOG_CHUNK_BYTES:
                    return
            self._ended = True
        except RuntimeFault as fault:
            self._ended = True
            chunks.append(f"{fault}\n".encode())

    def _text(self, line: LogLine) -> bytes:
        if not self._timestamps:
            return line.data
        seconds, nanoseconds = divmod(line.time_ns, 1_000_000_000)
        moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{moment}.{nanoseconds:09d}Z ".encode() + line.data

    def close(self) -> None:
        """Stop reading; whoever waits in `receive_some` gets the end. Safe to call twice."""
        self._ended = True
        if self._scope is not None:
            self._scope.cancel()
        if not self._released:
            self._released = True
            self._later(self._lines.aclose)

"""Exec, attach, logs and events of engines that speak Docker's API, which is Docker itself and Podman (compat).

Owns the framing: multiplexed output, half-closed input, time-stamped log lines, one JSON event a line. It sits on
`enginesocket` and makes no decision about containers; the caller has checked the state and maps refusals.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import trio

from runtimes import limits, timestamps
from runtimes.contract import STDERR, STDOUT, Event, ExecSession, LogLine, Stream, Unavailable
from runtimes.enginesocket import Response
from runtimes.labels import KIND, SANDBOX_ID, read_record

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")  # only a newline ends a line; a carriage return belongs to it


class Frames:
    """Cuts the multiplexed output of an engine into (stream, bytes). Pure: bytes in, frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._buffer += data
        while len(self._buffer) >= 8:
            stream, size = struct.unpack_from(">BxxxL", self._buffer)
            if stream > 3 or size > limits.FRAME_BYTES:
                raise Unavailable("the engine sent a malformed stream")
            if len(self._buffer) < 8 + size:
                return
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            yield (STDERR if stream == 2 else STDOUT), payload


class HijackedSession(ExecSession):
    """An exec or an attachment over an upgraded connection."""

    def __init__(
        self,
        response: Response,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int]],
    ) -> None:
        self._response = response
        self._tty = tty
        self._resize = resize
        self._exit_code = exit_code
        self._frames = Frames()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._input = trio.Lock()  # a half-close must not overtake the bytes before it

    async def send_stdin(self, data: bytes) -> None:
        async with self._input:
            try:
                await self._response.send(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def close_stdin(self) -> None:
        async with self._input:
            await self._response.send_eof()

    async def receive(self) -> tuple[int, bytes] | None:
        while not self._waiting:
            data = await self._response.receive()
            if not data:
                return None
            if self._tty:
                return STDOUT, data
            self._waiting.extend(frame for frame in self._frames.feed(data) if frame[1])
        return self._waiting.popleft()

    async def resize(self, width: int, height: int) -> None:
        if self._tty:
            await self._resize(width, height)

    async def exit_code(self) -> int:
        return await self._exit_code()

    async def aclose(self) -> None:
        await self._response.aclose()


class EngineLogs(Stream[LogLine]):
    """A log answer that was asked for with timestamps, cut into lines."""

    def __init__(self, response: Response, *, tty: bool) -> None:
        self._response = response
        self._tty = tty
        self._frames = Frames()
        self._partial = b""
        self._lines: deque[LogLine] = deque()
        self._last_ns = 0

    async def __anext__(self) -> LogLine:
        while not self._lines:
            data = await self._response.receive()
            if not data:
                if not self._partial:
                    raise StopAsyncIteration
                self._take(STDOUT, self._partial)
                self._partial = b""
                continue
            if self._tty:
                *lines, self._partial = (self._partial + data).split(b"\n")
                for line in lines:
                    self._take(STDOUT, line + b"\n")
            else:
                for stream, payload in self._frames.feed(data):
                    for line in _LINE.findall(payload):
                        self._take(stream, line)
        return self._lines.popleft()

    def _take(self, stream: int, line: bytes) -> None:
        stamp, space, text = line.partition(b" ")
        if not space:
            stamp, text = stamp.rstrip(b"\r\n"), stamp[len(stamp.rstrip(b"\r\n")) :]
        try:
            self._last_ns = timestamps.parse_ns(stamp.decode("ascii", "replace"))
        except ValueError:
            text = line  # the continuation of a line that the engine stamped once
        self._lines.append(LogLine(time_ns=self._last_ns, stream=stream, data=text))

    async def aclose(self) -> None:
        await self._response.aclose()


_ACTIONS = {
    "create": "created",
    "start": "started",
    "die": "died",
    "died": "died",
    "oom": "oom",
    "destroy": "removed",
    "remove": "removed",
}


def read_event(raw: dict[str, Any]) -> Event | None:
    """One engine event as ours; None for what is no concern of ours (exec, attach, images, foreign containers)."""
    action = _ACTIONS.get(str(raw.get("Action") or raw.get("status") or ""))
    actor = raw.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    kind = attributes.get(KIND)
    if action is None or kind not in ("sandbox", "container"):
        return None
    record = read_record(attributes)
    if record is None:
        return None
    identity = str(actor.get("ID") or raw.get("id") or "")
    code = attributes.get("exitCode", attributes.get("containerExitCode"))
    return Event(
        subject=kind,
        action=action,  # type: ignore[arg-type]  # the table above holds nothing else
        id=identity,
        sandbox_id=identity if kind == "sandbox" else attributes.get(SANDBOX_ID, ""),
        time=raw["timeNano"] / 1e9 if raw.get("timeNano") else float(raw.get("time") or 0),
        name=record.name,
        labels=record.labels,
        exit_code=int(code) if action == "died" and code not in (None, "") else None,
    )


class EngineEvents(Stream[Event]):
    """The engine's endless event answer; its end means that the engine went away."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._buffer = b""
        self._events: deque[Event] = deque()

    async def __anext__(self) -> Event:
        while not self._events:
            data = await self._response.receive()
            if not data:
                raise Unavailable("the engine ended its stream of events")
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._take(line)
        return self._events.popleft()

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            event = read_event(msgspec.json.decode(line))
        except (msgspec.DecodeError, ValueError, TypeError, AttributeError) as error:
            raise Unavailable(f"the engine sent a malformed event: {line[:200]!r}") from error
        if event is not None:
            self._events.append(event)

    async def aclose(self) -> None:
        await self._response.aclose()

"""Streams of the simulated engine: logs, events, and sessions of executed or attached commands, all bounded.

Every wait here is a trio wait, so all of it runs in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import trio

from runtimes import limits
from runtimes.contract import STDOUT, Event, ExecSession, LogLine, RuntimeFault, Stream, Unavailable
from runtimes.simulated.containers import LogBook, SimulatedContainer


class SimulatedLogs(Stream[LogLine]):
    def __init__(self, book: LogBook, *, follow: bool, tail: int | None, since: float | None) -> None:
        self._book = book
        self._follow = follow
        self._since_ns = int((since or 0.0) * 1e9)
        self._end = book.written
        self._next = 0
        if tail is not None:
            eligible = sum(1 for line in book.lines if line.time_ns >= self._since_ns)
            self._next = book.written - min(max(tail, 0), eligible)
        self._closed = False

    async def __anext__(self) -> LogLine:
        await trio.lowlevel.checkpoint()
        while not self._closed:
            number, line = self._book.line(self._next)
            # A last line that has no end yet may still grow; a follower waits for the rest of it.
            growing = line is not None and not line.data.endswith(b"\n") and number == self._book.written - 1
            if line is None or (growing and self._follow and not self._book.closed):
                if not self._follow or self._book.closed:
                    break
                await self._book.wait()
                continue
            if not self._follow and number >= self._end:
                break
            self._next = number + 1
            if line.time_ns >= self._since_ns:
                return line
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._closed = True
        self._book._wake()
        await trio.lowlevel.checkpoint()


class SimulatedEvents(Stream[Event]):
    def __init__(self, labels: Mapping[str, str], forget: Callable[[SimulatedEvents], None]) -> None:
        self._labels = dict(labels)
        self._forget = forget
        self._send, self._receive = trio.open_memory_channel[Event](limits.SIMULATED_EVENTS)
        self._cause = "the engine went away"

    def offer(self, event: Event) -> None:
        if any(event.labels.get(key) != value for key, value in self._labels.items()):
            return
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.cut("the reader of events fell too far behind")

    def cut(self, cause: str) -> None:
        self._cause = cause
        self._forget(self)
        self._send.close()

    async def __anext__(self) -> Event:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise Unavailable(self._cause) from None
        except trio.ClosedResourceError:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._forget(self)
        self._send.close()
        self._receive.close()
        await trio.lowlevel.checkpoint()


class SimulatedSession(ExecSession):
    """One executed command. The engine runs it in a task and gives it this object's inner side, `pipes`."""

    def __init__(self, *, tty: bool, stdin: bool) -> None:
        self.tty = tty
        self.interrupt: Callable[[], bool] = lambda: False
        """Ctrl-C on the session's terminal; False when nothing runs that it would end."""
        self._input_send, self._input = trio.open_memory_channel[bytes](limits.SIMULATED_STREAM_CHUNKS)
        self._output_send, self._output = trio.open_memory_channel[tuple[int, bytes]](limits.SIMULATED_STREAM_CHUNKS)
        if not stdin:
            self._input_send.close()
        self.scope = trio.CancelScope()
        self._code: int | None = None
        self._fault: RuntimeFault | None = None
        self._done = trio.Event()
        self.size = (0, 0)

    # The command's side.

    async def read(self) -> bytes:
        try:
            data = await self._input.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return b""
        if self.tty:
            if data == b"\x04":
                return b""
            await self.write(STDOUT, data.replace(b"\x03", b"").replace(b"\r", b"\n"))  # a terminal shows what is typed
        return data

    async def write(self, stream: int, data: bytes) -> None:
        if self.tty:
            stream, data = STDOUT, data.replace(b"\n", b"\r\n")
        try:
            await self._output_send.send((stream, data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # nobody reads any more: the output is dropped, as a closed terminal does

    def end(self, code: int | None, fault: RuntimeFault | None = None) -> None:
        if not self._done.is_set():
            self._code, self._fault = code, fault
            self._output_send.close()
            self._done.set()

    # The caller's side.

    async def send_stdin(self, data: bytes) -> None:
        if self.tty and b"\x03" in data:
            await self.write(STDOUT, b"^C\n")
            data = data.rpartition(b"\x03")[2]
            if not self.interrupt():
                data = b"\x03" + data
            if not data:
                return
        try:
            await self._input_send.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def close_stdin(self) -> None:
        self._input_send.close()
        await trio.lowlevel.checkpoint()

    async def receive(self) -> tuple[int, bytes] | None:
        try:
            return await self._output.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return None

    async def resize(self, width: int, height: int) -> None:
        self.size = (width, height)
        await trio.lowlevel.checkpoint()

    async def exit_code(self) -> int:
        await self._done.wait()
        if self._fault is not None:
            raise self._fault
        assert self._code is not None
        return self._code

    async def aclose(self) -> None:
        self.scope.cancel()
        self._input_send.close()
        self._input.close()
        self._output.close()
        await trio.lowlevel.checkpoint()


class SimulatedAttachment(ExecSession):
    """Follows a container's output from now on, and feeds its input if it has one."""

    def __init__(self, container: SimulatedContainer, *, stdin: bool) -> None:
        self._container = container
        self._lines = SimulatedLogs(container.logs, follow=True, tail=0, since=None)
        self._input = container.stdin[0].clone() if stdin and container.stdin is not None else None

    async def send_stdin(self, data: bytes) -> None:
        if self._input is None:
            return
        try:
            await self._input.send(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def close_stdin(self) -> None:
        if self._input is not None:
            self._input.close()
            if self._container.config.stdin_once and self._container.stdin is not None:
                self._container.stdin[0].close()
        await trio.lowlevel.checkpoint()

    async def receive(self) -> tuple[int, bytes] | None:
        try:
            line = await self._lines.__anext__()
        except StopAsyncIteration:
            return None
        return (STDOUT if self._container.config.tty else line.stream), line.data

    async def resize(self, width: int, height: int) -> None:
        await trio.lowlevel.checkpoint()

    async def exit_code(self) -> int:
        await self._container.ended.wait()
        return self._container.exit_code or 0

    async def aclose(self) -> None:
        if self._input is not None:
            self._input.close()
        await self._lines.aclose()

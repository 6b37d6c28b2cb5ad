"""A container's log as Podman's monitor process (conmon) writes it, read from its file.

Podman's own log call gives times in whole seconds and joins pieces of different streams when asked for a tail, so
the file is read wherever it can be seen from here; `streams.logs` remains for engines elsewhere. Each line of the
file is `TIME STREAM F|P TEXT`, where P marks a piece without its newline. Pieces are put together again; one
longer than PIECE_BYTES comes in several, as from other engines.

The monitor outlives its container until the last byte is written, so its end is the end of a log that is followed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator

import trio

from runtimes import limits
from runtimes.contract import STDERR, STDOUT, LogLine, Stream
from runtimes.podman.limits import LOG_POLL_SECONDS, PIECE_BYTES
from runtimes.timestamps import parse_ns


class Assembler:
    """Puts pieces together into lines, each stream for itself. Pure."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, bytearray]] = {}  # by stream: time of its first piece, bytes so far

    def feed(self, raw: bytes) -> Iterator[LogLine]:
        """One line of the file, without its newline; what does not look like one is passed over."""
        stamp, _, rest = raw.partition(b" ")
        name, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if name not in (b"stdout", b"stderr") or tag not in (b"F", b"P"):
            return
        stream = STDERR if name == b"stderr" else STDOUT
        time_ns, data = self._open.pop(stream, (0, bytearray()))
        time_ns = time_ns or parse_ns(stamp.decode("ascii", "replace"))
        data += text
        if tag == b"F":
            yield LogLine(time_ns=time_ns, stream=stream, data=bytes(data) + b"\n")
        elif len(data) >= PIECE_BYTES:
            yield LogLine(time_ns=time_ns, stream=stream, data=bytes(data))
        else:
            self._open[stream] = (time_ns, data)

    def finish(self) -> Iterator[LogLine]:
        """What the container left without a newline, in the order in which it began."""
        for stream, (time_ns, data) in sorted(self._open.items(), key=lambda item: item[1][0]):
            yield LogLine(time_ns=time_ns, stream=stream, data=bytes(data))
        self._open.clear()


def tail_offset(file: int, end: int, lines: int) -> int:
    """Where to begin to read so that at least the last `lines` whole lines come; not far before that."""
    wanted = lines + 2  # the first line read may be cut, and the other stream's may lie across it
    position, seen = end, 0
    while position > 0 and seen < wanted:
        start = max(0, position - limits.READ_BYTES)
        seen += sum(1 for line in os.pread(file, position - start, start).split(b"\n") if b" F " in line)
        position = start
    while position > 0 and os.pread(file, 1, position - 1) != b"\n":
        position -= 1
    return position


class LogFile(Stream[LogLine]):
    """Open the file by `open_log`; closing this closes it."""

    def __init__(self, file: int, monitor: int | None, *, since_ns: int, offset: int) -> None:
        self._file = file
        self._monitor = monitor  # a descriptor that becomes readable when the monitor has ended
        self._since_ns = since_ns
        self._offset = offset
        self._assembler = Assembler()
        self._rest = b""
        self._lines: deque[LogLine] = deque()
        self._ended = False

    async def __anext__(self) -> LogLine:
        await trio.lowlevel.checkpoint()
        while not self._lines:
            if self._ended:
                raise StopAsyncIteration
            if not self._read():
                await self._wait_for_more()
        return self._lines.popleft()

    def _read(self) -> bool:
        """Take the next block of the file; whether there was one."""
        block = os.pread(self._file, limits.READ_BYTES, self._offset)
        self._offset += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            self._take(self._assembler.feed(line))
        return bool(block)

    def _take(self, lines: Iterable[LogLine]) -> None:
        self._lines.extend(line for line in lines if line.time_ns >= self._since_ns)

    async def _wait_for_more(self) -> None:
        if self._monitor is not None:
            with trio.move_on_after(LOG_POLL_SECONDS):
                await trio.lowlevel.wait_readable(self._monitor)
                os.close(self._monitor)
                self._monitor = None  # the file is complete now: read the rest of it, then finish
            return
        self._take(self._assembler.finish())
        self._ended = True

    def keep_last(self, lines: int) -> None:
        """Read what is there now, and keep its last lines only."""
        newest: deque[LogLine] = deque(maxlen=lines)
        while self._read():
            newest.extend(self._lines)
            self._lines.clear()
        if self._monitor is None:
            self._take(self._assembler.finish())
            newest.extend(self._lines)
            self._ended = True  # nothing more to come
        self._lines = deque(newest)

    async def aclose(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        if self._monitor is not None:
            trio.lowlevel.notify_closing(self._monitor)
            os.close(self._monitor)
        self._file, self._monitor, self._ended = -1, None, True
        self._lines.clear()
        await trio.lowlevel.checkpoint()


def open_log(path: str, monitor_pid: int, *, tail: int | None, since: float | None) -> LogFile | None:
    """None when the file cannot be seen from here. A monitor_pid of 0 means: read what is there and end."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        end = os.fstat(file).st_size
        offset = 0 if tail is None or since is not None else tail_offset(file, end, tail)
        log = LogFile(file, _watch(monitor_pid), since_ns=int((since or 0.0) * 1e9), offset=offset)
    except BaseException:
        os.close(file)
        raise
    if tail is not None:
        log.keep_last(tail)
    return log


def _watch(pid: int) -> int | None:
    """A descriptor for the process; None when it has ended already."""
    if pid <= 0:
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None

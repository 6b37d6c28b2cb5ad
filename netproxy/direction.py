"""One direction of a proxied TCP connection: bytes from a source socket to a sink socket, then the half-close.

Owns the bytes in between (a remainder the sink did not take, or a pipe for splice(2)) and the counters that
decide when splicing pays: it saves both copies but costs a pipe and twice the system calls, so only a direction
that has already moved a lot gets it. Never waits; knows nothing of events beyond what it wants next.
"""

import fcntl
import os
import socket

from netproxy import limits

_SPLICE_FLAGS = getattr(os, "SPLICE_F_MOVE", 0) | getattr(os, "SPLICE_F_NONBLOCK", 0)
_CAN_SPLICE = hasattr(os, "splice")


class Direction:
    __slots__ = (
        "_buffer",
        "_pending",
        "_pipe",
        "_pipe_bytes",
        "_piped",
        "ended",
        "finished",
        "moved",
        "sink",
        "source",
    )

    def __init__(self, source: socket.socket, sink: socket.socket, buffer: memoryview) -> None:
        self.source = source
        self.sink = sink
        self.moved = 0
        self.ended = False
        """The source has sent its last byte."""
        self.finished = False
        """The sink has got it, and the end of stream after it."""
        self._buffer = buffer
        self._pending: memoryview | None = None
        self._pipe: tuple[int, int] | None = None
        self._pipe_bytes = 0
        self._piped = 0

    @property
    def wants_read(self) -> bool:
        return not self.ended and not self.wants_write

    @property
    def wants_write(self) -> bool:
        return self._pending is not None or self._piped > 0

    def pump(self) -> None:
        """Move what can be moved now. An OSError means that one of the two sockets is broken."""
        if self.finished:
            return
        try:
            for _ in range(limits.MOVES_PER_EVENT):
                if self.wants_write and not self._flush():
                    return
                if self.ended:
                    break
                if not self._move():
                    break
        except BlockingIOError:
            return
        if self.ended and not self.wants_write:
            self.finished = True
            self.sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self._pipe is not None:
            for end in self._pipe:
                os.close(end)
            self._pipe = None
            self._piped = 0

    def check(self) -> None:
        assert not (self._pending is not None and self._piped), "bytes in two places: their order is lost"
        assert not self.finished or (self.ended and not self.wants_write)

    def _move(self) -> bool:
        """Read once and hand on. False when there is no point in reading again at once."""
        if self._pipe is not None:
            return self._splice_in() and self._flush()
        count = self.source.recv_into(self._buffer)
        if count == 0:
            self.ended = True
            return False
        self.moved += count
        sent = self._send(self._buffer[:count])
        if sent < count:
            # The buffer is shared by all connections: what is left over needs a home of its own.
            self._pending = memoryview(bytes(self._buffer[sent:count]))
            return False
        if self.moved >= limits.BULK_BYTES and _CAN_SPLICE:
            self._open_pipe()
        return count == len(self._buffer)

    def _flush(self) -> bool:
        """Hand on what is held back. True when nothing is left of it."""
        if self._pending is not None:
            sent = self._send(self._pending)
            self._pending = self._pending[sent:] if sent < len(self._pending) else None
            return self._pending is None
        while self._piped:
            assert self._pipe is not None
            try:
                self._piped -= os.splice(self._pipe[0], self.sink.fileno(), self._piped, flags=_SPLICE_FLAGS)
            except BlockingIOError:
                return False
        return True

    def _send(self, data: memoryview) -> int:
        try:
            return self.sink.send(data)
        except BlockingIOError:
            return 0

    def _splice_in(self) -> bool:
        assert self._pipe is not None and self._piped == 0
        count = os.splice(self.source.fileno(), self._pipe[1], self._pipe_bytes, flags=_SPLICE_FLAGS)
        self.ended = count == 0
        self.moved += count
        self._piped = count
        return count > 0

    def _open_pipe(self) -> None:
        try:
            self._pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # no descriptor left: plain copying goes on as before
            return
        try:
            self._pipe_bytes = fcntl.fcntl(self._pipe[1], fcntl.F_SETPIPE_SZ, limits.PIPE_BYTES)
        except OSError:  # an unprivileged user has used up the host's pipe pages: the default size does as well
            self._pipe_bytes = fcntl.fcntl(self._pipe[1], fcntl.F_GETPIPE_SZ)

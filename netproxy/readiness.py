"""Socket readiness for thousands of sockets at the price of one trio task.

Owns an epoll set nested in trio's own (an epoll descriptor is itself readable when one of its members is ready)
and the closing of retired sockets. A task per socket and direction would cost more than moving the bytes, so
sockets here have plain handlers: they are called with the events, never wait, and treat events as hints. An
exception that a handler lets out is a bug and ends `run`.
"""

import select
import socket
from collections.abc import Callable

import trio

from netproxy import limits

READ = 0x001  # EPOLLIN
WRITE = 0x004  # EPOLLOUT
BROKEN = 0x008 | 0x010  # EPOLLERR | EPOLLHUP: reported whether asked for or not
_EDGE = 1 << 31  # EPOLLET

Handler = Callable[[int], None]


class Readiness:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._retired: list[socket.socket] = []
        self._in_turn = False

    def add(self, sock: socket.socket, interest: int, handler: Handler) -> None:
        """Call the handler whenever the interest (READ, WRITE, or neither) or a breakage is there."""
        fd = sock.fileno()
        assert fd not in self._handlers
        self._handlers[fd] = handler
        # Without interest breakages are told once, by edge: told by level they would be told without end.
        self._epoll.register(fd, interest or _EDGE)

    def change(self, sock: socket.socket, interest: int, handler: Handler) -> None:
        fd = sock.fileno()
        assert fd in self._handlers
        self._handlers[fd] = handler
        self._epoll.modify(fd, interest or _EDGE)

    def remove(self, sock: socket.socket) -> None:
        """Stop watching; the socket stays open."""
        fd = sock.fileno()
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def retire(self, sock: socket.socket) -> None:
        """Stop watching and close, once no event of the present turn can name its descriptor."""
        self.remove(sock)
        if self._in_turn:
            self._retired.append(sock)
        else:
            sock.close()

    def __len__(self) -> int:
        return len(self._handlers)

    async def run(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._turn()

    def _turn(self) -> None:
        self._in_turn = True
        try:
            for fd, events in self._epoll.poll(0, limits.EVENTS_PER_TURN):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler(events)
        finally:
            self._in_turn = False
            for sock in self._retired:
                sock.close()
            self._retired.clear()

    def close(self) -> None:
        """Forget everything; whoever added a socket closes it."""
        self._handlers.clear()
        self._epoll.close()

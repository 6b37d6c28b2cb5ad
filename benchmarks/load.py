"""A load generator: prepared HTTPS requests over a number of connections, as fast as answers come. One thread, epoll.

It parses no more than it must (status, Content-Length), so that on two cores the server is what is measured.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterator

Address = tuple[str, int]

RECORD = 16_384
"""What TLS gives at a time."""


class LoadError(Exception):
    """An answer that was not the wanted one."""


class Connection:
    """One TLS connection with one request under way."""

    def __init__(self, address: Address, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(address, timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=address[0])
        self.buffer = bytearray()  # of an answer's head
        self._missing = 0  # of its body
        self._sink = memoryview(bytearray(RECORD))

    def ask(self, request: bytes) -> None:
        self.socket.sendall(request)

    def complete(self) -> bool:
        """Take what has come; whether the answer is there. Raises LoadError for one that says no."""
        while True:
            try:
                if self._missing:
                    came = self.socket.recv_into(self._sink, min(len(self._sink), self._missing))
                    if not came:
                        raise LoadError("the server closed the connection")
                    self._missing -= came
                    if not self._missing:
                        return True
                    continue
                data = self.socket.recv(RECORD)
            except ssl.SSLWantReadError:
                return False
            if not data:
                raise LoadError("the server closed the connection")
            self.buffer += data
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                continue
            if not self.buffer.startswith(b"HTTP/1.1 20"):
                raise LoadError(bytes(self.buffer[:600]).decode(errors="replace"))
            head = bytes(self.buffer[:end]).lower()
            at = head.find(b"content-length: ")
            length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._missing = end + 4 + length - len(self.buffer)
            self.buffer.clear()
            if not self._missing:
                return True


def drive(
    address: Address, context: ssl.SSLContext, connections: int, requests: Iterator[bytes], seconds: float = 1e9
) -> float:
    """Answers a second, until the requests or the seconds have run out."""
    selector = selectors.DefaultSelector()
    opened = [Connection(address, context) for _ in range(connections)]
    busy = 0
    for connection in opened:
        connection.socket.setblocking(False)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    begin = time.perf_counter()
    end = begin + seconds
    for connection, request in zip(opened, requests, strict=False):
        connection.ask(request)
        busy += 1
    answered = 0
    while busy:
        for key, _ in selector.select():
            connection = key.data
            if not connection.complete():
                continue
            answered += 1
            request = next(requests, b"") if time.perf_counter() < end else b""
            if request:
                connection.ask(request)
            else:
                busy -= 1
    taken = time.perf_counter() - begin
    for connection in opened:
        connection.socket.close()
    return answered / taken


def fan_out(
    address: Address, context: ssl.SSLContext, watchers: int, watch: bytes, change: Callable[[int], bytes], rounds: int
) -> float:
    """Seconds from sending a change until every watcher has its event; the median of the rounds."""
    opened = [Connection(address, context) for _ in range(watchers)]
    selector = selectors.DefaultSelector()
    for connection in opened:
        connection.ask(watch)
        connection.socket.recv(65536)
        connection.socket.setblocking(False)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    writer = Connection(address, context)
    taken = []
    for number in range(rounds):
        request = change(number)
        begin = time.perf_counter()
        writer.ask(request)
        waiting = set(opened)
        while waiting:
            for key, _ in selector.select():
                if b"\n\r\n" in _drain(key.data.socket):
                    waiting.discard(key.data)
        taken.append(time.perf_counter() - begin)
        while not writer.complete():
            pass
    for connection in (*opened, writer):
        connection.socket.close()
    return sorted(taken)[len(taken) // 2]


def _drain(stream: ssl.SSLSocket) -> bytes:
    """What has come, as a rule in one piece."""
    try:
        data = stream.recv(RECORD)
    except ssl.SSLWantReadError:
        return b""
    if not data:
        raise LoadError("a watch has ended")
    return data + _drain(stream) if stream.pending() else data

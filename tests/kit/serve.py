#!/usr/bin/python3
"""The program inside the test image: a small HTTP server and UDP echo whose answers say who answered.

It runs on Debian's python3-minimal (no http.server, no json, no asyncio), so it is plain sockets and threads.

    GET /             hostname and version         GET /peer           the address that the server saw
    GET /healthz      200, or what READY_FILE says GET /env/NAME       the value of an environment variable
    GET /slow?seconds=N   answers after N seconds  GET /quit?code=N    answers, then exits with code N
    GET /unhealthy    /healthz answers 500 from now on
    UDP               "who" is answered by hostname and version, anything else comes back as it was sent

Environment: PORT (8080), VERSION, READY_FILE (while it is set and absent, /healthz and /readyz answer 503).
TERM ends it gracefully: it goes on serving for LINGER_SECONDS (0), but unready and one request a connection; then
what the kernel has taken for us is answered, no new connection is taken, and the exit code is 0.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

PORT = int(os.environ.get("PORT", "8080"))
VERSION = os.environ.get("VERSION", "unversioned")
READY_FILE = os.environ.get("READY_FILE", "")
LINGER_SECONDS = float(os.environ.get("LINGER_SECONDS", "0"))
BACKLOG = 512
IDLE_SECONDS = 30
DRAIN_SECONDS = 30
FRESH_SECONDS = 1
MAX_HEAD = 65536
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}


class Server:
    """What the threads share: whether we are stopping, healthy, and how many requests are in flight."""

    def __init__(self) -> None:
        self.stopping = False  # TERM has come: answer with "Connection: close"
        self.healthy = True
        self.busy = 0
        self.fresh = 0  # connections taken whose first request has not come yet
        self.idle = threading.Condition()

    def identity(self) -> str:
        return f"{socket.gethostname()} {VERSION}\n"

    def health(self) -> tuple[int, str]:
        if self.stopping:
            return 503, "stopping\n"
        if READY_FILE and not os.path.exists(READY_FILE):
            return 503, f"not ready: {READY_FILE} is absent\n"
        return (200, "ok\n") if self.healthy else (500, "unhealthy\n")

    def answer(self, target: str, peer: str) -> tuple[int, str, int | None]:
        """Status, body, and the code to exit with afterwards, if any."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        if url.path == "/":
            return 200, self.identity(), None
        if url.path in ("/healthz", "/readyz"):
            return (*self.health(), None)
        if url.path == "/peer":
            return 200, f"{peer}\n", None
        if url.path == "/unhealthy":
            self.healthy = False
            return 200, "unhealthy from now on\n", None
        if url.path == "/slow":
            threading.Event().wait(float(query.get("seconds", ["1"])[0]))
            return 200, self.identity(), None
        if url.path == "/quit":
            return 200, "bye\n", int(query.get("code", ["0"])[0])
        if url.path.startswith("/env/"):
            value = os.environ.get(unquote(url.path[5:]))
            return (404, "not set\n", None) if value is None else (200, f"{value}\n", None)
        return 404, "no such path\n", None

    def converse(self, connection: socket.socket, peer: str) -> None:
        """Serve one connection, several requests after one another, until either side ends it."""
        connection.settimeout(IDLE_SECONDS)
        pending, fresh = b"", True
        with connection:
            while True:
                try:
                    pending = read_head(connection, pending)
                except OSError:
                    pending = b""
                self.count(busy=1 if pending else 0, fresh=-1 if fresh else 0)
                fresh = False
                if not pending:
                    return
                head, _, pending = pending.partition(b"\r\n\r\n")
                try:
                    if not self.respond(connection, head.decode("latin-1"), peer):
                        return
                except OSError:
                    return
                finally:
                    self.count(busy=-1)

    def count(self, *, busy: int = 0, fresh: int = 0) -> None:
        with self.idle:
            self.busy += busy
            self.fresh += fresh
            self.idle.notify_all()

    def respond(self, connection: socket.socket, head: str, peer: str) -> bool:
        """Answer one request; True when the connection may carry another."""
        request, *headers = head.split("\r\n")
        words = request.split(" ")
        if len(words) != 3:
            connection.sendall(render(400, "malformed request\n", close=True))
            return False
        method, target, protocol = words
        try:
            status, body, exit_code = self.answer(target, peer)
        except ValueError as error:
            status, body, exit_code = 400, f"{error}\n", None
        wishes = [line.split(":", 1)[1].strip().lower() for line in headers if line.lower().startswith("connection:")]
        close = self.stopping or exit_code is not None or "close" in wishes or protocol == "HTTP/1.0"
        connection.sendall(render(status, "" if method == "HEAD" else body, close=close))
        if not target.startswith(("/healthz", "/readyz")):
            print(f"{method} {target} {status} {peer}", flush=True)
        if exit_code is not None:
            connection.shutdown(socket.SHUT_WR)
            os._exit(exit_code)
        return not close

    def drain(self) -> None:
        with self.idle:
            self.idle.wait_for(lambda: self.fresh == 0, timeout=FRESH_SECONDS)
            self.idle.wait_for(lambda: self.busy == 0, timeout=DRAIN_SECONDS)


def read_head(connection: socket.socket, pending: bytes) -> bytes:
    while b"\r\n\r\n" not in pending:
        data = connection.recv(65536)
        if not data or len(pending) > MAX_HEAD:
            return b""
        pending += data
    return pending


def render(status: int, body: str, *, close: bool) -> bytes:
    payload = body.encode()
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(payload)}",
        f"Connection: {'close' if close else 'keep-alive'}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


def take(server: Server, listener: socket.socket) -> None:
    connection, address = listener.accept()
    server.count(fresh=1)
    threading.Thread(target=server.converse, args=(connection, address[0]), daemon=True).start()


def main() -> int:
    server = Server()
    wake_reader, wake_writer = socket.socketpair()
    wake_writer.setblocking(False)
    signal.set_wakeup_fd(wake_writer.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "stopping", True))
    listener = socket.create_server(("", PORT), backlog=BACKLOG)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", PORT))
    print(f"serving {server.identity().strip()} on {PORT}", flush=True)
    end: float | None = None
    while end is None or time.monotonic() < end:
        patience = None if end is None else max(0.0, end - time.monotonic())
        readable, _, _ = select.select([listener, datagrams, wake_reader], [], [], patience)
        if listener in readable:
            take(server, listener)
        if datagrams in readable:
            payload, sender = datagrams.recvfrom(65536)
            datagrams.sendto(server.identity().encode() if payload.strip() == b"who" else payload, sender)
        if wake_reader in readable:
            wake_reader.recv(4096)
        if server.stopping and end is None:
            end = time.monotonic() + LINGER_SECONDS
    while select.select([listener], [], [], 0)[0]:
        take(server, listener)
    listener.close()
    print("draining", flush=True)
    server.drain()
    print("stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

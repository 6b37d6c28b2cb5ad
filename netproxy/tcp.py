"""TCP: take a client, connect it to a backend, move bytes both ways until both sides are done.

`Listener` owns one frontend's socket; `Connection` owns a client's and a backend's socket; `TcpEngine` owns all
connections with their limits. A frontend without backends stays bound but stops listening, so that the kernel
refuses clients as a rejecting firewall rule would. Connections outlive their frontend and their backend's place in
the table: only their two peers, or the proxy's end, end them.
"""

import errno
import socket
from collections.abc import Callable

from netproxy import limits
from netproxy.balance import Balancer
from netproxy.contract import Backend
from netproxy.direction import Direction
from netproxy.readiness import BROKEN, READ, WRITE, Readiness
from netproxy.sockets import OUT_OF_DESCRIPTORS, family_of, reset_on_close, tune

_EPHEMERAL = 1024
"""Ports from which the kernel might pick our own side's port, whatever the host's range is."""


_CLIENT_GONE = frozenset(
    {
        errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP,
        errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    }
)  # fmt: skip
"""What accept(2) tells of a client that was lost before we took it."""


class TcpEngine:
    """All connections of one proxy."""

    def __init__(self, readiness: Readiness, now: Callable[[], float]) -> None:
        self.readiness = readiness
        self.now = now
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.refused = 0
        self.retried = 0
        self.buffer = memoryview(bytearray(limits.COPY_BYTES))
        self._paused: set[Listener] = set()
        # In the order of their deadlines, since each gets the same time.
        self._connecting: dict[Connection, float] = {}

    def pause(self, listener: "Listener") -> None:
        """Nothing more can be taken for now: leave clients in the kernel's backlog until the next tick."""
        self._paused.add(listener)

    def forget(self, listener: "Listener") -> None:
        self._paused.discard(listener)

    def connecting(self, connection: "Connection") -> None:
        self._connecting.pop(connection, None)
        self._connecting[connection] = self.now() + limits.CONNECT_SECONDS

    def connected(self, connection: "Connection") -> None:
        self._connecting.pop(connection, None)

    def tick(self) -> None:
        now = self.now()
        late = []
        for connection, deadline in self._connecting.items():
            if deadline > now:
                break
            late.append(connection)
        for connection in late:
            connection.try_next()
        self._resume()

    @property
    def paused(self) -> int:
        return len(self._paused)

    def ended(self, connection: "Connection") -> None:
        self.connections.discard(connection)
        self._connecting.pop(connection, None)
        if self._paused:
            self._resume()

    def close(self) -> None:
        for connection in tuple(self.connections):
            connection.abort()

    def _resume(self) -> None:
        if len(self.connections) < limits.CONNECTIONS:
            for listener in tuple(self._paused):
                self._paused.discard(listener)
                listener.resume()

    def check(self) -> None:
        assert len(self.connections) <= limits.CONNECTIONS
        assert self._connecting.keys() <= self.connections
        for connection in self.connections:
            connection.check()


class Listener:
    """One TCP frontend."""

    def __init__(self, engine: TcpEngine, sock: socket.socket, balancer: Balancer) -> None:
        self._engine = engine
        self._sock = sock
        self._listening = False
        self.balancer = balancer
        self.refresh()

    def refresh(self, removed: frozenset[Backend] = frozenset()) -> None:
        """The balancer's backends have changed: listen, or refuse. Connections are left to drain."""
        if bool(self.balancer.backends) == self._listening:
            return
        self._listening = not self._listening
        if self._listening:
            self._sock.listen(limits.BACKLOG)
            self._engine.readiness.add(self._sock, READ, self._on_ready)
        else:
            self._engine.forget(self)
            self._engine.readiness.remove(self._sock)
            self._sock.shutdown(socket.SHUT_RDWR)  # on Linux: stops listening, stays bound, can listen again

    def resume(self) -> None:
        self._engine.readiness.change(self._sock, READ, self._on_ready)

    def close(self) -> None:
        self._engine.forget(self)
        self._engine.readiness.retire(self._sock)

    def _on_ready(self, events: int) -> None:
        for _ in range(limits.ACCEPTS_PER_TURN):
            if len(self._engine.connections) >= limits.CONNECTIONS:
                self._pause()
                return
            try:
                client, peer = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_DESCRIPTORS:
                    self._pause()
                    return
                if error.errno not in _CLIENT_GONE:
                    raise
                continue
            client.setblocking(False)
            self._engine.accepted += 1
            Connection(self._engine, client, peer[0], self.balancer).try_next()

    def _pause(self) -> None:
        self._engine.readiness.change(self._sock, 0, self._on_ready)
        self._engine.pause(self)


class Connection:
    """One client and the backend it got."""

    __slots__ = (
        "_backend", "_balancer", "_client", "_down", "_engine", "_interests", "_peer", "_tried", "_up",
    )  # fmt: skip

    def __init__(self, engine: TcpEngine, client: socket.socket, peer: str, balancer: Balancer) -> None:
        self._engine = engine
        self._client = client
        self._peer = peer
        self._balancer = balancer
        self._tried: list[Backend] = []
        self._backend: socket.socket | None = None
        self._up: Direction | None = None
        self._down: Direction | None = None
        self._interests = (-1, -1)
        engine.connections.add(self)

    def try_next(self) -> None:
        """Connect to the next backend, or refuse the client when there is none left."""
        engine = self._engine
        if self._backend is not None:
            engine.readiness.retire(self._backend)
            self._backend = None
        while True:
            target = self._balancer.choose(self._peer, engine.now(), self._tried)
            if target is None:
                engine.refused += 1
                self.abort()
                return
            engine.retried += bool(self._tried)
            self._tried.append(target)
            if self._connect(target):
                return

    def abort(self) -> None:
        """End it with a reset for both sides."""
        for sock in (self._client, self._backend):
            if sock is not None:
                reset_on_close(sock)
        self._end()

    def check(self) -> None:
        assert (self._up is None) == (self._down is None)
        for direction in (self._up, self._down):
            if direction is not None:
                direction.check()

    def _connect(self, target: Backend) -> bool:
        """Begin to connect. False when it failed already."""
        try:
            sock = socket.socket(family_of(target.address), socket.SOCK_STREAM)
        except OSError:
            return False
        sock.setblocking(False)
        self._backend = sock
        try:
            code = sock.connect_ex((target.address, target.port))
        except OSError:  # an address that is none
            code = errno.EINVAL
        if code == 0:
            return self._established()
        if code != errno.EINPROGRESS:
            self._backend = None
            sock.close()
            return False
        self._engine.readiness.add(sock, WRITE, self._on_connect)
        self._engine.connecting(self)
        return True

    def _on_connect(self, events: int) -> None:
        assert self._backend is not None
        if self._backend.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.try_next()
            return
        self._engine.readiness.remove(self._backend)
        if not self._established():
            self.try_next()

    def _established(self) -> bool:
        backend = self._backend
        assert backend is not None
        if self._tried[-1].port >= _EPHEMERAL and backend.getsockname() == backend.getpeername():
            # Nobody listens, and the kernel picked that very port for our side: TCP connects us to ourselves.
            self._backend = None
            backend.close()
            return False
        engine = self._engine
        engine.connected(self)
        try:
            tune(self._client)
            tune(backend)
        except OSError:  # one of the two has hung up already
            self.abort()
            return True
        self._up = Direction(self._client, backend, engine.buffer)
        self._down = Direction(backend, self._client, engine.buffer)
        self._interests = (READ, READ)
        engine.readiness.add(self._client, READ, self._on_client)
        engine.readiness.add(backend, READ, self._on_backend)
        return True

    def _on_client(self, events: int) -> None:
        assert self._up is not None and self._down is not None
        self._step(self._client, events, self._up, self._down)

    def _on_backend(self, events: int) -> None:
        assert self._up is not None and self._down is not None and self._backend is not None
        self._step(self._backend, events, self._down, self._up)

    def _step(self, sock: socket.socket, events: int, outward: Direction, inward: Direction) -> None:
        try:
            if events & WRITE:
                inward.pump()
            if events & ~WRITE:
                outward.pump()
            if events & BROKEN and not outward.wants_read and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.abort()
                return
        except OSError:  # one side reset the connection
            self._salvage(outward, inward)
            self.abort()
            return
        self._rearm()

    def _salvage(self, *directions: Direction) -> None:
        """Hand over what a peer had sent before the reset, as a direct connection would have."""
        for direction in directions:
            try:
                direction.pump()
            except OSError:
                continue  # the broken side itself

    def _rearm(self) -> None:
        up, down, backend = self._up, self._down, self._backend
        assert up is not None and down is not None and backend is not None
        if up.finished and down.finished:
            self._end()
            return
        interests = (
            (READ if up.wants_read else 0) | (WRITE if down.wants_write else 0),
            (READ if down.wants_read else 0) | (WRITE if up.wants_write else 0),
        )
        if interests[0] != self._interests[0]:
            self._engine.readiness.change(self._client, interests[0], self._on_client)
        if interests[1] != self._interests[1]:
            self._engine.readiness.change(backend, interests[1], self._on_backend)
        self._interests = interests

    def _end(self) -> None:
        self._engine.readiness.retire(self._client)
        if self._backend is not None:
            self._engine.readiness.retire(self._backend)
        for direction in (self._up, self._down):
            if direction is not None:
                direction.close()
        self._engine.ended(self)

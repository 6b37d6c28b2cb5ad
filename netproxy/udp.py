"""UDP: one flow per client address, so that a client's datagrams go to one backend and the answers come back.

`UdpListener` owns one frontend's socket, `Flow` the socket towards a backend, `UdpEngine` all flows with their
limits. A flow ends when it has been silent too long, when its backend is removed or tells that nobody listens,
or when it is the most silent of too many. A frontend without backends is closed, so that the kernel answers
"port unreachable" as a rejecting firewall rule would.
"""

import socket
import struct
from collections import OrderedDict
from collections.abc import Callable

from netproxy import limits
from netproxy.balance import Balancer
from netproxy.contract import Backend, Frontend
from netproxy.readiness import READ, Readiness
from netproxy.sockets import family_of

_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=i4s4s")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO.size)
_WILDCARD = "0.0.0.0"

Ancillary = list[tuple[int, int, bytes]]


class UdpEngine:
    """All flows of one proxy, in the order of their last use."""

    def __init__(self, readiness: Readiness, now: Callable[[], float]) -> None:
        self.readiness = readiness
        self.now = now
        self.flows: OrderedDict[Flow, float] = OrderedDict()
        self.datagrams = 0
        self.dropped = 0

    def used(self, flow: "Flow") -> None:
        self.flows[flow] = self.now()
        self.flows.move_to_end(flow)
        if len(self.flows) > limits.UDP_FLOWS:
            next(iter(self.flows)).close()

    def tick(self) -> None:
        oldest_use = self.now() - limits.UDP_IDLE_SECONDS
        while self.flows:
            flow, used = next(iter(self.flows.items()))
            if used > oldest_use:
                break
            flow.close()

    def close(self) -> None:
        for flow in tuple(self.flows):
            flow.close()

    def check(self) -> None:
        assert len(self.flows) <= limits.UDP_FLOWS
        used = list(self.flows.values())
        assert used == sorted(used), "flows are not in the order of their last use"


class UdpListener:
    """One UDP frontend. Opens its socket itself, since it has none while there are no backends."""

    def __init__(
        self, engine: UdpEngine, frontend: Frontend, bind: Callable[[Frontend], socket.socket], balancer: Balancer
    ) -> None:
        self._engine = engine
        self._frontend = frontend
        self._bind = bind
        self._sock: socket.socket | None = None
        self._flows: dict[tuple[tuple[str, int], bytes], Flow] = {}
        self._wildcard = False
        self.balancer = balancer
        self.refresh()

    def refresh(self, removed: frozenset[Backend] = frozenset()) -> None:
        """The balancer's backends have changed: flows to removed ones end. May raise BindError on the first one."""
        for flow in tuple(self._flows.values()):
            if flow.backend in removed:
                flow.close()
        if self.balancer.backends and self._sock is None:
            self._open()
        elif not self.balancer.backends and self._sock is not None:
            self._engine.readiness.retire(self._sock)
            self._sock = None

    def close(self) -> None:
        for flow in tuple(self._flows.values()):
            flow.close()
        if self._sock is not None:
            self._engine.readiness.retire(self._sock)
            self._sock = None

    def forget(self, key: tuple[tuple[str, int], bytes]) -> None:
        del self._flows[key]

    def answer(self, data: memoryview, client: tuple[str, int], ancillary: Ancillary) -> None:
        """Send a backend's datagram to the client, from the very address that the client had sent to."""
        if self._sock is None:
            self._engine.dropped += 1
            return
        try:
            self._sock.sendmsg([data], ancillary, 0, client)
        except OSError:  # full, or the client is unreachable: UDP promises neither
            self._engine.dropped += 1

    def _open(self) -> None:
        sock = self._bind(self._frontend)
        self._wildcard = sock.getsockname()[0] == _WILDCARD
        if self._wildcard:
            # A socket on every address must learn which one was meant, or it would answer from another one.
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._sock = sock
        self._engine.readiness.add(sock, READ, self._on_ready)

    def _on_ready(self, events: int) -> None:
        for _ in range(limits.DATAGRAMS_PER_TURN):
            sock = self._sock
            if sock is None:
                return
            try:
                data, ancillary, _, client = sock.recvmsg(
                    limits.DATAGRAM_BYTES, _ANCILLARY_BYTES if self._wildcard else 0
                )
            except BlockingIOError:
                return
            except OSError:  # the kernel tells of an earlier answer that did not arrive
                continue
            self._engine.datagrams += 1
            self._forward(data, client, ancillary)

    def _forward(self, data: bytes, client: tuple[str, int], ancillary: Ancillary) -> None:
        meant = next((_PKTINFO.unpack(value)[1] for _, kind, value in ancillary if kind == _IP_PKTINFO), b"")
        key = (client, meant)
        flow = self._flows.get(key) or self._new_flow(key, client, meant)
        if flow is None or not flow.send(data):
            self._engine.dropped += 1

    def _new_flow(self, key: tuple[tuple[str, int], bytes], client: tuple[str, int], meant: bytes) -> "Flow | None":
        tried: list[Backend] = []
        while (backend := self.balancer.choose(client[0], self._engine.now(), tried)) is not None:
            tried.append(backend)
            try:
                sock = socket.socket(family_of(backend.address), socket.SOCK_DGRAM)
            except OSError:
                return None
            try:
                sock.setblocking(False)
                sock.connect((backend.address, backend.port))
            except OSError:  # no route there
                sock.close()
                continue
            reply: Ancillary = []
            if meant:
                reply = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, meant, bytes(4)))]
            flow = self._flows[key] = Flow(self._engine, self, key, sock, backend, client, reply)
            return flow
        return None


class Flow:
    """One client's way to one backend and back."""

    __slots__ = ("_client", "_engine", "_key", "_listener", "_reply", "_sock", "backend")

    def __init__(
        self,
        engine: UdpEngine,
        listener: UdpListener,
        key: tuple[tuple[str, int], bytes],
        sock: socket.socket,
        backend: Backend,
        client: tuple[str, int],
        reply: Ancillary,
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._key = key
        self._sock = sock
        self._client = client
        self._reply = reply
        self.backend = backend
        engine.readiness.add(sock, READ, self._on_ready)
        engine.used(self)

    def send(self, data: bytes) -> bool:
        try:
            self._sock.send(data)
        except BlockingIOError:
            return False
        except OSError:  # an earlier datagram met a closed port: the client's next one shall find another backend
            self.close()
            return False
        self._engine.used(self)
        return True

    def close(self) -> None:
        del self._engine.flows[self]
        self._listener.forget(self._key)
        self._engine.readiness.retire(self._sock)

    def _on_ready(self, events: int) -> None:
        for _ in range(limits.DATAGRAMS_PER_TURN):
            try:
                data = self._sock.recv(limits.DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            self._listener.answer(memoryview(data), self._client, self._reply)
        self._engine.used(self)

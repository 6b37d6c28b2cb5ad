"""The proxy with sockets: holds the running table and changes it into the next one.

Owns which frontends are open, for which route, and the retries of those that could not be opened. Moving bytes
is tcp.py's and udp.py's, choosing backends balance.py's; where a frontend is bound is told by the address tier.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from msgspec import structs

from netproxy import limits
from netproxy.balance import Balancer
from netproxy.contract import (
    NODE_ADDRESS,
    AddressInUse,
    Backend,
    BindError,
    Failure,
    Frontend,
    Route,
    Statistics,
    Table,
)
from netproxy.readiness import Readiness
from netproxy.sockets import bind_error, bound
from netproxy.tcp import Listener, TcpEngine
from netproxy.udp import UdpEngine, UdpListener


class _RunningRoute:
    __slots__ = ("balancer", "listeners", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.balancer = Balancer(route.backends, route.affinity_seconds)
        self.listeners: dict[Frontend, Listener | UdpListener] = {}


class _Retry:
    __slots__ = ("at", "failure", "wait")

    def __init__(self, failure: Failure, at: float, wait: float) -> None:
        self.failure = failure
        self.at = at
        self.wait = wait


class SocketProxy:
    """A `Proxy` for the loopback and host tiers. Made by `open_proxy`, which also ends it."""

    def __init__(self, *, node_address: str, freebind: bool) -> None:
        self._node_address = node_address
        self._freebind = freebind
        self._readiness = Readiness()
        self._tcp = TcpEngine(self._readiness, trio.current_time)
        self._udp = UdpEngine(self._readiness, trio.current_time)
        self._routes: dict[str, _RunningRoute] = {}
        self._owners: dict[Frontend, str] = {}
        self._retries: dict[tuple[str, Frontend], _Retry] = {}
        self._freed: set[Frontend] = set()
        self._applying = trio.Lock()

    async def apply(self, table: Table) -> tuple[Failure, ...]:
        async with self._applying:
            wanted = {route.name: route for route in table.routes}
            assert len(wanted) == len(table.routes), "two routes of one name"
            changed = [
                route
                for name, route in wanted.items()
                if name not in self._routes
                or (self._routes[name].route is not route and self._routes[name].route != route)
            ]
            # Closing comes first, so that a frontend may move from one route to another within one table.
            for name in self._routes.keys() - wanted.keys():
                self._remove(name)
            for route in changed:
                self._close_dropped(route)
            for number, route in enumerate(changed):
                self._update(route)
                if number % limits.BINDS_PER_TURN == 0:
                    await trio.lowlevel.checkpoint()
            self._retry_freed()
            await trio.lowlevel.checkpoint()
            return self.failures

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(retry.failure for retry in self._retries.values())

    def statistics(self) -> Statistics:
        return Statistics(
            routes=len(self._routes),
            frontends=len(self._owners),
            failures=len(self._retries),
            connections=len(self._tcp.connections),
            accepted=self._tcp.accepted,
            refused=self._tcp.refused,
            retried=self._tcp.retried,
            paused=self._tcp.paused,
            flows=len(self._udp.flows),
            datagrams=self._udp.datagrams,
            dropped=self._udp.dropped,
        )

    async def run(self) -> None:
        """Move bytes until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._readiness.run)
            while True:
                await trio.sleep(limits.TICK_SECONDS)
                self._tick()

    def close(self) -> None:
        """Cut every connection and flow, close every frontend."""
        for name in tuple(self._routes):
            self._remove(name)
        self._tcp.close()
        self._udp.close()
        self._readiness.close()

    def check(self) -> None:
        open_frontends = {frontend: name for name, running in self._routes.items() for frontend in running.listeners}
        assert open_frontends == self._owners
        for name, frontend in self._retries:
            assert frontend in self._routes[name].route.frontends
            assert frontend not in self._routes[name].listeners
        for running in self._routes.values():
            running.balancer.check()
        self._tcp.check()
        self._udp.check()

    def _tick(self) -> None:
        self._tcp.tick()
        self._udp.tick()
        now = trio.current_time()
        for (name, frontend), retry in tuple(self._retries.items()):
            if retry.at <= now:
                self._open(self._routes[name], frontend, retry.wait * 2)

    def _retry_freed(self) -> None:
        """A frontend that two routes wanted goes to the one that waits, as soon as the other gives it up."""
        for (name, frontend), retry in tuple(self._retries.items()):
            if frontend in self._freed and frontend not in self._owners:
                self._open(self._routes[name], frontend, retry.wait)
        self._freed.clear()

    def _remove(self, name: str) -> None:
        running = self._routes.pop(name)
        for frontend in tuple(running.listeners):
            self._close(running, frontend)
        for frontend in running.route.frontends:
            self._retries.pop((name, frontend), None)

    def _close_dropped(self, route: Route) -> None:
        running = self._routes.get(route.name)
        if running is None:
            return
        dropped = set(running.route.frontends) - set(route.frontends)
        for frontend in dropped:
            self._retries.pop((route.name, frontend), None)
            if frontend in running.listeners:
                self._close(running, frontend)
        # Said at once, not by the update that follows: between the two, `apply` may be cancelled.
        kept = tuple(frontend for frontend in running.route.frontends if frontend not in dropped)
        running.route = structs.replace(running.route, frontends=kept)

    def _update(self, route: Route) -> None:
        running = self._routes.get(route.name)
        if running is None:
            running = self._routes[route.name] = _RunningRoute(route)
        else:
            running.route = route
            removed = running.balancer.update(route.backends, route.affinity_seconds)
            for frontend in tuple(running.listeners):
                self._refresh(running, frontend, removed)
        for frontend in route.frontends:
            if frontend not in running.listeners and (route.name, frontend) not in self._retries:
                self._open(running, frontend, limits.RETRY_FIRST_SECONDS)

    def _refresh(self, running: _RunningRoute, frontend: Frontend, removed: frozenset[Backend]) -> None:
        try:
            running.listeners[frontend].refresh(removed)
        except (BindError, OSError) as error:
            self._close(running, frontend)
            self._failed(running, frontend, self._named(frontend, error), limits.RETRY_FIRST_SECONDS)

    def _open(self, running: _RunningRoute, frontend: Frontend, wait: float) -> None:
        owner = self._owners.get(frontend)
        if owner is not None:
            reason = f"route {owner} has it already"
            error: BindError = AddressInUse(frontend.address or self._node_address, frontend.port, reason)
            self._failed(running, frontend, error, wait)
            return
        try:
            running.listeners[frontend] = self._listener(frontend, running.balancer)
        except (BindError, OSError) as caught:
            self._failed(running, frontend, self._named(frontend, caught), wait)
            return
        self._owners[frontend] = running.route.name
        self._retries.pop((running.route.name, frontend), None)

    def _listener(self, frontend: Frontend, balancer: Balancer) -> Listener | UdpListener:
        if frontend.protocol == "UDP":
            return UdpListener(self._udp, frontend, self._bind, balancer)
        sock = self._bind(frontend)
        try:
            return Listener(self._tcp, sock, balancer)
        except OSError:
            sock.close()
            raise

    def _bind(self, frontend: Frontend) -> socket.socket:
        kind = socket.SOCK_DGRAM if frontend.protocol == "UDP" else socket.SOCK_STREAM
        address = self._node_address if frontend.address == NODE_ADDRESS else frontend.address
        return bound(address, frontend.port, kind, freebind=self._freebind)

    def _close(self, running: _RunningRoute, frontend: Frontend) -> None:
        running.listeners.pop(frontend).close()
        del self._owners[frontend]
        self._freed.add(frontend)

    def _failed(self, running: _RunningRoute, frontend: Frontend, error: BindError, wait: float) -> None:
        wait = min(wait, limits.RETRY_LAST_SECONDS)
        failure = Failure(running.route.name, frontend, error)
        retry = _Retry(failure, trio.current_time() + wait, wait)
        self._retries[running.route.name, frontend] = retry

    def _named(self, frontend: Frontend, error: OSError | BindError) -> BindError:
        if isinstance(error, BindError):
            return error
        return bind_error(frontend.address or self._node_address, frontend.port, error)


@asynccontextmanager
async def serve_sockets(*, node_address: str, freebind: bool) -> AsyncIterator[SocketProxy]:
    """A running proxy; leaving the block ends everything that it had open."""
    proxy = SocketProxy(node_address=node_address, freebind=freebind)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxy.run)
            yield proxy
            nursery.cancel_scope.cancel()
    finally:
        proxy.close()

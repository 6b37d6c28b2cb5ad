"""What a proxy is: a table goes in, packets come out.

Owns the words (frontend, backend, route, table), the errors and the `Proxy` protocol that every address tier
implements. Knows no Kubernetes, opens no socket, decides nothing.
"""

from typing import Literal, Protocol

from msgspec import Struct

Transport = Literal["TCP", "UDP"]

NODE_ADDRESS = ""
"""A frontend with this address listens on the node itself: each tier knows which address that is."""


class Frontend(Struct, frozen=True, order=True):
    """Where clients connect to."""

    address: str
    port: int
    protocol: Transport = "TCP"

    def __str__(self) -> str:
        return f"{endpoint_text(self.address or '*', self.port)}/{self.protocol}"


class Backend(Struct, frozen=True, order=True):
    """Where their packets are taken."""

    address: str
    port: int

    def __str__(self) -> str:
        return endpoint_text(self.address, self.port)


class Route(Struct, frozen=True):
    """Some frontends that share backends. Names are unique in a table; clients stay affine to a route."""

    name: str
    frontends: tuple[Frontend, ...]
    backends: tuple[Backend, ...] = ()
    affinity_seconds: int | None = None


class Table(Struct, frozen=True):
    """Everything a proxy shall serve. Unchanged routes may be the same objects: that makes a diff cheap."""

    routes: tuple[Route, ...] = ()


class Failure(Struct, frozen=True):
    """One frontend that could not be opened. It is tried again; all the others are served meanwhile."""

    route: str
    frontend: Frontend
    error: "ProxyError"


class Statistics(Struct, frozen=True):
    routes: int = 0
    frontends: int = 0
    failures: int = 0
    connections: int = 0
    """TCP connections open now."""
    accepted: int = 0
    refused: int = 0
    """Clients turned away since no backend took them."""
    retried: int = 0
    """Backends that failed to take a connection which another one was then asked to take."""
    paused: int = 0
    """TCP frontends that leave clients in the backlog, since a limit is reached."""
    flows: int = 0
    """UDP flows open now."""
    datagrams: int = 0
    dropped: int = 0
    """Datagrams without a backend, or that a full socket did not take."""


class Proxy(Protocol):
    """A running proxy. `apply` may be called by one task at a time."""

    async def apply(self, table: Table) -> tuple[Failure, ...]:
        """Serve this table: opens and closes what differs from the one before, and nothing else.

        Established TCP connections are never cut, whatever happens to their route: they drain. UDP flows to a
        removed backend end at once. A frontend without backends refuses clients. Returns what could not be
        opened, which never keeps the rest from being served.
        """
        ...

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What is still not open after the retries so far."""
        ...

    def statistics(self) -> Statistics: ...


class ProxyError(Exception):
    """Base of every error of netproxy."""


class BindError(ProxyError):
    """One address could not be had."""

    def __init__(self, address: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {endpoint_text(address, port)}: {reason}")
        self.address = address
        self.port = port
        self.reason = reason


class AddressInUse(BindError):
    def __init__(self, address: str, port: int, reason: str = "the address is already in use") -> None:
        super().__init__(address, port, reason)


class AddressNotAvailable(BindError):
    def __init__(self, address: str, port: int) -> None:
        super().__init__(address, port, "no interface of this host has the address")


class NotPermitted(BindError):
    def __init__(self, address: str, port: int) -> None:
        super().__init__(
            address,
            port,
            "not permitted (a port below 1024 needs root, CAP_NET_BIND_SERVICE, "
            "or a lower net.ipv4.ip_unprivileged_port_start)",
        )


class OutOfSockets(BindError):
    def __init__(self, address: str, port: int) -> None:
        super().__init__(address, port, "the process has no file descriptor left (raise `ulimit -n`)")


class TierUnavailable(ProxyError):
    """This host cannot give the addresses that the tier needs."""

    def __init__(self, tier: str, reason: str) -> None:
        super().__init__(f"the {tier} tier is not possible here: {reason}")
        self.tier = tier
        self.reason = reason


def endpoint_text(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

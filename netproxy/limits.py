"""Every bound of the proxy, by name. Nothing in netproxy grows without one of these."""

from typing import Final

BACKLOG: Final = 1024
"""Connections that the kernel holds for one frontend before we accept them."""

CONNECTIONS: Final = 8192
"""Proxied TCP connections of one proxy; beyond it new ones wait in the kernel's backlog."""

ACCEPTS_PER_TURN: Final = 32
"""Connections taken from one frontend before the others get their turn."""

CONNECT_SECONDS: Final = 3.0
"""How long one backend may take to accept a connection before the next one is tried."""

CONNECT_ATTEMPTS: Final = 4
"""Backends tried for one client before it is refused."""

KEEPALIVE_IDLE_SECONDS: Final = 60
KEEPALIVE_INTERVAL_SECONDS: Final = 15
KEEPALIVE_PROBES: Final = 4
"""A peer that vanished without a word is noticed after idle + interval * probes seconds."""

COPY_BYTES: Final = 256 * 1024
"""Buffer for plain copying; one for the whole proxy, since a copy never waits."""

BULK_BYTES: Final = 4 * 1024 * 1024
"""A direction that has moved this much is bulk, and goes on by splice(2) where the kernel offers it."""

PIPE_BYTES: Final = 1024 * 1024
"""Size asked for the pipe of a spliced direction; the kernel may grant less."""

MOVES_PER_EVENT: Final = 4
"""Copies made for one connection before the others get their turn."""

EVENTS_PER_TURN: Final = 64
"""Socket events handled before other trio tasks get their turn."""

DATAGRAM_BYTES: Final = 65536
DATAGRAMS_PER_TURN: Final = 64

UDP_FLOWS: Final = 4096
"""Flows of one proxy; a new one beyond it ends the flow that was silent longest."""

UDP_IDLE_SECONDS: Final = 60.0
"""A flow silent for so long is forgotten."""

AFFINITY_CLIENTS: Final = 65536
"""Clients that one route remembers; beyond it the one that was silent longest is forgotten."""

TICK_SECONDS: Final = 1.0
"""How often timeouts and paused frontends are looked at."""

RETRY_FIRST_SECONDS: Final = 1.0
RETRY_LAST_SECONDS: Final = 30.0
"""Waits between attempts to bind an address that could not be had; doubling from first to last."""

BINDS_PER_TURN: Final = 64
"""Sockets opened while applying a table before other trio tasks get their turn."""

"""This host's own addresses, as others reach it."""

from __future__ import annotations

import socket


def reachable(host: str) -> str:
    """An address at which a server that listens on `host` is found: one of this host's own for 0.0.0.0 and ::."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    return host_address()


def host_address() -> str:
    """The address by which other hosts and containers reach this one; loopback when there is no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it makes the kernel choose the source address.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"

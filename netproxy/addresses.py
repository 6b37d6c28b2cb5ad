"""Where frontends' addresses live: the three tiers, what this host can do, and how a proxy of a tier is opened.

*simulated*: keys, no sockets. *loopback*: unprivileged; the service range is a slice of 127.0.0.0/8, all of which
Linux lets anyone bind. *host*: with NET_ADMIN; one route makes the whole service range local to this host, and
containers reach it through their default gateway. Owns that route and the reservation of loopback slices. Never
touches packet filters, nor a route that it has not added.
"""

import ipaddress
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import trio
from msgspec import Struct

from netproxy.contract import Proxy, TierUnavailable
from netproxy.simulated import SimulatedProxy

Tier = Literal["simulated", "loopback", "host"]

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_LOOPBACK_SLICES = range(64, 192)
_RESERVATION_PORT = 61613
_ROUTE_MARK = "113"
"""Routing protocol number of our route: by it a later run knows a route that a killed one left behind."""
_CAP_NET_ADMIN = 12


class Detected(Struct, frozen=True):
    """The best tier of this host, and why each better one is not possible."""

    tier: Tier
    why_not: tuple[TierUnavailable, ...] = ()


def detect() -> Detected:
    obstacles: list[TierUnavailable] = []
    better: tuple[Tier, ...] = ("host", "loopback")
    for tier in better:
        obstacle = obstacle_of(tier)
        if obstacle is None:
            return Detected(tier, tuple(obstacles))
        obstacles.append(TierUnavailable(tier, obstacle))
    return Detected("simulated", tuple(obstacles))


def obstacle_of(tier: Tier) -> str | None:
    """Why this host cannot give the tier; None when it can."""
    if tier == "simulated":
        return None
    if sys.platform != "linux":
        return "it needs Linux"
    if tier == "host":
        if not _has_net_admin():
            return "it needs root or CAP_NET_ADMIN to add a route"
        if shutil.which("ip") is None:
            return "the program `ip` (package iproute2) is missing"
    return None


@asynccontextmanager
async def open_proxy(tier: Tier, service_range: str, *, node_address: str = "") -> AsyncIterator[Proxy]:
    """A running proxy whose frontends may have any address of the range, and the node's own.

    The node's own address is every one of the host in the host tier, 127.0.0.1 in the loopback tier, unless told.
    Raises TierUnavailable when the host cannot give the tier or the range does not suit it.
    """
    obstacle = obstacle_of(tier) or _unsuitable(tier, service_range)
    if obstacle is not None:
        raise TierUnavailable(tier, obstacle)
    if tier == "simulated":
        yield SimulatedProxy()
        return
    from netproxy.proxy import serve_sockets  # lazy: not for a simulation without sockets

    if tier == "loopback":
        async with serve_sockets(node_address=node_address or "127.0.0.1", freebind=False) as proxy:
            yield proxy
    else:
        async with local_route(service_range):
            async with serve_sockets(node_address=node_address or "0.0.0.0", freebind=True) as proxy:
                yield proxy


@asynccontextmanager
async def local_route(service_range: str) -> AsyncIterator[None]:
    """While the block runs, this host takes packets for the whole range as its own."""
    added = await _add_route(service_range)
    try:
        yield
    finally:
        if added:
            with trio.CancelScope(shield=True):
                # Whatever happened to it meanwhile (an administrator flushed it, say), it is gone afterwards.
                await _ip("route", "del", "local", service_range, "dev", "lo", "proto", _ROUTE_MARK)


class LoopbackRange:
    """A slice of 127.0.0.0/8 that no other holder of this class has, in any process of this host."""

    def __init__(self, network: str, lock: socket.socket) -> None:
        self.network = network
        self._lock = lock

    def close(self) -> None:
        self._lock.close()


def reserve_loopback_range(wanted: str | None = None) -> LoopbackRange:
    """The /16 that is wanted, else the first free one of 127.64.0.0 to 127.191.0.0.

    It is free again when closed, or when the process ends. TierUnavailable when it is taken, or all are.
    """
    slices = _LOOPBACK_SLICES if wanted is None else (int(wanted.split(".")[1]),)
    for second in slices:
        lock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            lock.bind((f"127.{second}.255.254", _RESERVATION_PORT))
        except OSError:
            lock.close()
            continue
        return LoopbackRange(f"127.{second}.0.0/16", lock)
    if wanted is not None:
        raise TierUnavailable("loopback", f"{wanted} is taken by another cluster on this host")
    raise TierUnavailable("loopback", f"all {len(_LOOPBACK_SLICES)} slices of 127.0.0.0/8 are taken")


def _unsuitable(tier: Tier, service_range: str) -> str | None:
    try:
        network = ipaddress.ip_network(service_range)
    except ValueError as error:
        return str(error)
    if tier == "loopback" and not (network.version == 4 and network.subnet_of(LOOPBACK)):
        return f"{service_range} is not within {LOOPBACK}"
    if tier == "host" and network.is_loopback:
        return f"{service_range} is loopback, which containers cannot reach"
    return None


async def _add_route(service_range: str) -> bool:
    """True when the route is ours to remove; False when somebody else had made the range local before."""
    inside = await _ip("route", "show", "table", "all", "root", service_range)
    if inside.returncode != 0:
        raise TierUnavailable("host", f"`ip route` failed: {inside.stderr.decode().strip()}")
    for line in inside.stdout.decode().splitlines():
        words = line.split()
        if words[:2] == ["local", _shortened(service_range)] and "lo" in words:
            return f"proto {_ROUTE_MARK}" in line
        if words and words[0] != "default":
            raise TierUnavailable("host", f"this host already routes part of {service_range}: {line.strip()}")
    added = await _ip("route", "add", "local", service_range, "dev", "lo", "proto", _ROUTE_MARK)
    if added.returncode != 0:
        raise TierUnavailable("host", f"`ip route add` failed: {added.stderr.decode().strip()}")
    return True


def _shortened(service_range: str) -> str:
    """A range as `ip` prints it: a single address has no prefix length."""
    network = ipaddress.ip_network(service_range)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


async def _ip(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return await trio.run_process(["ip", *arguments], capture_stdout=True, capture_stderr=True, check=False)


def _has_net_admin() -> bool:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False

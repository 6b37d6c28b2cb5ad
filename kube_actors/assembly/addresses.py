"""Which addresses a cluster has: its tier, its Service range and one pod range a node.

Owns the choice; opening sockets and routes is netproxy's, handing addresses out the API server's and the engines'.
"""

from __future__ import annotations

import ipaddress

from msgspec import Struct

from netproxy.addresses import LoopbackRange, Tier, obstacle_of, reserve_loopback_range

from .config import DEFAULT_SERVICE_RANGE, AddressConfig, ConfigError

SIMULATED_POD_RANGE = "10.128.0.0/9"
"""Wide, since thousands of simulated nodes each take a part; nothing is bound to it."""

SCRIPTED_POD_RANGE = "10.64.0.0/12"
"""Pods of scripted nodes: nobody listens there, and no other default range meets it."""

LEAST_POD_BITS = 6
"""A node's part of the pod range has at least 2**6 addresses."""


class Addresses(Struct, frozen=True, kw_only=True):
    """The choice. pod_ranges has one range a node, in order; empty where the engine gives addresses itself.

    Scripted nodes, which have no engine, share one range.
    """

    tier: Tier
    services: str
    pod_ranges: tuple[str, ...] = ()
    scripted: str = ""
    reservation: LoopbackRange | None = None

    def close(self) -> None:
        if self.reservation is not None:
            self.reservation.close()


def choose_tier(config: AddressConfig, *, listens: bool, engine: str) -> Tier:
    """The tier asked for, or the best one for this engine on this host.

    A cluster that opens no listener opens no sockets for Services either. Raises ConfigError when the tier that was
    asked for is not possible here.
    """
    if config.tier != "auto":
        obstacle = obstacle_of(config.tier)
        if obstacle is not None:
            raise ConfigError(f"addresses.tier: {config.tier} is not possible here: {obstacle}")
        return config.tier
    if engine == "simulated":
        return "loopback" if listens and obstacle_of("loopback") is None else "simulated"
    return "host" if obstacle_of("host") is None else "loopback"


def choose(
    config: AddressConfig, tier: Tier, *, engine: str, nodes: int, scripted: bool = False, earlier: str = ""
) -> Addresses:
    """Ranges for a tier. `earlier` is a Service address that the store already holds; its range is used again.

    Raises ConfigError for a pod range too small for that many nodes, TierUnavailable when no slice is free.
    """
    if tier != "loopback":
        services = config.services or DEFAULT_SERVICE_RANGE
        pods = config.pods or SIMULATED_POD_RANGE
        ranges = _split(pods, nodes) if engine == "simulated" else ()
        return Addresses(
            tier=tier, services=services, pod_ranges=ranges, scripted=SCRIPTED_POD_RANGE if scripted else ""
        )
    reservation: LoopbackRange | None = None
    services, pods = config.services, config.pods
    if not services or not pods:
        reservation = reserve_loopback_range(_slice_of(earlier))
        lower, upper = ipaddress.IPv4Network(reservation.network).subnets(prefixlen_diff=1)
        services, pods = services or str(lower), pods or str(upper)
    ranges = _split(pods, nodes) if engine == "simulated" else ()
    played = SCRIPTED_POD_RANGE if scripted else ""
    return Addresses(tier=tier, services=services, pod_ranges=ranges, scripted=played, reservation=reservation)


def _slice_of(address: str) -> str | None:
    """The /16 in which an earlier Service address lies."""
    if not address or not address.startswith("127."):
        return None
    return str(ipaddress.ip_network(f"{address}/16", strict=False))


def _split(pods: str, nodes: int) -> tuple[str, ...]:
    network = ipaddress.ip_network(pods)
    bits = network.max_prefixlen - network.prefixlen
    part = min(8, bits - max(0, (nodes - 1).bit_length()))
    if nodes and part < min(LEAST_POD_BITS, bits):
        raise ConfigError(f"addresses.pods: {pods} is too small for {nodes} nodes; give a wider range")
    subnets = network.subnets(new_prefix=network.max_prefixlen - part)
    return tuple(str(next(subnets)) for _ in range(nodes))


def range_of(address: str) -> str:
    """The service range that an address of the Service default/kubernetes belongs to, by our own defaults."""
    default = ipaddress.ip_network(DEFAULT_SERVICE_RANGE)
    bits = default.prefixlen if not is_loopback(address) else default.prefixlen + 1
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))


def is_loopback(address_or_range: str) -> bool:
    """Whether only this host can reach it."""
    return ipaddress.ip_network(address_or_range, strict=False).is_loopback

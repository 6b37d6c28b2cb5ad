"""Addresses for sandboxes out of one range, handed out round-robin so that a freed one rests before it is reused.

Pure bookkeeping: nothing is bound or configured here.
"""

from __future__ import annotations

import ipaddress

from runtimes.contract import InvalidConfig, RuntimeFault


class AddressPool:
    """The first usable address is left out: it stands for the node's own side of the range, as bridges have it."""

    def __init__(self, cidr: str) -> None:
        try:
            network = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise InvalidConfig(f"not an address range: {cidr!r}") from error
        self.cidr = cidr
        self._first = int(network.network_address) + 2
        self._last = int(network.broadcast_address) - 1
        self._make = type(network.network_address)
        self._next = self._first
        self._used: set[int] = set()

    def allocate(self) -> str:
        size = self._last - self._first + 1
        if len(self._used) >= size:
            raise RuntimeFault(f"no address left in {self.cidr}")
        while self._next in self._used or self._next > self._last:
            self._next = self._first if self._next >= self._last else self._next + 1
        number = self._next
        self._next += 1
        self._used.add(number)
        return str(self._make(number))

    def release(self, address: str) -> None:
        self._used.discard(int(self._make(address)))

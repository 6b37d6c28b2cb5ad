"""Which backend a client gets: round robin, optionally affine to the client's address.

Owns the rotation and the memory of clients of one route. Pure: the time is an input, and nothing here opens a
socket or knows whether a backend is alive. The caller names the backends that it has already tried in vain.
"""

from collections import OrderedDict
from collections.abc import Collection

from netproxy import limits
from netproxy.contract import Backend


class Balancer:
    __slots__ = ("_affinity_seconds", "_clients", "_known", "_next", "backends")

    def __init__(self, backends: tuple[Backend, ...] = (), affinity_seconds: int | None = None) -> None:
        self.backends = backends
        self._known = frozenset(backends)
        self._affinity_seconds = affinity_seconds
        self._next = 0
        # Ordered by last use, so that the expired ones are always in front.
        self._clients: OrderedDict[str, tuple[Backend, float]] = OrderedDict()

    def update(self, backends: tuple[Backend, ...], affinity_seconds: int | None) -> frozenset[Backend]:
        """Take other backends; the rotation goes on after the one that was next. Returns the removed ones."""
        removed = self._known - frozenset(backends)
        following = self._following(self._next) if self.backends else ()
        self.backends = backends
        self._known = frozenset(backends)
        self._next = next((backends.index(one) for one in following if one in self._known), 0)
        if affinity_seconds is None:
            self._clients.clear()
        self._affinity_seconds = affinity_seconds
        return removed

    def choose(self, client: str, now: float, tried: Collection[Backend] = ()) -> Backend | None:
        """The backend for a new connection or flow of this client, or None when there is none left to try."""
        if len(tried) >= limits.CONNECT_ATTEMPTS:
            return None
        if self._affinity_seconds is None:
            return self._rotate(tried)
        chosen = self._remembered(client, now)
        if chosen is None or chosen in tried:
            chosen = self._rotate(tried)
        if chosen is not None:
            self._remember(client, chosen, now)
        return chosen

    @property
    def clients(self) -> int:
        """Clients remembered, the expired ones included until the next choice drops them."""
        return len(self._clients)

    def check(self) -> None:
        assert not self.backends or 0 <= self._next < len(self.backends)
        assert len(self._clients) <= limits.AFFINITY_CLIENTS
        assert self._affinity_seconds is not None or not self._clients
        used = [at for _, at in self._clients.values()]
        assert used == sorted(used), "clients are not in the order of their last use"

    def _following(self, start: int) -> tuple[Backend, ...]:
        return self.backends[start:] + self.backends[:start]

    def _rotate(self, tried: Collection[Backend]) -> Backend | None:
        count = len(self.backends)
        for offset in range(count):
            at = (self._next + offset) % count
            if self.backends[at] not in tried:
                self._next = (at + 1) % count
                return self.backends[at]
        return None

    def _remembered(self, client: str, now: float) -> Backend | None:
        assert self._affinity_seconds is not None
        clients = self._clients
        while clients:
            oldest = next(iter(clients))
            if clients[oldest][1] + self._affinity_seconds > now:
                break
            del clients[oldest]
        entry = clients.get(client)
        return entry[0] if entry is not None and entry[0] in self._known else None

    def _remember(self, client: str, backend: Backend, now: float) -> None:
        self._clients[client] = (backend, now)
        self._clients.move_to_end(client)
        if len(self._clients) > limits.AFFINITY_CLIENTS:
            self._clients.popitem(last=False)

"""The simulated tier: frontends are keys, and a connection is a question.

Owns the running table and one balancer per route, the same balancers that the real tiers use. Opens no socket;
the simulated network asks `resolve` where a client's connection goes. Its time is trio's, so a simulation under a
mock clock is as deterministic as that clock.
"""

import trio

from netproxy.balance import Balancer
from netproxy.contract import AddressInUse, Backend, Failure, Frontend, Route, Statistics, Table


class SimulatedProxy:
    """A `Proxy` without packets."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._balancers: dict[str, Balancer] = {}
        self._owners: dict[Frontend, str] = {}
        self._failures: tuple[Failure, ...] = ()
        self._accepted = 0
        self._refused = 0

    async def apply(self, table: Table) -> tuple[Failure, ...]:
        await trio.lowlevel.checkpoint()
        routes = {route.name: route for route in table.routes}
        assert len(routes) == len(table.routes), "two routes of one name"
        for name in self._routes.keys() - routes.keys():
            del self._balancers[name]
        owners: dict[Frontend, str] = {}
        failures: list[Failure] = []
        for name, route in routes.items():
            self._update(route)
            for frontend in route.frontends:
                owner = owners.setdefault(frontend, name)
                if owner != name:
                    reason = f"route {owner} has it already"
                    error = AddressInUse(frontend.address or "*", frontend.port, reason)
                    failures.append(Failure(name, frontend, error))
        self._routes, self._owners, self._failures = routes, owners, tuple(failures)
        return self._failures

    def resolve(self, frontend: Frontend, client: str, tried: tuple[Backend, ...] = ()) -> Backend | None:
        """Where a new connection of this client goes; None: refused. `tried` are backends that failed it."""
        name = self._owners.get(frontend)
        backend = self._balancers[name].choose(client, trio.current_time(), tried) if name is not None else None
        if backend is None:
            self._refused += 1
        elif not tried:
            self._accepted += 1
        return backend

    @property
    def failures(self) -> tuple[Failure, ...]:
        return self._failures

    def statistics(self) -> Statistics:
        return Statistics(
            routes=len(self._routes),
            frontends=len(self._owners),
            failures=len(self._failures),
            accepted=self._accepted,
            refused=self._refused,
        )

    def _update(self, route: Route) -> None:
        known = self._routes.get(route.name)
        if known is None:
            self._balancers[route.name] = Balancer(route.backends, route.affinity_seconds)
        elif known is not route and known != route:
            self._balancers[route.name].update(route.backends, route.affinity_seconds)

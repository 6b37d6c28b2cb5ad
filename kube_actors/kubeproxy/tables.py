"""The table that the proxy shall serve, kept up to date Service by Service.

Owns the routes of every Service by its key. Only Services named as changed are computed again; the routes of all
others stay the same objects, which is what makes a change among thousands of Services cheap. Pure: reads objects
through the two functions it is given, and performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kube_actors.api.types.core_v1 import Service
from kube_actors.api.types.discovery_v1 import EndpointSlice
from netproxy.contract import Route, Table

from .plan import Locality, routes_of


class Tables:
    def __init__(
        self,
        locality: Locality,
        service_of: Callable[[str], Service | None],
        slices_of: Callable[[str], Iterable[EndpointSlice]],
    ) -> None:
        self._locality = locality
        self._service_of = service_of
        self._slices_of = slices_of
        self._routes: dict[str, tuple[Route, ...]] = {}
        self._owners: dict[str, str] = {}

    def update(self, keys: Iterable[str]) -> bool:
        """Compute the routes of these Services anew. False when that changed nothing."""
        changed = False
        for key in sorted(keys):
            service = self._service_of(key)
            routes = routes_of(service, self._slices_of(key), self._locality) if service is not None else ()
            if routes == self._routes.get(key, ()):
                continue
            changed = True
            for route in self._routes.pop(key, ()):
                del self._owners[route.name]
            if routes:
                self._routes[key] = routes
                self._owners.update((route.name, key) for route in routes)
        return changed

    def table(self) -> Table:
        """Everything to serve. Services stand in the order of their keys, so that of two that claim one address always
        the same one gets it."""
        return Table(tuple(route for key in sorted(self._routes) for route in self._routes[key]))

    def owner_of(self, route: str) -> str:
        """The key of the Service that a route belongs to; empty when it has gone."""
        return self._owners.get(route, "")

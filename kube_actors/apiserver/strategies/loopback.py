"""Endpoints on loopback addresses, for clusters whose pods live in 127.0.0.0/8 and whose proxy runs on the same host.

Kubernetes refuses them, since its packets could never arrive; in our loopback tier, and behind our userspace proxy,
they do. Everything else that Kubernetes checks is checked here too. Chosen by the server that is told to.
"""

from __future__ import annotations

from kube_actors.api.resources import Resource
from kube_actors.apiserver.strategies import strategy_for
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy
from kube_actors.apiserver.strategies.services import EndpointSliceStrategy, EndpointsStrategy

_RULE = "may not be in the loopback range"


def _others(problems: Problems) -> Problems:
    return [problem for problem in problems if _RULE not in problem.detail]


class LoopbackEndpointsStrategy(EndpointsStrategy):
    """Endpoints, also on loopback."""

    def validate(self, obj: JSONObject) -> Problems:
        return _others(super().validate(obj))


class LoopbackEndpointSliceStrategy(EndpointSliceStrategy):
    """EndpointSlice, also on loopback."""

    def validate(self, obj: JSONObject) -> Problems:
        return _others(super().validate(obj))

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return _others(super().validate_update(new, old))


_OWN: dict[tuple[str, str], Strategy] = {
    ("", "endpoints"): LoopbackEndpointsStrategy(),
    ("discovery.k8s.io", "endpointslices"): LoopbackEndpointSliceStrategy(),
}


def loopback_strategy_for(resource: Resource) -> Strategy:
    """As `strategy_for`, for a server that takes loopback endpoints."""
    return _OWN.get((resource.group, resource.plural)) or strategy_for(resource)

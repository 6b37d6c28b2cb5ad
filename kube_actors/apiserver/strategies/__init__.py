"""Which strategy serves which resource. One small file per kind or group that differs from the rest."""

from __future__ import annotations

from kube_actors.api.resources import Resource
from kube_actors.apiserver.strategies.base import Strategy
from kube_actors.apiserver.strategies.namespaces import NamespaceStrategy

_BY_RESOURCE: dict[tuple[str, str], Strategy] = {("", "namespaces"): NamespaceStrategy()}
_PLAIN = Strategy()


def strategy_for(resource: Resource) -> Strategy:
    """The strategy of a resource; most need none of their own."""
    return _BY_RESOURCE.get((resource.group, resource.plural), _PLAIN)

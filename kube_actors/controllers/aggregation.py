"""ClusterRoles that are sums of others: their rules follow the roles that their selectors choose. Pure.

Owns the union of rules (the part "Aggregated ClusterRoles" of Kubernetes' RBAC documentation). Never looks at bindings.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, structs

from kube_actors.api.selectors import compile_selector
from kube_actors.api.types.rbac_v1 import ClusterRole, PolicyRule

from .contract import NOTHING, Caches, Plan, Source, Update


class Observed(Struct, frozen=True, kw_only=True):
    """An aggregated role and all cluster roles, sorted by name."""

    role: ClusterRole
    roles: tuple[ClusterRole, ...]


def union(observed: Observed) -> tuple[PolicyRule, ...]:
    """The rules of the chosen roles, selector by selector, each rule once."""
    rule = observed.role.aggregation_rule
    found: list[PolicyRule] = []
    for selector in rule.cluster_role_selectors if rule is not None else ():
        compiled = compile_selector(selector)
        for role in observed.roles:
            if role.metadata.name != observed.role.metadata.name and compiled.matches(role.metadata.labels):
                found += [new for new in role.rules if new not in found]
    return tuple(found)


def plan(observed: Observed) -> Plan:
    rules = union(observed)
    if rules == observed.role.rules:
        return NOTHING
    return Plan(actions=(Update(obj=structs.replace(observed.role, rules=rules), tolerate=("NotFound",)),))


def _aggregated(_: ClusterRole, caches: Caches) -> list[str]:
    """Any change of a role may concern every sum."""
    return [role.metadata.name for role in caches.list(ClusterRole) if role.aggregation_rule is not None]


class ClusterRoleAggregation:
    """The ClusterRole aggregation controller."""

    name = "clusterrole-aggregation-controller"
    component = "clusterrole-aggregation-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=ClusterRole, keys=_aggregated),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [role.metadata.name for role in caches.list(ClusterRole) if role.aggregation_rule is not None]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        role = caches.get(ClusterRole, key)
        if role is None or role.aggregation_rule is None:
            return None
        roles = sorted(caches.list(ClusterRole), key=lambda found: found.metadata.name)
        return Observed(role=role, roles=tuple(roles))

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

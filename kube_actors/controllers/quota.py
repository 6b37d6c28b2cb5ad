"""ResourceQuotas: their status says what a namespace uses of what they limit, counted anew after every release.

Admission charges what is created; this controller gives back what is gone, counts what was there before the quota, and
repairs a status that somebody else wrote. How much an object uses is `api.quota_usage`'s to say. Pure but for the count
itself, which asks the server, since a quota may count objects of any kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, json, structs

from kube_actors.api import quantity, quota_usage
from kube_actors.api.messages import Options, Request
from kube_actors.api.quantity import Quantity
from kube_actors.api.resources import Resource
from kube_actors.api.types.core_v1 import ResourceQuota
from kube_actors.client import Client

from . import limits
from .contract import Caches, Call, Outcome, Plan, Source, Update, own_key
from .kinds import preferred, served

ZERO = Quantity(0)


class Observed(Struct, frozen=True, kw_only=True):
    quota: ResourceQuota
    now: float


Named = list[tuple[Resource, set[str]]]


def named(hard: Iterable[str], resources: Iterable[Resource]) -> Named:
    """The kinds that a quota's names speak of, each with the names it can use."""
    wanted = tuple(hard)
    found: Named = []
    for resource in preferred(resources):
        if resource.namespaced and (resource.group, resource.plural) not in quota_usage.IGNORED:
            names = quota_usage.matching(resource.group, resource.plural, wanted)
            if names:
                found.append((resource, names))
    return found


async def kinds_of(client: Client, hard: Sequence[str]) -> Named:
    """The same, asking the server for its kinds only when the known ones do not explain every name."""
    found = named(hard, client.kinds.resources)
    counted = {name for name in hard if name.startswith("count/")}
    if counted <= set().union(*(names for _, names in found)):
        return found
    return named(hard, await served(client))


async def measure(client: Client, quota: ResourceQuota, now: float) -> dict[str, Quantity]:
    """What the namespace uses of each name that some kind can use."""
    spec = msgspec.to_builtins(quota.spec)
    total: dict[str, Quantity] = {}
    for resource, names in await kinds_of(client, tuple(quota.spec.hard)):
        total |= {name: total.get(name, ZERO) for name in names}
        for name, amount in (await _usage(client, quota, spec, resource, names, now)).items():
            total[name] = total[name] + amount
    return total


async def _usage(
    client: Client, quota: ResourceQuota, spec: Mapping[str, Any], resource: Resource, names: set[str], now: float
) -> dict[str, Quantity]:
    group, plural = resource.group, resource.plural
    scoped = bool(quota_usage.scopes(spec))
    if not scoped and names <= {plural, quota_usage.count_name(group, plural)} and not _is_measured(group, plural):
        return dict.fromkeys(names, Quantity(await _count(client, resource, quota.metadata.namespace)))
    found: dict[str, Quantity] = {}
    for obj in (await _list(client, resource, quota.metadata.namespace, 0))["items"]:
        if scoped and not quota_usage.in_scopes(spec, group, plural, obj):
            continue
        for name, amount in quota_usage.usage(group, plural, obj, now).items():
            if name in names:
                found[name] = found.get(name, ZERO) + amount
    return found


def _is_measured(group: str, plural: str) -> bool:
    """Whether objects of a kind use more than their number, or nothing once they have ended."""
    return (group, plural) in _MEASURED


_MEASURED = frozenset(
    {("", "pods"), ("", "services"), ("", "persistentvolumeclaims"), ("resource.k8s.io", "resourceclaims")}
)


async def _count(client: Client, resource: Resource, namespace: str) -> int:
    """How many objects there are, without reading more than one."""
    page = await _list(client, resource, namespace, 1)
    return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))


async def _list(client: Client, resource: Resource, namespace: str, limit: int) -> dict[str, Any]:
    request = Request(
        verb="list",
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        namespace=namespace,
        options=Options(limit=limit),
    )
    found: dict[str, Any] = json.decode((await client.send(request)).body)
    return found


def status_of(quota: ResourceQuota, measured: Mapping[str, Quantity]) -> dict[str, str]:
    """The used amounts to write: what was counted, and what was known of names that no kind explains."""
    hard = quota.spec.hard
    used = {name: quantity.canonical(amount) for name, amount in quota.status.used.items() if name in hard}
    return used | {name: str(amount) for name, amount in measured.items() if name in hard}


def plan(observed: Observed) -> Plan:
    quota = observed.quota

    async def ask(client: Client) -> dict[str, Quantity]:
        return await measure(client, quota, observed.now)

    def then(outcome: Outcome) -> Plan:
        again = Plan(requeue_after=limits.QUOTA_RESYNC_SECONDS)
        if outcome.error is not None:
            return again
        used = status_of(quota, outcome.results[0])
        hard = {name: quantity.canonical(amount) for name, amount in quota.spec.hard.items()}
        if quota.status.hard == hard and quota.status.used == used:
            return again
        status = structs.replace(quota.status, hard=hard, used=used)
        write = Update(obj=structs.replace(quota, status=status), subresource="status", tolerate=("NotFound",))
        return structs.replace(again, actions=(write,))

    return Plan(actions=(Call(name="measure", ask=ask),), then=then)


class ResourceQuotas:
    """The resource quota controller. Which objects' ends concern a quota is its feed's to know (`quota_feed`)."""

    name = "resourcequota-controller"
    component = "resourcequota-controller"
    workers = 2

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=ResourceQuota, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{quota.metadata.namespace}/{quota.metadata.name}" for quota in caches.list(ResourceQuota)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        quota = caches.get(ResourceQuota, key)
        if quota is None or quota.metadata.deletion_timestamp is not None:
            return None
        return Observed(quota=quota, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

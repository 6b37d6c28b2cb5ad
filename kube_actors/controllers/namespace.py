"""Namespaces that are going away: their pods first, then everything else, then the namespace itself.

The plan is pure; `sweep` is what it asks the server to do, one kind after the other.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, structs

from kube_actors.api import conditions
from kube_actors.api.conditions import FALSE, TRUE
from kube_actors.api.errors import ApiError
from kube_actors.api.resources import Resource
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.core_v1 import Namespace, NamespaceCondition, Pod
from kube_actors.client import Client

from . import kinds, pods
from .contract import NOTHING, Caches, Call, Outcome, Plan, Source, Update, own_key

FINALIZER = "kubernetes"

_FINE = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


class Observed(Struct, frozen=True, kw_only=True):
    """A namespace, and how long to wait before looking again while something is left in it."""

    namespace: Namespace
    now: float
    retry: float


class Contents(Struct, frozen=True, kw_only=True):
    """What a sweep left: objects by kind and by finalizer, what went wrong, and how long the rest should take.

    waits_for_pods: nothing but pods was swept, since some are left.
    """

    remaining: dict[str, int] = {}
    finalizers: dict[str, int] = {}
    discovery: str = ""
    errors: tuple[str, ...] = ()
    waits_for_pods: bool = False


def plan(observed: Observed) -> Plan:
    """Sweep a terminating namespace, say what is left, and let it go when nothing is."""
    namespace = observed.namespace
    if not namespace.metadata.deletion_timestamp or FINALIZER not in namespace.spec.finalizers:
        return NOTHING
    ask = functools.partial(sweep, namespace=namespace, now=observed.now)
    return Plan(actions=(Call(name="sweep", ask=ask),), then=functools.partial(_settle, observed))


def _settle(observed: Observed, outcome: Outcome) -> Plan:
    if outcome.error is not None:
        return NOTHING
    contents: Contents = outcome.results[0]
    namespace = observed.namespace
    status = structs.replace(
        namespace.status,
        phase="Terminating",
        conditions=_conditions(namespace, contents, format_time(observed.now)),
    )
    left = contents.errors or contents.discovery or contents.remaining or contents.waits_for_pods
    if status != namespace.status:
        update = Update(obj=structs.replace(namespace, status=status), subresource="status")
        if left:
            return Plan(actions=(update,), requeue_after=observed.retry)
        return Plan(actions=(update,), then=_finalize)
    return Plan(requeue_after=observed.retry) if left else _finalize(Outcome(results=(namespace,)))


def _finalize(outcome: Outcome) -> Plan:
    """Take our finalizer away; the server deletes the namespace with the last one."""
    if outcome.error is not None:
        return NOTHING
    namespace: Namespace = outcome.results[0]
    kept = tuple(name for name in namespace.spec.finalizers if name != FINALIZER)
    final = structs.replace(namespace, spec=structs.replace(namespace.spec, finalizers=kept))
    return Plan(actions=(Update(obj=final, subresource="finalize", tolerate=("NotFound",)),))


def _conditions(namespace: Namespace, contents: Contents, now: str) -> tuple[NamespaceCondition, ...]:
    """The five conditions; one keeps its time while its status stays."""
    bad = _complaints(contents)
    known = namespace.status.conditions
    for kind, (reason, message) in _FINE.items():
        status = FALSE
        if kind in bad:
            status, (reason, message) = TRUE, bad[kind]
        new = NamespaceCondition(type=kind, status=status, reason=reason, message=message)
        known = conditions.set_condition(known, new, now)
    return known


def _complaints(contents: Contents) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    if contents.discovery:
        text = f"Discovery failed for some groups, 1 failing: {contents.discovery}"
        found["NamespaceDeletionDiscoveryFailure"] = "DiscoveryFailed", text
    if contents.errors:
        text = ", ".join(sorted(contents.errors))
        found["NamespaceDeletionContentFailure"] = (
            "ContentDeletionFailed",
            f"Failed to delete all resource types, {len(contents.errors)} remaining: {text}",
        )
    if contents.waits_for_pods:
        return found
    if contents.remaining:
        parts = sorted(f"{name} has {count} resource instances" for name, count in contents.remaining.items())
        text = "Some resources are remaining: " + ", ".join(parts)
        found["NamespaceContentRemaining"] = "SomeResourcesRemain", text
    if contents.finalizers:
        parts = sorted(f"{name} in {count} resource instances" for name, count in contents.finalizers.items())
        text = "Some content in the namespace has finalizers remaining: " + ", ".join(parts)
        found["NamespaceFinalizersRemaining"] = "SomeFinalizersRemain", text
    return found


# What the plan asks the server to do


async def sweep(client: Client, namespace: Namespace, now: float) -> Contents:
    """Delete what is in a namespace; pods alone while there are any."""
    name = namespace.metadata.name
    discovery = ""
    try:
        resources = await kinds.deletable(client)
    except ApiError as error:
        # What can be deleted without discovery is deleted; the namespace stays until all can be.
        discovery, resources = error.message, kinds.preferred(client.kinds.resources)
    tally = _Tally(name)
    is_late = now - parse_time(namespace.metadata.deletion_timestamp or format_time(now))
    for resource in (r for r in resources if r.namespaced and (r.group, r.plural) == ("", "pods")):
        await tally.take(client, resource, is_late)
    if tally.remaining:
        return tally.contents(discovery, waits_for_pods=True)
    for resource in (r for r in resources if r.namespaced and (r.group, r.plural) != ("", "pods")):
        await tally.take(client, resource, is_late)
    return tally.contents(discovery, waits_for_pods=False)


class _Tally:
    """What one sweep finds."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.remaining: dict[str, int] = {}
        self.finalizers: Counter[str] = Counter()
        self.errors: list[str] = []

    async def take(self, client: Client, resource: Resource, late: float) -> None:
        """Delete the objects of one kind, and count those that stay."""
        try:
            if not await kinds.list_metadata(client, resource, self.namespace):
                return
            await kinds.delete_all(client, resource, self.namespace)
            left = await kinds.list_metadata(client, resource, self.namespace)
        except ApiError as error:
            self.errors.append(error.message)
            return
        if not left:
            return
        self.remaining[f"{resource.plural}.{resource.group}"] = len(left)
        held = Counter(finalizer for obj in left for finalizer in obj.metadata.finalizers)
        self.finalizers.update(held)
        expected = await _grace(client, resource, self.namespace)
        if not held and late >= expected:
            gvr = f"{resource.group}/{resource.version}, Resource={resource.plural}"
            self.errors.append(f"unexpected items still remain in namespace: {self.namespace} for gvr: {gvr}")

    def contents(self, discovery: str, *, waits_for_pods: bool) -> Contents:
        return Contents(
            remaining=self.remaining,
            finalizers=dict(self.finalizers),
            discovery=discovery,
            errors=tuple(self.errors),
            waits_for_pods=waits_for_pods,
        )


async def _grace(client: Client, resource: Resource, namespace: str) -> float:
    """The longest time that pods may take to end; no other kind may take any."""
    if (resource.group, resource.plural) != ("", "pods"):
        return 0.0
    found = await client.list(Pod, namespace=namespace)
    graces = [pod.spec.termination_grace_period_seconds or 0 for pod in found.items if not pods.is_terminal(pod)]
    return float(max(graces, default=0))


class Namespaces:
    """The namespace controller."""

    name = "namespace-controller"
    component = "namespace-controller"
    workers = 5

    def __init__(self, retry: float) -> None:
        self._retry = retry

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=Namespace, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [namespace.metadata.name for namespace in caches.list(Namespace)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        namespace = caches.get(Namespace, key)
        return None if namespace is None else Observed(namespace=namespace, now=now, retry=self._retry)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

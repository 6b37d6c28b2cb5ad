"""StorageVersions speak of living API servers only: entries of those whose identity lease is gone are taken out. Pure.

Off unless named, as upstream's is behind its gates: only API servers that keep these books need it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import conditions
from kube_actors.api.time import format_time
from kube_actors.api.types.apiserverinternal_v1alpha1 import (
    ServerStorageVersion,
    StorageVersion,
    StorageVersionCondition,
)
from kube_actors.api.types.coordination_v1 import Lease

from .contract import NOTHING, Action, Caches, Delete, Outcome, Plan, Read, Source, Update, own_key

NAMESPACE = "kube-system"
IDENTITY_LABEL = "apiserver.kubernetes.io/identity"
APISERVER = "kube-apiserver"
EQUAL = "AllEncodingVersionsEqual"


class Observed(Struct, frozen=True, kw_only=True):
    """One resource's books, and the servers in it of which no lease is known."""

    version: StorageVersion
    missing: tuple[str, ...]
    now: float


def is_identity(lease: Lease | None) -> bool:
    return lease is not None and lease.metadata.labels.get(IDENTITY_LABEL) == APISERVER


def plan(observed: Observed) -> Plan:
    """Ask the server about every lease that the cache does not show before an entry goes."""
    if not observed.missing:
        return NOTHING
    reads = tuple(Read(kind=Lease, key=f"{NAMESPACE}/{name}", tolerate=("NotFound",)) for name in observed.missing)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        dead = {name for name, lease in zip(observed.missing, outcome.results, strict=True) if not is_identity(lease)}
        return Plan(actions=tuple(_without(observed, dead))) if dead else NOTHING

    return Plan(actions=reads, then=then)


def _without(observed: Observed, dead: set[str]) -> Iterable[Action]:
    version = observed.version
    left = tuple(one for one in version.status.storage_versions if one.api_server_id not in dead)
    if not left:
        yield Delete(kind=StorageVersion, key=version.metadata.name, uid=version.metadata.uid)
        return
    status = structs.replace(version.status, storage_versions=left, **_common(version, left, observed.now))
    yield Update(obj=structs.replace(version, status=status), subresource="status", tolerate=("NotFound",))


def _common(version: StorageVersion, left: tuple[ServerStorageVersion, ...], now: float) -> dict[str, Any]:
    """What all servers write alike, and the condition that says so."""
    encodings = {one.encoding_version for one in left}
    same = len(encodings) == 1
    known = conditions.find(version.status.conditions, EQUAL)
    status = "True" if same else "False"
    changed = known is None or known.status != status
    condition = StorageVersionCondition(
        type=EQUAL,
        status=status,
        reason="CommonEncodingVersionSet" if same else "CommonEncodingVersionUnset",
        message=f"Common encoding version {'set' if same else 'unset'}",
        observed_generation=version.metadata.generation,
        last_transition_time=format_time(now) if changed or known is None else known.last_transition_time,
    )
    others = tuple(one for one in version.status.conditions if one.type != EQUAL)
    return {"common_encoding_version": encodings.pop() if same else None, "conditions": (*others, condition)}


class StorageVersions:
    """The storage version garbage collector."""

    name = "storageversion-garbage-collector-controller"
    component = "storage-version-garbage-collector"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=StorageVersion, keys=own_key), Source(kind=Lease, change=_of_lease))

    def initial(self, caches: Caches) -> Iterable[str]:
        return [version.metadata.name for version in caches.list(StorageVersion)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        version = caches.get(StorageVersion, key)
        if version is None:
            return None
        servers = dict.fromkeys(one.api_server_id or "" for one in version.status.storage_versions)
        missing = tuple(name for name in servers if not is_identity(caches.get(Lease, f"{NAMESPACE}/{name}")))
        return Observed(version=version, missing=missing, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _of_lease(old: Lease | None, new: Lease | None, caches: Caches) -> Iterable[str]:
    """All books, when a server's lease is gone; renewals are nothing to them."""
    if new is not None or old is None or old.metadata.namespace != NAMESPACE or not is_identity(old):
        return ()
    return [version.metadata.name for version in caches.list(StorageVersion)]

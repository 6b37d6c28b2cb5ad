"""What the garbage collector does about one object: keep it, cut it loose, delete it, or let it go.

Pure. Before anything is deleted the server itself is asked whether the owners are really gone: a graph drawn from
watches can be behind.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from kube_actors.api import codec
from kube_actors.api.resources import Resource
from kube_actors.api.types.core_v1 import ObjectReference
from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference

from .contract import NOTHING, Action, Delete, Emit, Outcome, Patch, Plan, Read
from .ownership import FOREGROUND, ORPHAN, Item, blocking

UNKNOWN_OWNER_SECONDS = 30.0
"""How long to wait before an owner of a kind that nobody knows is looked for again."""

Kinds = Mapping[tuple[str, str], Resource]


class Observed(Struct, frozen=True, kw_only=True):
    """An object, its dependents, the kinds that there are by (group, kind), and references across namespaces."""

    item: Item
    dependents: tuple[Item, ...] = ()
    kinds: dict[tuple[str, str], Resource] = {}
    misplaced: tuple[OwnerReference, ...] = ()


def plan(observed: Observed) -> Plan:
    """What to do about one object."""
    item = observed.item
    if item.deleting:
        if item.leaves_orphans:
            return _orphan(observed)
        if item.waits_for_dependents and not blocking(item.uid, observed.dependents):
            return _release(item, FOREGROUND)
        return NOTHING
    if not item.owners:
        return NOTHING
    actions: list[Action] = [_complaint(item, reference) for reference in observed.misplaced]
    # The object first, then every owner, each by its kind's present version.
    actions.append(Read(kind=item.kind, key=item.key, tolerate=("NotFound",)))
    for reference in item.owners:
        resource = observed.kinds.get((_group(reference), reference.kind))
        if resource is None or (resource.namespaced and not item.namespace):
            # A kind that nobody knows, or an owner that cannot own: never a reason to delete anything.
            return Plan(requeue_after=UNKNOWN_OWNER_SECONDS) if resource is None else NOTHING
        key = f"{item.namespace}/{reference.name}" if resource.namespaced else reference.name
        kind = f"{resource.api_version}/{resource.kind}"
        actions.append(Read(kind=kind, key=key, tolerate=("NotFound",)))
    return Plan(actions=tuple(actions), then=functools.partial(_judge, observed))


def _group(reference: OwnerReference) -> str:
    return reference.api_version.rpartition("/")[0]


def _judge(observed: Observed, outcome: Outcome) -> Plan:
    """Everything has been read: sort the owners into standing, gone, and waiting for their dependents."""
    if outcome.error is not None:
        return NOTHING
    item = observed.item
    found = outcome.results[len(observed.misplaced) :]
    latest, owners = found[0], found[1:]
    if latest is None or latest.metadata.uid != item.uid or latest.metadata.owner_references != item.owners:
        return NOTHING  # it is another one by now, or changed; its own event brings it back
    gone: list[OwnerReference] = []
    waiting: list[OwnerReference] = []
    for reference, owner in zip(item.owners, owners, strict=True):
        if owner is None or owner.metadata.uid != reference.uid:
            gone.append(reference)
        elif owner.metadata.deletion_timestamp and FOREGROUND in owner.metadata.finalizers:
            waiting.append(reference)
    leaving = [*gone, *waiting]
    if not leaving:
        return NOTHING
    metadata: ObjectMeta = latest.metadata
    if len(leaving) < len(item.owners):
        return Plan(actions=(_cut(item, metadata, {reference.uid for reference in leaving}),))
    if waiting and observed.dependents:
        # Two that wait for each other would wait for ever.
        unblock: tuple[Action, ...] = ()
        if any(dependent.waits_for_dependents for dependent in observed.dependents):
            unblock = (_unblock(item, metadata),)
        return Plan(actions=(*unblock, _deletion(item, "" if unblock else metadata.resource_version, "Foreground")))
    policy: Literal["Orphan", "Foreground", "Background"] = "Background"
    if ORPHAN in metadata.finalizers:
        policy = "Orphan"
    elif FOREGROUND in metadata.finalizers:
        policy = "Foreground"
    return Plan(actions=(_deletion(item, metadata.resource_version, policy),))


def _deletion(item: Item, revision: str, policy: Literal["Orphan", "Foreground", "Background"]) -> Delete:
    return Delete(kind=item.kind, key=item.key, uid=item.uid, resource_version=revision, propagation=policy)


def _patch(item: Item, metadata: dict[str, Any]) -> Patch:
    body = {"metadata": {"uid": item.uid, **metadata}}
    return Patch(kind=item.kind, key=item.key, body=body, tolerate=("NotFound",))


def _cut(item: Item, metadata: ObjectMeta, leaving: set[str]) -> Patch:
    """The object without its references to these owners."""
    kept = [codec.to_dict(r) for r in metadata.owner_references if r.uid not in leaving]
    changes: dict[str, Any] = {"ownerReferences": kept or None}
    return _patch(item, changes | {"resourceVersion": metadata.resource_version})


def _unblock(item: Item, metadata: ObjectMeta) -> Patch:
    references = [codec.to_dict(reference) for reference in metadata.owner_references]
    changed = [reference | {"blockOwnerDeletion": False} for reference in references]
    return _patch(item, {"ownerReferences": changed, "resourceVersion": metadata.resource_version})


def _release(item: Item, finalizer: str) -> Plan:
    """Take our finalizer from an object, as the server has it now."""

    def remove(outcome: Outcome) -> Plan:
        latest = outcome.results[0] if outcome.results else None
        if latest is None or latest.metadata.uid != item.uid or finalizer not in latest.metadata.finalizers:
            return NOTHING
        kept = [name for name in latest.metadata.finalizers if name != finalizer]
        changes = {"finalizers": kept or None, "resourceVersion": latest.metadata.resource_version}
        return Plan(actions=(_patch(item, changes),))

    return Plan(actions=(Read(kind=item.kind, key=item.key, tolerate=("NotFound",)),), then=remove)


def _orphan(observed: Observed) -> Plan:
    """Cut every dependent loose, then let the owner go."""
    item = observed.item
    if not observed.dependents:
        return _release(item, ORPHAN)
    reads = tuple(Read(kind=d.kind, key=d.key, tolerate=("NotFound",)) for d in observed.dependents)

    def cut(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        pairs = zip(observed.dependents, outcome.results, strict=True)
        cuts = [
            _cut(dependent, latest.metadata, {item.uid})
            for dependent, latest in pairs
            if latest is not None and latest.metadata.uid == dependent.uid
        ]
        return Plan(actions=tuple(cuts), then=release)

    def release(outcome: Outcome) -> Plan:
        return NOTHING if outcome.error is not None else _release(item, ORPHAN)

    return Plan(actions=reads, then=cut)


def _complaint(item: Item, reference: OwnerReference) -> Emit:
    about = ObjectReference(
        api_version=item.resource.api_version,
        kind=item.resource.kind,
        namespace=item.namespace or None,
        name=item.name,
        uid=item.uid,
    )
    owner = (
        f"[{reference.api_version}/{reference.kind}, namespace: {item.namespace}, name: {reference.name}, "
        f"uid: {reference.uid}]"
    )
    text = f'ownerRef {owner} does not exist in namespace "{item.namespace}"'
    return Emit(about=about, type="Warning", reason="OwnerRefInvalidNamespace", message=text)

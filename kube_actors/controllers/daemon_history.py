"""Which ControllerRevision is a DaemonSet's present one, and which old ones may go. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types.apps_v1 import ControllerRevision, DaemonSet
from kube_actors.api.types.core_v1 import Pod
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import history
from .contract import Action, Create, Delete, Outcome, Patch, Plan, Read, Update
from .history import REVISION_LABEL
from .template_hash import pod_template_hash

GoOn = Callable[[str, tuple[ControllerRevision, ...]], Plan]
"""The rest of the plan, from the present revision's hash and the old revisions."""


def settle(owner: DaemonSet, owned: Sequence[Pod], revisions: Iterable[ControllerRevision], go_on: GoOn) -> Plan:
    """Have one revision of the present template that is the newest of all."""
    known = history.in_order(revisions)
    unlabelled = [revision for revision in known if REVISION_LABEL not in revision.metadata.labels]
    if unlabelled:
        return Plan(actions=tuple(_relabelled(revision) for revision in unlabelled))
    data = history.snapshot(owner.spec.template).data
    present = [revision for revision in known if revision.data == data]
    old = tuple(revision for revision in known if revision.data != data)
    number = max((revision.revision for revision in old), default=0) + 1
    if not present:
        return _create(owner, number, old, go_on)
    kept = present[-1]
    digest = kept.metadata.labels[REVISION_LABEL]
    if len(present) > 1:
        return Plan(actions=(*_merged(owned, digest), *(_deletion(one) for one in present[:-1])))
    if kept.revision >= number:
        return go_on(digest, old)

    def renumbered(outcome: Outcome) -> Plan:
        return Plan() if outcome.error is not None else go_on(digest, old)

    return Plan(actions=(Update(obj=structs.replace(kept, revision=number)),), then=renumbered)


def _create(owner: DaemonSet, number: int, old: tuple[ControllerRevision, ...], go_on: GoOn) -> Plan:
    digest = pod_template_hash(owner.spec.template, owner.status.collision_count)
    metadata = ObjectMeta(
        name=f"{owner.metadata.name}-{digest}",
        namespace=owner.metadata.namespace,
        labels={**owner.spec.template.metadata.labels, REVISION_LABEL: digest},
        annotations=owner.metadata.annotations,
        owner_references=(controller_reference(owner),),
    )
    data = history.snapshot(owner.spec.template).data
    made = ControllerRevision(metadata=metadata, data=data, revision=number)

    def after(outcome: Outcome) -> Plan:
        if outcome.error is None:
            return go_on(digest, old)
        if not outcome.error.is_already_exists:
            return Plan()
        key = f"{owner.metadata.namespace}/{metadata.name}"
        return Plan(actions=(Read(kind=ControllerRevision, key=key),), then=compare, handled=True)

    def compare(outcome: Outcome) -> Plan:
        """Somebody has the name: with the same template it serves, with another the hash collides."""
        if outcome.error is not None:
            return Plan()
        if outcome.results[0].data == data:
            return go_on(digest, old)
        status: Any = structs.replace(owner.status, collision_count=(owner.status.collision_count or 0) + 1)
        return Plan(
            actions=(Update(obj=structs.replace(owner, status=status), subresource="status"),), requeue_after=0.0
        )

    return Plan(actions=(Create(obj=made),), then=after)


def _relabelled(revision: ControllerRevision) -> Update:
    labels = {**revision.metadata.labels, REVISION_LABEL: revision.metadata.name}
    return Update(obj=structs.replace(revision, metadata=structs.replace(revision.metadata, labels=labels)))


def _merged(owned: Iterable[Pod], digest: str) -> list[Action]:
    """Every pod counted to the one revision that stays, before its doubles go."""
    return [
        Patch(
            kind=Pod,
            key=f"{pod.metadata.namespace}/{pod.metadata.name}",
            body={"metadata": {"uid": pod.metadata.uid, "labels": {REVISION_LABEL: digest}}},
            tolerate=("NotFound",),
        )
        for pod in owned
        if pod.metadata.labels.get(REVISION_LABEL) != digest
    ]


def truncated(owner: DaemonSet, old: Sequence[ControllerRevision], live: set[str]) -> list[Delete]:
    """Deletions of the oldest revisions beyond the history that is wanted, those that pods still have excepted."""
    limit = owner.spec.revision_history_limit
    surplus = 0 if limit is None else len(old) - limit
    idle = [revision for revision in old if revision.metadata.labels.get(REVISION_LABEL) not in live]
    return [_deletion(revision) for revision in idle[: max(0, surplus)]]


def _deletion(revision: ControllerRevision) -> Delete:
    metadata = revision.metadata
    return Delete(kind=ControllerRevision, key=f"{metadata.namespace}/{metadata.name}", uid=metadata.uid)

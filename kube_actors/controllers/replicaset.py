"""ReplicaSets and ReplicationControllers: as many pods as are wanted, no more and no fewer.

One plan serves both kinds; they differ in their selector and in the struct of their status.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import conditions, selectors
from kube_actors.api.errors import ApiError
from kube_actors.api.owners import controller_of
from kube_actors.api.selectors import Selector
from kube_actors.api.time import format_time
from kube_actors.api.types.apps_v1 import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from kube_actors.api.types.core_v1 import (
    Pod,
    PodTemplateSpec,
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerStatus,
)

from . import limits, pods
from .claims import claim
from .contract import (
    BY_OWNER,
    NOTHING,
    OWNER_INDEX,
    Batch,
    Caches,
    Create,
    Outcome,
    Plan,
    Source,
    Update,
    own_key,
    owner_key,
)
from .selection import by_selector, keys_selecting, selected_orphans

FAILURE = "ReplicaFailure"
Owner = ReplicaSet | ReplicationController


class Observed(Struct, frozen=True, kw_only=True):
    """One set, the pods that are or may become its own, and the active pods of its siblings."""

    owner: Owner
    selector: Selector
    candidates: tuple[Pod, ...] = ()
    related: tuple[Pod, ...] = ()
    now: float = 0.0


def plan(observed: Observed) -> Plan:
    """Claim first; then create or delete; then say how things stand."""
    owner = observed.owner
    claimed = claim(owner, observed.selector, [p for p in observed.candidates if pods.is_active(p)])
    if claimed.actions:
        return Plan(actions=claimed.actions)  # with the caches' echo of these the key comes again
    active = claimed.owned
    work = NOTHING if owner.metadata.deletion_timestamp else _manage(observed, active)

    def settle(outcome: Outcome) -> Plan:
        error = outcome.error
        # A namespace that goes away takes its pods with it: not being allowed to make one is no failure.
        if error is not None and error.has_cause("NamespaceTerminating"):
            return structs.replace(_report(observed, active, None), handled=True)
        return _report(observed, active, error)

    return settle(Outcome()) if not work.actions else Plan(actions=work.actions, then=settle)


def _manage(observed: Observed, active: Sequence[Pod]) -> Plan:
    owner = observed.owner
    wanted = 1 if owner.spec.replicas is None else owner.spec.replicas
    missing = wanted - len(active)
    if missing > 0:
        template = owner.spec.template or PodTemplateSpec()
        create = Create(obj=pods.pod_from_template(template, owner), told=pods.creation_told(owner))
        count = min(missing, limits.BURST_REPLICAS)
        return Plan(actions=(Batch(actions=(create,) * count, slow_start=True),))
    if missing < 0:
        count = min(-missing, limits.BURST_REPLICAS)
        chosen = list(active)
        if count < len(active):
            per_node = Counter(p.spec.node_name for p in observed.related if p.spec.node_name)
            chosen = pods.deletion_order(active, per_node, observed.now)[:count]
        return Plan(actions=(Batch(actions=tuple(pods.deletion(owner, pod) for pod in chosen)),))
    return NOTHING


def _report(observed: Observed, active: Sequence[Pod], error: ApiError | None) -> Plan:
    """Write the status if it is another one, and look again when a pod becomes available by mere passing of time."""
    owner = observed.owner
    status = _status(observed, active, error)
    actions = () if status == owner.status else (Update(obj=_with_status(owner, status), subresource="status"),)
    seconds = owner.spec.min_ready_seconds or 0
    waits = [pods.available_in(pod, seconds, observed.now) or 0.0 for pod in active if seconds]
    left = [wait for wait in waits if wait > 0.0]
    return Plan(actions=actions, requeue_after=min(left) + 0.001 if left else None)


def _with_status(owner: Owner, status: Any) -> Owner:
    return structs.replace(owner, status=status)


def _status(observed: Observed, active: Sequence[Pod], error: ApiError | None) -> Any:
    owner, now = observed.owner, observed.now
    seconds = owner.spec.min_ready_seconds or 0
    labels = selectors.from_labels(owner.spec.template.metadata.labels if owner.spec.template else {})
    # Thousands of pods are counted here at every change of one of them: what is known already is not asked again.
    labelled = len(active)
    if not _implies(observed.selector, labels):
        labelled = sum(labels.matches(pod.metadata.labels) for pod in active)
    ready = [pod for pod in active if pods.is_ready(pod)]
    available = sum(pods.is_available(pod, seconds, now) for pod in ready) if seconds else len(ready)
    figures: dict[str, Any] = {
        "replicas": len(active),
        "fully_labeled_replicas": labelled or None,
        "ready_replicas": len(ready) or None,
        "available_replicas": available or None,
        "observed_generation": owner.metadata.generation or None,
        "conditions": _conditions(owner, len(active), error, now),
    }
    if isinstance(owner, ReplicationController):
        return ReplicationControllerStatus(**figures)
    mine = owner.metadata.uid
    leaving = [
        pod
        for pod in observed.candidates
        if pods.is_terminating(pod)
        and (reference := controller_of(pod)) is not None
        and reference.uid == mine
        and observed.selector.matches(pod.metadata.labels)
    ]
    return ReplicaSetStatus(**figures, terminating_replicas=len(leaving))


def _implies(selector: Selector, other: Selector) -> bool:
    """Whether all that a selector matches is matched by another one, as far as that is seen at once."""
    return not selector.nothing and set(other.requirements) <= set(selector.requirements)


def _conditions(owner: Owner, active: int, error: ApiError | None, now: float) -> tuple[Any, ...]:
    known: tuple[Any, ...] = owner.status.conditions
    if error is None:
        return conditions.remove(known, FAILURE)
    if conditions.find(known, FAILURE) is not None:
        return known
    wanted = 1 if owner.spec.replicas is None else owner.spec.replicas
    struct = ReplicaSetCondition if isinstance(owner, ReplicaSet) else ReplicationControllerCondition
    failure = struct(
        type=FAILURE,
        status=conditions.TRUE,
        reason="FailedCreate" if active < wanted else "FailedDelete",
        message=error.message,
        last_transition_time=format_time(now),
    )
    return (*known, failure)


class _Sets:
    """What both controllers share; the kind is the difference."""

    name: str
    component: str
    workers = 5
    kind: type[ReplicaSet] | type[ReplicationController]

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=self.kind, keys=own_key, indexes=(BY_OWNER, by_selector(_selector))),
            Source(kind=Pod, keys=self._keys_of_pod, indexes=(BY_OWNER,)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{owner.metadata.namespace}/{owner.metadata.name}" for owner in caches.list(self.kind)]

    def _keys_of_pod(self, pod: Pod, caches: Caches) -> Iterable[str]:
        if controller_of(pod) is not None:
            return owner_key(self.kind.__name__)(pod, caches)
        return keys_selecting(caches, self.kind, _selector, pod)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        owner = caches.get(self.kind, key)
        if owner is None:
            return None
        namespace = owner.metadata.namespace
        selector = _selector(owner)
        own = caches.by_index(Pod, OWNER_INDEX, owner.metadata.uid)
        orphans = selected_orphans(caches, Pod, namespace, selector)
        candidates = (*own, *orphans)
        wanted = 1 if owner.spec.replicas is None else owner.spec.replicas
        related = self._related(owner, caches) if 0 < wanted < len(candidates) else ()
        return Observed(owner=owner, selector=selector, candidates=candidates, related=related, now=now)

    def _related(self, owner: Owner, caches: Caches) -> tuple[Pod, ...]:
        """The active pods of all sets that the same controller manages, this one included."""
        reference = controller_of(owner)
        siblings: Sequence[Owner] = (owner,)
        if reference is not None:
            siblings = caches.by_index(self.kind, OWNER_INDEX, reference.uid)
        found: dict[str, Pod] = {}
        for sibling in siblings:
            for pod in caches.by_index(Pod, OWNER_INDEX, sibling.metadata.uid):
                if pods.is_active(pod):
                    found[pod.metadata.uid] = pod
        return tuple(found.values())

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _selector(owner: Owner) -> Selector:
    if isinstance(owner, ReplicationController):
        labels = owner.spec.selector
        return selectors.from_labels(labels) if labels else selectors.NOTHING
    compiled = selectors.compile_selector(owner.spec.selector)
    return selectors.NOTHING if compiled.is_everything else compiled


class ReplicaSets(_Sets):
    """The ReplicaSet controller."""

    name = "replicaset-controller"
    component = "replicaset-controller"
    kind = ReplicaSet


class ReplicationControllers(_Sets):
    """The ReplicationController controller."""

    name = "replicationcontroller-controller"
    component = "replication-controller"
    kind = ReplicationController

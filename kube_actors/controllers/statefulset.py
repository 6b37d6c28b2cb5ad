"""StatefulSets: pods with names and claims that outlive them, made and replaced in order.

The decisions are here, in the order in which Kubernetes takes them; what a pod and a claim look like is in
`stateful_pods`, revisions in `history`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct, structs

from kube_actors.api import selectors
from kube_actors.api.selectors import Selector
from kube_actors.api.types.apps_v1 import ControllerRevision, StatefulSet
from kube_actors.api.types.core_v1 import PersistentVolumeClaim, Pod

from . import history, pods, stateful_status
from . import stateful_pods as identity
from .claims import claim
from .contract import (
    BY_OWNER,
    OWNER_INDEX,
    Action,
    Batch,
    Caches,
    Chain,
    Create,
    Delete,
    Emit,
    Fail,
    Outcome,
    Plan,
    Read,
    Source,
    Told,
    Update,
    own_key,
    owner_key,
)
from .rollout import scaled
from .selection import by_selector, keys_selecting, selected_orphans


class Observed(Struct, frozen=True, kw_only=True):
    """A set, its pods and revisions (own ones, and orphans that it may adopt), and its pods' claims by name."""

    owner: StatefulSet
    selector: Selector
    candidates: tuple[Pod, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    claims: Mapping[str, PersistentVolumeClaim] = {}
    now: float = 0.0
    several: bool = False
    """Whether the gate MaxUnavailableStatefulSet is on."""


class _Round(Struct, frozen=True, kw_only=True):
    """What is known once pods are claimed and revisions settled."""

    observed: Observed
    owned: tuple[Pod, ...]
    revisions: tuple[ControllerRevision, ...]
    current: ControllerRevision
    update: ControllerRevision
    collisions: int

    @property
    def owner(self) -> StatefulSet:
        return self.observed.owner

    @property
    def monotonic(self) -> bool:
        return self.owner.spec.pod_management_policy != "Parallel"

    def is_available(self, pod: Pod) -> bool:
        return pods.is_available(pod, self.owner.spec.min_ready_seconds or 0, self.observed.now)

    def is_unavailable(self, pod: Pod) -> bool:
        return not self.is_available(pod) or pod.metadata.deletion_timestamp is not None


def plan(observed: Observed) -> Plan:
    """Adopt and release; settle which revision is wanted; then pods and status."""
    owner, selector = observed.owner, observed.selector
    revisions = claim(owner, selector, [r for r in observed.revisions if selector.matches(r.metadata.labels)])
    owned = claim(
        owner,
        selector,
        observed.candidates,
        lambda pod: identity.parent_and_ordinal(pod.metadata.name)[0] == owner.metadata.name,
    )
    if revisions.actions or owned.actions:
        return Plan(actions=(*revisions.actions, *owned.actions))
    return _settle_revision(observed, owned.owned, tuple(history.in_order(revisions.owned)))


# Revisions


def _settle_revision(observed: Observed, owned: tuple[Pod, ...], revisions: tuple[ControllerRevision, ...]) -> Plan:
    """Have a revision of the present template that is the newest one, and go on from there."""
    owner = observed.owner
    number = revisions[-1].revision + 1 if revisions else 1
    taken = history.snapshot(owner.spec.template)
    equal = [revision for revision in revisions if revision.data == taken.data]

    def go_on(update: ControllerRevision, collisions: int) -> Plan:
        known = (revision for revision in revisions if revision.metadata.name == owner.status.current_revision)
        current = next(known, update)
        return _manage(
            _Round(
                observed=observed,
                owned=owned,
                revisions=revisions,
                current=current,
                update=update,
                collisions=collisions,
            )
        )

    collisions = owner.status.collision_count or 0
    if not equal:
        return _create_revision(owner, number, collisions, go_on)
    if equal[-1] is revisions[-1]:
        return go_on(equal[-1], collisions)

    def renumbered(outcome: Outcome) -> Plan:
        return Plan() if outcome.error is not None else go_on(outcome.results[0], collisions)

    return Plan(actions=(Update(obj=structs.replace(equal[-1], revision=number)),), then=renumbered)


def _create_revision(
    owner: StatefulSet, number: int, collisions: int, go_on: Callable[[ControllerRevision, int], Plan]
) -> Plan:
    made = history.new_revision(owner, owner.spec.template, number, collisions)

    def after(outcome: Outcome) -> Plan:
        if outcome.error is None:
            return go_on(outcome.results[0], collisions)
        if not outcome.error.is_already_exists:
            return Plan()
        key = f"{made.metadata.namespace}/{made.metadata.name}"
        return Plan(actions=(Read(kind=ControllerRevision, key=key),), then=compare, handled=True)

    def compare(outcome: Outcome) -> Plan:
        """Somebody has the name: with the same template it serves, with another the hash collides."""
        if outcome.error is not None:
            return Plan()
        if outcome.results[0].data == made.data:
            return go_on(outcome.results[0], collisions)
        return _create_revision(owner, number, collisions + 1, go_on)

    return Plan(actions=(Create(obj=made),), then=after)


# Pods


def _manage(now: _Round) -> Plan:
    owner = now.owner
    replicas, condemned = _sorted_out(now)
    if owner.metadata.deletion_timestamp:
        return _finish(now, now.owned, [], 0)
    everyone = [*replicas, *condemned]
    if now.monotonic:
        actions, blocked = _in_order(now, replicas, condemned)
    else:
        actions, blocked = _side_by_side(now, replicas, condemned), False
    if blocked or owner.spec.update_strategy is None or owner.spec.update_strategy.type == "OnDelete":
        return _finish(now, everyone, actions, 0)
    updates = _updates(now, replicas)
    return _finish(now, everyone, [*actions, *updates], len(updates))


def _sorted_out(now: _Round) -> tuple[list[Pod], list[Pod]]:
    """A pod for every ordinal, those to be made among them; and the pods beyond, highest ordinal first."""
    owner = now.owner
    start, count = identity.start_of(owner), identity.replicas_of(owner)
    found: dict[int, Pod] = {}
    condemned: list[Pod] = []
    for pod in now.owned:
        ordinal = identity.ordinal_of(pod)
        if start <= ordinal < start + count:
            found[ordinal] = pod
        elif ordinal >= 0:
            condemned.append(pod)
    replicas = [found.get(ordinal) or _new_pod(now, ordinal) for ordinal in range(start, start + count)]
    return replicas, sorted(condemned, key=identity.ordinal_of, reverse=True)


def _new_pod(now: _Round, ordinal: int) -> Pod:
    """The pod of a missing ordinal, at the revision that it is to have in the middle of an update."""
    owner = now.owner
    strategy = owner.spec.update_strategy
    rolling = None if strategy is None else strategy.rolling_update
    start = identity.start_of(owner)
    if rolling is not None:
        old = ordinal < start + (rolling.partition or 0)
    else:
        old = strategy is not None and strategy.type == "RollingUpdate"
        old = old and ordinal < start + (owner.status.current_replicas or 0)
    revision = now.current if old else now.update
    return identity.new_pod(owner, history.template_of(revision), revision.metadata.name, ordinal)


def _in_order(now: _Round, replicas: Sequence[Pod], condemned: Sequence[Pod]) -> tuple[list[Action], bool]:
    """One thing at a time: the first pod that is not as it should be holds up everything after it."""
    actions: list[Action] = []
    for pod in replicas:
        steps, stop = _replica(now, pod)
        actions += steps
        if stop or _holds_up(now, pod):
            return actions, True
        actions += _mended(now, pod)
    for pod in condemned:
        actions += _claims_mended(now, pod)
    # The least ordinal that is unavailable may go although it is not ready.
    waiting = [*replicas, *reversed(condemned)]
    first = next((pod for pod in waiting if now.is_unavailable(pod)), None)
    for pod in condemned:
        if pod.metadata.deletion_timestamp is None and (now.is_available(pod) or pod is first):
            actions.append(_deletion(now.owner, pod))
        return actions, True
    return actions, False


def _holds_up(now: _Round, pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None or pod.status.phase != "Running" or not now.is_available(pod)


def _side_by_side(now: _Round, replicas: Sequence[Pod], condemned: Sequence[Pod]) -> list[Action]:
    chains: list[Chain] = []
    for pod in replicas:
        steps, stop = _replica(now, pod)
        if not stop:
            steps += _mended(now, pod)
        if steps:
            chains.append(Chain(actions=tuple(steps)))
    actions: list[Action] = [Batch(actions=tuple(chains), slow_start=True)] if chains else []
    for pod in condemned:
        actions += _claims_mended(now, pod)
    going = [_deletion(now.owner, pod) for pod in condemned if pod.metadata.deletion_timestamp is None]
    if going:
        actions.append(Batch(actions=tuple(going), slow_start=True))
    return actions


def _replica(now: _Round, pod: Pod) -> tuple[list[Action], bool]:
    """What is to be done about one ordinal first; and whether that is all for now."""
    owner, claims = now.owner, now.observed.claims
    if pods.is_terminal(pod):
        return ([] if pod.metadata.deletion_timestamp else [_deletion(owner, pod)]), True
    if not pod.metadata.uid:
        if identity.has_stale_claim(owner, pod, claims):
            return [], True
        return _creation(now, pod), True
    if pod.status.phase in (None, "", "Pending"):
        return [*_claims_made(now, pod, ""), *_claims_mended(now, pod)], False
    return [], False


def _creation(now: _Round, pod: Pod) -> list[Action]:
    """The pod's claims, then the pod, then who owns the claims."""
    owner = now.owner
    create = Create(obj=pod, told=_told(owner, "Create", pod.metadata.name, silent=("AlreadyExists",)))
    return [*_claims_made(now, pod, "Create"), create, *_claims_mended(now, pod)]


def _claims_made(now: _Round, pod: Pod, verb: str) -> list[Action]:
    """The claims of a pod that are missing; with a verb a failure is also told as one of the pod."""
    owner = now.owner
    ordinal, name = identity.ordinal_of(pod), pod.metadata.name
    actions: list[Action] = []
    for template in owner.spec.volume_claim_templates:
        made = identity.new_claim(owner, template, ordinal)
        known = now.observed.claims.get(made.metadata.name)
        if known is not None and known.metadata.deletion_timestamp is None:
            continue
        steps: tuple[Action, ...]
        failed = ""
        if known is not None:
            steps = (Fail(message=f"pvc {made.metadata.name} is being deleted"),)
        else:
            failed = f"failed to create PVC {made.metadata.name}: "
            about = f"Claim {made.metadata.name}"
            told = Told(
                about=owner,
                reason="SuccessfulCreate",
                message=f"Create {about} Pod {name} in StatefulSet {owner.metadata.name} success",
                failed_reason="FailedCreate",
                failed_message=f"Create {about} for Pod {name} in StatefulSet {owner.metadata.name} failed error: "
                "{error}",
            )
            steps = (Create(obj=made, told=told, tolerate=("AlreadyExists",)),)
        actions.append(Chain(actions=steps, told=_told(owner, verb, name, failed) if verb else None))
    return actions


def _claims_mended(now: _Round, pod: Pod) -> list[Action]:
    """Claims owned by whom the retention policy says."""
    owner = now.owner
    actions: list[Action] = []
    for known in identity.claims_of(owner, pod, now.observed.claims):
        if identity.is_owned_right(owner, pod, known):
            continue
        if identity.conflicts(owner, pod, known):
            text = (
                f"PersistentVolumeClaim {known.metadata.name} has a conflicting OwnerReference that acts as a "
                "manging controller, the retention policy is ignored for this claim"
            )
            actions.append(Emit(about=owner, type="Warning", reason="ConflictingController", message=text))
        actions.append(Update(obj=identity.with_right_owner(owner, pod, known)))
    return actions


def _mended(now: _Round, pod: Pod) -> list[Action]:
    """A pod that lost its labels or volumes gets them back; claims get the owners that the policy says."""
    owner = now.owner
    if not pod.metadata.uid:
        return []
    mended = pod if identity.has_identity(owner, pod) else identity.with_identity(owner, pod)
    actions: list[Action] = []
    if not identity.has_storage(owner, mended):
        mended = identity.with_storage(owner, mended, identity.ordinal_of(mended))
        actions += _claims_made(now, mended, "Update")
    owners = _claims_mended(now, mended)
    if mended is pod and not owners:
        return []
    # A change of the claims' owners alone is told as one of the pod, too.
    return [*actions, *owners, Update(obj=mended, told=_told(owner, "Update", pod.metadata.name))]


def _deletion(owner: StatefulSet, pod: Pod) -> Delete:
    name = pod.metadata.name
    key = f"{pod.metadata.namespace}/{name}"
    return Delete(kind=Pod, key=key, uid=pod.metadata.uid, told=_told(owner, "Delete", name))


def _told(owner: StatefulSet, verb: str, name: str, failed: str = "", silent: tuple[str, ...] = ()) -> Told:
    about = f"{verb} Pod {name} in StatefulSet {owner.metadata.name}"
    return Told(
        about=owner,
        reason=f"Successful{verb}",
        message=f"{about} successful",
        failed_reason=f"Failed{verb}",
        failed_message=f"{about} failed error: {failed}{{error}}",
        silent=silent,
    )


# Updates


def _updates(now: _Round, replicas: Sequence[Pod]) -> list[Delete]:
    """The pods to replace with the new revision now: from the highest ordinal down to the partition."""
    owner = now.owner
    strategy = owner.spec.update_strategy
    rolling = None if strategy is None else strategy.rolling_update
    least = 0 if rolling is None else rolling.partition or 0
    room = 1
    if now.observed.several and rolling is not None:
        asked = 1 if rolling.max_unavailable is None else rolling.max_unavailable
        room = max(1, scaled(asked, identity.replicas_of(owner), up=False))
        room -= sum(now.is_unavailable(pod) for pod in replicas)
    found: list[Delete] = []
    for pod in reversed(replicas[least:]):
        if len(found) >= room:
            break
        old = identity.revision_of(pod) != now.update.metadata.name
        if old and pod.metadata.deletion_timestamp is None and pod.metadata.uid:
            found.append(_deletion(owner, pod))
        elif not now.observed.several and now.is_unavailable(pod):
            break
    return found


# The end of every plan


def _finish(now: _Round, counted: Sequence[Pod], actions: Sequence[Action], replaced: int) -> Plan:
    """The planned actions; then the status, whatever came of them; then revisions that nobody needs go."""
    if not actions:
        return _report(now, counted, 0)
    return Plan(
        actions=tuple(actions),
        then=lambda outcome: _report(now, counted, replaced if outcome.error is None else 0),
    )


def _report(now: _Round, counted: Sequence[Pod], replaced: int) -> Plan:
    owner = now.owner
    status = stateful_status.calculate(
        owner, counted, now.current.metadata.name, now.update.metadata.name, now.collisions, replaced, now.observed.now
    )
    actions: list[Action] = []
    if stateful_status.differs(owner.status, status):
        actions.append(Update(obj=structs.replace(owner, status=status), subresource="status"))
    actions += _truncated(now)
    seconds = owner.spec.min_ready_seconds or 0
    waits = [pods.available_in(pod, seconds, now.observed.now) or 0.0 for pod in now.owned if seconds]
    left = [wait for wait in waits if wait > 0.0]
    return Plan(actions=tuple(actions), requeue_after=min(left) + 0.001 if left else None)


def _truncated(now: _Round) -> list[Delete]:
    """Deletions of the oldest revisions beyond the history that is wanted."""
    limit = now.owner.spec.revision_history_limit
    if limit is None or limit < 0:
        return []
    live = {now.current.metadata.name, now.update.metadata.name, *(identity.revision_of(pod) for pod in now.owned)}
    past = [revision for revision in now.revisions if revision.metadata.name not in live]
    return [
        Delete(
            kind=ControllerRevision,
            key=f"{revision.metadata.namespace}/{revision.metadata.name}",
            uid=revision.metadata.uid,
        )
        for revision in past[: max(0, len(past) - limit)]
    ]


def _selector(owner: StatefulSet) -> Selector:
    return selectors.compile_selector(owner.spec.selector)


class StatefulSets:
    """The StatefulSet controller."""

    name = "statefulset-controller"
    component = "statefulset-controller"
    workers = 5

    def __init__(self, several: bool = False) -> None:
        """several: whether the gate MaxUnavailableStatefulSet is on."""
        self._several = several

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=StatefulSet, keys=own_key, indexes=(by_selector(_selector),)),
            Source(kind=Pod, keys=self._keys, indexes=(BY_OWNER,)),
            Source(kind=ControllerRevision, keys=self._keys, indexes=(BY_OWNER,)),
            Source(kind=PersistentVolumeClaim),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{owner.metadata.namespace}/{owner.metadata.name}" for owner in caches.list(StatefulSet)]

    def _keys(self, obj: Pod | ControllerRevision, caches: Caches) -> Iterable[str]:
        if any(reference.controller for reference in obj.metadata.owner_references):
            return owner_key("StatefulSet")(obj, caches)
        return keys_selecting(caches, StatefulSet, _selector, obj)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        owner = caches.get(StatefulSet, key)
        if owner is None:
            return None
        selector, namespace, uid = _selector(owner), owner.metadata.namespace, owner.metadata.uid
        candidates = (
            *caches.by_index(Pod, OWNER_INDEX, uid),
            *selected_orphans(caches, Pod, namespace, selector),
        )
        revisions = (
            *caches.by_index(ControllerRevision, OWNER_INDEX, uid),
            *selected_orphans(caches, ControllerRevision, namespace, selector),
        )
        claims: dict[str, PersistentVolumeClaim] = {}
        if owner.spec.volume_claim_templates:
            start = identity.start_of(owner)
            ordinals = {*range(start, start + identity.replicas_of(owner)), *map(identity.ordinal_of, candidates)}
            for template in owner.spec.volume_claim_templates:
                for ordinal in ordinals:
                    name = identity.claim_name(owner, template, ordinal)
                    found = caches.get(PersistentVolumeClaim, f"{namespace}/{name}")
                    if found is not None:
                        claims[name] = found
        return Observed(
            owner=owner,
            selector=selector,
            candidates=candidates,
            revisions=revisions,
            claims=claims,
            now=now,
            several=self._several,
        )

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

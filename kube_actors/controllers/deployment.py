"""Deployments: one ReplicaSet a template, scaled up and down against each other until only the newest has pods.

The decisions are here, in the order in which Kubernetes takes them; the numbers come from `rollout`, the revisions
from `revisions`, the status from `deployment_status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import conditions, selectors
from kube_actors.api.owners import controller_of
from kube_actors.api.selectors import Selector
from kube_actors.api.types.apps_v1 import Deployment, ReplicaSet
from kube_actors.api.types.core_v1 import Pod
from kube_actors.api.types.meta_v1 import LabelSelector

from . import deployment_status as status_of
from . import pods, revisions, rollout
from .claims import claim
from .contract import (
    BY_OWNER,
    OWNER_INDEX,
    Action,
    Caches,
    Create,
    Delete,
    Emit,
    Outcome,
    Patch,
    Plan,
    Read,
    Source,
    Told,
    Update,
    own_key,
    owner_key,
)
from .rollout import replicas_of
from .selection import by_selector, keys_selecting, selected_orphans

_NO_LIMIT = 2**31 - 1


class Observed(Struct, frozen=True, kw_only=True):
    """A Deployment, the sets that are or may become its own, and whether a pod of an old set still runs, by set uid."""

    deployment: Deployment
    candidates: tuple[ReplicaSet, ...] = ()
    running: frozenset[str] = frozenset()
    now: float = 0.0


class _Sets:
    """The sets of one Deployment while a plan is made: what has been planned counts as done."""

    def __init__(self, deployment: Deployment, owned: Sequence[ReplicaSet]) -> None:
        self.deployment = deployment
        new = revisions.find_new(deployment, owned)
        self.new_name = None if new is None else new.metadata.name
        self.by_name = {rs.metadata.name: rs for rs in sorted(owned, key=rollout.created)}
        self.actions: list[Action] = []

    @property
    def new(self) -> ReplicaSet | None:
        return None if self.new_name is None else self.by_name[self.new_name]

    @property
    def old(self) -> list[ReplicaSet]:
        """Oldest first."""
        return [rs for name, rs in self.by_name.items() if name != self.new_name]

    @property
    def all(self) -> list[ReplicaSet]:
        new = self.new
        return self.old if new is None else [*self.old, new]

    def active(self, sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
        return [rs for rs in sets if replicas_of(rs) > 0]

    def scale(self, rs: ReplicaSet, count: int) -> bool:
        """Plan another size for a set, or only the note of the Deployment's size; whether the size changes."""
        before = replicas_of(rs)
        notes = revisions.size_annotations(self.deployment)
        noted = all(rs.metadata.annotations.get(key) == value for key, value in notes.items())
        if before == count and noted:
            return False
        told = None
        if before != count:
            way = "up" if before < count else "down"
            message = f"Scaled {way} replica set {rs.metadata.name} from {before} to {count}"
            told = Told(about=self.deployment, reason="ScalingReplicaSet", message=message)
        body = {"metadata": {"uid": rs.metadata.uid, "annotations": notes}, "spec": {"replicas": count}}
        self.actions.append(Patch(kind=ReplicaSet, key=_key(rs), body=body, told=told))
        metadata = structs.replace(rs.metadata, annotations={**rs.metadata.annotations, **notes})
        self.by_name[rs.metadata.name] = structs.replace(
            rs, metadata=metadata, spec=structs.replace(rs.spec, replicas=count)
        )
        return before != count

    def resize(self, rs: ReplicaSet, count: int) -> bool:
        """As scale, but nothing at all is written when the size is right already."""
        return replicas_of(rs) != count and self.scale(rs, count)


def plan(observed: Observed) -> Plan:
    """What to do next about a Deployment."""
    deployment = observed.deployment
    if deployment.spec.selector == LabelSelector():
        return _selects_all(deployment)
    claimed = claim(deployment, selectors.compile_selector(deployment.spec.selector), observed.candidates)
    if claimed.actions:
        return Plan(actions=claimed.actions)
    sets = _Sets(deployment, claimed.owned)
    if deployment.metadata.deletion_timestamp:
        return _finish(observed, sets, deployment, rolling=False)
    noted = status_of.paused(deployment, observed.now)
    if noted != deployment.status.conditions:
        status = structs.replace(deployment.status, conditions=noted)
        return Plan(actions=(_status_update(structs.replace(deployment, status=status)),))
    if deployment.spec.paused or _is_scaled(deployment, sets):
        return _scale(observed, sets)
    if rollout.is_rolling(deployment):
        return _roll(observed, sets)
    return _recreate(observed, sets)


def _selects_all(deployment: Deployment) -> Plan:
    text = "This deployment is selecting all pods. A non-empty selector is required."
    actions: list[Action] = [Emit(about=deployment, type="Warning", reason="SelectingAll", message=text)]
    if (deployment.status.observed_generation or 0) < deployment.metadata.generation:
        status = structs.replace(deployment.status, observed_generation=deployment.metadata.generation)
        actions.append(_status_update(structs.replace(deployment, status=status)))
    return Plan(actions=tuple(actions))


# The newest set


def _with_new(observed: Observed, sets: _Sets, *, create: bool) -> tuple[Plan | None, Deployment]:
    """Have the newest set as it should be: a plan if that takes another look, and the Deployment as it is to be."""
    deployment = observed.deployment
    revision = max((revisions.revision_of(rs) for rs in sets.old), default=0) + 1
    new = sets.new
    if new is None:
        return (_create(observed, sets, revision) if create else None), deployment
    annotations = revisions.new_annotations(deployment, new.metadata.annotations, revision, exists=True)
    seconds = deployment.spec.min_ready_seconds or 0
    if annotations != new.metadata.annotations or (new.spec.min_ready_seconds or 0) != seconds:
        body: dict[str, Any] = {"metadata": {"uid": new.metadata.uid, "annotations": annotations}}
        body["spec"] = {"minReadySeconds": seconds}
        return Plan(actions=(Patch(kind=ReplicaSet, key=_key(new), body=body),)), deployment
    deployment = _with_revision(deployment, new.metadata.annotations.get(revisions.REVISION, ""))
    known = deployment.status.conditions
    if status_of.has_deadline(deployment) and conditions.find(known, status_of.PROGRESSING) is None:
        text = f'Found new replica set "{new.metadata.name}"'
        found = status_of.condition(status_of.PROGRESSING, "True", "FoundNewReplicaSet", text, observed.now)
        status = structs.replace(deployment.status, conditions=status_of.put(known, found))
        deployment = structs.replace(deployment, status=status)
    return None, deployment


def _create(observed: Observed, sets: _Sets, revision: int) -> Plan:
    deployment = observed.deployment
    new = revisions.make_new(deployment, sets.old, revision)
    name, count = new.metadata.name, replicas_of(new)
    told = None
    if count:
        text = f"Scaled up replica set {name} from 0 to {count}"
        told = Told(about=deployment, reason="ScalingReplicaSet", message=text)

    def after(outcome: Outcome) -> Plan:
        error = outcome.error
        if error is None:
            text = f'Created new replica set "{name}"'
            return _note_new(observed, "True", "NewReplicaSetCreated", text, revision)
        if error.is_already_exists:
            return Plan(actions=(Read(kind=ReplicaSet, key=_key(new)),), then=settle, handled=True)
        if error.has_cause("NamespaceTerminating"):
            return Plan(handled=True)
        text = f'Failed to create new replica set "{name}": {error.message}'
        event = Emit(about=deployment, type="Warning", reason="ReplicaSetCreateError", message=text)
        noted = _note_new(observed, "False", "ReplicaSetCreateError", text, None)
        return Plan(actions=(event, *noted.actions))

    def settle(outcome: Outcome) -> Plan:
        """Somebody has the name: it is ours and the cache is behind, or the hash collides."""
        if outcome.error is not None:
            return Plan()
        there: ReplicaSet = outcome.results[0]
        reference = controller_of(there)
        ours = reference is not None and reference.uid == deployment.metadata.uid
        if ours and revisions.same_template(there.spec.template, deployment.spec.template):
            return Plan(requeue_after=1.0)
        status = structs.replace(deployment.status, collision_count=(deployment.status.collision_count or 0) + 1)
        return Plan(actions=(_status_update(structs.replace(deployment, status=status)),), requeue_after=0.0)

    return Plan(actions=(Create(obj=new, told=told),), then=after)


def _note_new(observed: Observed, status: str, reason: str, text: str, revision: int | None) -> Plan:
    """Write down how the making of the newest set went."""
    deployment = observed.deployment
    noted = deployment if revision is None else _with_revision(deployment, str(revision))
    if status_of.has_deadline(deployment):
        progress = status_of.condition(status_of.PROGRESSING, status, reason, text, observed.now)
        known = status_of.put(noted.status.conditions, progress)
        noted = structs.replace(noted, status=structs.replace(noted.status, conditions=known))
    return Plan(actions=() if noted == deployment else (_status_update(noted),))


def _with_revision(deployment: Deployment, revision: str) -> Deployment:
    if deployment.metadata.annotations.get(revisions.REVISION) == revision:
        return deployment
    annotations = {**deployment.metadata.annotations, revisions.REVISION: revision}
    return structs.replace(deployment, metadata=structs.replace(deployment.metadata, annotations=annotations))


# Scaling


def _is_scaled(deployment: Deployment, sets: _Sets) -> bool:
    """Whether the Deployment's size changed since its sets noted it."""
    wanted = replicas_of(deployment)
    noted = (rollout.number(rs, rollout.DESIRED) for rs in sets.active(sets.all))
    return any(number is not None and number != wanted for number in noted)


def _scale(observed: Observed, sets: _Sets) -> Plan:
    """Give the sets that have pods their share of a new size, without moving on with the rollout."""
    again, deployment = _with_new(observed, sets, create=False)
    if again is not None:
        return again
    wanted = replicas_of(deployment)
    active = sets.active(sets.all)
    if len(active) <= 1:
        only = active[0] if active else sets.new or (sets.old[-1] if sets.old else None)
        if only is not None:
            # A set that has the right size already, by whatever way, still notes it, or the rollout would never go on.
            _ = sets.scale(only, wanted) if _is_scaled(deployment, sets) else sets.resize(only, wanted)
    elif rollout.is_saturated(deployment, sets.new):
        for rs in sets.active(sets.old):
            sets.resize(rs, 0)
    elif rollout.is_rolling(deployment):
        for name, count in rollout.proportional(deployment, active).items():
            sets.scale(sets.by_name[name], count)
    if deployment.spec.paused:
        _clean_up(deployment, sets)
    return _finish(observed, sets, deployment, rolling=False)


def _roll(observed: Observed, sets: _Sets) -> Plan:
    """One step of a rolling update: up with the new, or else down with the old."""
    again, deployment = _with_new(observed, sets, create=True)
    if again is not None:
        return again
    new = sets.new
    assert new is not None
    wanted = replicas_of(deployment)
    if replicas_of(new) > wanted:
        moved = sets.resize(new, wanted)
    else:
        moved = sets.resize(new, rollout.new_set_replicas(deployment, sets.all, new))
    if not moved and not _scale_down_old(deployment, sets) and status_of.is_complete(deployment, deployment.status):
        _clean_up(deployment, sets)
    return _finish(observed, sets, deployment, rolling=True)


def _scale_down_old(deployment: Deployment, sets: _Sets) -> bool:
    """Take pods from old sets, unhealthy ones first, as far as enough stay available."""
    if rollout.total(sets.old) == 0:
        return False
    new = sets.new
    least = replicas_of(deployment) - rollout.max_unavailable(deployment)
    not_ready = 0 if new is None else replicas_of(new) - (new.status.available_replicas or 0)
    room = rollout.total(sets.all) - least - not_ready
    if room <= 0:
        return False
    moved = 0
    for rs in sets.active(sets.old):
        idle = replicas_of(rs) - (rs.status.available_replicas or 0)
        step = min(room - moved, idle)
        if step > 0:
            sets.resize(rs, replicas_of(rs) - step)
            moved += step
    spare = rollout.available(sets.all) - least
    taken = 0
    for rs in sets.active(sets.old):
        step = min(replicas_of(rs), spare - taken)
        if step > 0:
            sets.resize(rs, replicas_of(rs) - step)
            taken += step
    return moved + taken > 0


def _recreate(observed: Observed, sets: _Sets) -> Plan:
    """Everything old down to the last pod, and only then anything new."""
    again, deployment = _with_new(observed, sets, create=False)
    if again is not None:
        return again
    active = sets.active(sets.old)
    if active:
        for rs in active:
            sets.resize(rs, 0)
        return _finish(observed, sets, deployment, rolling=True)
    new = sets.new
    if observed.running - ({new.metadata.uid} if new is not None else set()):
        return _finish(observed, sets, deployment, rolling=True)
    if new is None:
        again, deployment = _with_new(observed, sets, create=True)
        assert again is not None
        return again
    sets.resize(new, replicas_of(deployment))
    if status_of.is_complete(deployment, deployment.status):
        _clean_up(deployment, sets)
    return _finish(observed, sets, deployment, rolling=True)


# The end of every plan


def _clean_up(deployment: Deployment, sets: _Sets) -> None:
    """Delete the oldest sets beyond the history that is wanted."""
    limit = deployment.spec.revision_history_limit
    if limit is None or limit == _NO_LIMIT:
        return
    candidates = [rs for rs in sets.old if rs.metadata.deletion_timestamp is None]
    candidates.sort(key=lambda rs: (revisions.revision_of(rs), rollout.created(rs)))
    for rs in candidates[: max(0, len(candidates) - limit)]:
        behind = rs.metadata.generation > (rs.status.observed_generation or 0)
        if not rs.status.replicas and not replicas_of(rs) and not behind:
            sets.actions.append(Delete(kind=ReplicaSet, key=_key(rs), uid=rs.metadata.uid))


def _finish(observed: Observed, sets: _Sets, deployment: Deployment, *, rolling: bool) -> Plan:
    """The planned actions, then the status if it is another one."""
    make = status_of.with_progress if rolling else status_of.calculate
    status = make(deployment, sets.all, sets.new, observed.now)
    final = structs.replace(deployment, status=status)
    if final != observed.deployment:
        return Plan(actions=(*sets.actions, _status_update(final)))
    again = status_of.deadline_in(deployment, status, observed.now) if rolling else None
    return Plan(actions=tuple(sets.actions), requeue_after=again)


def _status_update(deployment: Deployment) -> Update:
    return Update(obj=deployment, subresource="status")


def _key(obj: Deployment | ReplicaSet) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def _selector(deployment: Deployment) -> Selector:
    return selectors.compile_selector(deployment.spec.selector)


class Deployments:
    """The Deployment controller."""

    name = "deployment-controller"
    component = "deployment-controller"
    workers = 5

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Deployment, keys=own_key, indexes=(by_selector(_selector),)),
            Source(kind=ReplicaSet, keys=self._keys_of_set, indexes=(BY_OWNER,)),
            Source(kind=Pod, change=self._keys_of_pod, indexes=(BY_OWNER,)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [_key(deployment) for deployment in caches.list(Deployment)]

    def _keys_of_set(self, rs: ReplicaSet, caches: Caches) -> Iterable[str]:
        if controller_of(rs) is not None:
            return owner_key("Deployment")(rs, caches)
        return keys_selecting(caches, Deployment, _selector, rs)

    def _keys_of_pod(self, old: Pod | None, new: Pod | None, caches: Caches) -> Iterable[str]:
        """A pod that is gone may be the last one that a Recreate waits for."""
        if old is None and new is None:
            return ()
        ended = new is None or (pods.is_terminal(new) and (old is None or not pods.is_terminal(old)))
        pod = old if new is None else new
        assert pod is not None
        reference = controller_of(pod)
        if not ended or reference is None or reference.kind != "ReplicaSet":
            return ()
        rs = caches.get(ReplicaSet, f"{pod.metadata.namespace}/{reference.name}")
        owner = None if rs is None else controller_of(rs)
        if owner is None or owner.kind != "Deployment":
            return ()
        deployment = caches.get(Deployment, f"{pod.metadata.namespace}/{owner.name}")
        if deployment is None or rollout.is_rolling(deployment):
            return ()
        return (_key(deployment),)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        deployment = caches.get(Deployment, key)
        if deployment is None:
            return None
        selector = _selector(deployment)
        own = caches.by_index(ReplicaSet, OWNER_INDEX, deployment.metadata.uid)
        orphans = selected_orphans(caches, ReplicaSet, deployment.metadata.namespace, selector)
        running: frozenset[str] = frozenset()
        if not rollout.is_rolling(deployment):
            running = frozenset(
                rs.metadata.uid
                for rs in own
                if any(not pods.is_terminal(pod) for pod in caches.by_index(Pod, OWNER_INDEX, rs.metadata.uid))
            )
        return Observed(deployment=deployment, candidates=(*own, *orphans), running=running, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

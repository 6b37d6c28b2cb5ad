"""DaemonSets: one pod on every node that the scheduler would let it run on, and a new template node by node.

The decisions are here, in the order in which Kubernetes takes them; which nodes count is in `daemon_placement`,
which revision is wanted in `daemon_history`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from kube_actors.api import selectors
from kube_actors.api.selectors import Selector
from kube_actors.api.types.apps_v1 import ControllerRevision, DaemonSet, DaemonSetStatus
from kube_actors.api.types.core_v1 import Node, Pod
from kube_actors.api.types.meta_v1 import LabelSelector

from . import daemon_placement as placing
from . import limits, pods
from .claims import claim
from .contract import (
    BY_OWNER,
    NOTHING,
    OWNER_INDEX,
    Action,
    Batch,
    Caches,
    Delete,
    Emit,
    Outcome,
    Plan,
    Source,
    Update,
    own_key,
    owner_key,
)
from .daemon_history import settle, truncated
from .daemon_placement import ByNode
from .history import REVISION_LABEL
from .selection import by_selector, keys_selecting, selected_orphans


class Observed(Struct, frozen=True, kw_only=True):
    """A DaemonSet, its pods and revisions (and orphans that it may adopt), and all nodes."""

    owner: DaemonSet
    selector: Selector
    candidates: tuple[Pod, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    nodes: tuple[Node, ...] = ()
    spared: Mapping[str, float] = {}
    """Nodes whose failed pods are left alone for now, and for how many seconds more."""
    now: float = 0.0


class Work(Struct, frozen=True):
    """What manage or an update finds to do."""

    missing: tuple[str, ...] = ()
    excess: tuple[Pod, ...] = ()
    events: tuple[Emit, ...] = ()
    failed: tuple[str, ...] = ()
    """Nodes on which a failed pod is to be replaced."""
    wait: float | None = None


class _Round(Struct, frozen=True, kw_only=True):
    """What is known once pods are claimed and the revision settled."""

    observed: Observed
    places: ByNode
    should: Mapping[str, tuple[bool, bool]]
    digest: str
    old: tuple[ControllerRevision, ...]

    @property
    def owner(self) -> DaemonSet:
        return self.observed.owner

    def is_available(self, pod: Pod) -> bool:
        return pods.is_available(pod, self.owner.spec.min_ready_seconds or 0, self.observed.now)

    def is_updated(self, pod: Pod) -> bool:
        return placing.is_updated(pod, self.digest, placing.generation_of(self.owner))

    @property
    def surges(self) -> bool:
        return placing.max_surge(self.owner, 1) > 0


def plan(observed: Observed) -> Plan:
    """Adopt and release; settle the revision; then pods, node by node; then the status."""
    owner = observed.owner
    if owner.spec.selector == LabelSelector():
        text = "This daemon set is selecting all pods. A non-empty selector is required."
        return Plan(actions=(Emit(about=owner, type="Warning", reason="SelectingAll", message=text),))
    if owner.metadata.deletion_timestamp:
        return NOTHING
    revisions = claim(owner, observed.selector, observed.revisions)
    owned = claim(owner, observed.selector, observed.candidates)
    if revisions.actions or owned.actions:
        return Plan(actions=(*revisions.actions, *owned.actions))

    def go_on(digest: str, old: tuple[ControllerRevision, ...]) -> Plan:
        return _manage(observed, owned.owned, digest, old)

    return settle(owner, owned.owned, revisions.owned, go_on)


def _manage(observed: Observed, owned: Sequence[Pod], digest: str, old: tuple[ControllerRevision, ...]) -> Plan:
    owner = observed.owner
    wishes = placing.placement(owner)
    should = {node.metadata.name: wishes.decide(node) for node in observed.nodes}
    now = _Round(observed=observed, places=placing.by_node(owned), should=should, digest=digest, old=old)
    work = to_manage(now)
    strategy = owner.spec.update_strategy
    if not work.missing and not work.excess and strategy is not None and strategy.type == "RollingUpdate":
        update = _surge(now) if placing.max_surge(owner, _desired(now)) else _replace(now)
        work = structs.replace(work, missing=update.missing, excess=update.excess)
    return _carry_out(now, work)


def to_manage(now: _Round) -> Work:
    """Pods that nodes lack, and pods that are too many, on the wrong node, or ended."""
    missing: list[str] = []
    excess: list[Pod] = []
    events: list[Emit] = []
    failed: list[str] = []
    waits: list[float] = []
    for node, (run, go_on) in now.should.items():
        there = now.places.get(node, ())
        if not there:
            if run:
                missing.append(node)
            continue
        if not go_on:
            excess += [pod for pod in there if pod.metadata.deletion_timestamp is None]
            continue
        running: list[Pod] = []
        for pod in there:
            if pod.metadata.deletion_timestamp is not None:
                continue
            if pod.status.phase == "Failed":
                if node in now.observed.spared:
                    waits.append(now.observed.spared[node])
                    continue
                failed.append(node)
            if not pods.is_terminal(pod):
                running.append(pod)
                continue
            events.append(_ended(now.owner, pod, node))
            excess.append(pod)
        if now.surges:
            if not running and run:
                missing.append(node)
            excess += _beyond_surge(now, running)
        else:
            excess += running[1:]
    excess += [
        pod
        for node, several in now.places.items()
        if node not in now.should
        for pod in several
        if not pod.spec.node_name and pod.metadata.deletion_timestamp is None
    ]
    wait = min(waits) if waits else None
    return Work(tuple(missing), tuple(excess), tuple(events), tuple(failed), wait)


def _ended(owner: DaemonSet, pod: Pod, node: str) -> Emit:
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if pod.status.phase == "Failed":
        text = f"Found failed daemon pod {name} on node {node}, will try to kill it"
        return Emit(about=owner, type="Warning", reason="FailedDaemonPod", message=text)
    text = f"Found succeeded daemon pod {name} on node {node}, will try to delete it"
    return Emit(about=owner, reason="SucceededDaemonPod", message=text)


def _beyond_surge(now: _Round, running: Sequence[Pod]) -> list[Pod]:
    """With surge a node may have two pods, as long as the old one serves and the new one does not yet."""
    if len(running) <= 1:
        return []
    new = [pod for pod in running if pod.metadata.labels.get(REVISION_LABEL) == now.digest]
    old = [pod for pod in running if pod.metadata.labels.get(REVISION_LABEL) != now.digest]
    excess = [pod for pod in running if pod not in (*new[:1], *old[:1])]
    if new and old and (not pods.is_ready(old[0]) or now.is_available(new[0])):
        excess.append(old[0])
    return excess


# Updates


def _desired(now: _Round) -> int:
    return sum(run for run, _ in now.should.values())


def _places(now: _Round) -> dict[str, Sequence[Pod]]:
    """The nodes that have pods, and those that should."""
    return {**now.places, **{node: now.places.get(node, ()) for node, (run, _) in now.should.items() if run}}


def _old_and_new(now: _Round, there: Sequence[Pod]) -> tuple[Pod | None, Pod | None, bool]:
    """The old and the new pod of a node; whether there is no more than one of each."""
    staying = [pod for pod in there if pod.metadata.deletion_timestamp is None]
    new = [pod for pod in staying if now.is_updated(pod)]
    old = [pod for pod in staying if not now.is_updated(pod)]
    clear = len(new) <= 1 and len(old) <= 1
    return (old[0] if old else None), (new[0] if new else None), clear


def _replace(now: _Round) -> Work:
    """Old pods that may go now: unavailable ones at once, others as far as enough nodes stay served."""
    allowed: list[Pod] = []
    candidates: list[Pod] = []
    unserved = 0
    limit = placing.max_unavailable(now.owner, _desired(now))
    for there in _places(now).values():
        old, new, clear = _old_and_new(now, there)
        if not clear or (old is None) == (new is None):
            unserved += 1  # nothing here, or more than one: managing mends it
        elif new is not None:
            unserved += not now.is_available(new)
        elif old is not None and not now.is_available(old):
            allowed.append(old)
            unserved += 1
        elif old is not None and unserved < limit:
            candidates.append(old)
    return Work(excess=(*allowed, *candidates[: max(0, limit - unserved)]))


def _surge(now: _Round) -> Work:
    """Nodes that get a new pod beside the old one, and old pods whose successor serves."""
    desired = _desired(now)
    limit = placing.max_surge(now.owner, desired)
    leaving: list[Pod] = []
    misplaced: list[Pod] = []
    allowed: list[str] = []
    candidates: list[str] = []
    surging = available = 0
    for node, there in _places(now).items():
        old, new, clear = _old_and_new(now, there)
        if not clear:
            surging += 1
            continue
        if old is None:
            available += new is not None and now.is_available(new)
        elif new is None:
            serves = now.is_available(old)
            available += serves
            if not now.should.get(node, (False, False))[0]:
                misplaced.append(old)
            elif not serves:
                allowed.append(node)
            elif surging < limit:
                candidates.append(node)
        elif now.is_available(new):
            available += 1
            leaving.append(old)
        else:
            available += now.is_available(old)
            surging += 1
    # A pod on a node that is no longer meant for it goes once another one serves in its place.
    leaving += misplaced[: max(0, available - desired)]
    return Work(missing=(*allowed, *candidates[: max(0, limit - surging)]), excess=tuple(leaving))


# The end of every plan


def _carry_out(now: _Round, work: Work) -> Plan:
    """Creations, then deletions whatever came of them; then the status; then old revisions, if all went well."""
    owner = now.owner
    told = pods.creation_told(owner)
    creations = [placing.creation(owner, node, now.digest, told) for node in work.missing[: limits.BURST_DAEMONS]]
    deletions: list[Delete] = [pods.deletion(owner, pod) for pod in work.excess[: limits.BURST_DAEMONS]]

    def removed(outcome: Outcome) -> Plan:
        gone = NOTHING if outcome.error is None else Plan(handled=outcome.error.has_cause("NamespaceTerminating"))
        fine = outcome.error is None
        if not deletions:
            return structs.replace(_report(now, work, fine=fine), handled=gone.handled)
        return Plan(
            actions=(Batch(actions=tuple(deletions)),),
            then=lambda later: _report(now, work, fine=fine and later.error is None),
            handled=gone.handled,
        )

    actions: list[Action] = list(work.events)
    if creations:
        actions.append(Batch(actions=tuple(creations), slow_start=True))
    return Plan(actions=tuple(actions), then=removed) if actions else removed(Outcome())


def _report(now: _Round, work: Work, *, fine: bool) -> Plan:
    owner = now.owner
    status = calculate(now)
    actions: list[Action] = []
    behind = (owner.status.observed_generation or 0) < owner.metadata.generation
    if behind or _figures(status) != _figures(owner.status):
        actions.append(Update(obj=structs.replace(owner, status=status), subresource="status"))
    if fine:
        live = {pod.metadata.labels.get(REVISION_LABEL, "") for several in now.places.values() for pod in several}
        actions += truncated(owner, now.old, live)
    seconds = owner.spec.min_ready_seconds or 0
    everyone = [pod for several in now.places.values() for pod in several] if seconds else []
    waits = [pods.available_in(pod, seconds, now.observed.now) or 0.0 for pod in everyone]
    left = [wait + 0.001 for wait in waits if wait > 0.0]
    left += [] if work.wait is None else [work.wait]
    return Plan(actions=tuple(actions), requeue_after=min(left) if left else None)


def calculate(now: _Round) -> DaemonSetStatus:
    desired = current = misplaced = ready = available = updated = 0
    for node, (run, _) in now.should.items():
        there = now.places.get(node, ())
        if not run:
            misplaced += bool(there)
            continue
        desired += 1
        if not there:
            continue
        current += 1
        ready += pods.is_ready(there[0])
        available += now.is_available(there[0])
        updated += now.is_updated(there[0])
    return structs.replace(
        now.owner.status,
        observed_generation=now.owner.metadata.generation or None,
        desired_number_scheduled=desired,
        current_number_scheduled=current,
        number_misscheduled=misplaced,
        number_ready=ready,
        updated_number_scheduled=updated or None,
        number_available=available or None,
        number_unavailable=desired - available or None,
    )


def _figures(status: DaemonSetStatus) -> tuple[int, ...]:
    return (
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_misscheduled,
        status.number_ready,
        status.updated_number_scheduled or 0,
        status.number_available or 0,
        status.number_unavailable or 0,
    )


def _selector(owner: DaemonSet) -> Selector:
    return selectors.compile_selector(owner.spec.selector)


class _Spared(Struct, frozen=True):
    """Since when, and for how long, a node's failed pod is left alone."""

    since: float
    seconds: float


class DaemonSets:
    """The DaemonSet controller. Besides the caches it knows how often pods failed on a node of late."""

    name = "daemonset-controller"
    component = "daemonset-controller"
    workers = 2

    def __init__(self) -> None:
        self._spared: dict[tuple[str, int, str], _Spared] = {}

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=DaemonSet, keys=own_key, indexes=(by_selector(_selector),)),
            Source(kind=Pod, keys=self._keys, indexes=(BY_OWNER,)),
            Source(kind=ControllerRevision, keys=self._keys, indexes=(BY_OWNER,)),
            Source(kind=Node, change=self._keys_of_node),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{owner.metadata.namespace}/{owner.metadata.name}" for owner in caches.list(DaemonSet)]

    def _keys(self, obj: Pod | ControllerRevision, caches: Caches) -> Iterable[str]:
        if any(reference.controller for reference in obj.metadata.owner_references):
            return owner_key("DaemonSet")(obj, caches)
        return keys_selecting(caches, DaemonSet, _selector, obj)

    def _keys_of_node(self, old: Node | None, new: Node | None, caches: Caches) -> Iterable[str]:
        """The sets for which a node becomes, or ceases to be, one of theirs. Of one that vanishes its pods tell."""
        if new is None or (old is not None and _face(old) == _face(new)):
            return ()
        found = []
        for owner in caches.list(DaemonSet):
            wishes = placing.placement(owner)
            if (wishes.decide(old) if old is not None else (False, False)) != wishes.decide(new):
                found.append(f"{owner.metadata.namespace}/{owner.metadata.name}")
        return found

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        owner = caches.get(DaemonSet, key)
        if owner is None:
            return None
        selector, namespace, uid = _selector(owner), owner.metadata.namespace, owner.metadata.uid
        return Observed(
            owner=owner,
            selector=selector,
            candidates=(
                *caches.by_index(Pod, OWNER_INDEX, uid),
                *selected_orphans(caches, Pod, namespace, selector),
            ),
            revisions=(
                *caches.by_index(ControllerRevision, OWNER_INDEX, uid),
                *selected_orphans(caches, ControllerRevision, namespace, selector),
            ),
            nodes=tuple(caches.list(Node)),
            spared=self._spared_nodes(owner, now),
            now=now,
        )

    def plan(self, observed: Observed) -> Plan:
        return self._noting(observed, plan(observed))

    # Failed pods come back ever more slowly

    def _spared_nodes(self, owner: DaemonSet, now: float) -> dict[str, float]:
        if not self._spared:
            return {}
        mine = (owner.metadata.uid, owner.metadata.generation)
        return {
            node: entry.since + entry.seconds - now
            for (uid, generation, node), entry in self._spared.items()
            if (uid, generation) == mine and now < entry.since + entry.seconds
        }

    def _noting(self, observed: Observed, made: Plan) -> Plan:
        """The plan itself; the nodes whose failed pods it replaces are remembered."""
        owner, now = observed.owner, observed.now
        failed = [
            action.message.rpartition(" on node ")[2].removesuffix(", will try to kill it")
            for action in made.actions
            if isinstance(action, Emit) and action.reason == "FailedDaemonPod"
        ]
        if failed:
            horizon = 2 * limits.FAILED_DAEMON_MAX_SECONDS
            self._spared = {key: entry for key, entry in self._spared.items() if now - entry.since <= horizon}
        for node in failed:
            key = (owner.metadata.uid, owner.metadata.generation, node)
            known = self._spared.get(key)
            seconds = limits.FAILED_DAEMON_SECONDS if known is None else known.seconds * 2
            self._spared[key] = _Spared(now, min(seconds, limits.FAILED_DAEMON_MAX_SECONDS))
        rest = made.then
        return made if rest is None else structs.replace(made, then=lambda out: self._noting(observed, rest(out)))


def _face(node: Node) -> tuple[object, ...]:
    """What of a node is seen in placement."""
    return node.metadata.labels, node.spec.taints

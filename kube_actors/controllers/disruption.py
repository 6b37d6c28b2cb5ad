"""PodDisruptionBudgets: their status says how many more pods may be evicted, and the Eviction API counts it down.

Pure but for one question to the server: how many replicas a controller wants that is none of the built-in ones (its
scale sub-resource). Never evicts anybody itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import conditions
from kube_actors.api.owners import controller_of, group_of
from kube_actors.api.selectors import compile_selector
from kube_actors.api.time import format_time, parse_time
from kube_actors.api.types.apps_v1 import Deployment, ReplicaSet, StatefulSet
from kube_actors.api.types.core_v1 import Pod, PodCondition, ReplicationController
from kube_actors.api.types.meta_v1 import Condition, OwnerReference
from kube_actors.api.types.policy_v1 import PodDisruptionBudget

from . import limits
from .budgets import Numbers, needs_scale, numbers, selector_text, still_disrupted
from .contract import Action, Caches, Call, Emit, Outcome, Patch, Plan, Source, Update, own_key
from .membership import pods_of
from .scales import NoScale, scale_of

ALLOWED = "DisruptionAllowed"
TARGET = "DisruptionTarget"
_STALE = "stale/"
"""Keys of pods that were to be disrupted and are still there: their mark is taken back after a while."""

_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
    "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these "
    'pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class Observed(Struct, frozen=True, kw_only=True):
    """scales: uid to wanted replicas of the built-in controllers; foreign: those the server must be asked about."""

    budget: PodDisruptionBudget
    pods: tuple[Pod, ...]
    scales: dict[str, int]
    foreign: tuple[OwnerReference, ...]
    unmanaged: bool
    lost: str
    """The name of a pod whose controller is not there, "" when there is none."""
    now: float
    came_early: bool = False
    """It is new, and when it came there was no pod for it; by now there may be."""


class ObservedMark(Struct, frozen=True, kw_only=True):
    """A pod with the condition DisruptionTarget that nobody has begun to delete."""

    pod: Pod
    condition: PodCondition
    now: float


def plan_budget(observed: Observed) -> Plan:
    budget = observed.budget
    begin: list[Action] = []
    if not observed.pods or observed.came_early:
        begin.append(Emit(about=budget, reason="NoPods", message="No matching pods found"))
    if not needs_scale(budget):
        return _with_status(observed, 0, begin)
    if observed.lost:
        return _failed(observed, f'found no controllers for pod "{observed.lost}"', begin)
    if observed.unmanaged:
        text = _UNMANAGED.replace("{selector}", selector_text(budget.spec.selector))
        begin.append(Emit(about=budget, type="Warning", reason="UnmanagedPods", message=text))
    expected = sum(observed.scales.values())
    if not observed.foreign:
        return _with_status(observed, expected, begin)
    asks = tuple(Call(name="scale", ask=_asking(ref, budget.metadata.namespace)) for ref in observed.foreign)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            rest = _failed(observed, outcome.error.message, [])
            return structs.replace(rest, handled=True)
        answers = outcome.results[len(begin) :]
        for answer in answers:
            if isinstance(answer, NoScale):
                return _failed(observed, answer.text, [])
        return _with_status(observed, expected + sum(answers), [])

    return Plan(actions=(*begin, *asks), then=then)


def _asking(reference: OwnerReference, namespace: str) -> Callable[[Any], Any]:
    return lambda client: scale_of(client, reference, namespace)


def _with_status(observed: Observed, expected: int, begin: list[Action]) -> Plan:
    """Write what the numbers are, if the status does not say so yet."""
    budget = observed.budget
    disrupted = still_disrupted(budget, observed.pods, observed.now)
    for pod in disrupted.overdue:
        where = f"{budget.metadata.namespace}/{budget.metadata.name}"
        text = f"Pod was expected by PDB {where} to be deleted but it wasn't"
        begin.append(Emit(about=pod, type="Warning", reason="NotDeleted", message=text))
    found = numbers(budget, observed.pods, expected, disrupted.waited_for)
    wanted = structs.replace(
        budget.status,
        expected_pods=found.expected,
        desired_healthy=found.desired,
        current_healthy=found.current,
        disruptions_allowed=found.allowed,
        disrupted_pods=disrupted.waited_for,
        observed_generation=budget.metadata.generation,
        conditions=conditions.set_condition(
            budget.status.conditions, _condition(budget, found), format_time(observed.now)
        ),
    )
    if wanted != budget.status:
        begin.append(Update(obj=structs.replace(budget, status=wanted), subresource="status"))
    return Plan(actions=tuple(begin), requeue_after=disrupted.look_in)


def _condition(budget: PodDisruptionBudget, found: Numbers) -> Condition:
    allowed = found.allowed > 0
    return Condition(
        type=ALLOWED,
        status="True" if allowed else "False",
        reason="SufficientPods" if allowed else "InsufficientPods",
        message="",
        last_transition_time="",
        observed_generation=budget.metadata.generation,
    )


def _failed(observed: Observed, why: str, begin: list[Action]) -> Plan:
    """Nothing may be evicted while it is not known how many pods there should be; tried again after a while."""
    budget = observed.budget
    text = f"Failed to calculate the number of expected pods: {why}"
    begin.append(Emit(about=budget, type="Warning", reason="CalculateExpectedPodCountFailed", message=text))
    condition = Condition(
        type=ALLOWED,
        status="False",
        reason="SyncFailed",
        message=why,
        last_transition_time="",
        observed_generation=budget.metadata.generation,
    )
    now = format_time(observed.now)
    wanted = structs.replace(
        budget.status,
        disruptions_allowed=0,
        conditions=conditions.set_condition(budget.status.conditions, condition, now),
    )
    if wanted != budget.status:
        begin.append(Update(obj=structs.replace(budget, status=wanted), subresource="status"))
    return Plan(actions=tuple(begin), requeue_after=limits.BUDGET_RETRY_SECONDS)


def plan_mark(observed: ObservedMark) -> Plan:
    """Take back a mark that came to nothing."""
    marked = observed.condition.last_transition_time
    left = (parse_time(marked) if marked else observed.now) + limits.EVICTION_PATIENCE_SECONDS - observed.now
    if left > 0:
        return Plan(requeue_after=left)
    pod = observed.pod
    now = format_time(observed.now)
    condition = {"type": TARGET, "status": "False", "lastTransitionTime": now, "reason": None, "message": None}
    body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
    key = f"{pod.metadata.namespace}/{pod.metadata.name}"
    action = Patch(kind=Pod, key=key, body=body, patch_type="strategic", subresource="status", tolerate=("NotFound",))
    return Plan(actions=(action,))


def _mark_of(pod: Pod) -> PodCondition | None:
    """The mark that may turn out to be stale."""
    condition = conditions.find(pod.status.conditions, TARGET)
    if condition is None or condition.status != "True" or pod.metadata.deletion_timestamp is not None:
        return None
    return None if pod.status.phase in ("Succeeded", "Failed") else condition


def _keys_of_pod(pod: Pod, caches: Caches) -> list[str]:
    """The budgets that select a pod, and the pod itself while it is marked."""
    namespace = pod.metadata.namespace
    keys = [f"{_STALE}{namespace}/{pod.metadata.name}"] if _mark_of(pod) is not None else []
    labels = pod.metadata.labels
    for value in (f"{namespace}/", *(f"{namespace}/{key}={value}" for key, value in labels.items())):
        for budget in caches.by_index(PodDisruptionBudget, _BY_LABEL[0], value):
            if compile_selector(budget.spec.selector).matches(labels):
                keys.append(f"{namespace}/{budget.metadata.name}")
    return keys


def _one_label(budget: PodDisruptionBudget) -> tuple[str, ...]:
    """One label that every pod of a budget has, or the namespace alone: where a pod's change looks for its budgets."""
    wanted = budget.spec.selector
    exact = wanted.match_labels if wanted is not None else {}
    key = min(exact, default="")
    return (f"{budget.metadata.namespace}/{key}={exact[key]}" if key else f"{budget.metadata.namespace}/",)


_BY_LABEL = ("selector", _one_label)


class Disruptions:
    """The disruption controller."""

    name = "disruption-controller"
    component = "controllermanager"
    workers = 1

    def __init__(self) -> None:
        self._early: set[str] = set()

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=PodDisruptionBudget, change=self._keys_of_budget, indexes=(_BY_LABEL,)),
            Source(kind=Pod, keys=_keys_of_pod, indexes=(pods_of.index,)),
            Source(kind=Deployment),
            Source(kind=ReplicaSet),
            Source(kind=ReplicationController),
            Source(kind=StatefulSet),
        )

    def _keys_of_budget(
        self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None, caches: Caches
    ) -> Iterable[str]:
        """A new budget is told at once whether it found pods: its turn may come when a rollout has made them."""
        if new is None:
            if old is not None:
                self._early.discard(old.metadata.uid)
            return ()
        if old is None and not _selected(new, caches):
            self._early.add(new.metadata.uid)
        return own_key(new, caches)

    def initial(self, caches: Caches) -> Iterable[str]:
        for budget in caches.list(PodDisruptionBudget):
            yield f"{budget.metadata.namespace}/{budget.metadata.name}"
        for pod in caches.list(Pod):
            if _mark_of(pod) is not None:
                yield f"{_STALE}{pod.metadata.namespace}/{pod.metadata.name}"

    def observe(self, key: str, caches: Caches, now: float) -> Observed | ObservedMark | None:
        if key.startswith(_STALE):
            pod = caches.get(Pod, key.removeprefix(_STALE))
            condition = None if pod is None else _mark_of(pod)
            return None if pod is None or condition is None else ObservedMark(pod=pod, condition=condition, now=now)
        budget = caches.get(PodDisruptionBudget, key)
        if budget is None or budget.metadata.deletion_timestamp is not None:
            return None
        observed = _observe_scales(budget, _selected(budget, caches), caches, now)
        if budget.metadata.uid not in self._early:
            return observed
        self._early.discard(budget.metadata.uid)
        return structs.replace(observed, came_early=True)

    def plan(self, observed: Observed | ObservedMark) -> Plan:
        return plan_mark(observed) if isinstance(observed, ObservedMark) else plan_budget(observed)


def _selected(budget: PodDisruptionBudget, caches: Caches) -> tuple[Pod, ...]:
    return pods_of(caches, budget.metadata.namespace, compile_selector(budget.spec.selector))


def _observe_scales(budget: PodDisruptionBudget, selected: tuple[Pod, ...], caches: Caches, now: float) -> Observed:
    scales: dict[str, int] = {}
    foreign: dict[str, OwnerReference] = {}
    unmanaged, lost = False, ""
    for pod in selected:
        reference = controller_of(pod)
        if reference is None:
            unmanaged = True
        elif (group_of(reference), reference.kind) not in _BUILT_IN:
            foreign[reference.uid] = reference
        elif reference.uid not in scales:
            found = _built_in_scale(reference, pod.metadata.namespace, caches)
            if found is None:
                lost = lost or pod.metadata.name
            else:
                scales[found[0]] = found[1]
    return Observed(
        budget=budget,
        pods=selected,
        scales=scales,
        foreign=tuple(foreign.values()),
        unmanaged=unmanaged,
        lost=lost,
        now=now,
    )


_BUILT_IN: dict[tuple[str, str], type[Any]] = {
    ("", "ReplicationController"): ReplicationController,
    ("apps", "ReplicaSet"): ReplicaSet,
    ("apps", "StatefulSet"): StatefulSet,
    ("apps", "Deployment"): Deployment,
}


def _built_in_scale(reference: OwnerReference, namespace: str, caches: Caches) -> tuple[str, int] | None:
    """The uid of the topmost controller and the replicas it wants; None when it is not there."""
    owner = caches.get(_BUILT_IN[group_of(reference), reference.kind], f"{namespace}/{reference.name}")
    if owner is None or owner.metadata.uid != reference.uid:
        return None
    above = controller_of(owner)
    if above is not None and (group_of(above), above.kind) == ("apps", "Deployment"):
        return _built_in_scale(above, namespace, caches)
    replicas = owner.spec.replicas
    return owner.metadata.uid, 1 if replicas is None else replicas

"""DefaultPreemption: when no node is feasible, whether pods of lower priority should make room, and which.

Owns the dry run: for each node that might help, the smallest set of victims, then the node where they are missed
least. It evicts nobody; the actor does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from kube_actors.api import selectors
from kube_actors.api.time import parse_time
from kube_actors.scheduler.cycle import fits
from kube_actors.scheduler.diagnosis import Diagnosis
from kube_actors.scheduler.framework import Code, CycleState, Nomination, Profile, Verdict, unresolvable, unschedulable
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

NAME = "DefaultPreemption"
NOT_HELPFUL = unresolvable(NAME, "Preemption is not helpful for scheduling")
NO_VICTIMS = Verdict(Code.UNRESOLVABLE, ("No preemption victims found for incoming pod",))

MIN_CANDIDATES = 100
MIN_CANDIDATES_PERCENT = 10
"""How many nodes with victims end the search in a large cluster."""

_OFFSET = 2**31
"""Added to every priority, so that few pods of a low priority are not preferred over more of them."""


class Candidate(Struct, frozen=True):
    """What a node would cost: victims, most important first, and how many disruption budgets are violated."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int


class DefaultPreemption:
    name = NAME

    def post_filter(
        self,
        profile: Profile,
        state: CycleState,
        pod: PodInfo,
        snapshot: Snapshot,
        refused: Mapping[str, Verdict],
    ) -> Nomination | Verdict:
        obstacle = ineligible(pod, snapshot, refused)
        if obstacle:
            return unschedulable(NAME, f"preemption: {obstacle}")
        candidates, failures = dry_run(profile, state, pod, snapshot, refused)
        best = pick(candidates)
        if best is None:
            diagnosis = Diagnosis(total=len(snapshot.nodes), refused=failures, absent=NOT_HELPFUL)
            return Nomination("", refusal=unschedulable(NAME, f"preemption: {diagnosis.message}"))
        return Nomination(best.node, best.victims, {c.node: c.victims for c in candidates})


def ineligible(pod: PodInfo, snapshot: Snapshot, refused: Mapping[str, Verdict]) -> str:
    """Why the pod may not preempt others, or ""."""
    if pod.pod.spec.preemption_policy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    node = snapshot.nodes.get(pod.nominated_node)
    if node is None:
        return ""
    verdict = refused.get(node.name)
    if verdict is not None and verdict.code is Code.UNRESOLVABLE:
        return ""
    if any(other.priority < pod.priority and _is_preempted(other) for other in node.pods.values()):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _is_preempted(pod: PodInfo) -> bool:
    """On its way out, and because of a preemption."""
    if not pod.terminating:
        return False
    condition = next((c for c in pod.pod.status.conditions if c.type == "DisruptionTarget"), None)
    return condition is not None and condition.status == "True" and condition.reason == "PreemptionByScheduler"


def dry_run(
    profile: Profile, state: CycleState, pod: PodInfo, snapshot: Snapshot, refused: Mapping[str, Verdict]
) -> tuple[list[Candidate], dict[str, Verdict]]:
    """The nodes where preemption would help, and why it would not on those tried in vain."""
    hopeful = [name for name, verdict in refused.items() if verdict.code is Code.UNSCHEDULABLE]
    budgets = list(snapshot.all_of("PodDisruptionBudget").values())
    enough = max(MIN_CANDIDATES, len(hopeful) * MIN_CANDIDATES_PERCENT // 100)
    harmless: list[Candidate] = []
    harmful: list[Candidate] = []
    failures: dict[str, Verdict] = {}
    for name in hopeful:
        found = select_victims(profile, state.copy(), pod, snapshot.nodes[name].copy(), snapshot, budgets)
        if isinstance(found, Verdict):
            failures[name] = found
            continue
        (harmful if found.violations else harmless).append(found)
        if harmless and len(harmless) + len(harmful) >= enough:
            break
    return harmless + harmful, failures


def select_victims(
    profile: Profile, state: CycleState, pod: PodInfo, node: NodeInfo, snapshot: Snapshot, budgets: Sequence[Any]
) -> Candidate | Verdict:
    """The fewest and least important victims of one node. `state` and `node` are copies to play with."""

    def remove(other: PodInfo) -> None:
        node.remove(other.uid)
        for plugin in profile.extensions:
            if plugin.name not in state.skipped_filters:
                plugin.remove_pod(state, pod, other, node, snapshot)

    def add(other: PodInfo) -> None:
        node.add(other)
        for plugin in profile.extensions:
            if plugin.name not in state.skipped_filters:
                plugin.add_pod(state, pod, other, node, snapshot)

    possible = [other for other in node.pods.values() if other.priority < pod.priority]
    if not possible:
        return NO_VICTIMS
    for other in possible:
        remove(other)
    verdict = fits(pod, node, snapshot, profile, state)
    if verdict is not None:
        return verdict
    violating, harmless = by_budgets(by_importance(possible), budgets)
    victims: list[PodInfo] = []
    violations = 0
    for other in (*violating, *harmless):
        add(other)
        if fits(pod, node, snapshot, profile, state) is not None:
            remove(other)
            victims.append(other)
            violations += other in violating
    assert victims, f"{pod.key} fits on {node.name} without victims, yet was refused"
    ordered = by_importance(victims) if violating and harmless else victims
    return Candidate(node.name, tuple(ordered), violations)


def start_of(pod: PodInfo) -> float:
    """When a pod started; one that says nothing counts as started last."""
    text = pod.pod.status.start_time
    return parse_time(text) if text else float("inf")


def by_importance(pods: Sequence[PodInfo]) -> list[PodInfo]:
    """Higher priority first, then running longer. Of those that do not say since when, the one listed last is first:
    Kubernetes compares the moments at which it asks."""

    def key(indexed: tuple[int, PodInfo]) -> tuple[int, float, int]:
        index, pod = indexed
        start = start_of(pod)
        return (-pod.priority, start, -index if start == float("inf") else index)

    return [pod for _, pod in sorted(enumerate(pods), key=key)]


def by_budgets(pods: Sequence[PodInfo], budgets: Sequence[Any]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Pods whose eviction would violate a disruption budget, and the others, both in the order given."""
    compiled = []
    for budget in budgets:
        selector = selectors.compile_selector(budget.spec.selector)
        if not selector.is_everything and not selector.nothing:
            compiled.append((budget, selector))
    left = [budget.status.disruptions_allowed or 0 if budget.status else 0 for budget, _ in compiled]
    violating: list[PodInfo] = []
    harmless: list[PodInfo] = []
    for pod in pods:
        violates = False
        for index, (budget, selector) in enumerate(compiled):
            if not pod.labels or budget.metadata.namespace != pod.namespace or not selector.matches(pod.labels):
                continue
            if pod.name in budget.status.disrupted_pods:
                continue
            left[index] -= 1
            violates = violates or left[index] < 0
        (violating if violates else harmless).append(pod)
    return violating, harmless


def _earliest(candidate: Candidate) -> float:
    top = candidate.victims[0].priority
    return min(start_of(pod) for pod in candidate.victims if pod.priority == top)


_CRITERIA: tuple[Callable[[Candidate], float], ...] = (
    lambda c: c.violations,
    lambda c: c.victims[0].priority,
    lambda c: sum(pod.priority + _OFFSET for pod in c.victims),
    lambda c: len(c.victims),
    lambda c: -_earliest(c),
)


def pick(candidates: Sequence[Candidate]) -> Candidate | None:
    """The node where the victims are missed least; the first of several equal ones."""
    best = leaders(candidates)
    return best[0] if best else None


def leaders(candidates: Sequence[Candidate]) -> list[Candidate]:
    """All candidates that no criterion puts behind another."""
    left = list(candidates)
    for criterion in _CRITERIA:
        if len(left) <= 1:
            break
        least = min(criterion(candidate) for candidate in left)
        left = [candidate for candidate in left if criterion(candidate) == least]
    return left

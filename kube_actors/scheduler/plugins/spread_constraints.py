"""Topology spread constraints in compiled form, a pod's own or the system's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from kube_actors.api import owners, selectors
from kube_actors.api.selectors import Requirement, Selector
from kube_actors.api.tolerations import untolerated
from kube_actors.api.types.core_v1 import Pod, TopologySpreadConstraint
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
HARD = "DoNotSchedule"
SOFT = "ScheduleAnyway"

DEFAULTS = ((HOSTNAME, 3), (ZONE, 5))
"""Topology key and skew of the soft constraints for pods that have none but belong to a Service or a workload."""

_OWNERS = {("v1", "ReplicationController"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet")}


class Constraint(Struct, frozen=True):
    """See TopologySpreadConstraint. min_domains is 1 when there is none."""

    topology_key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honours_affinity: bool = True
    honours_taints: bool = False

    def includes(self, pod: PodInfo, node: NodeInfo) -> bool:
        """Whether pods on this node count."""
        if self.honours_affinity and not pod.node_requirements.allow(node.name, node.labels):
            return False
        return not self.honours_taints or untolerated(node.hard_taints, pod.tolerations) is None


def own_constraints(pod: Pod, when: str) -> list[Constraint]:
    """The constraints that a pod states itself."""
    return [_compile(c, pod) for c in pod.spec.topology_spread_constraints if c.when_unsatisfiable == when]


def _compile(given: TopologySpreadConstraint, pod: Pod) -> Constraint:
    selector = selectors.compile_selector(given.label_selector)
    labels = pod.metadata.labels
    same = [Requirement(k, selectors.IN, (labels[k],)) for k in given.match_label_keys if k in labels]
    if same and not selector.nothing:
        selector = msgspec.structs.replace(selector, requirements=(*selector.requirements, *same))
    return Constraint(
        topology_key=given.topology_key,
        max_skew=given.max_skew,
        selector=selector,
        min_domains=given.min_domains or 1,
        honours_affinity=given.node_affinity_policy != "Ignore",
        honours_taints=given.node_taints_policy == "Honor",
    )


def default_constraints(pod: Pod, snapshot: Snapshot) -> list[Constraint]:
    """The system's soft constraints; none for a pod that nothing selects."""
    selector = workload_selector(pod, snapshot)
    if not selector.requirements:
        return []
    return [Constraint(key, skew, selector) for key, skew in DEFAULTS]


def workload_selector(pod: Pod, snapshot: Snapshot) -> Selector:
    """What the pod's Services and its workload select, together."""
    namespace, labels = pod.metadata.namespace, pod.metadata.labels
    merged: dict[str, str] = {}
    for service in snapshot.all_of("Service").values():
        wanted = service.spec.selector
        if wanted and service.metadata.namespace == namespace and _has(labels, wanted):
            merged.update(wanted)
    more: tuple[Requirement, ...] = ()
    reference = owners.controller_of(pod)
    if reference is not None and (reference.api_version, reference.kind) in _OWNERS:
        owner: Any = snapshot.all_of(reference.kind).get(f"{namespace}/{reference.name}")
        if owner is not None and reference.kind == "ReplicationController":
            merged.update(owner.spec.selector)
        elif owner is not None:
            more = selectors.compile_selector(owner.spec.selector).requirements
    return Selector((*selectors.from_labels(merged).requirements, *more))


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


_COUNTS_KEPT = 64
"""Selectors a node keeps counts of; more are counted anew."""


def count_matching(node: NodeInfo, selector: Selector, namespace: str) -> int:
    """How many of a node's pods count. An empty selector counts nobody, and neither do pods on their way out.

    The node keeps the count: the pods of one template ask every node in turn, and one node has changed in between.
    """
    if selector.is_everything or selector.nothing or not node.pods:
        return 0
    known = node.matching.get((selector, namespace))
    if known is None:
        known = sum(
            1
            for pod in node.pods.values()
            if pod.namespace == namespace and not pod.terminating and selector.matches(pod.labels)
        )
        if len(node.matching) < _COUNTS_KEPT:
            node.matching[selector, namespace] = known
    return known


def has_all_keys(labels: Mapping[str, str], constraints: Iterable[Constraint]) -> bool:
    return all(constraint.topology_key in labels for constraint in constraints)

"""A pod as the scheduler sees it: everything that plugins ask for again and again, worked out once a revision.

Owns that compiled form. It holds the Pod object and never changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from kube_actors.api import selectors
from kube_actors.api.node_terms import NodeRequirements, node_requirements
from kube_actors.api.selectors import Selector
from kube_actors.api.types.core_v1 import Pod, PodAffinityTerm, WeightedPodAffinityTerm

from .amounts import demand_of, is_restartable

Labels = Mapping[str, str]
NamespaceLabels = Callable[[str], Labels]
Port = tuple[str, str, int]
"""Host address ("0.0.0.0" for all), protocol, port."""

ANY_ADDRESS = "0.0.0.0"
FINISHED = frozenset({"Succeeded", "Failed"})


class AffinityTerm(Struct, frozen=True):
    """Pods (of certain namespaces, with certain labels) and the node label that makes a neighbourhood."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector | None
    weight: int = 1

    def matches(self, pod: PodInfo, labels_of: NamespaceLabels) -> bool:
        if pod.namespace not in self.namespaces and not (
            self.namespace_selector is not None
            and (self.namespace_selector.is_everything or self.namespace_selector.matches(labels_of(pod.namespace)))
        ):
            return False
        return self.selector.matches(pod.labels)


Terms = tuple[AffinityTerm, ...]


class PodInfo:
    """See the module. Two of the same revision are interchangeable."""

    __slots__ = (
        "affinity",
        "anti_affinity",
        "incoming_cpu",
        "incoming_memory",
        "key",
        "labels",
        "name",
        "namespace",
        "node_requirements",
        "nonzero_cpu",
        "nonzero_memory",
        "pod",
        "ports",
        "preferred_affinity",
        "preferred_anti_affinity",
        "priority",
        "request",
        "shape",
        "terminating",
        "tolerations",
        "uid",
    )

    def __init__(self, pod: Pod) -> None:
        metadata, spec = pod.metadata, pod.spec
        self.pod = pod
        self.uid = metadata.uid
        self.namespace = metadata.namespace
        self.name = metadata.name
        self.key = f"{metadata.namespace}/{metadata.name}"
        self.labels: Labels = metadata.labels
        self.priority = spec.priority or 0
        self.terminating = metadata.deletion_timestamp is not None
        self.tolerations = spec.tolerations
        demand = demand_of(pod)
        self.request = demand.request
        self.nonzero_cpu = demand.nonzero_cpu
        self.nonzero_memory = demand.nonzero_memory
        self.incoming_cpu = demand.incoming_cpu
        self.incoming_memory = demand.incoming_memory
        self.shape = demand.shape
        self.ports = host_ports(pod)
        self.affinity: Terms = ()
        self.anti_affinity: Terms = ()
        self.preferred_affinity: Terms = ()
        self.preferred_anti_affinity: Terms = ()
        affinity = spec.affinity
        if affinity is not None:
            self._take_terms(affinity.pod_affinity, affinity.pod_anti_affinity)
        self.node_requirements: NodeRequirements = node_requirements(spec)

    def _take_terms(self, near: object, far: object) -> None:
        required, preferred = (
            "required_during_scheduling_ignored_during_execution",
            ("preferred_during_scheduling_ignored_during_execution"),
        )
        if near is not None:
            self.affinity = _terms(self.namespace, getattr(near, required))
            self.preferred_affinity = _weighted(self.namespace, getattr(near, preferred))
        if far is not None:
            self.anti_affinity = _terms(self.namespace, getattr(far, required))
            self.preferred_anti_affinity = _weighted(self.namespace, getattr(far, preferred))

    @property
    def has_affinity(self) -> bool:
        return bool(self.affinity or self.anti_affinity or self.preferred_affinity or self.preferred_anti_affinity)

    @property
    def nominated_node(self) -> str:
        return self.pod.status.nominated_node_name or ""

    def __repr__(self) -> str:
        return f"PodInfo({self.key})"


def is_finished(pod: Pod) -> bool:
    """Finished pods take no part in scheduling."""
    return pod.status.phase in FINISHED


def host_ports(pod: Pod) -> tuple[Port, ...]:
    """The ports of the node that a pod takes. Plain init containers are over before these matter."""
    containers = pod.spec.containers
    found: dict[Port, None] = {}
    if pod.spec.init_containers:
        containers = (*(c for c in pod.spec.init_containers if is_restartable(c)), *containers)
    for container in containers:
        for port in container.ports:
            if port.host_port:
                found[(port.host_ip or ANY_ADDRESS, port.protocol or "TCP", port.host_port)] = None
    return tuple(found)


def _weighted(namespace: str, terms: Iterable[WeightedPodAffinityTerm]) -> Terms:
    return tuple(_term(namespace, term.pod_affinity_term, term.weight) for term in terms)


def _terms(namespace: str, terms: Iterable[PodAffinityTerm]) -> Terms:
    return tuple(_term(namespace, term, 1) for term in terms)


def _term(namespace: str, term: PodAffinityTerm, weight: int) -> AffinityTerm:
    names = term.namespaces
    if not names and term.namespace_selector is None:
        names = (namespace,)
    chosen = None if term.namespace_selector is None else selectors.compile_selector(term.namespace_selector)
    return AffinityTerm(
        topology_key=term.topology_key,
        selector=selectors.compile_selector(term.label_selector),
        namespaces=frozenset(names),
        namespace_selector=chosen,
        weight=weight,
    )

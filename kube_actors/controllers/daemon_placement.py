"""On which nodes a DaemonSet has a pod: the scheduler's own rules, and what they make of the pods on each node.

Pure. It finds what is missing and what is too much; `daemonset` decides in which order that is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from kube_actors.api.node_terms import NAME_FIELD, NodeRequirements, node_requirements
from kube_actors.api.time import parse_time
from kube_actors.api.tolerations import untolerated
from kube_actors.api.types.apps_v1 import DaemonSet
from kube_actors.api.types.core_v1 import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Taint,
    Toleration,
)

from . import pods, taints
from .contract import Create, Told
from .history import REVISION_LABEL
from .rollout import scaled

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"
_TOLERATED = (
    (taints.NOT_READY, taints.NO_EXECUTE),
    (taints.UNREACHABLE, taints.NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", taints.NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", taints.NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", taints.NO_SCHEDULE),
    (taints.UNSCHEDULABLE, taints.NO_SCHEDULE),
)
_OF_THE_HOST = ("node.kubernetes.io/network-unavailable", taints.NO_SCHEDULE)

ByNode = Mapping[str, Sequence[Pod]]


class Placement(Struct, frozen=True):
    """A DaemonSet's wishes, compiled once for all nodes."""

    node_name: str
    requirements: NodeRequirements
    tolerations: tuple[Toleration, ...]

    def decide(self, node: Node) -> tuple[bool, bool]:
        """Whether a pod is to run on a node, and whether one that is there may go on."""
        if self.node_name and self.node_name != node.metadata.name:
            return False, False
        if not self.requirements.allow(node.metadata.name, node.metadata.labels):
            return False, False
        known = node.spec.taints
        if not known or untolerated(_hindering(known), self.tolerations) is None:
            return True, True
        return False, untolerated(taints.of_effect(known, taints.NO_EXECUTE), self.tolerations) is None


def _hindering(known: Iterable[Taint]) -> Iterable[Taint]:
    return (taint for taint in known if taint.effect in (taints.NO_SCHEDULE, taints.NO_EXECUTE))


def placement(owner: DaemonSet) -> Placement:
    spec = owner.spec.template.spec or PodSpec(containers=())
    return Placement(spec.node_name or "", node_requirements(spec), tolerations(spec))


def tolerations(spec: PodSpec) -> tuple[Toleration, ...]:
    """The template's own, and those that every daemon's pod has, so that it runs where others may not."""
    found = list(spec.tolerations)
    for key, effect in (*_TOLERATED, *((_OF_THE_HOST,) if spec.host_network else ())):
        added = Toleration(key=key, operator="Exists", effect=effect)
        alike = [i for i, one in enumerate(found) if _face(one) == _face(added)]
        for place in alike:
            found[place] = added
        if not alike:
            found.append(added)
    return tuple(found)


def _face(toleration: Toleration) -> tuple[str, str, str, str]:
    return toleration.key or "", toleration.effect or "", toleration.operator or "", toleration.value or ""


def generation_of(owner: DaemonSet) -> str:
    """The number that older versions count templates by; "" when there is none."""
    text = owner.metadata.annotations.get(TEMPLATE_GENERATION, "")
    try:
        return str(int(text)) if text else ""
    except ValueError:
        return ""


def creation(owner: DaemonSet, node: str, digest: str, told: Told) -> Create:
    """The pod of a node: bound by affinity, since the scheduler binds it."""
    template = owner.spec.template
    labels = dict(template.metadata.labels)
    generation = generation_of(owner)
    if generation:
        labels[GENERATION_LABEL] = generation
    if digest:
        labels[REVISION_LABEL] = digest
    spec = template.spec or PodSpec(containers=())
    spec = structs.replace(spec, tolerations=tolerations(spec), affinity=_bound_to(spec.affinity, node))
    metadata = structs.replace(template.metadata, labels=labels)
    made = structs.replace(template, metadata=metadata, spec=spec)
    return Create(obj=pods.pod_from_template(made, owner), told=told)


def _bound_to(affinity: Affinity | None, node: str) -> Affinity:
    """The affinity with nothing required of nodes but this name."""
    term = NodeSelectorTerm(match_fields=(NodeSelectorRequirement(key=NAME_FIELD, operator="In", values=(node,)),))
    required = NodeSelector(node_selector_terms=(term,))
    known = affinity or Affinity()
    nodes = known.node_affinity or NodeAffinity()
    nodes = structs.replace(nodes, required_during_scheduling_ignored_during_execution=required)
    return structs.replace(known, node_affinity=nodes)


def node_of(pod: Pod) -> str:
    """The node that a pod is on, or is meant for; "" when nobody can tell."""
    if pod.spec.node_name:
        return pod.spec.node_name
    nodes = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = nodes.required_during_scheduling_ignored_during_execution if nodes is not None else None
    for term in required.node_selector_terms if required is not None else ():
        for field in term.match_fields:
            if field.key == NAME_FIELD and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def by_node(owned: Iterable[Pod]) -> dict[str, list[Pod]]:
    """The pods on each node, the one that counts first; pods that are as good as gone left out."""
    found: dict[str, list[Pod]] = {}
    for pod in owned:
        node = node_of(pod)
        if node and not (pods.is_terminal(pod) and pod.metadata.deletion_timestamp):
            found.setdefault(node, []).append(pod)
    for several in found.values():
        several.sort(key=_seniority)
    return found


def _seniority(pod: Pod) -> tuple[bool, float, str]:
    stamp = pod.metadata.creation_timestamp
    return not pod.spec.node_name, parse_time(stamp) if stamp else 0.0, pod.metadata.name


def is_updated(pod: Pod, digest: str, generation: str) -> bool:
    labels = pod.metadata.labels
    if digest and labels.get(REVISION_LABEL) == digest:
        return True
    return bool(generation) and labels.get(GENERATION_LABEL) == generation


# How many may be missing or too many during an update


def max_surge(owner: DaemonSet, desired: int) -> int:
    strategy = owner.spec.update_strategy
    if strategy is None or strategy.type != "RollingUpdate" or strategy.rolling_update is None:
        return 0
    value = strategy.rolling_update.max_surge
    return 0 if value is None else scaled(value, desired, up=True)


def max_unavailable(owner: DaemonSet, desired: int) -> int:
    strategy = owner.spec.update_strategy
    if strategy is None or strategy.type != "RollingUpdate" or strategy.rolling_update is None:
        return 0
    value = strategy.rolling_update.max_unavailable
    count = 1 if value is None else scaled(value, desired, up=True)
    # With neither, nothing could ever move.
    return 1 if desired and not count and not max_surge(owner, desired) else count

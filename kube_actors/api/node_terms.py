"""Which nodes a pod may or would rather run on, compiled from nodeSelector and node affinity.

Owns matching nodes; it knows nothing of plugins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from kube_actors.api import selectors
from kube_actors.api.selectors import Requirement
from kube_actors.api.types.core_v1 import NodeSelectorRequirement, NodeSelectorTerm, PodSpec

NAME_FIELD = "metadata.name"
Labels = Mapping[str, str]

_OPERATORS = {
    "In": selectors.IN,
    "NotIn": selectors.NOT_IN,
    "Exists": selectors.EXISTS,
    "DoesNotExist": selectors.NOT_EXISTS,
    "Gt": selectors.GREATER,
    "Lt": selectors.LESS,
}


class NodeTerm(Struct, frozen=True):
    """All of it holds. A term without conditions, or one that cannot be understood, holds nowhere."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]
    never: bool = False
    weight: int = 0

    def matches(self, name: str, labels: Labels) -> bool:
        if self.never:
            return False
        for requirement in self.labels:
            if not requirement.matches(labels):
                return False
        return not self.fields or all(requirement.matches({NAME_FIELD: name}) for requirement in self.fields)


class NodeRequirements(Struct, frozen=True):
    """required is None when any node will do as far as affinity goes; of several terms one is enough."""

    selector: tuple[tuple[str, str], ...] = ()
    required: tuple[NodeTerm, ...] | None = None
    preferred: tuple[NodeTerm, ...] = ()

    @property
    def is_indifferent(self) -> bool:
        return not self.selector and self.required is None

    def allow(self, name: str, labels: Labels) -> bool:
        """Whether the node is one that the pod may run on."""
        for key, value in self.selector:
            if labels.get(key) != value:
                return False
        return self.required is None or any(term.matches(name, labels) for term in self.required)

    def named_nodes(self) -> frozenset[str] | None:
        """The only nodes that can be allowed, when every term names nodes; else None."""
        if not self.required:
            return None
        found: set[str] = set()
        for term in self.required:
            named = [set(r.values) for r in term.fields if r.key == NAME_FIELD and r.operator == selectors.IN]
            if not named:
                return None
            found |= set.intersection(*named)
        return frozenset(found)


INDIFFERENT = NodeRequirements()


def node_requirements(spec: PodSpec) -> NodeRequirements:
    """What a pod wants of nodes."""
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    if affinity is None:
        return NodeRequirements(selector=tuple(spec.node_selector.items())) if spec.node_selector else INDIFFERENT
    required = affinity.required_during_scheduling_ignored_during_execution
    preferred = affinity.preferred_during_scheduling_ignored_during_execution
    return NodeRequirements(
        selector=tuple(spec.node_selector.items()),
        required=None if required is None else compile_terms(required.node_selector_terms),
        preferred=tuple(_term(p.preference, p.weight) for p in preferred),
    )


def compile_terms(terms: Iterable[NodeSelectorTerm]) -> tuple[NodeTerm, ...]:
    """Terms of which one is enough."""
    return tuple(_term(term) for term in terms)


def _is_empty(term: NodeSelectorTerm) -> bool:
    return not term.match_expressions and not term.match_fields


def _term(term: NodeSelectorTerm, weight: int = 0) -> NodeTerm:
    labels, fields = _requirements(term.match_expressions), _requirements(term.match_fields)
    if labels is None or fields is None or _is_empty(term):
        return NodeTerm((), (), never=True, weight=weight)
    return NodeTerm(labels, fields, weight=weight)


def _requirements(given: Iterable[NodeSelectorRequirement]) -> tuple[Requirement, ...] | None:
    found = []
    for requirement in given:
        operator = _OPERATORS.get(requirement.operator)
        if operator is None:
            return None
        if operator in (selectors.GREATER, selectors.LESS) and not _is_integer(requirement.values):
            return None
        found.append(Requirement(requirement.key, operator, requirement.values))
    return tuple(found)


def _is_integer(values: tuple[str, ...]) -> bool:
    return len(values) == 1 and values[0].removeprefix("-").isdecimal()

"""Whether a node is one that a pod asked for, by selector or required affinity. Pure."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import Node, NodeSelectorRequirement, NodeSelectorTerm, Pod


def matches_node(pod: Pod, node: Node) -> bool:
    """All of the node selector, and any term of the required node affinity."""
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or any(_term(term, node) for term in required.node_selector_terms)


def _term(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.match_expressions and not term.match_fields:
        return False
    labels = node.metadata.labels
    fields = {"metadata.name": node.metadata.name}
    return all(_requirement(one, labels.get(one.key)) for one in term.match_expressions) and all(
        _requirement(one, fields.get(one.key)) for one in term.match_fields
    )


def _requirement(wanted: NodeSelectorRequirement, value: str | None) -> bool:
    match wanted.operator:
        case "In":
            return value is not None and value in wanted.values
        case "NotIn":
            return value is None or value not in wanted.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    if value is None or len(wanted.values) != 1:
        return False
    try:
        number, limit = int(value), int(wanted.values[0])
    except ValueError:
        return False
    return number > limit if wanted.operator == "Gt" else number < limit

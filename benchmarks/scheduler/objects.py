"""The objects that a workload's operations create, from templates and their numbers: nodes and pods. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .operations import CreateNodes
from .templates import Template

PLAIN_NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {},
    "status": {
        "capacity": {"cpu": "4", "memory": "32Gi", "pods": "110"},
        "allocatable": {"cpu": "4", "memory": "32Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
"""A node without a template, as in scheduler_perf."""


def named(obj: Mapping[str, Any], prefix: str, index: int) -> dict[str, Any]:
    """A copy with a name: its own, if it has one, else made of its generateName and its number."""
    metadata = dict(obj.get("metadata") or {})
    start = metadata.pop("generateName", prefix)
    metadata.setdefault("name", f"{start}{index}")
    return {**obj, "metadata": metadata}


def nodes(
    op: CreateNodes, step: int, first: int, template: Template | None, unique: Callable[[], str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each node of an operation, and the CSINode beside it if it has drivers. `first` counts over all operations."""
    for number in range(op.count):
        scope = {**op.template_params, "Index": first + number, "Count": op.count}
        obj = template.render(scope) if template is not None else PLAIN_NODE
        node = named(obj, f"node-{step}-", number)
        if "generateName" in (obj.get("metadata") or {}):
            node["metadata"]["name"] = f"{obj['metadata']['generateName']}{step}-{number}"
        labels = dict(node["metadata"].get("labels") or {})
        if op.label_node_prepare_strategy is not None:
            values = op.label_node_prepare_strategy.label_values
            labels[op.label_node_prepare_strategy.label_key] = values[number % len(values)]
        if op.unique_node_label_strategy is not None:
            labels[op.unique_node_label_strategy.label_key] = unique()
        node["metadata"]["labels"] = labels
        yield _with_allocatable(node, op), _csi_node(node["metadata"]["name"], op)


def _with_allocatable(node: dict[str, Any], op: CreateNodes) -> dict[str, Any]:
    """A node without allocatable amounts has all of its capacity."""
    status = dict(node.get("status") or {})
    allocatable = dict(status.get("allocatable") or status.get("capacity") or {})
    if op.node_allocatable_strategy is not None:
        allocatable.update(op.node_allocatable_strategy.node_allocatable)
    return {**node, "status": {**status, "allocatable": allocatable}}


def _csi_node(name: str, op: CreateNodes) -> dict[str, Any] | None:
    strategy = op.node_allocatable_strategy
    if strategy is None or not (strategy.csi_node_allocatable or strategy.migrated_plugins):
        return None
    drivers = [
        {"name": driver, "nodeID": name, "allocatable": allocatable}
        for driver, allocatable in strategy.csi_node_allocatable.items()
    ]
    metadata: dict[str, Any] = {"name": name}
    if strategy.migrated_plugins:
        metadata["annotations"] = {"storage.alpha.kubernetes.io/migrated-plugins": ",".join(strategy.migrated_plugins)}
    return {"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": metadata, "spec": {"drivers": drivers}}


def pods(template: Template, params: Mapping[str, Any], prefix: str, count: int) -> Iterator[dict[str, Any]]:
    """The pods of an operation, with names that no other operation gives."""
    for index in range(count):
        obj = template.render({**params, "Index": index, "Count": count})
        own = (obj.get("metadata") or {}).get("generateName", "pod-")
        yield named({**obj, "metadata": {**(obj.get("metadata") or {}), "generateName": f"{own}{prefix}"}}, "", index)

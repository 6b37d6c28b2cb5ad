"""The operations of scheduler_perf's workloads, as its files spell them. Values only; who runs them is `runner`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Operation(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What all have: the word that says which one it is."""

    opcode: str


class NodeAllocatable(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    node_allocatable: dict[str, str] = {}
    csi_node_allocatable: dict[str, dict[str, int]] = {}
    migrated_plugins: list[str] = []


class NodeLabel(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    label_key: str
    label_values: list[str]


class UniqueLabel(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    label_key: str


class CreateNodes(Operation, frozen=True, kw_only=True):
    count: int = 0
    count_param: str = ""
    node_template_path: str = ""
    node_allocatable_strategy: NodeAllocatable | None = None
    label_node_prepare_strategy: NodeLabel | None = None
    unique_node_label_strategy: UniqueLabel | None = None
    template_params: dict[str, Any] = {}


class CreateNamespaces(Operation, frozen=True, kw_only=True):
    prefix: str
    count: int = 0
    count_param: str = ""
    namespace_template_path: str = ""


class CreatePods(Operation, frozen=True, kw_only=True):
    count: int = 0
    count_param: str = ""
    count_multiplier_param: str = ""
    steady_state: bool = False
    steady_state_param: str = ""
    duration: str = ""
    duration_param: str = ""
    collect_metrics: bool = False
    namespace: str = ""
    pod_template_path: str = ""
    skip_wait_to_completion: bool = False
    persistent_volume_template_path: str = ""
    persistent_volume_claim_template_path: str = ""
    template_params: dict[str, Any] = {}


class CreatePodSets(Operation, frozen=True, kw_only=True):
    namespace_prefix: str
    create_pods_op: CreatePods
    count: int = 0
    count_param: str = ""


class DeletePods(Operation, frozen=True, kw_only=True):
    namespace: str
    label_selector: dict[str, str] = {}
    skip_wait_to_completion: bool = False
    delete_pods_per_second: int = 0


class Churn(Operation, frozen=True, kw_only=True):
    mode: str
    number: int = 0
    interval_milliseconds: int = 500
    namespace: str = ""
    template_paths: list[str] = []


class Barrier(Operation, frozen=True, kw_only=True):
    namespaces: list[str] = []
    label_selector: dict[str, str] = {}
    stage_requirement: str = "Scheduled"


class Sleep(Operation, frozen=True, kw_only=True):
    duration: str = ""
    duration_param: str = ""


class StartCollectingMetrics(Operation, frozen=True, kw_only=True):
    namespaces: list[str]
    name: str = ""
    label_selector: dict[str, str] = {}


class StopCollectingMetrics(Operation, frozen=True, kw_only=True):
    pass


class CreateAny(Operation, frozen=True, kw_only=True):
    template_path: str
    namespace: str = ""
    count: int = 1
    count_param: str = ""
    template_params: dict[str, Any] = {}


class Update(Operation, frozen=True, kw_only=True):
    template_path: str
    namespace: str = ""
    count: int = 1
    count_param: str = ""
    update_per_second: int = 0
    subresources: list[str] = []
    template_params: dict[str, Any] = {}


OPERATIONS: dict[str, type[Operation]] = {
    "barrier": Barrier,
    "churn": Churn,
    "createAny": CreateAny,
    "createNamespaces": CreateNamespaces,
    "createNodes": CreateNodes,
    "createPodSets": CreatePodSets,
    "createPods": CreatePods,
    "deletePods": DeletePods,
    "sleep": Sleep,
    "startCollectingMetrics": StartCollectingMetrics,
    "stopCollectingMetrics": StopCollectingMetrics,
    "update": Update,
}


def problem(op: Operation) -> str:
    """Why an operation whose parameters are known cannot be meant; empty: it can."""
    match op:
        case Churn():
            return _churn_problem(op)
        case CreatePods() if op.collect_metrics and op.skip_wait_to_completion:
            return "collectMetrics and skipWaitToCompletion cannot both be true"
        case CreatePods() if op.steady_state and op.skip_wait_to_completion:
            return "steadyState and skipWaitToCompletion cannot both be true"
        case CreatePods() if bool(op.persistent_volume_template_path) != bool(op.persistent_volume_claim_template_path):
            return "persistentVolumeTemplatePath and persistentVolumeClaimTemplatePath go together"
        case Barrier() if op.stage_requirement not in ("", "Scheduled", "Attempted"):
            return f"stageRequirement: {op.stage_requirement!r} is neither Scheduled nor Attempted"
        case StartCollectingMetrics() if not op.namespaces:
            return "namespaces: empty; name those whose pods are counted"
        case DeletePods() if op.delete_pods_per_second < 0:
            return f"deletePodsPerSecond: {op.delete_pods_per_second} is negative"
        case Update() if op.update_per_second < 0:
            return f"updatePerSecond: {op.update_per_second} is negative"
        case CreateNodes():
            return _nodes_problem(op)
    count = getattr(op, "count", 0)
    return f"count: {count} is negative" if count < 0 else ""


def _churn_problem(op: Churn) -> str:
    if op.mode not in ("create", "recreate"):
        return f"mode: {op.mode!r} is neither create nor recreate"
    if op.number < 0 or (op.mode == "recreate" and op.number == 0):
        return f"number: {op.number} is too small for mode {op.mode}"
    if op.interval_milliseconds < 0:
        return f"intervalMilliseconds: {op.interval_milliseconds} is negative"
    return "" if op.template_paths else "templatePaths: empty; name at least one"


def _nodes_problem(op: CreateNodes) -> str:
    strategies = (op.node_allocatable_strategy, op.label_node_prepare_strategy, op.unique_node_label_strategy)
    if sum(each is not None for each in strategies) > 1:
        return "more than one strategy for nodes; one is the most"
    if op.label_node_prepare_strategy is not None and not op.label_node_prepare_strategy.label_values:
        return "labelNodePrepareStrategy.labelValues: empty; give at least one"
    return f"count: {op.count} is negative" if op.count < 0 else ""

"""The Node object: what a node says about itself. Pure."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from kube_actors.api import quantity
from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import (
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    Taint,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from runtimes.contract import EngineInfo

from . import limits
from .config import NodeConfig

KUBELET_VERSION = "v1.36.0"
NOT_READY_TAINT = "node.kubernetes.io/not-ready"

_CALM = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}
MANAGED_ATTACHMENTS = "volumes.kubernetes.io/controller-managed-attach-detach"


def node_labels(config: NodeConfig, info: EngineInfo) -> dict[str, str]:
    labels = {
        "beta.kubernetes.io/arch": info.architecture,
        "beta.kubernetes.io/os": info.os,
        "kubernetes.io/arch": info.architecture,
        "kubernetes.io/hostname": config.hostname or config.name,
        "kubernetes.io/os": info.os,
    }
    if config.zone:
        labels["topology.kubernetes.io/zone"] = config.zone
    if config.region:
        labels["topology.kubernetes.io/region"] = config.region
    return labels | config.labels


def capacity_of(config: NodeConfig, info: EngineInfo) -> dict[str, str]:
    """In the canonical form, so that it equals what the server gives back."""
    amounts = {
        "cpu": str(info.cpus),
        "memory": f"{info.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{info.storage_bytes // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "pods": str(limits.MAX_PODS),
    } | config.capacity
    return {name: quantity.canonical(amount) for name, amount in amounts.items()}


def allocatable_of(config: NodeConfig, capacity: dict[str, str]) -> dict[str, str]:
    """Capacity without what is reserved, never below nothing."""
    result = dict(capacity)
    for name, text in config.reserved.items():
        if name in capacity:
            left = quantity.parse(capacity[name]) - quantity.parse(text)
            result[name] = str(left) if left.sign > 0 else "0"
    return result


def conditions_of(ready: bool, problem: str, previous: tuple[NodeCondition, ...], now: float) -> list[NodeCondition]:
    """The four conditions; moments of those that have not changed are kept."""
    known = {condition.type: condition for condition in previous}
    readiness = (
        ("True", "KubeletReady", "kubelet is posting ready status") if ready else ("False", "KubeletNotReady", problem)
    )
    moment = format_time(now)
    result = []
    for kind, (status, reason, message) in {**_CALM, "Ready": readiness}.items():
        was = known.get(kind)
        same = was is not None and was.status == status
        result.append(
            NodeCondition(
                type=kind,
                status=status,
                reason=reason,
                message=message,
                last_heartbeat_time=moment,
                last_transition_time=was.last_transition_time if same and was is not None else moment,
            )
        )
    return result


def node_status(
    config: NodeConfig, info: EngineInfo, ready: bool, problem: str, previous: tuple[NodeCondition, ...], now: float
) -> NodeStatus:
    capacity = capacity_of(config, info)
    addresses = [NodeAddress(type="InternalIP", address=address) for address in config.addresses]
    addresses.append(NodeAddress(type="Hostname", address=config.hostname or config.name))
    return NodeStatus(
        capacity=capacity,
        allocatable=allocatable_of(config, capacity),
        addresses=tuple(addresses),
        conditions=tuple(conditions_of(ready, problem, previous, now)),
        daemon_endpoints=NodeDaemonEndpoints(kubelet_endpoint=DaemonEndpoint(port=config.kubelet_port)),
        node_info=NodeSystemInfo(
            architecture=info.architecture,
            boot_id="",
            container_runtime_version=f"{info.engine}://{info.version}",
            kernel_version=info.kernel,
            kube_proxy_version="",
            kubelet_version=KUBELET_VERSION,
            machine_id=config.name,
            operating_system=info.os,
            os_image=info.os_image,
            system_uuid=config.name,
        ),
    )


def new_node(config: NodeConfig, info: EngineInfo, now: float) -> Node:
    """The object that a node registers. It is ready from the start when its engine has answered.

    A node that really mounts volumes leaves it to the controllers to have them attached.
    """
    marks = {MANAGED_ATTACHMENTS: "true"} if config.data_dir else {}
    return Node(
        metadata=ObjectMeta(
            name=config.name, labels=node_labels(config, info), annotations={**marks, **config.annotations}
        ),
        spec=NodeSpec(
            taints=_stamped(config.taints, now),
            provider_id=config.provider_id or None,
            pod_cidrs=config.pod_cidrs,
            pod_cidr=config.pod_cidrs[0] if config.pod_cidrs else None,
        ),
        status=node_status(config, info, True, "", (), now),
    )


def _stamped(taints: tuple[Taint, ...], now: float) -> tuple[Taint, ...]:
    return tuple(
        structs.replace(taint, time_added=format_time(now)) if taint.effect == "NoExecute" else taint
        for taint in taints
    )


def differs(old: NodeStatus, new: NodeStatus) -> bool:
    """Whether there is more to say than that the heart still beats."""
    return _without_heartbeats(old) != _without_heartbeats(new)


def _without_heartbeats(status: NodeStatus) -> tuple[Any, ...]:
    calm = tuple((one.type, one.status, one.reason, one.message) for one in status.conditions)
    ours = tuple(one for one in calm if one[0] in (*_CALM, "Ready"))
    return (ours, status.capacity, status.allocatable, status.addresses, status.node_info, status.daemon_endpoints)

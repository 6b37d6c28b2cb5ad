"""What a node's containers use, in the two forms in which a kubelet tells it: /stats/summary and /metrics/resource.

Asks the engine at every request; keeps nothing. A node whose engine tells nothing has no entries, never zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.messages import Answer
from kube_actors.api.time import format_micro_time
from kube_actors.api.types.core_v1 import Pod
from runtimes.contract import ContainerStats, RuntimeFault

from .model import Record

if TYPE_CHECKING:
    from .node_actor import NodeActor

SUMMARY = "stats/summary"
RESOURCE = "metrics/resource"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Used(Struct, frozen=True):
    """One running container and its figures."""

    pod: Pod
    record: Record
    stats: ContainerStats


async def document(node: NodeActor, path: str) -> Answer | None:
    """The document at a path of the kubelet's API; None where there is none of these."""
    if path not in (SUMMARY, RESOURCE):
        return None
    used = await _used(node)
    if path == SUMMARY:
        return Answer(body=msgspec.json.encode(summary(node.config.name, used)))
    return Answer(body=resource_metrics(used).encode(), content_type=_TEXT)


async def _used(node: NodeActor) -> list[Used]:
    running: dict[str, tuple[Pod, Record]] = {}
    for pod in node.pods():
        actor = node.pod_actor(pod.metadata.namespace, pod.metadata.name)
        state = actor.state if actor is not None else None
        if state is not None:
            running |= {record.id: (state.pod, record) for record in state.containers.values() if record.alive}
    try:
        found = await node.runtime.stats(tuple(running)) if running else ()
    except RuntimeFault as fault:
        raise errors.internal(f"failed to get container stats: {fault}") from fault
    return [Used(*running[each.id], each) for each in found if each.id in running]


def summary(name: str, used: Sequence[Used]) -> dict[str, Any]:
    """As /stats/summary has it: pods with their containers."""
    pods: dict[str, dict[str, Any]] = {}
    for each in used:
        metadata = each.pod.metadata
        entry = pods.setdefault(
            metadata.uid,
            {
                "podRef": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
                "startTime": each.pod.status.start_time or format_micro_time(each.record.started_at),
                "containers": [],
            },
        )
        at, stats = format_micro_time(each.stats.time), each.stats
        entry["containers"].append(
            {
                "name": each.record.name,
                "startTime": format_micro_time(each.record.started_at),
                "cpu": {"time": at, "usageCoreNanoSeconds": stats.cpu_usage_ns},
                "memory": {
                    "time": at,
                    "usageBytes": stats.memory_usage_bytes,
                    "workingSetBytes": stats.memory_working_set_bytes,
                },
            }
        )
    for entry in pods.values():
        whole = [container["memory"]["workingSetBytes"] for container in entry["containers"]]
        entry["memory"] = {"time": entry["containers"][0]["memory"]["time"], "workingSetBytes": sum(whole)}
    total = sum(each.stats.memory_working_set_bytes for each in used)
    node: dict[str, Any] = {"nodeName": name}
    if used:
        node["memory"] = {"time": format_micro_time(used[0].stats.time), "workingSetBytes": total}
    return {"node": node, "pods": list(pods.values())}


_FAMILIES = (
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds"),
    ("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes"),
    ("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds"),
)


def resource_metrics(used: Sequence[Used]) -> str:
    """As /metrics/resource has it: a Prometheus text."""
    lines: list[str] = []
    for name, kind, text in _FAMILIES:
        lines += [f"# HELP {name} [STABLE] {text}", f"# TYPE {name} {kind}"]
        for each in used:
            metadata, stats = each.pod.metadata, each.stats
            labels = f'container="{each.record.name}",namespace="{metadata.namespace}",pod="{metadata.name}"'
            value: float = each.record.started_at
            if kind == "counter":
                value = stats.cpu_usage_ns / 1e9
            elif name.startswith("container_memory"):
                value = stats.memory_working_set_bytes
            lines.append(f"{name}{{{labels}}} {value!r} {int(stats.time * 1000)}")
    return "\n".join([*lines, ""])

"""Recorded scheduling cycles run through the scheduler's pure part, and compared.

Owns building a snapshot of a recording's objects, and telling what differs; never the expected values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from kube_actors.api.types import apps_v1, core_v1, policy_v1, storage_v1
from kube_actors.scheduler.cycle import Decision, decide, plugin_scores
from kube_actors.scheduler.framework import Code, CycleState, Profile
from kube_actors.scheduler.pod_info import PodInfo, is_finished
from kube_actors.scheduler.snapshot import Snapshot

from .golden import GOLDEN

FOLDER = GOLDEN / "scheduler"
_TYPES = {
    "Namespace": core_v1.Namespace,
    "Service": core_v1.Service,
    "ReplicationController": core_v1.ReplicationController,
    "ReplicaSet": apps_v1.ReplicaSet,
    "StatefulSet": apps_v1.StatefulSet,
    "PodDisruptionBudget": policy_v1.PodDisruptionBudget,
    "PersistentVolume": core_v1.PersistentVolume,
    "PersistentVolumeClaim": core_v1.PersistentVolumeClaim,
    "StorageClass": storage_v1.StorageClass,
    "CSINode": storage_v1.CSINode,
    "CSIDriver": storage_v1.CSIDriver,
    "CSIStorageCapacity": storage_v1.CSIStorageCapacity,
    "VolumeAttachment": storage_v1.VolumeAttachment,
}
_LOOSE: dict[str, dict[str, Any]] = {
    # What the recordings leave out although the schema wants it.
    "ReplicaSet": {},
    "StatefulSet": {"serviceName": "", "template": {}},
}


def available() -> bool:
    return FOLDER.is_dir()


def families() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def recordings(family: str) -> Iterator[dict[str, Any]]:
    for line in (FOLDER / f"{family}.jsonl").read_text().splitlines():
        yield json.loads(line)


def decode(value: dict[str, Any], into: type[Any]) -> Any:
    return msgspec.convert(_without_nulls(value), into)


def _without_nulls(value: Any) -> Any:
    """A null means absent, as everywhere in the API."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def pod_of(value: dict[str, Any]) -> core_v1.Pod:
    for status in value.get("status", {}).get("containerStatuses", []):
        for key, filler in (("image", ""), ("imageID", ""), ("ready", True), ("restartCount", 0)):
            status.setdefault(key, filler)
    pod: core_v1.Pod = msgspec.convert(value, core_v1.Pod)
    return pod


def snapshot_of(objects: list[dict[str, Any]]) -> Snapshot:
    """The cluster that a recording speaks of."""
    snapshot = Snapshot()
    for value in objects:
        if value["kind"] == "Node":
            snapshot.set_node(decode(value, core_v1.Node))
    for value in objects:
        kind = value["kind"]
        if kind == "Pod":
            pod = pod_of(value)
            if is_finished(pod):
                continue
            if pod.spec.node_name:
                snapshot.put_pod(PodInfo(pod), pod.spec.node_name)
            else:
                snapshot.nominate(PodInfo(pod), pod.status.nominated_node_name or "")
        elif kind in _TYPES:
            metadata = value["metadata"]
            if "spec" in value:
                value = {**value, "spec": {**_LOOSE.get(kind, {}), **value["spec"]}}
            key = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
            snapshot.put_object(kind, key, decode(value, _TYPES[kind]))
    snapshot.check()
    return snapshot


def differences(recording: dict[str, Any], profile: Profile) -> list[str]:
    """Everything in which our decision differs from the recorded one."""
    snapshot = snapshot_of(recording["objects"])
    pod = PodInfo(pod_of(recording["pod"]))
    decision = decide(pod, snapshot, profile, lambda n: 0)
    found = _filters(recording, decision)
    found += _message(recording, decision)
    if recording["scores"] is not None:
        found += _scores(recording, decision, pod, snapshot, profile)
    if recording["preemption"] is not None:
        found += _preemption(recording["preemption"], decision)
    snapshot.check()
    return found


def _filters(recording: dict[str, Any], decision: Decision) -> list[str]:
    found = []
    for name, wanted in recording["filters"].items():
        if wanted["status"] == "NotEvaluated":
            continue
        expected = (wanted["status"], wanted.get("plugin", ""), tuple(wanted.get("reasons") or ()))
        actual: tuple[str, str, tuple[str, ...]] = ("Success", "", ())
        if name not in decision.feasible:
            if decision.diagnosis is not None:
                verdict = decision.diagnosis.of(name)
                narrowed = verdict is decision.diagnosis.absent
                actual = (verdict.code.value, "" if narrowed else verdict.plugin, verdict.reasons)
            else:
                continue  # of a feasible pod only the feasible nodes are told
        if actual != expected:
            found.append(f"filter {name}: {actual} instead of {expected}")
    if recording["scores"] is not None:
        feasible = {name for name, wanted in recording["filters"].items() if wanted["status"] == "Success"}
        if feasible != set(decision.feasible):
            found.append(f"feasible: {sorted(decision.feasible)} instead of {sorted(feasible)}")
    return found


def _message(recording: dict[str, Any], decision: Decision) -> list[str]:
    wanted = recording["message"]
    actual = decision.diagnosis.message if decision.diagnosis is not None else None
    if recording["preemption"] is None and decision.diagnosis is not None:
        actual = msgspec.structs.replace(decision.diagnosis, postfilter="").message
    found = [] if actual == wanted else [f"message: {actual!r} instead of {wanted!r}"]
    if decision.diagnosis is not None:
        plugins = sorted(decision.diagnosis.plugins)
        if plugins != recording["unschedulablePlugins"]:
            found.append(f"plugins: {plugins} instead of {recording['unschedulablePlugins']}")
    return found


def _scores(
    recording: dict[str, Any], decision: Decision, pod: PodInfo, snapshot: Snapshot, profile: Profile
) -> list[str]:
    state: CycleState = decision.state
    state.skipped_scores.clear()
    nodes = [snapshot.nodes[name] for name in decision.feasible]
    by_plugin = plugin_scores(pod, snapshot, profile, state, nodes)
    found = []
    for index, node in enumerate(nodes):
        actual = {plugin: scores[index] for plugin, scores in by_plugin.items()}
        actual["total"] = sum(actual.values())
        wanted = recording["scores"].get(node.name)
        if actual != wanted:
            found.append(f"scores {node.name}: {actual} instead of {wanted}")
    if decision.node not in recording["hosts"]:
        found.append(f"host: {decision.node} instead of one of {recording['hosts']}")
    return found


def _preemption(wanted: dict[str, Any], decision: Decision) -> list[str]:
    nominated = wanted["nominatedNodes"]
    if decision.nomination is None or not decision.nomination.node:
        return [f"no nomination instead of {nominated}"] if nominated else []
    found = []
    if decision.nomination.node not in nominated:
        found.append(f"nominated: {decision.nomination.node} instead of one of {nominated}")
    for node, candidate in wanted["candidates"].items():
        victims = [pod.key for pod in decision.nomination.candidates.get(node, ())]
        if victims != candidate["victims"]:
            found.append(f"victims on {node}: {victims} instead of {candidate['victims']}")
    if set(decision.nomination.candidates) != set(wanted["candidates"]):
        found.append(f"candidates: {sorted(decision.nomination.candidates)} not {sorted(wanted['candidates'])}")
    return found


__all__ = ["Code", "available", "differences", "families", "recordings", "snapshot_of"]

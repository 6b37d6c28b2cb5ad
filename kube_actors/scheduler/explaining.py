"""What one scheduling cycle would do with a pod, told in full: each node's verdict and scores, what preemption tries.

Owns reading a cluster from plain objects as the API server stores them, and the answer as a plain object in the form
of the recordings of the real scheduler. Pure: it asks nobody and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kube_actors.api.types import apps_v1, core_v1, policy_v1, storage_v1

from .cycle import Decision, decide_node_by_node, plugin_scores
from .framework import Code, Profile, Verdict
from .plugins import default_preemption
from .pod_info import PodInfo, is_finished
from .snapshot import Snapshot

JSONObject = dict[str, Any]

KINDS: Mapping[str, type[Any]] = {
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
"""What plugins ask for beside nodes and pods."""

_ABSENT: Mapping[str, JSONObject] = {"StatefulSet": {"serviceName": "", "template": {}}}
"""Fields that the schema wants and scheduling never reads, so that a reduced object will do."""
_CONTAINER_STATUS = {"image": "", "imageID": "", "ready": True, "restartCount": 0}
_EVERY_NODE = 100


class Unreadable(ValueError):
    """An object that is not what its kind says; the message names it and the field."""


def read_pod(value: JSONObject) -> core_v1.Pod:
    """A pod. Raises Unreadable."""
    status = value.get("status") or {}
    if status.get("containerStatuses"):
        told = [{**_CONTAINER_STATUS, **each} for each in status["containerStatuses"]]
        value = {**value, "status": {**status, "containerStatuses": told}}
    pod: core_v1.Pod = _read(value, core_v1.Pod)
    return pod


def read_cluster(objects: Iterable[JSONObject]) -> Snapshot:
    """The cluster that the objects make up; kinds that scheduling does not look at are passed over."""
    snapshot = Snapshot()
    given = list(objects)
    for value in given:
        if value.get("kind") == "Node":
            snapshot.set_node(_read(value, core_v1.Node))
    for value in given:
        kind = value.get("kind", "")
        if kind == "Pod":
            _place(snapshot, read_pod(value))
        elif kind in KINDS:
            if "spec" in value and kind in _ABSENT:
                value = {**value, "spec": {**_ABSENT[kind], **value["spec"]}}
            obj = _read(value, KINDS[kind])
            namespace, name = obj.metadata.namespace, obj.metadata.name
            snapshot.put_object(kind, f"{namespace}/{name}" if namespace else name, obj)
    return snapshot


def _place(snapshot: Snapshot, pod: core_v1.Pod) -> None:
    if is_finished(pod):
        return
    if pod.spec.node_name:
        snapshot.put_pod(PodInfo(pod), pod.spec.node_name)
    elif pod.status.nominated_node_name:
        snapshot.nominate(PodInfo(pod), pod.status.nominated_node_name)


def _read(value: JSONObject, into: type[Any]) -> Any:
    try:
        return msgspec.convert(_without_nulls(value), into)
    except msgspec.ValidationError as error:
        metadata = value.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        raise Unreadable(f"{value.get('kind') or into.__name__} {name!r}: {error}") from None


def _without_nulls(value: Any) -> Any:
    """A null means absent, as everywhere in the API."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def explain(pod: core_v1.Pod, snapshot: Snapshot, profile: Profile) -> JSONObject:
    """The cycle of a pod: prefilter, filters, scores, weights, hosts, message, unschedulablePlugins, preemption.

    A pod that names its node is only asked about, so nothing is preempted for it.
    """
    info = PodInfo(pod)
    decision = decide_node_by_node(info, snapshot, profile, lambda count: 0, percentage=_EVERY_NODE)
    diagnosis = decision.diagnosis
    message, preempts = None, diagnosis is not None and not pod.spec.node_name
    if diagnosis is not None:
        message = diagnosis.message if preempts else msgspec.structs.replace(diagnosis, postfilter="").message
    scores = _scores(info, snapshot, profile, decision)
    best = max((each["total"] for each in scores.values()), default=0) if scores else 0
    return {
        "prefilter": None if diagnosis is None or diagnosis.prefilter is None else _told(diagnosis.prefilter),
        "filters": {name: _filter(name, decision) for name in snapshot.nodes},
        "scores": scores,
        "weights": dict(sorted(profile.weights.items())),
        "hosts": None if scores is None else sorted(name for name, each in scores.items() if each["total"] == best),
        "message": message,
        "unschedulablePlugins": _plugins(decision),
        "preemption": _preemption(info, snapshot, profile, decision) if preempts else None,
    }


def _plugins(decision: Decision) -> list[str]:
    if decision.diagnosis is not None:
        return sorted(decision.diagnosis.plugins)
    verdicts = [*decision.refused.values(), *([decision.absent] if decision.absent is not None else [])]
    return sorted({verdict.plugin for verdict in verdicts if verdict.plugin})


def _told(verdict: Verdict) -> JSONObject:
    told: JSONObject = {"status": verdict.code.value}
    if verdict.plugin:
        told["plugin"] = verdict.plugin
    return {**told, "reasons": list(verdict.reasons)}


def _filter(name: str, decision: Decision) -> JSONObject:
    """What became of a node."""
    if name in decision.feasible:
        return {"status": Code.SUCCESS.value}
    verdict, absent = decision.refused.get(name), decision.absent
    if decision.diagnosis is not None:
        verdict, absent = decision.diagnosis.of(name), decision.diagnosis.absent
    if verdict is None:
        verdict = absent
    if verdict is None:
        return {"status": "NotEvaluated"}
    # A node that no plugin looked at was left out by a set of nodes, which is nobody's verdict.
    return _told(verdict if verdict is not absent else Verdict(verdict.code, verdict.reasons))


def _scores(pod: PodInfo, snapshot: Snapshot, profile: Profile, decision: Decision) -> dict[str, dict[str, int]] | None:
    """By node and plugin, weighted; also for a single node, which a scheduler takes without scoring it."""
    if not decision.feasible:
        return None
    decision.state.skipped_scores.clear()
    nodes = [snapshot.nodes[name] for name in decision.feasible]
    by_plugin = plugin_scores(pod, snapshot, profile, decision.state, nodes)
    found = {}
    for index, node in enumerate(nodes):
        each = {plugin: scores[index] for plugin, scores in by_plugin.items()}
        found[node.name] = {**each, "total": sum(each.values())}
    return found


def _preemption(pod: PodInfo, snapshot: Snapshot, profile: Profile, decision: Decision) -> JSONObject:
    """What the preemption of this cycle tries and finds."""
    diagnosis = decision.diagnosis
    assert diagnosis is not None
    nominated = decision.nomination is not None and bool(decision.nomination.node)
    candidates: list[default_preemption.Candidate] = []
    failures: dict[str, Verdict] = {}
    if diagnosis.prefilter is None and any(plugin.name == default_preemption.NAME for plugin in profile.post_filters):
        refused = {name: diagnosis.of(name) for name in snapshot.nodes}
        if not default_preemption.ineligible(pod, snapshot, refused):
            candidates, failures = default_preemption.dry_run(profile, decision.state, pod, snapshot, refused)
    status = Code.SUCCESS if nominated else Code.UNSCHEDULABLE
    if diagnosis.prefilter is not None and not nominated:
        status = Code.ERROR
    return {
        "nominatedNodes": sorted(each.node for each in default_preemption.leaders(candidates)) if nominated else [],
        "candidates": {
            each.node: {"victims": [victim.key for victim in each.victims], "numPDBViolations": each.violations}
            for each in candidates
        },
        "nonCandidates": {name: _told(verdict) for name, verdict in failures.items()},
        "status": status.value,
        "message": diagnosis.postfilter,
    }

"""The cycle on arrays finds the same nodes and the same totals as the plain one, whatever has changed in between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert, structs

from kube_actors.api.types.core_v1 import Namespace, Node, Pod, Service
from kube_actors.scheduler import PodInfo, Snapshot, default_profile, limits
from kube_actors.scheduler.arrays.cycle import ArrayCycle
from kube_actors.scheduler.cycle import decide_node_by_node, plugin_scores
from kube_actors.scheduler.explaining import read_cluster, read_pod
from kube_actors.scheduler.framework import CycleState
from tests.kit import scheduling

PROFILE = default_profile()
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
JSONObject = dict[str, Any]


def compare(cycle: ArrayCycle, snapshot: Snapshot, pod: PodInfo) -> str:
    """Both ways, compared; where the plain cycle would put the pod."""
    plain = decide_node_by_node(pod, snapshot, PROFILE, lambda n: 0, percentage=100)
    state = CycleState()
    rows = cycle.feasible(pod, PROFILE, state)
    if rows is None:
        # Left to the plain cycle: a refusal, or a pod that names its nodes.
        assert not plain.feasible or pod.node_requirements.named_nodes() is not None
        return plain.node
    assert sorted(cycle.names(rows)) == sorted(plain.feasible)
    if not plain.feasible:
        return ""
    nodes = [snapshot.nodes[name] for name in cycle.names(rows)]
    told = {plugin: found.tolist() for plugin, found in cycle.scores(pod, PROFILE, state, rows).items()}
    wanted = plugin_scores(pod, snapshot, PROFILE, plain.state, nodes)
    # A plugin that says the same of every node may be left out.
    assert told == {name: values for name, values in wanted.items() if name in told or len(set(values)) > 1}
    return plain.node


@pytest.mark.skipif(not scheduling.available(), reason="the recordings are not here")
@pytest.mark.parametrize("family", scheduling.families())
def test_recorded_clusters(family: str) -> None:
    for recording in scheduling.recordings(family):
        pod = PodInfo(read_pod(recording["pod"]))
        if not pod.pod.spec.node_name:
            snapshot = read_cluster(recording["objects"])
            compare(ArrayCycle(snapshot), snapshot, pod)


@st.composite
def nodes(draw: Any, name: str) -> Node:
    labels = {HOST: name}
    zone = draw(st.sampled_from(["a", "b", "", None]))
    if zone is not None:
        labels[ZONE] = zone
    if draw(st.booleans()):
        labels["disk"] = draw(st.sampled_from(["ssd", "hdd"]))
    taint = {"key": "own", "effect": draw(st.sampled_from(["NoSchedule", "PreferNoSchedule"]))}
    images = [{"names": ["app:1"], "sizeBytes": 500_000_000}]
    status: JSONObject = {"allocatable": {"cpu": draw(st.sampled_from(["1", "2", "4"])), "memory": "4Gi", "pods": "5"}}
    if draw(st.booleans()):
        status["images"] = images
    spec: JSONObject = {"taints": [taint] if draw(st.integers(0, 3)) == 0 else []}
    if draw(st.integers(0, 5)) == 0:
        spec["unschedulable"] = True
    return convert({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}, Node)


WEB, DB = ({"matchLabels": {"app": app}} for app in ("web", "db"))


def term(draw: Any) -> JSONObject:
    found: JSONObject = {"topologyKey": draw(st.sampled_from([HOST, ZONE]))}
    found["labelSelector"] = draw(st.sampled_from([{}, WEB, DB]))
    if draw(st.integers(0, 3)) == 0:
        found["namespaceSelector"] = draw(st.sampled_from([{}, {"matchLabels": {"team": "x"}}]))
    return found


def terms(draw: Any) -> JSONObject:
    found: JSONObject = {}
    kind = draw(st.integers(0, 5))
    if kind == 1:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = [term(draw)]
    elif kind == 2:
        weight = draw(st.integers(1, 100))
        found["preferredDuringSchedulingIgnoredDuringExecution"] = [{"weight": weight, "podAffinityTerm": term(draw)}]
    return found


def spread(draw: Any) -> list[JSONObject]:
    found = []
    for key in draw(st.lists(st.sampled_from([HOST, ZONE]), unique=True, max_size=2)):
        constraint = {
            "topologyKey": key,
            "maxSkew": draw(st.integers(1, 2)),
            "whenUnsatisfiable": draw(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
            "labelSelector": {"matchLabels": {"app": draw(st.sampled_from(["web", "db"]))}},
            "nodeTaintsPolicy": draw(st.sampled_from(["Honor", "Ignore"])),
            "nodeAffinityPolicy": draw(st.sampled_from(["Honor", "Ignore"])),
        }
        if constraint["whenUnsatisfiable"] == "DoNotSchedule" and draw(st.booleans()):
            constraint["minDomains"] = 2
        found.append(constraint)
    return found


@st.composite
def pods(draw: Any, number: int) -> Pod:
    spec: JSONObject = {"priority": draw(st.integers(0, 1))}
    amount = draw(st.sampled_from([{}, {"cpu": "100m"}, {"cpu": "500m", "memory": "1Gi"}]))
    container: JSONObject = {"name": "c", "image": draw(st.sampled_from(["app:1", "other"])), "resources": {}}
    container["resources"]["requests"] = amount
    if draw(st.integers(0, 4)) == 0:
        container["ports"] = [{"containerPort": 80, "hostPort": 80}]
    spec["containers"] = [container]
    spec["tolerations"] = draw(st.sampled_from([[], [{"key": "own", "operator": "Exists"}]]))
    spec["nodeSelector"] = draw(st.sampled_from([{}, {}, {"disk": "ssd"}]))
    spec["affinity"] = {"podAffinity": terms(draw), "podAntiAffinity": terms(draw)}
    if draw(st.integers(0, 3)) == 0:
        wanted = {"key": "disk", "operator": "In", "values": ["ssd"]}
        preferred = [{"weight": 10, "preference": {"matchExpressions": [wanted]}}]
        spec["affinity"]["nodeAffinity"] = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    if draw(st.booleans()):
        spec["topologySpreadConstraints"] = spread(draw)
    namespace = draw(st.sampled_from(["one", "two"]))
    labels = {"app": draw(st.sampled_from(["web", "db"]))}
    metadata: JSONObject = {"name": f"p{number}", "namespace": namespace, "uid": f"u{number}", "labels": labels}
    return convert({"metadata": metadata, "spec": spec}, Pod)


@pytest.mark.parametrize(("changes", "columns"), [(limits.JOURNAL_CHANGES, limits.COLUMNS), (4, 3)])
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_changing_clusters(changes: int, columns: int, data: st.DataObject) -> None:
    """Nodes come, change and go, pods are placed, finish and wait for room, namespaces are labelled anew.

    The same where little is remembered, so that columns fall behind and are dropped all the time.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "JOURNAL_CHANGES", changes)
        patch.setattr(limits, "COLUMNS", columns)
        evolve(data)


def evolve(data: st.DataObject) -> None:
    snapshot = Snapshot()
    service = {"metadata": {"name": "web", "namespace": "one"}, "spec": {"selector": {"app": "web"}}}
    snapshot.put_object("Service", "one/web", convert(service, Service))
    cycle = ArrayCycle(snapshot)
    placed: list[PodInfo] = []
    for number in range(data.draw(st.integers(1, 10))):
        for name in data.draw(st.lists(st.sampled_from([f"n{i}" for i in range(7)]), max_size=4)):
            if name in snapshot.nodes and data.draw(st.integers(0, 2)) == 0:
                snapshot.remove_node(name)
            else:
                snapshot.set_node(data.draw(nodes(name)))
        if data.draw(st.integers(0, 4)) == 0:
            labels = data.draw(st.sampled_from([{}, {"team": "x"}]))
            metadata = {"name": "two", "labels": labels}
            snapshot.put_object("Namespace", "two", convert({"metadata": metadata}, Namespace))
        if placed and data.draw(st.integers(0, 3)) == 0:
            snapshot.drop_pod(placed.pop(data.draw(st.integers(0, len(placed) - 1))).uid)
        pod = PodInfo(data.draw(pods(number)))
        node = compare(cycle, snapshot, pod)
        if node and data.draw(st.integers(0, 4)) == 0:
            snapshot.nominate(pod, node)
        elif node:
            if data.draw(st.integers(0, 5)) == 0:
                deleted = structs.replace(pod.pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
                pod = PodInfo(structs.replace(pod.pod, metadata=deleted))
            snapshot.assume(pod, node)
            placed.append(pod)

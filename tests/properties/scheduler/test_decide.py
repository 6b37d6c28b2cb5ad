"""Laws of scheduling over random clusters: nothing is over-committed, and `decide` agrees with a naive reading."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.types.core_v1 import (
    Affinity,
    Container,
    ContainerPort,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodAffinityTerm,
    PodAntiAffinity,
    PodSpec,
    ResourceRequirements,
    Taint,
    Toleration,
)
from kube_actors.api.types.meta_v1 import LabelSelector, ObjectMeta
from kube_actors.scheduler import PodInfo, Profile, Snapshot, decide, default_profile

PROFILE: Profile = default_profile()
ZONES = ("a", "b", "")
APPS = ("web", "db")


@st.composite
def nodes(draw: Any) -> list[Node]:
    found = []
    for index in range(draw(st.integers(0, 6))):
        zone = draw(st.sampled_from(ZONES))
        labels = {"kubernetes.io/hostname": f"n{index}", **({"zone": zone} if zone else {})}
        taints = draw(st.sampled_from([(), (Taint(key="own", effect="NoSchedule"),)]))
        allocatable = {
            "cpu": str(draw(st.integers(1, 4))),
            "memory": f"{draw(st.integers(1, 4))}Gi",
            "pods": str(draw(st.integers(0, 4))),
        }
        found.append(
            Node(
                metadata=ObjectMeta(name=f"n{index}", labels=labels),
                spec=NodeSpec(taints=taints, unschedulable=draw(st.sampled_from([None, True, None]))),
                status=NodeStatus(allocatable=allocatable),
            )
        )
    return found


@st.composite
def pods(draw: Any) -> list[Pod]:
    found = []
    for index in range(draw(st.integers(1, 12))):
        requests = {"cpu": f"{draw(st.integers(0, 20))}00m", "memory": f"{draw(st.integers(0, 20))}00Mi"}
        ports = draw(st.sampled_from([(), (ContainerPort(container_port=80, host_port=80),)]))
        container = Container(name="c", image="i", ports=ports, resources=ResourceRequirements(requests=requests))
        app = draw(st.sampled_from(APPS))
        affinity = None
        if draw(st.booleans()):
            term = PodAffinityTerm(label_selector=LabelSelector(match_labels={"app": app}), topology_key="zone")
            affinity = Affinity(
                pod_anti_affinity=PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,))
            )
        tolerations = draw(st.sampled_from([(), (Toleration(key="own", operator="Exists"),)]))
        selector = draw(st.sampled_from([{}, {}, {"zone": "a"}]))
        spec = PodSpec(
            containers=(container,),
            affinity=affinity,
            tolerations=tolerations,
            node_selector=selector,
            priority=draw(st.integers(0, 2)),
        )
        metadata = ObjectMeta(name=f"p{index}", namespace="default", uid=f"u{index}", labels={"app": app})
        found.append(Pod(metadata=metadata, spec=spec))
    return found


def naive(pod: PodInfo, node: Node, placed: list[tuple[PodInfo, Node]]) -> bool:
    """Whether a pod may go to a node, written from the rules and without any of the scheduler's indexes."""
    here = [other for other, home in placed if home.metadata.name == node.metadata.name]
    offer = node.status.allocatable
    if node.spec.unschedulable or (node.spec.taints and not pod.pod.spec.tolerations):
        return False
    if any(node.metadata.labels.get(k) != v for k, v in pod.pod.spec.node_selector.items()):
        return False
    if pod.ports and any(other.ports for other in here):
        return False
    if len(here) >= int(offer["pods"]):
        return False
    if sum(o.request.cpu for o in here) + pod.request.cpu > int(offer["cpu"]) * 1000 and pod.request.cpu:
        return False
    memory = int(offer["memory"].removesuffix("Gi")) * 1024**3
    if sum(o.request.memory for o in here) + pod.request.memory > memory and pod.request.memory:
        return False
    zone = node.metadata.labels.get("zone")
    neighbours = [other for other, home in placed if zone and home.metadata.labels.get("zone") == zone]
    for other in neighbours:
        same = other.labels["app"] == pod.labels["app"]
        if same and (pod.pod.spec.affinity is not None or other.pod.spec.affinity is not None):
            return False
    return True


@given(nodes(), pods(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_decides_as_a_naive_reading_and_never_over_commits(cluster: list[Node], queue: list[Pod], rng: Any) -> None:
    snapshot = Snapshot()
    for node in cluster:
        snapshot.set_node(node)
    placed: list[tuple[PodInfo, Node]] = []
    by_name = {node.metadata.name: node for node in cluster}
    for pod in map(PodInfo, queue):
        decision = decide(pod, snapshot, PROFILE, rng.randrange)
        allowed = [node.metadata.name for node in cluster if naive(pod, node, placed)]
        assert list(decision.feasible) == allowed
        if decision.node:
            assert decision.node in allowed
            snapshot.assume(pod, decision.node)
            placed.append((pod, by_name[decision.node]))
        else:
            assert not allowed
            assert decision.diagnosis is not None
            text = decision.diagnosis.message
            assert text.startswith(f"0/{len(cluster)} nodes are available: ") if cluster else text
            if decision.nomination is not None and decision.nomination.node:
                assert all(victim.priority < pod.priority for victim in decision.nomination.victims)
                without = [(o, n) for o, n in placed if o not in decision.nomination.victims]
                assert naive(pod, by_name[decision.nomination.node], without)
        snapshot.check()


@given(nodes(), pods(), st.data())
@settings(max_examples=100, deadline=None)
def test_the_snapshot_does_not_depend_on_the_way_there(cluster: list[Node], queue: list[Pod], data: Any) -> None:
    """Adding, moving, assuming and forgetting in any order leaves what a fresh snapshot of the end would have."""
    snapshot = Snapshot()
    for node in cluster:
        snapshot.set_node(node)
    names = [node.metadata.name for node in cluster] + ["gone"]
    homes: dict[str, str] = {}
    infos = [PodInfo(pod) for pod in queue]
    for _ in range(20):
        pod = data.draw(st.sampled_from(infos))
        step = data.draw(st.sampled_from(["put", "assume", "forget", "drop", "node"]))
        name = data.draw(st.sampled_from(names))
        if step in ("put", "assume"):
            (snapshot.put_pod if step == "put" else snapshot.assume)(pod, name)
            homes[pod.uid] = name
        elif step == "forget":
            if snapshot.forget(pod.uid):
                del homes[pod.uid]
        elif step == "drop":
            snapshot.drop_pod(pod.uid)
            homes.pop(pod.uid, None)
        elif name != "gone":
            if name in snapshot.nodes:
                snapshot.remove_node(name)
            else:
                snapshot.set_node(next(node for node in cluster if node.metadata.name == name))
        snapshot.check()
    assert {pod.uid: snapshot.node_of(pod.uid) for pod in infos if snapshot.node_of(pod.uid)} == homes

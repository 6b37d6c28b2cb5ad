"""Plugins by tables: what each says of one pod and one node."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.api.tolerations import tolerates
from kube_actors.api.types.core_v1 import (
    Affinity,
    Container,
    ContainerPort,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeStatus,
    Pod,
    PodSpec,
    ResourceRequirements,
    Taint,
    Toleration,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.scheduler import PodInfo, Snapshot
from kube_actors.scheduler.amounts import demand_of
from kube_actors.scheduler.cycle import enough_feasible
from kube_actors.scheduler.diagnosis import event_message
from kube_actors.scheduler.framework import scaled
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.plugins.image_locality import with_tag
from kube_actors.scheduler.plugins.node_resources_fit import shortage
from kube_actors.scheduler.queue import backoff


def container(name: str = "c", restart: str | None = None, ports: Any = (), **requests: str) -> Container:
    amounts = {key.replace("_", "-"): value for key, value in requests.items()}
    resources = ResourceRequirements(requests=amounts)
    return Container(name=name, image="i", restart_policy=restart, ports=ports, resources=resources)


def pod(*containers: Container, **spec: Any) -> Pod:
    metadata = ObjectMeta(name="p", namespace="default", uid="u")
    return Pod(metadata=metadata, spec=PodSpec(containers=containers or (container(),), **spec))


@pytest.mark.parametrize(
    ("toleration", "taint", "expected"),
    [
        ({"key": "a", "value": "1", "effect": "NoSchedule"}, ("a", "1", "NoSchedule"), True),
        ({"key": "a", "value": "2"}, ("a", "1", "NoSchedule"), False),
        ({"key": "a", "operator": "Exists"}, ("a", "1", "NoSchedule"), True),
        ({"operator": "Exists"}, ("a", "1", "NoExecute"), True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, ("a", "1", "NoSchedule"), False),
        ({"key": "b", "operator": "Exists"}, ("a", "1", "NoSchedule"), False),
        ({"key": "a"}, ("a", None, "NoSchedule"), True),
        ({"key": "a", "operator": "Gt", "value": "0"}, ("a", "1", "NoSchedule"), False),
    ],
)
def test_tolerations(toleration: dict[str, str], taint: tuple[str, str | None, str], expected: bool) -> None:
    key, value, effect = taint
    assert tolerates(Toleration(**toleration), Taint(key=key, value=value, effect=effect)) is expected


@pytest.mark.parametrize(
    ("of", "cpu", "memory"),
    [
        (pod(container(cpu="250m", memory="64Mi"), container("d", cpu="1")), 1250, 64 << 20),
        (pod(container(cpu="100m"), init_containers=(container("i", cpu="2"),)), 2000, 0),
        (pod(container(cpu="1"), init_containers=(container("s", "Always", cpu="500m"),)), 1500, 0),
        # The restartable one runs while the plain one after it does.
        (
            pod(container(cpu="1"), init_containers=(container("s", "Always", cpu="500m"), container("i", cpu="2"))),
            2500,
            0,
        ),
        (pod(container(cpu="1"), overhead={"cpu": "10m", "memory": "1Mi"}), 1010, 1 << 20),
        (pod(container(cpu="1"), resources=ResourceRequirements(requests={"cpu": "3"})), 3000, 0),
        # Sums are rounded once, at the end.
        (pod(container(cpu="0.0005"), container("d", cpu="0.0005")), 1, 0),
    ],
)
def test_what_a_pod_asks_for(of: Pod, cpu: int, memory: int) -> None:
    request = demand_of(of).request
    assert (request.cpu, request.memory) == (cpu, memory)


def test_a_container_without_a_request_counts_for_something_but_zero_is_zero() -> None:
    nothing, zero = demand_of(pod(container())), demand_of(pod(container(cpu="0", memory="0")))
    assert (nothing.nonzero_cpu, nothing.nonzero_memory) == (100, 200 << 20)
    assert (zero.nonzero_cpu, zero.nonzero_memory) == (0, 0)
    assert demand_of(pod(container(cpu="1"))).shape == demand_of(pod(container(cpu="1000m"))).shape
    assert demand_of(pod(container(cpu="1"))).shape != demand_of(pod(container(cpu="2"))).shape


def node_info(*pods: Pod, **allocatable: str) -> NodeInfo:
    info = NodeInfo("n")
    amounts = {"cpu": "2", "memory": "1Gi", "pods": "10", **allocatable}
    info.set_node(Node(metadata=ObjectMeta(name="n"), status=NodeStatus(allocatable=amounts)))
    for number, one in enumerate(pods):
        there = PodInfo(one)
        there.uid = f"there-{number}"
        info.add(there)
    return info


@pytest.mark.parametrize(
    ("asked", "node", "code", "reasons"),
    [
        (pod(container(cpu="2")), node_info(), None, ()),
        (pod(container(cpu="2")), node_info(pod(container(cpu="1"))), "Unschedulable", ("Insufficient cpu",)),
        (pod(container(cpu="3")), node_info(), "UnschedulableAndUnresolvable", ("Insufficient cpu",)),
        (
            pod(container(cpu="2", memory="2Gi")),
            node_info(pod(container(cpu="1"))),
            "UnschedulableAndUnresolvable",
            ("Insufficient cpu", "Insufficient memory"),
        ),
        (pod(container(cpu="1")), node_info(pods="0"), "Unschedulable", ("Too many pods",)),
        # Nothing is asked for, so an overfull node will do.
        (pod(container()), node_info(pod(container(cpu="5"))), None, ()),
        (
            pod(Container(name="c", resources=ResourceRequirements(requests={"example.com/gpu": "1"}))),
            node_info(),
            "UnschedulableAndUnresolvable",
            ("Insufficient example.com/gpu",),
        ),
    ],
)
def test_room(asked: Pod, node: NodeInfo, code: str | None, reasons: tuple[str, ...]) -> None:
    verdict = shortage(PodInfo(asked), node)
    assert (None if verdict is None else verdict.code.value) == code
    assert (() if verdict is None else verdict.reasons) == reasons


@pytest.mark.parametrize(
    ("taken", "wanted", "conflict"),
    [
        (("", "TCP", 80), ("", "TCP", 80), True),
        (("", "TCP", 80), ("127.0.0.1", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("", "TCP", 80), True),
        (("127.0.0.1", "TCP", 80), ("127.0.0.2", "TCP", 80), False),
        (("", "TCP", 80), ("", "UDP", 80), False),
        (("", "TCP", 80), ("", "TCP", 81), False),
    ],
)
def test_host_ports(taken: tuple[str, str, int], wanted: tuple[str, str, int], conflict: bool) -> None:
    def with_port(port: tuple[str, str, int]) -> Pod:
        address, protocol, number = port
        one = ContainerPort(container_port=1, host_port=number, host_ip=address or None, protocol=protocol)
        return pod(container(ports=(one,)))

    node = node_info(with_port(taken))
    assert any(node.conflicts(port) for port in PodInfo(with_port(wanted)).ports) is conflict


@pytest.mark.parametrize(
    ("operator", "values", "labels", "expected"),
    [
        ("In", ("a", "b"), {"k": "a"}, True),
        ("In", ("a",), {}, False),
        ("NotIn", ("a",), {}, True),
        ("NotIn", ("a",), {"k": "a"}, False),
        ("Exists", (), {"k": ""}, True),
        ("DoesNotExist", (), {"k": ""}, False),
        ("Gt", ("5",), {"k": "6"}, True),
        ("Gt", ("5",), {"k": "x"}, False),
        ("Lt", ("5",), {"k": "-1"}, True),
        ("Gt", ("x",), {"k": "6"}, False),
        ("Near", ("a",), {"k": "a"}, False),
    ],
)
def test_required_node_affinity(operator: str, values: Any, labels: dict[str, str], expected: bool) -> None:
    requirement = NodeSelectorRequirement(key="k", operator=operator, values=values)
    terms = (NodeSelectorTerm(), NodeSelectorTerm(match_expressions=(requirement,)))
    required = NodeSelector(node_selector_terms=terms)
    affinity = Affinity(node_affinity=NodeAffinity(required_during_scheduling_ignored_during_execution=required))
    assert PodInfo(pod(affinity=affinity)).node_requirements.allow("n", labels) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1", "busybox:1"),
        ("host:5000/app", "host:5000/app:latest"),
        ("host:5000/app:2", "host:5000/app:2"),
        ("app@sha256:0123", "app@sha256:0123"),
    ],
)
def test_image_names(name: str, expected: str) -> None:
    assert with_tag(name) == expected


@pytest.mark.parametrize(
    ("total", "percentage", "expected"),
    [(50, 0, 50), (99, 10, 99), (100, 0, 100), (1000, 0, 420), (5000, 0, 500), (10000, 0, 500), (1000, 5, 100)],
)
def test_how_many_nodes_are_enough(total: int, percentage: int, expected: int) -> None:
    assert enough_feasible(total, percentage) == expected


def test_scores_are_stretched() -> None:
    assert scaled([0, 1, 3]) == [0, 33, 100]
    assert scaled([0, 1, 3], reverse=True) == [100, 67, 0]
    assert scaled([0, 0]) == [0, 0]
    assert scaled([0, 0], reverse=True) == [100, 100]


def test_back_off_doubles_up_to_its_limit() -> None:
    assert [backoff(n) for n in (0, 1, 2, 3, 4, 5, 50)] == [0, 1, 2, 4, 8, 10, 10]


def test_event_messages_are_cut() -> None:
    assert event_message("x" * 1024) == "x" * 1024
    assert event_message("x" * 1025) == "x" * 1020 + " ..."


def test_a_pod_on_a_node_that_comes_later_is_counted_there() -> None:
    snapshot = Snapshot()
    snapshot.put_pod(PodInfo(pod(container(cpu="1"))), "n")
    assert not snapshot.nodes
    snapshot.set_node(Node(metadata=ObjectMeta(name="n"), status=NodeStatus(allocatable={"cpu": "2"})))
    assert snapshot.nodes["n"].cpu == 1000
    snapshot.remove_node("n")
    assert snapshot.node_of("u") == "n"
    snapshot.drop_pod("u")
    snapshot.check()

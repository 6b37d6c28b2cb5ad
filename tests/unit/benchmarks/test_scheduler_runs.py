"""Small workloads, run for real in virtual time: every operation does what scheduler_perf's does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio.testing

from benchmarks.scheduler import CONFIG, run_plan
from benchmarks.scheduler.errors import WorkloadError
from benchmarks.scheduler.workloads import WorkloadFile
from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.cli.main import main

POD = """\
apiVersion: v1
kind: Pod
metadata:
  generateName: pod-
  labels: {app: a, turn: "{{ Mod .Index 2 }}"}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: i, resources: {requests: {cpu: 100m}}}]
"""


async def measured(plan_name: str, file: WorkloadFile | None = None) -> list[dict[str, Any]]:
    plan = (file or WorkloadFile(CONFIG)).plan(plan_name)
    return await run_plan(plan, System(clock=VirtualClock(), entropy=Entropy(0)))


async def of(folder: Path, operations: str) -> list[dict[str, Any]]:
    (folder / "pod.yaml").write_text(POD)
    text = "- name: A\n  defaultPodTemplatePath: pod.yaml\n  workloadTemplate:\n" + operations
    path = folder / "work.yaml"
    path.write_text(text + "  workloads: [{name: B}]\n")
    return await measured("A/B", WorkloadFile(path))


@pytest.mark.parametrize(
    "name",
    [
        "SchedulingBasic/5Nodes",
        "SchedulingNodeAffinity/5Nodes",
        "SchedulingPodAntiAffinity/5Nodes",
        "SchedulingPreferredPodAffinity/5Nodes",
        "TopologySpreading/5Nodes",
        "Unschedulable/5Nodes/2InitPods",
        "SchedulingWithMixedChurn/5Nodes",
        "PreemptionAsync/5Nodes",
    ],
)
async def test_our_own_workloads_run(name: str, autojump_clock: trio.testing.MockClock) -> None:
    (found,) = await measured(name)
    assert found["name"].startswith(name)
    assert found["pods"] == {"SchedulingPodAntiAffinity/5Nodes": 4, "PreemptionAsync/5Nodes": 5}.get(name, 10)
    assert found["latency"]["p99"] >= found["latency"]["p50"] >= 0


async def test_collects_between_start_and_stop(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    found = await of(
        tmp_path,
        """\
  - {opcode: createNodes, count: 3}
  - {opcode: createPods, count: 4, namespace: before}
  - {opcode: startCollectingMetrics, name: mine, namespaces: [during], labelSelector: {turn: "1"}}
  - {opcode: createPods, count: 6, namespace: during, skipWaitToCompletion: true}
  - {opcode: createPods, count: 5, namespace: other, skipWaitToCompletion: true}
  - {opcode: barrier}
  - {opcode: stopCollectingMetrics}
""",
    )
    assert [(each["name"], each["pods"]) for each in found] == [("A/B mine", 3)]


async def test_deletes_and_makes_room(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """A node holds 40 of these pods: the second forty fits when the first is gone."""
    found = await of(
        tmp_path,
        """\
  - {opcode: createNodes, count: 1}
  - {opcode: createPods, count: 40, namespace: first}
  - {opcode: deletePods, namespace: first, labelSelector: {turn: "0"}}
  - {opcode: deletePods, namespace: first, deletePodsPerSecond: 10, skipWaitToCompletion: true}
  - {opcode: createPods, count: 40, namespace: second, collectMetrics: true}
""",
    )
    assert found[0]["pods"] == 40
    assert found[0]["seconds"] >= 1.9


async def test_attempted_is_enough_where_that_is_asked_for(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    found = await of(
        tmp_path,
        """\
  - {opcode: createNodes, count: 1, nodeAllocatableStrategy: {nodeAllocatable: {cpu: "0"}}}
  - {opcode: createPods, count: 3, namespace: stuck, skipWaitToCompletion: true}
  - {opcode: barrier, namespaces: [stuck], stageRequirement: Attempted}
  - {opcode: sleep, duration: 10s}
  - {opcode: createNodes, count: 1}
  - {opcode: barrier, namespaces: [stuck]}
""",
    )
    assert found == []


async def test_a_steady_state(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.rate = 1.0  # a steady state is never idle, so that virtual time would stand still
    (found,) = await of(
        tmp_path,
        """\
  - {opcode: createNodes, count: 2}
  - {opcode: churn, mode: create, number: 3, intervalMilliseconds: 10, templatePaths: [pod.yaml], namespace: churned}
  - {opcode: createPods, count: 3, collectMetrics: true, steadyState: true, duration: 50ms}
""",
    )
    assert found["pods"] > 3


async def test_any_object_can_be_made_and_updated(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    (tmp_path / "node.yaml").write_text(
        'apiVersion: v1\nkind: Node\nmetadata: {name: "n-{{.Index}}"}\n'
        'status: {allocatable: {cpu: "{{.cpu}}", pods: "9", memory: 1Gi}}\n'
    )
    found = await of(
        tmp_path,
        """\
  - {opcode: createAny, templatePath: node.yaml, count: 2, templateParams: {cpu: 0}}
  - {opcode: createPods, count: 8, namespace: a, skipWaitToCompletion: true}
  - {opcode: barrier, stageRequirement: Attempted}
  - {opcode: update, templatePath: node.yaml, count: 2, updatePerSecond: 5, templateParams: {cpu: 4}}
  - {opcode: barrier}
""",
    )
    assert found == []


@pytest.mark.parametrize(
    ("operations", "told"),
    [
        ("  - {opcode: barrier, namespaces: [nowhere]}\n", "barrier: nothing waits in 'nowhere'; known are none"),
        ("  - {opcode: stopCollectingMetrics}\n", "no metrics are being collected; start that first"),
        ("  - {opcode: createPods, count: 2}\n", "namespace namespace-0: 0 of 2 pods are bound after 600 s"),
        ("  - {opcode: createAny, templatePath: pod.yaml}\n", "A/B: operation 0 (createAny): "),
    ],
)
async def test_what_cannot_go_on_is_told(
    tmp_path: Path, operations: str, told: str, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(WorkloadError) as failed:
        await of(tmp_path, operations)
    assert told in str(failed.value)


def test_the_command_with_a_server_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "scheduler", "--workload", "SchedulingBasic/3Nodes"]) == 1
    assert "kube-actors: " in (told := capsys.readouterr().err) and "known are 5Nodes, 500Nodes" in told
    words = ["bench", "scheduler", "--mode", "served", "--workload", "SchedulingBasic/5Nodes"]
    assert main([*words, "--json", str(tmp_path / "x"), "--plot", str(tmp_path / "x.svg")]) == 0
    assert "SchedulingBasic/5Nodes" in capsys.readouterr().out
    written = json.loads((tmp_path / "x").read_text())
    drawn = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    assert [each.text for each in drawn.iter() if "SchedulingBasic" in (each.text or "")] == [
        "SchedulingBasic/5Nodes namespace-2"
    ]
    assert written["mode"] == "served"
    assert written["results"][0]["pods"] == 10

"""Workload files in scheduler_perf's format: what is read from them, and what is refused, with its place and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scheduler import CONFIG
from benchmarks.scheduler.errors import WorkloadError
from benchmarks.scheduler.figures import Measured, figures, percentile, samples, table
from benchmarks.scheduler.operations import Churn, CreateNodes, CreatePods, Sleep
from benchmarks.scheduler.templates import Template
from benchmarks.scheduler.workloads import WorkloadFile, seconds

POD = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: pod-}\nspec: {containers: [{name: c, image: i}]}\n"

FILE = """\
- name: Basic
  defaultPodTemplatePath: pod.yaml
  labels: [all]
  featureGates:
    Whatever: true
  workloadTemplate:
  - opcode: createNodes
    countParam: $initNodes
  - opcode: createPodSets
    countParam: $sets
    namespacePrefix: init
    createPodsOp:
      opcode: createPods
      count: 2
  - opcode: sleep
    durationParam: $pause
  - opcode: createPods
    countParam: $measurePods
    collectMetrics: true
  workloads:
  - name: 5Nodes/Slow
    labels: [short]
    threshold: 12.5
    params:
      initNodes: 5
      sets: 2
      pause: 1m30s
      measurePods: 10
- name: Devices
  workloadTemplate:
  - opcode: createResourceDriver
    driverName: x
  workloads:
  - name: 5Nodes
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pod.yaml").write_text(POD)
    return tmp_path


def written(folder: Path, text: str) -> WorkloadFile:
    path = folder / "work.yaml"
    path.write_text(text)
    return WorkloadFile(path)


def test_reads_a_case_and_puts_its_parameters_in(folder: Path) -> None:
    plan = written(folder, FILE).plan("Basic/5Nodes/Slow")
    assert (plan.name, plan.labels, plan.threshold) == ("Basic/5Nodes/Slow", ("all", "short"), 12.5)
    assert [step.index for step in plan.steps] == [0, 1, 1, 2, 3]
    nodes, first, second, pause, measured = (step.op for step in plan.steps)
    assert isinstance(nodes, CreateNodes) and nodes.count == 5
    assert isinstance(first, CreatePods) and (first.namespace, first.count) == ("init-0", 2)
    assert isinstance(second, CreatePods) and second.namespace == "init-1"
    assert isinstance(pause, Sleep) and seconds(pause.duration) == 90
    assert isinstance(measured, CreatePods) and measured.collect_metrics and measured.pod_template_path == "pod.yaml"
    assert list(plan.steps[4].templates) == ["pod.yaml"]


def test_older_files_name_templates_from_the_folder_around(folder: Path) -> None:
    (folder / "config").mkdir()
    path = folder / "config" / "work.yaml"
    path.write_text(FILE)
    assert WorkloadFile(path).plan("Basic/5Nodes/Slow").steps[4].templates["pod.yaml"].source == str(
        folder / "pod.yaml"
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("opcode: sleep", "opcode: nap", "work.yaml:15: [0].workloadTemplate[2].opcode: unknown opcode 'nap'"),
        ("$initNodes", "$nodes", "work.yaml:8: [0].workloadTemplate[0].countParam: the workload 5Nodes/Slow has no "),
        ("$initNodes", "initNodes", "work.yaml:8: [0].workloadTemplate[0].countParam: 'initNodes' does not begin with"),
        ("initNodes: 5", "initNodes: five", "countParam: parameter 'initNodes' is 'five', where int is expected"),
        ("initNodes: 5", "initNodes: -5", "work.yaml:7: [0].workloadTemplate[0]: count: -5 is negative"),
        ("count: 2", "count: two", "work.yaml:14: [0].workloadTemplate[1].createPodsOp.count: expected `int`"),
        ("count: 2", "cuont: 2", "object contains unknown field `cuont`"),
        ("1m30s", "soon", "[0].workloadTemplate[2].duration: 'soon' is not a duration"),
        (
            "measurePods: 10",
            "measurePods: 10\n      more: 1",
            "work.yaml:24: [0].workloads[0].params: more: used by no",
        ),
        ("pod.yaml", "gone.yaml", "work.yaml:2: [0].defaultPodTemplatePath: there is no template"),
        ("  defaultPodTemplatePath: pod.yaml\n", "", "no podTemplatePath, and the test case has no default"),
        ("collectMetrics: true", "collectMetrics: true\n    skipWaitToCompletion: true", "cannot both be true"),
        (
            "name: Basic",
            "name: Base",
            "there is no workload 'Basic/5Nodes/Slow' (NAME/CASE); known are Base/5Nodes/Slow",
        ),
        ("5Nodes/Slow", "5Nodes", "work.yaml:20: [0].workloads: Basic has no case '5Nodes/Slow'; known are 5Nodes"),
        (FILE, "a: b", "work.yaml: a list of test cases is expected"),
        (FILE, "- b: 1", "work.yaml:1: [0]: a test case with a name is expected"),
        (FILE, "- a: [", "work.yaml: "),
        ("  labels: [all]", "  label: [all]", "object contains unknown field `label`"),
    ],
)
def test_refuses_with_place_and_reason(folder: Path, old: str, new: str, told: str) -> None:
    assert old in FILE
    with pytest.raises(WorkloadError) as refused:
        written(folder, FILE.replace(old, new, 1)).plan("Basic/5Nodes/Slow")
    assert told in str(refused.value)


def test_what_is_not_here_hinders_only_those_who_ask_for_it(folder: Path) -> None:
    file = written(folder, FILE)
    assert file.names() == ["Basic/5Nodes/Slow", "Devices/5Nodes"]
    with pytest.raises(WorkloadError, match=r"work\.yaml:31: .*unknown opcode 'createResourceDriver'"):
        file.plan("Devices/5Nodes")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=r"none\.yaml: cannot be read: No such file or directory"):
        WorkloadFile(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("churn", "told"),
    [
        ("mode: stir, number: 1, templatePaths: [pod.yaml]", "mode: 'stir' is neither create nor recreate"),
        ("mode: recreate, templatePaths: [pod.yaml]", "number: 0 is too small for mode recreate"),
        ("mode: create", "templatePaths: empty"),
        ("mode: create, templatePaths: [pod.yaml, no.yaml]", "workloadTemplate[0].templatePaths[1]: there is no templ"),
    ],
)
def test_refuses_churn(folder: Path, churn: str, told: str) -> None:
    text = f"- name: A\n  workloadTemplate: [{{opcode: churn, {churn}}}]\n  workloads: [{{name: B}}]\n"
    with pytest.raises(WorkloadError) as refused:
        written(folder, text).plan("A/B")
    assert told in str(refused.value)


def test_our_own_workloads_are_all_readable() -> None:
    file = WorkloadFile(CONFIG)
    names = file.names()
    families = {name.partition("/")[0] for name in names}
    assert families >= {
        "PreemptionAsync",
        "SchedulingBasic",
        "SchedulingNodeAffinity",
        "SchedulingPodAffinity",
        "SchedulingPodAntiAffinity",
        "SchedulingPreferredPodAffinity",
        "SchedulingWithMixedChurn",
        "TopologySpreading",
        "Unschedulable",
    }
    for family in families:
        sizes = {name.partition("/")[2].partition("Nodes")[0] for name in names if name.startswith(f"{family}/")}
        assert sizes >= {"500", "5000", "50000"}
    for name in (each for each in names if "/5Nodes" in each or "/500Nodes" in each):
        plan = file.plan(name)
        assert any(isinstance(step.op, CreatePods) and step.op.collect_metrics for step in plan.steps)
    churn = file.plan("SchedulingWithMixedChurn/5Nodes").steps[1]
    assert isinstance(churn.op, Churn) and len(churn.templates) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{.Index}}", "3"),
        ("x-{{ .Index }}-{{- .Count }}", "x-3-10"),
        ("{{ AddInt .Index 4 1 }}", "8"),
        ("{{ Mod (AddInt .Index 1) 3 }}", "1"),
        ("{{ DivideInt .Count 4 }}{{/* why */}}", "2"),
        ('{{ "word" }}', "word"),
        ("{{ .zone }}", "moon"),
    ],
)
def test_templates(text: str, value: str) -> None:
    made = Template(f"name: 'v{text}'", "t.yaml").render({"Index": 3, "Count": 10, "zone": "moon"})
    assert made == {"name": f"v{value}"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: {{ if .X }}", "t.yaml:2: {{if .X}} uses 'if'; known are AddFloat"),
        ("a: {{ .Gone }}", "t.yaml:1: .Gone is not given; there are Index"),
        ("a: {{ Mod .Index }}", "gives 1 operands to Mod"),
        ("a: {{ Mod .Index 0 }}", "t.yaml: division by zero"),
        ("a: {{ (AddInt 1 }}", "lacks a closing parenthesis"),
        ("a: {{ }}", "is empty"),
        ("a: {{ .Index | printf }}", "is not understood"),
        ("- a", "t.yaml: one object is expected"),
        ("a: [", "t.yaml: "),
    ],
)
def test_templates_refused(text: str, told: str) -> None:
    with pytest.raises(WorkloadError) as refused:
        Template(text, "t.yaml").render({"Index": 1})
    assert told in str(refused.value)


def test_figures() -> None:
    bound_at = [0.2] * 100 + [1.1] * 300 + [2.8] * 40
    assert samples(bound_at) == [100, 300, pytest.approx(50)]
    assert samples([0.1, 0.2]) == [pytest.approx(10)]
    assert samples([]) == []
    assert [percentile(range(1, 101), percent) for percent in (50, 90, 99)] == [50, 90, 99]
    measured = Measured(
        name="A/B", threshold=500, bound_at=bound_at, latencies=[0.1] * 440, cpu_seconds=2.0, memory_bytes=10**8
    )
    found = figures(measured)
    assert (found["pods"], found["podsPerCPUSecond"], found["thresholdMet"]) == (440, 220, False)
    assert found["throughput"]["p50"] == 100 and found["throughput"]["p99"] == 300
    assert "threshold 500 pods/s: missed" in table([found])

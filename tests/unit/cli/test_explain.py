"""`kube-actors explain`: manifests of a user's own, recordings, and what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kube_actors.cli.main import main

CLUSTER = """
apiVersion: v1
kind: Node
metadata: {name: small}
status: {allocatable: {cpu: "1", memory: 1Gi, pods: "10"}}
---
apiVersion: v1
kind: Node
metadata: {name: big}
status: {allocatable: {cpu: "8", memory: 16Gi, pods: "10"}}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 100
---
apiVersion: v1
kind: Pod
metadata: {name: there}
spec: {nodeName: big, containers: [{name: a, image: a, resources: {limits: {cpu: "7"}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: a, image: a, resources: {limits: {cpu: 500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: hog, namespace: team}
spec: {priorityClassName: urgent, containers: [{name: a, image: a, resources: {limits: {cpu: "2"}}}]}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


def explained(path: Path, pod: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["explain", "--objects", str(path), "--pod", pod]) == 0
    return capsys.readouterr().out


def test_a_pod_goes_where_there_is_more_left(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = explained(cluster, "default/web", capsys)
    assert [line.split()[:2] for line in out.splitlines()[3:5]] == [["small", "fits"], ["big", "fits"]]
    assert out.endswith("It would go to small.\n")


def test_limits_count_as_requests_and_classes_as_priorities(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = explained(cluster, "team/hog", capsys)
    assert "FailedScheduling: 0/2 nodes are available: 2 Insufficient cpu." in out
    assert "Preemption would make room on big by evicting default/there." in out


def test_as_json_it_has_the_form_of_the_recordings(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--objects", str(cluster), "--pod", "team/hog", "-o", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["filters"]["small"] == {
        "status": "UnschedulableAndUnresolvable",
        "plugin": "NodeResourcesFit",
        "reasons": ["Insufficient cpu"],
    }
    assert answer["preemption"]["candidates"] == {"big": {"victims": ["default/there"], "numPDBViolations": 0}}
    assert answer["preemption"]["nominatedNodes"] == ["big"]


def test_recordings_are_answered_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}, "status": {"allocatable": {"pods": "1"}}}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "target", "namespace": "default"}, "spec": {}}
    pod["spec"] = {"containers": [{"name": "a", "image": "a"}]}
    path = tmp_path / "cycles.jsonl"
    lines = [{"id": f"case-{number}", "objects": [node][:number], "pod": pod} for number in (0, 1)]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert main(["explain", "--objects", str(path)]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(answer["id"], answer["hosts"]) for answer in answers] == [("case-0", None), ("case-1", ["n"])]
    assert answers[0]["message"] == "no nodes available to schedule pods"
    single = tmp_path / "one.json"
    single.write_text(json.dumps(lines[1]))
    assert explained(single, "default/target", capsys).endswith("It would go to n.\n")


@pytest.mark.parametrize(
    ("name", "content", "pod", "line"),
    [
        ("a.yaml", CLUSTER, "", "--pod: say which pod of DIR/a.yaml is meant, as NAMESPACE/NAME"),
        ("a.yaml", CLUSTER, "team/web", "DIR/a.yaml: there is no pod team/web in it"),
        ("a.yaml", "kind: Pod", "x", "DIR/a.yaml: an object without apiVersion: {'kind': 'Pod'}"),
        ("a.jsonl", "{}", "x", "--pod: every line of DIR/a.jsonl names its own pod; leave --pod out"),
        ("a.jsonl", "\n{]", "", "DIR/a.jsonl:2: JSON is malformed: object keys must be strings (byte 1)"),
        ("a.jsonl", "[]", "", "DIR/a.jsonl:1: a JSON object with objects and pod is wanted"),
        ("a.jsonl", '{"objects": [1], "pod": {}}', "", "DIR/a.jsonl:1: objects[0] must be an object"),
        (
            "a.jsonl",
            '{"objects": [{"kind": "Node", "metadata": {"name": "n"}, "spec": 3}], "pod": {}}',
            "",
            "DIR/a.jsonl:1: Node 'n': Expected `object`, got `int` - at `$.spec`",
        ),
        ("none.yaml", None, "x", "DIR/none.yaml: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, pod: str, line: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    assert main(["explain", "--objects", str(path), *(["--pod", pod] if pod else [])]) == 1
    assert capsys.readouterr().err == f"kube-actors: {line.replace('DIR', str(tmp_path))}\n"

"""Tables: the words of `kubectl get`, and that every built-in kind can be shown even when it is nearly empty."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kube_actors.api.resources import builtin
from kube_actors.apiserver.tables import CUSTOM, printer_for, table_of
from kube_actors.apiserver.tables.printer import human_duration, selector_text

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_767_225_600.0
CREATED = "2025-12-31T23:59:30Z"


def cells(obj: dict[str, Any]) -> dict[str, Any]:
    table = table_of(obj, NOW)
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (150, "2m30s"), (599, "9m59s"),
        (600, "10m"), (3600 * 3 - 1, "179m"), (3600 * 3, "3h"), (3600 * 7 + 60, "7h1m"), (3600 * 8, "8h"),
        (3600 * 48, "2d"), (3600 * 50, "2d2h"), (86400 * 8, "8d"), (86400 * 400, "400d"), (86400 * 800, "2y70d"),
        (86400 * 365 * 9, "9y"),
    ],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize("resource", builtin(), ids=lambda resource: f"{resource.api_version}/{resource.kind}")
def test_every_kind_can_be_shown_nearly_empty(resource: Any) -> None:
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"name": "a"}}
    table = table_of(obj, NOW)
    (row,) = table["rows"]
    assert len(row["cells"]) == len(table["columnDefinitions"])
    assert "a" in row["cells"]
    # A bookmark in a watch is an object without even a name.
    table_of({"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}, NOW)


def container(name: str, **state: Any) -> dict[str, Any]:
    more = {key: state.pop(key) for key in ("ready", "restartCount", "lastState", "started") if key in state}
    return {"name": name, "state": state, **more}


RUNNING: dict[str, Any] = {"running": {}, "ready": True}


def pod(*containers: dict[str, Any], phase: str = "Running", init: Any = (), spec: Any = None, **status: Any) -> Any:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p", "creationTimestamp": CREATED},
        "spec": {"containers": [{"name": c["name"]} for c in containers], **(spec or {})},
        "status": {
            "phase": phase,
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
            **status,
        },
    }


ENDED = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED = {"terminated": {"exitCode": 3}}
KILLED = {"terminated": {"exitCode": 137, "signal": 9}}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}
INIT = {"initContainers": [{"name": "i"}, {"name": "j"}]}
READY = [{"type": "Ready", "status": "True"}]
DELETED = {"metadata": {"name": "p", "deletionTimestamp": CREATED, "creationTimestamp": CREATED}}


@pytest.mark.parametrize(
    ("obj", "ready", "status"),
    [
        (pod(container("c", **RUNNING)), "1/1", "Running"),
        (pod(container("c", waiting={"reason": "CrashLoopBackOff"})), "0/1", "CrashLoopBackOff"),
        (pod(container("c", waiting={})), "0/1", "Running"),
        (pod(container("c", **ENDED), phase="Succeeded"), "0/1", "Completed"),
        (pod(container("c", **FAILED), phase="Failed"), "0/1", "ExitCode:3"),
        (pod(container("c", **KILLED), phase="Failed"), "0/1", "Signal:9"),
        (pod(container("c", **ENDED), container("d", **RUNNING)), "1/2", "NotReady"),
        (pod(container("c", **ENDED), container("d", **RUNNING), conditions=READY), "1/2", "Running"),
        (pod(phase="Failed", reason="Evicted"), "0/0", "Evicted"),
        (pod(phase="Pending", init=[container("i", running={})], spec=INIT), "0/0", "Init:0/2"),
        (
            pod(phase="Pending", init=[container("i", **ENDED), container("j", running={})], spec=INIT),
            "0/0",
            "Init:1/2",
        ),
        (pod(phase="Pending", init=[container("i", **FAILED)], spec=INIT), "0/0", "Init:ExitCode:3"),
        (
            pod(container("c", **RUNNING), init=[container("s", started=True, **RUNNING)], spec=SIDECAR),
            "2/2",
            "Running",
        ),
        ({**pod(container("c", **RUNNING)), **DELETED}, "1/1", "Terminating"),
        ({**pod(container("c", **ENDED), phase="Succeeded"), **DELETED}, "0/1", "Completed"),
        ({**pod(container("c", **RUNNING), reason="NodeLost"), **DELETED}, "1/1", "Unknown"),
    ],
)
def test_the_state_of_a_pod(obj: Any, ready: str, status: str) -> None:
    found = cells(obj)
    assert (found["Ready"], found["Status"]) == (ready, status)


def test_restarts_tell_how_long_ago_the_last_one_was() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": "2025-12-31T23:59:55Z"}}
    assert cells(pod(container("c", restartCount=3, lastState=last, **RUNNING)))["Restarts"] == "3 (5s ago)"
    assert cells(pod(container("c", restartCount=3, **RUNNING)))["Restarts"] == "3"


def test_a_finished_pod_has_a_condition_by_which_kubectl_hides_it() -> None:
    row = table_of(pod(phase="Succeeded"), NOW)["rows"][0]
    assert row["conditions"][0]["type"] == "Completed"
    assert "conditions" not in table_of(pod(phase="Running"), NOW)["rows"][0]


def test_a_list_has_one_row_an_item_and_its_own_metadata() -> None:
    items = [{"metadata": {"name": name}} for name in "ab"]
    obj = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": "x"}, "items": items}
    table = table_of(obj, NOW)
    assert table["metadata"] == {"resourceVersion": "7", "continue": "x"}
    assert [row["object"]["metadata"]["name"] for row in table["rows"]] == ["a", "b"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert table_of(obj, NOW, include="None")["rows"][0]["object"] is None
    assert table_of(obj, NOW, include="Object")["rows"][0]["object"]["kind"] == "Pod"


def test_services_and_their_ports() -> None:
    ports = [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]
    spec = {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": ports, "selector": {"b": "2", "a": "1"}}
    found = cells({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s"}, "spec": spec})
    assert found["External-IP"] == "<pending>"
    assert found["Port(s)"] == "80:30080/TCP,53/UDP"
    assert found["Selector"] == "a=1,b=2"


def test_nodes_tell_roles_and_cordons() -> None:
    labels = {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}
    found = cells(
        {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": "n", "labels": labels},
            "spec": {"unschedulable": True},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        }
    )
    assert (found["Status"], found["Roles"]) == ("NotReady,SchedulingDisabled", "edge,worker")


def test_selectors_as_people_write_them() -> None:
    selector = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [
            {"key": "b", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "NotIn", "values": ["z"]},
            {"key": "d", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"},
        ],
    }
    assert selector_text(selector) == "a=1,b in (x,y),c notin (z),d,!e"


def test_custom_resources_show_their_age() -> None:
    obj = {"kind": "Foo", "apiVersion": "x.io/v1", "metadata": {"name": "a", "creationTimestamp": CREATED}}
    assert table_of(obj, NOW, printer=CUSTOM)["rows"][0]["cells"] == ["a", "30s"]
    assert printer_for("x.io", "Foo").columns[1].name == "Created At"


def test_writing_the_texts_of_columns_again_changes_nothing() -> None:
    pytest.importorskip("kubernetes_validate")
    script = ROOT / "scripts" / "generate_column_texts.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr

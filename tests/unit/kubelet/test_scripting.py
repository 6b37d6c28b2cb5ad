"""Scripted nodes: what a word in a pod's annotation makes of its status, and a cluster of such nodes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from kube_actors import Cluster
from kube_actors.api.types.core_v1 import Pod
from kube_actors.assembly.config import load_config
from kube_actors.kubelet import scripting
from kube_actors.kubelet.scripting import ScriptRules

RULES = ScriptRules(selector="sim=true", annotation="behaviour")


def pod(word: str = "", policy: str = "Always", **metadata: Any) -> Pod:
    annotations = {"behaviour": word, **metadata.pop("annotations", {})}
    tree = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "annotations": annotations, **metadata},
        "spec": {"restartPolicy": policy, "containers": [{"name": "c", "image": "i"}]},
    }
    return msgspec.convert(tree, Pod)


def shown(given: Pod) -> tuple[Any, ...] | None:
    """Phase, whether ready, restarts, the exit code of the end."""
    played = scripting.play(given, RULES, ip="10.0.0.1", host_ip="127.0.0.1", now=0.0)
    if played is None:
        return None
    status = played.status
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions)
    container = status.container_statuses[0]
    assert container.state is not None
    ended = container.state.terminated.exit_code if container.state.terminated is not None else None
    return status.phase, ready, container.restart_count, ended


@pytest.mark.parametrize(
    ("word", "policy", "expected"),
    [
        ("", "Always", ("Running", True, 0, None)),
        ("nonsense", "Always", ("Running", True, 0, None)),
        ("hang-stop", "Always", ("Running", True, 0, None)),
        ("never-ready", "Always", ("Running", False, 0, None)),
        ("bad-image", "Never", ("Pending", False, 0, None)),
        ("pending", "Always", None),
        ("succeed", "Never", ("Succeeded", False, 0, 0)),
        ("succeed", "OnFailure", ("Succeeded", False, 0, 0)),
        ("succeed", "Always", ("Running", False, 1, None)),
        ("fail", "Never", ("Failed", False, 0, 1)),
        ("exit:42", "Never", ("Failed", False, 0, 42)),
        ("exit:42", "OnFailure", ("Running", False, 1, None)),
    ],
)
def test_a_word_decides(word: str, policy: str, expected: object) -> None:
    assert shown(pod(word, policy)) == expected


@pytest.mark.parametrize(("index", "phase"), [("0", "Succeeded"), ("1", "Failed"), ("2", "Running"), ("", "Running")])
def test_a_word_may_depend_on_the_index(index: str, phase: str) -> None:
    by_job = pod("index:0=succeed;1=exit:3;*=", "Never", annotations={scripting.JOB_INDEX: index} if index else {})
    found = shown(by_job)
    assert found is not None and found[0] == phase


def test_a_stopped_pod_ends_as_its_restart_policy_has_it() -> None:
    always = scripting.end(pod(), ip="", host_ip="", now=0.0)
    never = scripting.end(pod(policy="Never"), ip="", host_ip="", now=0.0)
    assert always is not None and always.phase == "Succeeded"
    assert never is not None and never.phase == "Failed"
    assert not scripting.behaviour_of(pod("hang-stop"), "behaviour").stops


async def test_the_recorded_cluster(autojump_clock: MockClock) -> None:
    """Pods run, crash up to the limit, change their behaviour while they live, and stop or do not."""
    config = load_config("tests/golden/controllers.yaml")
    async with Cluster(config) as cluster:
        client = cluster.client
        words = {"ok": "", "crash": "fail", "stuck": "hang-stop"}
        for name, word in words.items():
            annotations = {"sim.golden/behaviour": word}
            spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "fake-0"}
            manifest = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
            await client.create(
                msgspec.convert(
                    {**manifest, "metadata": {"name": name, "namespace": "default", "annotations": annotations}}, Pod
                )
            )
        await cluster.wait("pod/ok", "Ready")
        await cluster.wait("pod/crash", lambda pod: pod and pod["status"]["containerStatuses"][0]["restartCount"] == 8)
        await client.patch(
            Pod, "ok", {"metadata": {"annotations": {"sim.golden/behaviour": "never-ready"}}}, namespace="default"
        )
        await cluster.wait("pod/ok", "Ready=False")
        await cluster.wait("pod/stuck", "Ready")
        await client.delete(Pod, "stuck", namespace="default")
        await client.delete(Pod, "ok", namespace="default")
        await cluster.wait("pod/ok", "Deleted")
        assert await client.get(Pod, "stuck", namespace="default")
        await client.patch(
            Pod, "stuck", {"metadata": {"annotations": {"sim.golden/behaviour": None}}}, namespace="default"
        )
        await cluster.wait("pod/stuck", "Deleted")

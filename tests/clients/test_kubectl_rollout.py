"""kubectl rollout over Deployments, StatefulSets and DaemonSets on simulated nodes: what people type, and read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import trio

from tests.kit.commands import kubectl, up

KINDS = ("deployment", "statefulset", "daemonset")
FINISHED = {
    "deployment": 'deployment "web" successfully rolled out',
    "statefulset": "rolling update complete 2 pods at revision",
    "daemonset": 'daemon set "web" successfully rolled out',
}


def manifest(kind: str) -> str:
    template = {
        "metadata": {"labels": {"app": kind}},
        "spec": {"containers": [{"name": "c", "image": "img:1"}], "terminationGracePeriodSeconds": 1},
    }
    spec = {"selector": {"matchLabels": {"app": kind}}, "template": template}
    if kind != "daemonset":
        spec["replicas"] = 2
    name = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}[kind]
    return json.dumps({"apiVersion": "apps/v1", "kind": name, "metadata": {"name": "web"}, "spec": spec})


async def rolled(kubeconfig: Path, kind: str) -> None:
    said = await kubectl(kubeconfig, "rollout", "status", f"{kind}/web", "--timeout=30s")
    assert FINISHED[kind] in said or "partitioned roll out complete" in said, said


async def image_of(kubeconfig: Path, kind: str) -> str:
    said = await kubectl(kubeconfig, "get", "pods", "-l", f"app={kind}", "-o", "jsonpath={..containers[0].image}")
    return " ".join(sorted(set(said.split())))


async def a_life(kubeconfig: Path, kind: str) -> None:
    await kubectl(kubeconfig, "apply", "-f", "-", stdin=manifest(kind))
    await rolled(kubeconfig, kind)
    await kubectl(kubeconfig, "set", "image", f"{kind}/web", "c=img:2")
    await rolled(kubeconfig, kind)
    said = await kubectl(kubeconfig, "rollout", "history", f"{kind}/web")
    assert [line.split()[0] for line in said.splitlines()[2:] if line] == ["1", "2"]
    said = await kubectl(kubeconfig, "rollout", "history", f"{kind}/web", "--revision=1")
    assert "img:1" in said
    said = await kubectl(kubeconfig, "rollout", "undo", f"{kind}/web")
    assert "rolled back" in said
    await rolled(kubeconfig, kind)
    said = await kubectl(kubeconfig, "rollout", "history", f"{kind}/web")
    assert [line.split()[0] for line in said.splitlines()[2:] if line] == ["2", "3"]
    said = await kubectl(kubeconfig, "rollout", "restart", f"{kind}/web")
    assert "restarted" in said
    await rolled(kubeconfig, kind)
    if kind == "deployment":
        assert "paused" in await kubectl(kubeconfig, "rollout", "pause", "deployment/web")
        await kubectl(kubeconfig, "set", "image", "deployment/web", "c=img:3")
        assert "resumed" in await kubectl(kubeconfig, "rollout", "resume", "deployment/web")
        await rolled(kubeconfig, kind)
        assert (await image_of(kubeconfig, kind)).split()[-1] == "img:3"
    else:
        assert await image_of(kubeconfig, kind) == "img:1"


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
async def test_rollouts_from_status_to_restart(tmp_path: Path) -> None:
    async with up(tmp_path / "d", nodes=2) as server:
        _, kubeconfig = await server.ready()
        async with trio.open_nursery() as nursery:
            for kind in KINDS:
                nursery.start_soon(a_life, kubeconfig, kind)

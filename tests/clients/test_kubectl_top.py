"""kubectl top and kubectl autoscale against a cluster of simulated containers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kube_actors.assembly.config import ControllersConfig
from tests.kit.clusters import deployment, running_cluster, until

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


def test_top_and_autoscale(tmp_path: Path) -> None:
    # Not more often: of one object only so many events are told at once, and the failures of the beginning are some.
    config = ControllersConfig(periods={"horizontalPodAutoscalerSyncPeriod": "2s"})
    with running_cluster("simulated", tmp_path, controllers=config) as running, running.namespace() as space:

        def kubectl(*words: str) -> str:
            return space.kubectl(*words).stdout

        body = deployment(2, image="web", resources={"requests": {"cpu": "2m"}})
        space.apply(body)
        kubectl("rollout", "status", "deployment/web", "--timeout=30s")
        lines = [line.split() for line in kubectl("top", "pods", "--no-headers").splitlines()]
        assert len(lines) == 2
        assert all(line[1] in ("1m", "2m") and line[2] == "1Mi" for line in lines)
        assert len(kubectl("top", "pods", "--containers", "--no-headers").splitlines()) == 2
        nodes = kubectl("top", "nodes", "--no-headers")
        assert "node-0" in nodes and "node-1" in nodes

        kubectl("autoscale", "deployment/web", "--min=1", "--max=4", "--cpu-percent=10")
        until(lambda: "SuccessfulRescale" in kubectl("describe", "hpa", "web"), what="the target is scaled")
        told = kubectl("describe", "hpa", "web")
        assert "New size: 4; reason: cpu resource utilization (percentage of request) above target" in told

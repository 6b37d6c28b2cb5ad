"""kubectl create job, also from a CronJob, and kubectl wait, against a cluster of scripted nodes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kube_actors.assembly.config import NodeConfig, ScriptedConfig
from tests.kit.clusters import running_cluster

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


def test_jobs_by_hand_and_from_a_cron_job(tmp_path: Path) -> None:
    nodes = (NodeConfig(name="played", labels={"played": "yes"}),)
    scripted = ScriptedConfig(node_selector="played=yes", annotation="played")
    with running_cluster("simulated", tmp_path, nodes=nodes, scripted=scripted) as running:  # type: ignore[arg-type]
        with running.namespace() as space:

            def kubectl(*words: str) -> str:
                return space.kubectl(*words).stdout

            container = {"name": "c", "image": "i"}
            pod = {"containers": [container], "restartPolicy": "Never"}
            template = {"metadata": {"annotations": {"played": "succeed"}}, "spec": pod}
            job = {"spec": {"template": template, "ttlSecondsAfterFinished": 3600}}
            cron = {"schedule": "0 0 1 1 *", "timeZone": "Europe/Berlin", "jobTemplate": job}
            space.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": cron})
            assert "created" in kubectl("create", "job", "now", "--from=cronjob/c")
            kubectl("create", "job", "other", "--image=i", "--", "true")
            assert "condition met" in kubectl("wait", "--for=condition=complete", "job/now", "--timeout=30s")
            assert "1/1" in kubectl("get", "job", "now", "--no-headers")
            assert "Completed" in kubectl("describe", "job", "now")
            assert "Europe/Berlin" in kubectl("get", "cronjob", "c", "--no-headers")
            kubectl("patch", "job", "other", "--type=merge", "-p", '{"spec": {"suspend": true}}')
            kubectl("wait", "--for=condition=suspended", "job/other", "--timeout=30s")
            kubectl("delete", "job", "other", "--timeout=30s")
            kubectl("delete", "cronjob", "c", "--timeout=30s")
            kubectl("wait", "--for=delete", "job/now", "--timeout=30s")

"""The installed kubectl's ways to apply, client-side and server-side, against a real HTTPS API server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.kit.https import https_apiserver

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: nginx:1
"""
SERVER_SIDE = ("apply", "--server-side", "-f", "-")


def web(replicas: int) -> str:
    return WEB.replace("REPLICAS", str(replicas))


async def test_server_side_apply_conflicts_and_force(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        made = await api.kubectl(*SERVER_SIDE, stdin=web(2))
        assert made.stdout == "deployment.apps/web serverside-applied\n"
        await api.kubectl("scale", "deployment/web", "--replicas=4")
        refused = await api.kubectl(*SERVER_SIDE, stdin=web(3), check=False)
        assert refused.returncode == 1
        assert 'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1' in (
            refused.stderr
        )
        assert "--force-conflicts" in refused.stderr
        await api.kubectl(*SERVER_SIDE, "--force-conflicts", stdin=web(3))
        difference = await api.kubectl("diff", "--server-side", "-f", "-", stdin=web(5), check=False)
        assert difference.returncode == 1
        assert "+  replicas: 5" in difference.stdout
        shown = (await api.kubectl("get", "deployment/web", "-o", "yaml", "--show-managed-fields")).stdout
        assert "manager: kubectl\n    operation: Apply" in shown
        assert "f:replicas: {}" in shown


async def test_client_side_apply_then_server_side(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        await api.kubectl("apply", "-f", "-", stdin=web(2))
        configured = await api.kubectl("apply", "-f", "-", stdin=web(3))
        assert configured.stdout == "deployment.apps/web configured\n"
        record = await api.kubectl("apply", "view-last-applied", "deployment/web", "-o", "json")
        assert json.loads(record.stdout)["spec"]["replicas"] == 3
        await api.kubectl(*SERVER_SIDE, stdin=web(4))
        found = json.loads((await api.kubectl("get", "deployment/web", "-o", "json", "--show-managed-fields")).stdout)
        assert found["spec"]["replicas"] == 4
        managers = {(entry["manager"], entry["operation"]) for entry in found["metadata"]["managedFields"]}
        assert ("kubectl", "Apply") in managers

"""The installed kubectl on custom resources: create, explain, columns, strict fields, apply, short names, scale."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kit.https import https_apiserver

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        type: object
        description: CronTab runs something now and then.
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [cronSpec]
            properties:
              cronSpec: {type: string, description: When it runs.}
              replicas: {type: integer, default: 1, minimum: 0}
          status: {type: object, properties: {replicas: {type: integer}}}
"""
TAB = """
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: tab}
spec: {cronSpec: "* * * * *"}
"""


async def test_custom_resources_from_definition_to_end(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        await api.kubectl("apply", "-f", "-", stdin=DEFINITION)
        await api.kubectl("wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=10s")
        made = await api.kubectl("apply", "-f", "-", stdin=TAB)
        assert made.stdout == "crontab.stable.example.com/tab created\n"
        rows = (await api.kubectl("get", "ct")).stdout.splitlines()
        assert rows[0].split() == ["NAME", "SPEC", "REPLICAS"]
        assert rows[1].split() == ["tab", "*", "*", "*", "*", "*", "1"]
        assert "crontab.stable.example.com/tab" in (await api.kubectl("get", "all")).stdout
        explained = (await api.kubectl("explain", "crontab.spec.cronSpec")).stdout
        assert "FIELD: cronSpec <string>" in explained and "When it runs." in explained
        assert "CronTab runs something now and then." in (await api.kubectl("explain", "crontab")).stdout
        unknown = await api.kubectl(
            "create", "-f", "-", stdin=TAB.replace("name: tab", "name: t2") + "bad: 1\n", check=False
        )
        assert 'strict decoding error: unknown field "bad"' in unknown.stderr
        missing = TAB.replace("name: tab", "name: t3").replace('cronSpec: "* * * * *"', "replicas: 2")
        refused = await api.kubectl("create", "-f", "-", stdin=missing, check=False)
        assert "spec.cronSpec: Required value" in refused.stderr
        scaled = await api.kubectl("scale", "ct/tab", "--replicas=5")
        assert scaled.stdout == "crontab.stable.example.com/tab scaled\n"
        assert (await api.kubectl("get", "ct/tab", "-o", "jsonpath={.spec.replicas}")).stdout == "5"
        applied = await api.kubectl("apply", "--server-side", "-f", "-", stdin=TAB, check=False)
        assert applied.stdout == "crontab.stable.example.com/tab serverside-applied\n", applied.stderr
        await api.kubectl("delete", "crd", "crontabs.stable.example.com", "--timeout=20s")
        gone = await api.kubectl("get", "ct", check=False)
        assert "could not find the requested resource" in gone.stderr  # kubectl remembers what there was

"""The installed kubectl against a real HTTPS API server without nodes or controllers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.kit.echo_node import EchoNode
from tests.kit.https import https_apiserver

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: nginx:1
        resources: {limits: {memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

POD_ON_NODE = """
apiVersion: v1
kind: Node
metadata: {name: node-a}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  nodeName: node-a
  containers: [{name: c, image: i}]
"""


async def test_apply_get_edit_delete(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        applied = (await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)).stdout
        assert applied == "deployment.apps/web created\nservice/web created\n"
        again = (await api.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)).stdout
        assert again == "deployment.apps/web unchanged\nservice/web unchanged\n"
        changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
        assert "deployment.apps/web configured\n" in (await api.kubectl("apply", "-f", "-", stdin=changed)).stdout

        shown = (await api.kubectl("get", "deploy,svc", "-o", "wide")).stdout
        assert "READY   UP-TO-DATE   AVAILABLE   AGE" in shown
        assert "0/3" in shown
        assert "CLUSTER-IP" in shown
        replicas = await api.kubectl("get", "deploy/web", "-o", "jsonpath={.spec.replicas}")
        assert replicas.stdout == "3"

        await api.kubectl("scale", "deploy/web", "--replicas=5")
        await api.kubectl("set", "image", "deploy/web", "c=nginx:2")
        await api.kubectl("label", "deploy/web", "tier=front")
        await api.kubectl("annotate", "deploy/web", "note=x")
        await api.kubectl(
            "patch", "deploy/web", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/tier"}]'
        )
        found = json.loads((await api.kubectl("get", "deploy/web", "-o", "json")).stdout)
        assert found["spec"]["replicas"] == 5
        assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
        assert "tier" not in found["metadata"]["labels"]

        described = (await api.kubectl("describe", "deploy", "web")).stdout
        assert "Image:      nginx:2" in described
        assert (await api.kubectl("delete", "svc/web", "deploy/web")).stdout.count("deleted") == 2
        missing = await api.kubectl("get", "deploy/web", check=False)
        assert missing.stderr == 'Error from server (NotFound): deployments.apps "web" not found\n'


async def test_what_kubectl_creates_by_name_comes_as_protobuf(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        for words in (
            "namespace team",
            "configmap a --from-literal=x=y",
            "secret generic s --from-literal=k=v",
            "serviceaccount bot",
            "deployment web --image=nginx --replicas=0 --port=80",
            "service nodeport web --tcp=80:8080",
            "job j --image=busybox -- sleep 1",
            "cronjob cj --image=busybox --schedule=@daily -- ls",
            "role r --verb=get,list --resource=pods",
            "rolebinding rb --role=r --user=u",
            "poddisruptionbudget p --selector=a=b --min-available=50%",
            "quota q --hard=pods=2,requests.cpu=500m",
            "ingress i --rule=foo.com/bar=svc1:http",
            "priorityclass pc --value=-5",
        ):
            await api.kubectl("create", *words.split())

        async def value(kind: str, path: str) -> str:
            return (await api.kubectl("get", kind, "-o", f"jsonpath={{{path}}}")).stdout

        assert await value("cm/a", ".data.x") == "y"
        assert await value("secret/s", ".data.k") == "dg=="
        assert await value("deploy/web", ".spec.replicas") == "0"
        assert await value("svc/web", ".spec.ports[0].targetPort") == "8080"
        assert await value("cj/cj", ".spec.jobTemplate.spec.template.spec.containers[0].command[0]") == "ls"
        assert await value("pdb/p", ".spec.minAvailable") == "50%"
        assert await value("quota/q", ".spec.hard.requests\\.cpu") == "500m"
        assert await value("ing/i", ".spec.rules[0].http.paths[0].backend.service.port.name") == "http"
        assert await value("pc/pc", ".value") == "-5"


async def test_wrong_fields_are_refused_by_the_server(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        wrong = DEPLOYMENT.replace("replicas: 2", "replcas: 2")
        refused = await api.kubectl("apply", "-f", "-", stdin=wrong, check=False)
        assert 'strict decoding error: unknown field "spec.replcas"' in refused.stderr
        warned = await api.kubectl("apply", "--validate=warn", "-f", "-", stdin=wrong)
        assert 'Warning: unknown field "spec.replcas"' in warned.stderr


async def test_what_there_is_and_what_it_means(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        resources = (await api.kubectl("api-resources")).stdout
        assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in [
            line.split() for line in resources.splitlines()
        ]
        assert "discovery.k8s.io/v1\n" in (await api.kubectl("api-versions")).stdout
        explained = (await api.kubectl("explain", "pod.spec.containers.ports.containerPort")).stdout
        assert "FIELD: containerPort <integer>" in explained
        older = (await api.kubectl("explain", "pod.spec.containers", "--output=plaintext-openapiv2")).stdout
        assert "RESOURCE: containers <[]Object>" in older
        unknown = '{"apiVersion": "nope/v1", "kind": "Nothing", "metadata": {"name": "x"}}'
        refused = await api.kubectl("apply", "-f", "-", stdin=unknown, check=False)
        assert 'no matches for kind "Nothing" in version "nope/v1"' in refused.stderr
        fields = (await api.kubectl("explain", "deployment.spec")).stdout
        assert "template\t<PodTemplateSpec> -required-" in fields
        assert "Server Version: v1.36.0" in (await api.kubectl("version")).stdout
        assert "is running at" in (await api.kubectl("cluster-info")).stdout
        assert (await api.kubectl("get", "--raw", "/readyz")).stdout == "ok"


async def test_lists_go_on_in_pages_and_are_selected(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        for index in range(5):
            await api.kubectl("create", "configmap", f"c{index}")
        await api.kubectl("label", "cm/c1", "cm/c3", "odd=yes")
        paged = (await api.kubectl("get", "cm", "--chunk-size=2", "-o", "name")).stdout.split()
        assert paged == [f"configmap/c{index}" for index in range(5)]
        assert (await api.kubectl("get", "cm", "-l", "odd", "-o", "name")).stdout.split() == [
            "configmap/c1",
            "configmap/c3",
        ]
        one = await api.kubectl("get", "cm", "--field-selector=metadata.name=c2", "--no-headers")
        assert one.stdout.split()[:2] == ["c2", "0"]


async def test_logs_exec_and_attach(tmp_path: Path) -> None:
    node = EchoNode()
    async with https_apiserver(tmp_path, nodes=node) as api:
        await api.kubectl("apply", "-f", "-", stdin=POD_ON_NODE)
        assert (await api.kubectl("logs", "p")).stdout == "one\ntwo\n"
        assert (await api.kubectl("logs", "p", "--tail=1", "--timestamps")).returncode == 0
        assert node.logs_read[1].tail_lines == 1
        ran = await api.kubectl("exec", "p", "--", "ls", "-l")
        assert ran.stderr == "ls -l\n"
        fed = await api.kubectl("exec", "-i", "p", "--", "cat", stdin="hello")
        assert fed.stdout == "hello"
        failed = await api.kubectl("exec", "-i", "p", "--", "sh", stdin="exit 7", check=False)
        assert failed.returncode == 7
        assert "command terminated with exit code 7" in failed.stderr

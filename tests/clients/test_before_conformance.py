"""What every conformance test takes for granted: looked for from outside, on a served simulated cluster."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from kube_actors.blocking import Cluster
from kube_actors.client import load_config
from kube_actors.wire import client_context
from tests.kit.clusters import until

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Outside:
    """The server as a client of another language meets it: HTTPS and JSON."""

    def __init__(self, cluster: Cluster) -> None:
        assert cluster.kubeconfig is not None
        config = load_config(cluster.kubeconfig)
        self.url = config.server
        self.tls: ssl.SSLContext = client_context(
            ca=config.ca, certificate=config.client_certificate, key=config.client_key
        )
        self.http = httpx.Client(base_url=self.url, verify=self.tls)

    def get(self, path: str, **headers: str) -> Any:
        answer = self.http.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def there(self, path: str) -> Any:
        """The object, or None: for waiting."""
        answer = self.http.get(path)
        return answer.json() if answer.status_code == 200 else None


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with Cluster(nodes=2, listen="127.0.0.1:0", data_dir=str(tmp_path_factory.mktemp("data"))) as cluster:
        found = Outside(cluster)
        with found.http:
            yield found


def test_nodes(outside: Outside) -> None:
    nodes = outside.get("/api/v1/nodes")["items"]
    assert len(nodes) == 2
    for node in nodes:
        name, status = node["metadata"]["name"], node["status"]
        labels = node["metadata"]["labels"]
        assert (labels["kubernetes.io/hostname"], labels["kubernetes.io/os"]) == (name, "linux")
        assert labels["kubernetes.io/arch"]
        assert {address["type"] for address in status["addresses"]} >= {"InternalIP", "Hostname"}
        assert {"cpu", "memory", "pods", "ephemeral-storage"} <= set(status["capacity"]) & set(status["allocatable"])
        conditions = {one["type"]: one["status"] for one in status["conditions"]}
        assert conditions["Ready"] == "True"
        assert {conditions[f"{what}Pressure"] for what in ("Memory", "Disk", "PID")} == {"False"}
        assert not node["spec"].get("taints") and not node["spec"].get("unschedulable")
        info = status["nodeInfo"]
        assert info["kubeletVersion"].startswith("v1.36.") and info["operatingSystem"] == "linux"
        assert outside.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")


def test_namespaces_and_what_a_new_one_gets(outside: Outside) -> None:
    names = {item["metadata"]["name"] for item in outside.get("/api/v1/namespaces")["items"]}
    assert names >= {"default", "kube-system", "kube-public", "kube-node-lease"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "e2e-"}}
    name = outside.http.post("/api/v1/namespaces", json=body).json()["metadata"]["name"]
    for space in (*sorted(names), name):
        path = f"/api/v1/namespaces/{space}"
        until(lambda path=path: outside.there(f"{path}/serviceaccounts/default"), what="the ServiceAccount")  # type: ignore[misc]
        root = until(lambda path=path: outside.there(f"{path}/configmaps/kube-root-ca.crt"), what="the CA")  # type: ignore[misc]
        assert "BEGIN CERTIFICATE" in root["data"]["ca.crt"]
    pod = {"containers": [{"name": "c", "image": "web:1"}]}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}
    assert outside.http.post(f"/api/v1/namespaces/{name}/pods", json=made).status_code == 201
    assert outside.http.delete(f"/api/v1/namespaces/{name}").status_code == 200
    until(lambda: outside.there(f"/api/v1/namespaces/{name}") is None, what="the namespace is gone, its pod too")


def test_the_api_servers_own_service(outside: Outside) -> None:
    service = outside.get("/api/v1/namespaces/default/services/kubernetes")
    assert service["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["port"], port["protocol"]) == ("https", 443, "TCP")
    (subset,) = outside.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]
    place = urlsplit(outside.url)
    assert ([one["ip"] for one in subset["addresses"]], subset["ports"][0]["port"]) == ([place.hostname], place.port)
    selector = "labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
    slices = outside.get(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?{selector}")["items"]
    assert [one["endpoints"][0]["addresses"] for one in slices] == [[place.hostname]]
    # Who has the address of the Service has the API: its certificate names it.
    address = (service["spec"]["clusterIP"], 443)
    with (
        socket.create_connection(address, timeout=10) as plain,
        outside.tls.wrap_socket(plain, server_hostname=address[0]) as stream,
    ):
        assert "kubernetes.default.svc" in {name for kind, name in stream.getpeercert()["subjectAltName"]}  # type: ignore[index, misc]


def test_version_and_discovery(outside: Outside) -> None:
    version = outside.get("/version")
    assert (version["major"], version["minor"].rstrip("+")) == ("1", "36")
    assert version["gitVersion"].startswith("v1.36.")
    legacy = {resource["name"] for resource in outside.get("/api/v1")["resources"]}
    assert {"pods", "pods/exec", "pods/log", "pods/ephemeralcontainers", "services/proxy", "nodes/proxy"} <= legacy
    groups = {group["name"] for group in outside.get("/apis")["groups"]}
    for path, wanted in (("/api", {""}), ("/apis", groups)):
        document = outside.get(path, Accept=AGGREGATED)
        assert document["kind"] == "APIGroupDiscoveryList"
        assert {item["metadata"].get("name", "") for item in document["items"]} == wanted
    for group in ("apps", "batch", "rbac.authorization.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io"):
        assert group in groups
    for path in ("/healthz", "/livez", "/readyz"):
        assert outside.http.get(path).text == "ok"


def test_a_list_by_watching(outside: Outside) -> None:
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5"
    with outside.http.stream("GET", f"/api/v1/namespaces?{query}") as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            event = json.loads(line)
            if event["type"] == "BOOKMARK":
                assert event["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
                return
    raise AssertionError("the bookmark that ends the state never came")


def test_more_than_a_hundred_watches_at_a_time(outside: Outside) -> None:
    place = urlsplit(outside.url)
    with ExitStack() as stack:
        streams = []
        for _ in range(120):
            plain = stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=20))
            stream = stack.enter_context(outside.tls.wrap_socket(plain, server_hostname=place.hostname))
            path = "/api/v1/namespaces/default/configmaps?watch=1"
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 200 OK" in stream.recv(4096)
            streams.append(stream)
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen-by-all"}}
        assert outside.http.post("/api/v1/namespaces/default/configmaps", json=made).status_code == 201
        for stream in streams:
            received = b""
            while b'"seen-by-all"' not in received:
                received += stream.recv(65536)

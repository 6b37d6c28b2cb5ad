"""A real extension API server behind an APIService: found, trusted, asked as the user, and told when it is down."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from kube_actors.actors import SystemClock
from kube_actors.api.messages import Options, RawRequest, Request
from kube_actors.apiserver.aggregation import FrontProxy
from kube_actors.assembly.pki import Pki
from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    HttpServer,
    Send,
    StreamResponse,
    client_context,
    listen_tcp,
    server_context,
)
from tests.kit.apiserver import TESTER
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

BASE = "/apis/wardle.example.com/v1"
JSON = (("Content-Type", "application/json"),)
FLUNDER = {"apiVersion": "wardle.example.com/v1", "kind": "Flunder", "metadata": {"name": "f", "resourceVersion": "7"}}
RESOURCES = [
    {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "verbs": ["get", "list"]},
    {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
]


class Extension:
    """Serves one kind, to whoever comes with the front proxy's certificate, and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, http: HttpRequest) -> Answer:
        if http.certificate is None or http.certificate.common_name != "front-proxy-client":
            return HttpResponse(401, JSON, b'{"kind":"Status","apiVersion":"v1","code":401}')
        if http.path == BASE:
            document = {"kind": "APIResourceList", "groupVersion": "wardle.example.com/v1", "resources": RESOURCES}
            return HttpResponse(200, JSON, json.dumps(document).encode())
        if http.path == "/openapi/v3":
            paths = {"apis/wardle.example.com/v1": {"serverRelativeURL": f"/openapi/v3{BASE}?hash=A"}}
            return HttpResponse(200, JSON, json.dumps({"paths": paths}).encode())
        self.asked.append(
            {
                "method": http.method,
                "target": http.target,
                "user": http.headers.get("x-remote-user"),
                "groups": http.headers.get_all("x-remote-group"),
                "authorization": http.headers.get("authorization"),
                "body": http.body,
            }
        )
        if "watch=" in http.query:

            async def produce(send: Send) -> None:
                await send(b'{"type":"ADDED","object":' + json.dumps(FLUNDER).encode() + b"}\n")

            return StreamResponse(200, JSON, produce)
        return HttpResponse(200, JSON, json.dumps(FLUNDER).encode())


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[tuple[HttpsServer, httpx.AsyncClient, Extension, HttpServer]]:
    extension, serials = Extension(), iter(range(1, 99))
    theirs = Pki(SystemClock().now, lambda: next(serials))
    pair = theirs.serving("extension", ["wardle.default.svc"])
    proxy = theirs.client("front-proxy-client")
    front = FrontProxy(proxy.certificate, proxy.key, theirs.ca_certificate)
    tls = server_context(pair.certificate, pair.key, client_ca=theirs.ca_certificate)
    server = HttpServer(extension, await listen_tcp("127.0.0.1", 0), tls=tls)
    async with https_apiserver(tmp_path, front_proxy=lambda: front) as api, trio.open_nursery() as nursery:
        await nursery.start(server.run)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        context = client_context(ca=api.pki.ca_certificate)
        async with httpx.AsyncClient(base_url=api.url, verify=context, headers=headers) as client:
            await register(client, server.port, base64.b64encode(theirs.ca_certificate).decode())
            yield api, client, extension, server
        nursery.cancel_scope.cancel()


async def register(client: httpx.AsyncClient, port: int, ca: str) -> None:
    core = "/api/v1/namespaces/default"
    head = {"apiVersion": "v1", "metadata": {"name": "wardle"}}
    service = {**head, "kind": "Service", "spec": {"ports": [{"port": 443}]}}
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": port}]}]
    endpoints = {**head, "kind": "Endpoints", "subsets": subsets}
    spec = {
        "group": "wardle.example.com", "version": "v1", "groupPriorityMinimum": 2000, "versionPriority": 200,
        "caBundle": ca, "service": {"namespace": "default", "name": "wardle"},
    }  # fmt: skip
    api_service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                   "metadata": {"name": "v1.wardle.example.com"}, "spec": spec}  # fmt: skip
    for path, body in (
        (f"{core}/services", service),
        (f"{core}/endpoints", endpoints),
        ("/apis/apiregistration.k8s.io/v1/apiservices", api_service),
    ):
        assert (await client.post(path, json=body)).status_code == 201


async def becomes(api: HttpsServer, reason: str) -> dict[str, Any]:
    """The condition Available once it has this reason."""
    request = Request(
        verb="watch", group="apiregistration.k8s.io", version="v1", resource="apiservices", user=TESTER,
        options=Options(field_selector="metadata.name=v1.wardle.example.com"),
    )  # fmt: skip
    answer: Any = await api.server.handle(request)
    try:
        with trio.fail_after(20):
            while True:
                for event in await answer.stream.receive_batch():
                    for condition in json.loads(event.object).get("status", {}).get("conditions", ()):
                        if condition["reason"] == reason:
                            return dict(condition)
    finally:
        answer.stream.close()


async def test_an_extension_server_is_found_trusted_and_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as (api, client, extension, server):
        passed = await becomes(api, "Passed")
        assert (passed["status"], passed["message"]) == ("True", "all checks passed")

        got = await client.get(f"{BASE}/namespaces/default/flunders/f?x=1&x=2", headers={"X-Remote-User": "root"})
        assert got.json() == FLUNDER
        asked = extension.asked[-1]
        assert asked["target"] == f"{BASE}/namespaces/default/flunders/f?x=1&x=2"
        assert (asked["user"], asked["authorization"]) == ("admin", None)
        assert "system:masters" in asked["groups"]
        await client.post(f"{BASE}/namespaces/default/flunders", json=FLUNDER)
        assert json.loads(extension.asked[-1]["body"]) == FLUNDER
        denied = await client.get(f"{BASE}/flunders", headers={"Authorization": "Bearer alice-token"})
        assert denied.status_code == 403
        lines = await client.get(f"{BASE}/flunders?watch=true")
        assert json.loads(lines.text)["object"] == FLUNDER
        await over_the_channel(api)
        await discovered(client)

        server.shutdown()
        down = await client.get(f"{BASE}/flunders")
        assert (down.status_code, down.json()["reason"]) == (503, "ServiceUnavailable")


async def over_the_channel(api: HttpsServer) -> None:
    """A component of this process reads events, not lines."""
    request = Request(verb="watch", group="wardle.example.com", version="v1", resource="flunders", user=TESTER)
    answer: Any = await api.server.handle(request)
    assert [(event.type, event.revision) for event in await answer.stream.receive_batch()] == [("ADDED", 7)]
    answer.stream.close()
    raw = await api.server.handle(RawRequest(path="/apis/wardle.example.com", user=TESTER))
    assert json.loads(raw.body)["preferredVersion"]["version"] == "v1"  # type: ignore[union-attr]


async def discovered(client: httpx.AsyncClient) -> None:
    groups = (await client.get("/apis")).json()["groups"]
    assert groups[-1]["name"] == "wardle.example.com"
    assert (await client.get(BASE)).json()["resources"] == RESOURCES
    accept = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    items = (await client.get("/apis", headers=accept)).json()["items"]
    version = items[-1]["versions"][0]
    assert (version["freshness"], version["resources"][0]["scope"]) == ("Current", "Namespaced")
    assert version["resources"][0]["subresources"][0]["subresource"] == "status"
    paths = (await client.get("/openapi/v3")).json()["paths"]
    assert paths["apis/wardle.example.com/v1"]["serverRelativeURL"] == f"/openapi/v3{BASE}?hash=A"


async def test_local_groups_and_what_is_missing(tmp_path: Path) -> None:
    async with world(tmp_path) as (api, client, _, _server):
        listed = (await client.get("/apis/apiregistration.k8s.io/v1/apiservices")).json()["items"]
        names = {item["metadata"]["name"]: item for item in listed}
        local = names["v1.apps"]
        assert local["spec"] == {"group": "apps", "groupPriorityMinimum": 17800, "version": "v1", "versionPriority": 15}
        condition = local["status"]["conditions"][0]
        assert (condition["reason"], condition["message"]) == ("Local", "Local APIServices are always available")
        assert "v1." in names and "v2.autoscaling" in names and "v1.apiregistration.k8s.io" not in names

        await client.delete("/api/v1/namespaces/default/endpoints/wardle")
        await touch(client)
        assert (await becomes(api, "MissingEndpoints"))["status"] == "False"
        refused = await client.get(f"{BASE}/flunders")
        assert (refused.status_code, refused.json()["message"]) == (503, "service unavailable")
        await client.delete("/api/v1/namespaces/default/services/wardle")
        await touch(client)
        missing = await becomes(api, "ServiceNotFound")
        assert missing["message"] == 'service/wardle in "default" is not present'
        found = await client.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
        assert json.loads(found.json()["data"]["requestheader-allowed-names"]) == ["front-proxy-client"]
        stale = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        items = (await client.get("/apis", headers=stale)).json()["items"]
        assert items[-1]["versions"][0] == {"version": "v1", "resources": [], "freshness": "Stale"}


async def touch(client: httpx.AsyncClient) -> None:
    """A change of the APIService is looked at, at once."""
    merge = {"Content-Type": "application/merge-patch+json"}
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.wardle.example.com"
    label = str(trio.current_time())[:12]
    changed = await client.patch(path, json={"metadata": {"labels": {"touched": label}}}, headers=merge)
    assert changed.status_code == 200

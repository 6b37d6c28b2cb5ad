"""The HTTP face over a real API server: forms, refusals, and that a watcher who leaves is noticed."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from kube_actors.wire import ListenError, client_context, listen_tcp
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@asynccontextmanager
async def served(
    tmp_path: Path, token: str | None = ADMIN_TOKEN
) -> AsyncIterator[tuple[HttpsServer, httpx.AsyncClient]]:
    async with https_apiserver(tmp_path) as api:
        context: ssl.SSLContext = client_context(ca=api.pki.ca_certificate)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(base_url=api.url, verify=context, headers=headers) as client:
            yield api, client


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_in_every_form(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        made = await client.post(CONFIG_MAPS, json=config_map("a", x="y"))
        assert made.status_code == 201
        assert made.headers["content-type"] == "application/json"
        assert made.headers["cache-control"] == "no-cache, private"
        assert made.headers["audit-id"]

        plain = await client.get(f"{CONFIG_MAPS}/a")
        assert plain.json()["data"] == {"x": "y"}
        assert b"\n  " not in plain.content

        indented = await client.get(f"{CONFIG_MAPS}/a?pretty=true")
        assert indented.json() == plain.json()
        assert b"\n  " in indented.content
        assert b"\n  " in (await client.get(f"{CONFIG_MAPS}/a", headers={"User-Agent": "curl/8"})).content

        text = await client.get(f"{CONFIG_MAPS}/a", headers={"Accept": "application/yaml"})
        assert text.headers["content-type"] == "application/yaml"
        assert "\ndata:\n  x: " in text.text

        table = (await client.get(CONFIG_MAPS, headers={"Accept": TABLE})).json()
        assert table["kind"] == "Table"
        assert table["rows"][0]["cells"][:2] == ["a", 1]

        accept = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
        assert "data" not in (await client.get(f"{CONFIG_MAPS}/a", headers=accept)).json()
        assert (await client.get(CONFIG_MAPS, headers=accept)).status_code == 406

        head = await client.head(f"{CONFIG_MAPS}/a")
        assert (head.status_code, head.content) == (200, b"")

        sent = await client.post(
            CONFIG_MAPS,
            content="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n",
            headers={"Content-Type": "application/yaml"},
        )
        assert sent.status_code == 201


@pytest.mark.parametrize(
    ("token", "method", "path", "headers", "code", "reason"),
    [
        (None, "GET", "/api/v1/pods", {}, 403, "Forbidden"),
        (None, "PUT", "/api/v1/namespaces/default/pods", {}, 403, "Forbidden"),
        (None, "POST", "/api/v1/namespaces/default/pods/a/exec?command=ls", {}, 403, "Forbidden"),
        ("wrong", "GET", "/healthz", {}, 401, "Unauthorized"),
        ("alice-token", "GET", "/api/v1/pods", {}, 403, "Forbidden"),
        (ADMIN_TOKEN, "GET", "/apis/apps/v1/nope", {}, 404, "NotFound"),
        (ADMIN_TOKEN, "PUT", "/api/v1/namespaces/default/pods", {}, 405, "MethodNotAllowed"),
        (ADMIN_TOKEN, "GET", "/api/v1/pods?limit=x", {}, 400, "BadRequest"),
        (ADMIN_TOKEN, "GET", "/api/v1/pods", {"Accept": "text/html"}, 406, "NotAcceptable"),
        (ADMIN_TOKEN, "GET", "/api/v1/pods?includeObject=All", {"Accept": TABLE}, 400, "BadRequest"),
        (ADMIN_TOKEN, "GET", "/api/v1/pods?watch=1", {"Accept": "application/yaml"}, 406, "NotAcceptable"),
        (ADMIN_TOKEN, "HEAD", "/api/v1/pods?watch=1", {}, 405, ""),
        (ADMIN_TOKEN, "POST", "/api/v1/namespaces/default/pods/a/exec?command=ls", {}, 404, "NotFound"),
    ],
)
async def test_refusals(
    tmp_path: Path, token: str | None, method: str, path: str, headers: dict[str, str], code: int, reason: str
) -> None:
    async with served(tmp_path, token) as (_, client):
        answer = await client.request(method, path, headers=headers)
        assert answer.status_code == code
        if reason:
            status = answer.json()
            assert (status["kind"], status["status"], status["reason"]) == ("Status", "Failure", reason)


async def test_a_body_that_is_too_large(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        answer = await client.post(CONFIG_MAPS, content=b"x" * (3 * 1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.json()["reason"] == "RequestEntityTooLarge"
        assert answer.json()["message"] == "Request entity too large: limit is 3145728"


async def test_a_client_certificate_names_the_user(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api:
        pair = api.pki.client("jane", ["dev"])
        context = client_context(ca=api.pki.ca_certificate, certificate=pair.certificate, key=pair.key)
        async with httpx.AsyncClient(base_url=api.url, verify=context) as client:
            answer = await client.get("/api/v1/pods")
            assert answer.status_code == 403
            assert 'User "jane" cannot list resource "pods"' in answer.json()["message"]


async def test_a_watch_brings_events_and_is_freed_when_its_reader_leaves(tmp_path: Path) -> None:
    async with served(tmp_path) as (api, client):
        context = client_context(ca=api.pki.ca_certificate)
        stream = await trio.open_ssl_over_tcp_stream("127.0.0.1", api.http.port, ssl_context=context)
        with trio.fail_after(10):
            await stream.send_all(
                f"GET {CONFIG_MAPS}?watch=true&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode()
            )
            got = b""
            while b"\r\n\r\n" not in got:
                got += await stream.receive_some()
            assert b"200 OK" in got
            assert api.face.metrics.watchers == 1
            await client.post(CONFIG_MAPS, json=config_map("a"))
            while b'{"type":"ADDED"' not in got:
                got += await stream.receive_some()
        await trio.aclose_forcefully(stream)
        with trio.fail_after(1):
            while api.face.metrics.watchers:  # noqa: ASYNC110 - a real socket's end, with a deadline
                await trio.sleep(0.01)


async def test_a_watched_table_names_its_columns_once(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        for name in "ab":
            await client.post(CONFIG_MAPS, json=config_map(name))
        url = f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1"
        answer = await client.get(url, headers={"Accept": TABLE}, timeout=10)
        tables = [json.loads(line)["object"] for line in answer.text.splitlines()]
        assert [table["rows"][0]["cells"][0] for table in tables] == ["a", "b"]
        assert tables[0]["columnDefinitions"]
        assert tables[1]["columnDefinitions"] is None


async def test_discovery_is_not_sent_again_to_who_has_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        first = await client.get("/apis", headers={"Accept": AGGREGATED})
        assert first.headers["content-type"] == AGGREGATED
        assert first.json()["kind"] == "APIGroupDiscoveryList"
        etag = first.headers["etag"]
        again = await client.get("/apis", headers={"Accept": AGGREGATED, "If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert (await client.get("/apis")).json()["kind"] == "APIGroupList"


async def test_openapi_documents_are_found_by_their_index(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        paths = (await client.get("/openapi/v3")).json()["paths"]
        url = paths["apis/apps/v1"]["serverRelativeURL"]
        document = (await client.get(url)).json()
        deployment = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
        assert {"group": "apps", "kind": "Deployment", "version": "v1"} in deployment["x-kubernetes-group-version-kind"]
        patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
        assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
        outdated = await client.get("/openapi/v3/apis/apps/v1?hash=old")
        assert (outdated.status_code, outdated.headers["location"]) == (301, url)
        referred = json.dumps(document).split('"#/components/schemas/')
        for name in {part.split('"', 1)[0] for part in referred[1:]}:
            assert name in document["components"]["schemas"]


async def test_health_version_and_figures(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, client):
        assert (await client.get("/readyz")).text == "ok"
        assert (await client.get("/livez?verbose")).text == "[+]ping ok\nlivez check passed\n"
        assert (await client.get("/healthz/ping")).text == "ok"
        assert (await client.get("/healthz/nope")).status_code == 404
        assert (await client.get("/version")).json()["gitVersion"] == "v1.36.0"
        await client.get("/api/v1/nodes")
        text = (await client.get("/metrics")).text
        wanted = 'apiserver_request_total{verb="LIST",group="",version="v1",resource="nodes",subresource="",'
        assert wanted + 'scope="cluster",code="200"} 1\n' in text
        assert "kube_actors_store_revision " in text


async def test_an_address_in_use_is_named() -> None:
    (sock,) = await listen_tcp("127.0.0.1", 0)
    with sock:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            await listen_tcp("127.0.0.1", port)

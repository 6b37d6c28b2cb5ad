"""pods/proxy and services/proxy against a real server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from kube_actors.apiserver import links
from kube_actors.assembly.pki import Pki
from kube_actors.wire import client_context, server_context
from kube_actors.wire.websocket_client import connect_websocket
from tests.kit.backend import BIG, backend
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
AUTHORIZATION = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@asynccontextmanager
async def world(tmp_path: Path) -> AsyncIterator[tuple[HttpsServer, httpx.AsyncClient, int]]:
    async with https_apiserver(tmp_path) as api, backend() as port:
        tls = client_context(ca=api.pki.ca_certificate)
        async with httpx.AsyncClient(base_url=api.url, verify=tls, headers=AUTHORIZATION) as client:
            await make_pod(client, "web", port)
            yield api, client, port


async def make_pod(client: httpx.AsyncClient, name: str, port: int, ip: str = "127.0.0.1") -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": port}]}
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    assert (await client.post(PODS, json={**pod, "spec": {"containers": [container]}})).status_code == 201
    status = {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}} if ip else {"status": {}}
    merge = {"Content-Type": "application/merge-patch+json"}
    assert (await client.patch(f"{PODS}/{name}/status", json=status, headers=merge)).status_code == 200


async def test_every_verb_reaches_the_pod(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, client, port):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            told = (await client.request(method, f"{PODS}/web/proxy/a%2Fb/?x=1&x=2", content=b"hello")).json()
            assert (told["method"], told["target"], told["body"]) == (method, "/a%2Fb/?x=1&x=2", "hello")
        headers = told["headers"]
        assert "authorization" not in headers
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-uri"] == f"{PODS}/web/proxy/a%2Fb/"
        assert (await client.head(f"{PODS}/web/proxy/x")).status_code == 200
        named = (await client.get(f"{PODS}/http:web:{port}/proxy/x")).json()
        assert named["target"] == "/x"


async def test_a_bare_proxy_path_moves_to_its_slash_when_read(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, client, _port):
        for method in ("GET", "HEAD"):
            moved = await client.request(method, f"{PODS}/web/proxy?method={method}")
            assert (moved.status_code, moved.headers["location"]) == (301, f"{PODS}/web/proxy/?method={method}")
        assert (await client.post(f"{PODS}/web/proxy?x=1")).json()["target"] == "/?x=1"


async def test_pages_redirects_and_long_bodies(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, client, _port):
        page = (await client.get(f"{PODS}/web/proxy/page")).text
        base = f"{PODS}/web/proxy"
        assert f'<a href="{base}/about">' in page and f'<img src="{base}/i.png?x=1&amp;y">' in page
        assert 'HREF="rel"' in page and '"http://elsewhere/x"' in page and '<a href="/no">' in page
        moved = await client.get(f"{base}/moved")
        assert (moved.status_code, moved.headers["location"]) == (302, f"{base}/page?x=1")
        assert len((await client.get(f"{base}/big")).content) == BIG


async def test_a_websocket_goes_through(tmp_path: Path) -> None:
    async with world(tmp_path) as (api, _, _port):
        async with connect_websocket(
            f"{api.url}{PODS}/web/proxy/ws",
            key=bytes(16),
            tls=client_context(ca=api.pki.ca_certificate),
            headers=tuple(AUTHORIZATION.items()),
        ) as ws:
            await ws.send(b"abc")
            assert await ws.receive() == b"cba"
            await ws.send("text")
            assert await ws.receive() == "text"


async def test_services_by_port_name_and_number(tmp_path: Path) -> None:
    pki = Pki(lambda: 1.8e9, lambda: 7)
    pair = pki.apiserver(["other"])
    async with world(tmp_path) as (_, client, port), backend(server_context(pair.certificate, pair.key)) as secure:
        ports = [{"name": "http", "port": 80}, {"name": "tls", "port": 443}]
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
        assert (await client.post(SERVICES, json=body)).status_code == 201
        none = await client.get(f"{SERVICES}/web:http/proxy/")
        assert (none.status_code, none.json()["message"]) == (503, 'no endpoints available for service "web"')
        behind = [{"name": "http", "port": port}, {"name": "tls", "port": secure}]
        subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": behind}]
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": subsets}
        assert (await client.post(SERVICES.replace("services", "endpoints"), json=endpoints)).status_code == 201
        for name in ("web:http", "http:web:80", "https:web:tls", "https:web:443"):
            assert (await client.get(f"{SERVICES}/{name}/proxy/x")).json()["target"] == "/x"
        missing = await client.get(f"{SERVICES}/web:81/proxy/")
        assert missing.json()["message"] == 'no service port 81 found for service "web"'
        assert (await client.get(f"{SERVICES}/nope/proxy/")).status_code == 404
        assert (await client.get(f"{SERVICES}/ftp:web:80/proxy/")).json()["message"] == (
            'invalid service request "ftp:web:80"'
        )


async def test_a_back_end_that_is_not_there(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, client, _port):
        await make_pod(client, "gone", 1)
        gone = await client.get(f"{PODS}/gone/proxy/")
        assert gone.status_code == 503
        assert gone.json()["message"] == (
            "error trying to reach service: dial tcp 127.0.0.1:1: connect: connection refused"
        )
        await make_pod(client, "new", 1, ip="")
        assert (await client.get(f"{PODS}/new/proxy/")).json()["message"] == "address not allowed"


def test_links_that_lead_elsewhere_stay() -> None:
    hosts = ("", "10.0.0.1:80")
    for url in ("", "x/y", "#top", "//other/x", "mailto:a@b", "http://[bad"):
        assert links.rewritten(url, "/p/proxy", hosts) == url
    assert links.rewritten("http://10.0.0.1:80/x?y#z", "/p/proxy", hosts) == "/p/proxy/x?y#z"
    assert links.rewritten("/p/proxy/x", "/p/proxy", hosts) == "/p/proxy/x"

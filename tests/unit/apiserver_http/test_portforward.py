"""Forwarded ports, by channels and by SPDY inside the WebSocket; kubectl itself where it is installed."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import httpx
import pytest
import trio

from kube_actors.apiserver import spdy
from kube_actors.wire import client_context
from kube_actors.wire.websocket_client import connect_websocket
from tests.kit.backend import backend
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

PODS = "/api/v1/namespaces/default/pods"
AUTHORIZATION = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
GET = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def pod_at(api: HttpsServer, port: int) -> None:
    tls = client_context(ca=api.pki.ca_certificate)
    async with httpx.AsyncClient(base_url=api.url, verify=tls, headers=AUTHORIZATION) as client:
        container = {"name": "c", "image": "i", "ports": [{"containerPort": port}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
        spec = {"containers": [container], "nodeName": "n"}
        assert (await client.post(PODS, json={**pod, "spec": spec})).status_code == 201
        status = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        merge = {"Content-Type": "application/merge-patch+json"}
        await client.patch(f"{PODS}/web/status", json={"status": status}, headers=merge)
        plain = await client.post(f"{PODS}/web/portforward")
        assert plain.status_code == 400 and "unable to upgrade" in plain.json()["message"]


def opened(api: HttpsServer, protocol: str, query: str = "") -> object:
    return connect_websocket(
        f"{api.url}{PODS}/web/portforward{query}",
        key=bytes(16),
        tls=client_context(ca=api.pki.ca_certificate),
        headers=tuple(AUTHORIZATION.items()),
        subprotocols=(protocol,),
    )


async def test_ports_as_channels(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api, backend() as port:
        await pod_at(api, port)
        async with opened(api, "v4.channel.k8s.io", f"?ports={port}&ports=1") as ws:  # type: ignore[attr-defined]
            number = struct.pack("<H", port)
            assert [await ws.receive() for _ in range(2)] == [b"\x00" + number, b"\x01" + number]
            await ws.send(b"\x00" + GET)
            told = {0: b"", 1: b"", 2: b"", 3: b""}
            while b"}" not in told[0] or len(told[3]) < 3:
                message = await ws.receive()
                told[message[0]] += message[1:]
            assert b'"target": "/x"' in told[0] and b"forwarding 1:" in told[3]


class Client:
    """As much of a SPDY client as opens streams."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=spdy.DICTIONARY)
        self.frames = spdy.Connection()

    def open(self, stream: int, **headers: str) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            block += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(value)) + value.encode()
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack(">IIH", stream, 0, 0) + packed
        return struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, len(payload)) + payload


async def test_ports_as_spdy_streams(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api, backend() as port:
        await pod_at(api, port)
        async with opened(api, "SPDY/3.1+portforward.k8s.io") as ws:  # type: ignore[attr-defined]
            client = Client()
            for first, to in ((1, port), (5, 1)):
                await ws.send(client.open(first, streamtype="error", port=str(to), requestid=str(first)))
                await ws.send(client.open(first + 2, streamtype="data", port=str(to), requestid=str(first)))
            await ws.send(spdy.data(3, GET[:20]) + spdy.data(3, GET[20:]) + spdy.pong(b"\x00\x00\x00\x01"))
            told, ended, pings = {1: b"", 3: b"", 5: b"", 7: b""}, set(), 0
            with trio.fail_after(20):
                while ended != set(told):
                    for frame in client.frames.feed(await ws.receive()):
                        pings += frame.type == spdy.PING
                        if frame.type == 0:
                            told[frame.stream] += frame.data
                            ended |= {frame.stream} if frame.fin else set()
            assert b'"target": "/x"' in told[3] and told[1] == b"" and b"forwarding 1:" in told[5]
            assert pings == 1


def test_the_dictionary_is_the_protocols_own() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
async def test_kubectl_forwards_a_port(tmp_path: Path) -> None:
    async with https_apiserver(tmp_path) as api, backend() as port:
        await pod_at(api, port)
        command = ["kubectl", f"--kubeconfig={api.kubeconfig}", "port-forward", "pod/web", f":{port}"]
        async with trio.open_nursery() as nursery:
            process = await trio.lowlevel.open_process(command, stdout=-1, stderr=-1)
            try:
                with trio.fail_after(30):
                    assert process.stdout is not None
                    line = b""
                    while b"->" not in line:
                        piece = await process.stdout.receive_some()
                        assert piece, await process.stderr.receive_some()  # type: ignore[union-attr]
                        line += piece
                    local = int(line.split(b"127.0.0.1:")[1].split(b" ")[0])
                    async with httpx.AsyncClient() as client:
                        for number in range(3):
                            told = await client.get(f"http://127.0.0.1:{local}/n{number}")
                            assert told.json()["target"] == f"/n{number}"
            finally:
                process.terminate()
                await process.wait()
            nursery.cancel_scope.cancel()

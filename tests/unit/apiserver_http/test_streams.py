"""Logs and remote commands through the HTTP face: in every protocol version, and to nodes of other processes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from kube_actors.actors import Entropy, SystemClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import ERROR, STDERR, STDOUT
from kube_actors.api.node_messages import ExecRequest, LogRequest, NodeEndpoint
from kube_actors.assembly.pki import Pki
from kube_actors.kubelet.remote import RemoteNodes
from kube_actors.kubelet.server import API_SERVER, NodeServer
from kube_actors.wire import HandshakeFailed, client_context
from kube_actors.wire.websocket_client import connect_websocket
from tests.kit.echo_node import SUCCESS, EchoNode
from tests.kit.https import ADMIN_TOKEN, HttpsServer, https_apiserver

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
PODS = "/api/v1/namespaces/default/pods"
AUTHORIZATION = ("Authorization", f"Bearer {ADMIN_TOKEN}")


@asynccontextmanager
async def with_pod(tmp_path: Path, node: EchoNode) -> AsyncIterator[tuple[HttpsServer, httpx.AsyncClient]]:
    async with https_apiserver(tmp_path, nodes=node) as api:
        context = client_context(ca=api.pki.ca_certificate)
        async with httpx.AsyncClient(base_url=api.url, verify=context, headers=dict([AUTHORIZATION])) as client:
            for path, body in (("/api/v1/nodes", NODE), (PODS, POD)):
                assert (await client.post(path, json=body)).status_code == 201
            yield api, client


async def test_a_log_is_streamed_and_freed_when_its_reader_leaves(tmp_path: Path) -> None:
    node = EchoNode()
    async with with_pod(tmp_path, node) as (_, client):
        answer = await client.get(f"{PODS}/p/log?tailLines=5")
        assert (answer.text, answer.headers["content-type"]) == ("one\ntwo\n", "text/plain")
        assert node.logs_read[0].tail_lines == 5

        with trio.fail_after(5):
            with trio.move_on_after(0.3):
                await client.get(f"{PODS}/p/log?follow=true", timeout=None)
            await node.logs_given[1].closed.wait()

        refused = await client.get(f"{PODS}/p/log?previous=true")
        assert refused.status_code == 400
        assert "previous terminated container" in refused.json()["message"]


@asynccontextmanager
async def command(api: HttpsServer, protocol: str | None, query: str = "command=cat&stdin=1&stdout=1&stderr=1") -> Any:
    async with connect_websocket(
        f"{api.url}{PODS}/p/exec?{query}",
        key=b"0123456789abcdef",
        tls=client_context(ca=api.pki.ca_certificate),
        headers=(AUTHORIZATION,),
        subprotocols=(protocol,) if protocol else (),
    ) as ws:
        assert ws.subprotocol == protocol
        yield ws


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", None])
async def test_a_command_in_the_binary_protocols(tmp_path: Path, protocol: str | None) -> None:
    node = EchoNode()
    async with with_pod(tmp_path, node) as (api, _), command(api, protocol) as ws:
        with trio.fail_after(5):
            assert await ws.receive() == b"\x01"
            assert await ws.receive() == b"\x02cat\n"
            await ws.send(b"\x00hello")
            assert await ws.receive() == b"\x01hello"
            await ws.send(b'\x04{"Width":80,"Height":25}')
            await ws.send(b"\x00exit 3")
            last = await ws.receive()
            assert last[0] == ERROR
            if protocol and protocol.startswith("v"):
                assert json.loads(last[1:])["reason"] == "NonZeroExitCode"
            else:
                assert last[1:] == b"command terminated with non-zero exit code: exit status 3"
            await node.sessions[0].closed.wait()
            assert node.sessions[0].sizes == [b'{"Width":80,"Height":25}']


async def test_only_version_5_can_close_stdin(tmp_path: Path) -> None:
    node = EchoNode()
    async with with_pod(tmp_path, node) as (api, _), command(api, "v5.channel.k8s.io") as ws:
        with trio.fail_after(5):
            await ws.send(b"\xff\x00")
            frames = [await ws.receive() for _ in range(3)]
            assert frames == [b"\x01", b"\x02cat\n", bytes([ERROR]) + SUCCESS]


async def test_a_command_in_base64(tmp_path: Path) -> None:
    async with with_pod(tmp_path, EchoNode()) as (api, _), command(api, "base64.channel.k8s.io") as ws:
        with trio.fail_after(5):
            await ws.send("0" + base64.b64encode(b"hi").decode())
            await ws.send("nonsense")
            frames = [await ws.receive() for _ in range(3)]
            assert frames == ["1", "2" + base64.b64encode(b"cat\n").decode(), "1" + base64.b64encode(b"hi").decode()]


async def test_a_command_is_ended_when_its_client_leaves(tmp_path: Path) -> None:
    node = EchoNode()
    async with with_pod(tmp_path, node) as (api, _):
        async with command(api, "v5.channel.k8s.io") as ws:
            await ws.receive()
        with trio.fail_after(2):
            await node.sessions[0].closed.wait()


async def test_what_cannot_be_upgraded_is_told_and_not_run(tmp_path: Path) -> None:
    node = EchoNode()
    async with with_pod(tmp_path, node) as (api, client):
        spdy = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
        answer = await client.post(f"{PODS}/p/exec?command=ls&stdout=1", headers=spdy)
        assert answer.status_code == 400
        assert "SPDY is not served" in answer.json()["message"]
        with pytest.raises(HandshakeFailed) as raised:
            async with command(api, "v9.channel.k8s.io"):
                pass
        assert raised.value.status == 400
        with pytest.raises(HandshakeFailed) as raised:
            async with command(api, "v5.channel.k8s.io", "stdin=1"):
                pass
        assert b"you must specify at least 1 command" in raised.value.body
        assert node.sessions == []


@asynccontextmanager
async def remote(node: EchoNode) -> AsyncIterator[tuple[RemoteNodes, NodeEndpoint]]:
    """The kubelet's own server, and the way to it."""
    clock, entropy = SystemClock(), Entropy()
    pki = Pki(clock.now, entropy.serial)
    serving = pki.serving("kubelet", ["127.0.0.1"])
    server = await NodeServer.listen(
        "127.0.0.1",
        0,
        clock=clock,
        certificate=serving.certificate,
        key=serving.key,
        client_ca=pki.ca_certificate,
    )
    server.node = node.as_actor
    pair = pki.client(API_SERVER)
    gateway = RemoteNodes(entropy, certificate=pair.certificate, key=pair.key, ca=pki.ca_certificate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield gateway, NodeEndpoint(name="n", host="127.0.0.1", port=server.port)
        await gateway.aclose()
        nursery.cancel_scope.cancel()


async def test_a_node_of_another_process(tmp_path: Path) -> None:
    node = EchoNode()
    wanted = LogRequest(namespace="default", pod="p", container="c", tail_lines=3, timestamps=True, since_seconds=9)
    async with remote(node) as (gateway, endpoint):
        service = gateway.reach(endpoint)
        with trio.fail_after(10):
            log = await service.logs(wanted)
            text = b""
            while chunk := await log.receive_some():
                text += chunk
            log.close()
            assert text == b"one\ntwo\n"
            assert node.logs_read == [wanted]
            with pytest.raises(ApiError, match="previous terminated container") as raised:
                await service.logs(LogRequest(namespace="default", pod="p", container="c", previous=True))
            assert raised.value.code == 400

            session = await service.exec(
                ExecRequest(namespace="default", pod="p", container="c", command=("a", "b c"), stdin=True)
            )
            await session.send(0, b"hello")
            frames = [await session.receive() for _ in range(3)]
            assert frames == [(STDOUT, b""), (STDERR, b"a b c\n"), (STDOUT, b"hello")]
            session.close()
            await node.sessions[0].closed.wait()


async def test_a_node_that_does_not_answer_is_a_500() -> None:
    pki = Pki(SystemClock().now, Entropy().serial)
    pair = pki.client(API_SERVER)
    gateway = RemoteNodes(Entropy(), certificate=pair.certificate, key=pair.key)
    request = LogRequest(namespace="default", pod="p", container="c")
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))  # bound, but nobody listens: a connection is refused
        service = gateway.reach(NodeEndpoint(name="n", host="127.0.0.1", port=taken.getsockname()[1]))
        with pytest.raises(ApiError, match="containerLogs/default/p/c") as raised:
            await service.logs(request)
    assert raised.value.code == 500
    with pytest.raises(ApiError, match="has told no address"):
        gateway.reach(NodeEndpoint(name="n"))
    await gateway.aclose()

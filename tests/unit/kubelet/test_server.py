"""A node's own HTTPS API, asked over real sockets by what the API server uses for remote nodes."""

from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
import trio

from kube_actors.actors import Entropy, SystemClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import CLOSE, ERROR, STDIN, STDOUT
from kube_actors.api.node_messages import ExecRequest, LogRequest, NodeEndpoint
from kube_actors.assembly.pki import Pki
from kube_actors.kubelet import NodeServer, RemoteNodes
from kube_actors.wire import client_context
from runtimes.simulated import Behaviour, Output, Script
from tests.unit.kubelet.world import a_world


@asynccontextmanager
async def a_remote_node():
    """(world, gateway, its endpoint, pki) with a pod `web` that runs; in real time, since sockets know no other."""
    pki = Pki(SystemClock().now, Entropy().serial)
    serving = pki.serving("kubelet", ["127.0.0.1"])
    script = Script({"web": Behaviour(output=(Output(text="one\n"), Output(text="two\n", after_seconds=0.3)))})
    async with a_world(script=script) as world:
        server = await NodeServer.listen(
            "127.0.0.1",
            0,
            clock=SystemClock(),
            certificate=serving.certificate,
            key=serving.key,
            client_ca=pki.ca_certificate,
        )
        server.node = lambda: world.node
        pair = pki.client("kube-apiserver-kubelet-client", ["system:masters"])
        gateway = RemoteNodes(Entropy(), certificate=pair.certificate, key=pair.key, ca=pki.ca_certificate)
        await world.pod(containers=[{"name": "c", "image": "web:1"}])
        await world.ready(seconds=20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            yield world, gateway, NodeEndpoint(name="n1", host="127.0.0.1", port=server.port), pki
            await gateway.aclose()
            nursery.cancel_scope.cancel()


async def test_logs_and_exec_of_a_remote_node():
    async with a_remote_node() as (_, gateway, endpoint, _pki):
        node = gateway.reach(endpoint)
        assert gateway.reach(endpoint) is node
        stream = await node.logs(LogRequest(namespace="default", pod="web", container="c", follow=True))
        received = b""
        with trio.fail_after(10):
            while b"two" not in received:
                received += await stream.receive_some()
        stream.close()
        assert received == b"one\ntwo\n"
        request = ExecRequest(namespace="default", pod="web", container="c", command=("cat",), stdin=True)
        session = await node.exec(request)
        await session.send(STDIN, b"hello")
        await session.send(CLOSE, bytes([STDIN]))
        frames = []
        with trio.fail_after(10):
            while (frame := await session.receive()) is not None:
                frames.append(frame)
        session.close()
        assert (STDOUT, b"hello") in frames
        assert frames[-1][0] == ERROR and msgspec.json.decode(frames[-1][1])["status"] == "Success"
        with pytest.raises(ApiError) as refusal:
            await node.logs(LogRequest(namespace="default", pod="none", container="c"))
        assert refusal.value.code == 404 and refusal.value.message == 'pods "none" not found'


async def test_only_the_api_server_may_ask():
    async with a_remote_node() as (_, _gateway, endpoint, pki):
        url = f"https://127.0.0.1:{endpoint.port}"

        async def get(path, pair=None):
            context = client_context(
                ca=pki.ca_certificate,
                certificate=pair.certificate if pair else None,
                key=pair.key if pair else None,
            )
            async with httpx.AsyncClient(verify=context, trust_env=False) as client:
                return await client.get(url + path)

        assert (await get("/pods")).status_code == 401
        assert (await get("/pods", pki.client("jane"))).status_code == 403
        own = pki.client("kube-apiserver-kubelet-client")
        pods = (await get("/pods", own)).json()
        assert [pod["metadata"]["name"] for pod in pods["items"]] == ["web"]
        assert (await get("/healthz", own)).text == "ok"
        assert (await get("/none", own)).status_code == 404


async def test_a_node_without_an_address_cannot_be_reached():
    pki = Pki(SystemClock().now, Entropy().serial)
    pair = pki.client("kube-apiserver-kubelet-client")
    gateway = RemoteNodes(Entropy(), certificate=pair.certificate, key=pair.key)
    with pytest.raises(ApiError, match="told no address"):
        gateway.reach(NodeEndpoint(name="n2"))

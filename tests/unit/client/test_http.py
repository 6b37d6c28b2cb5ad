"""The HTTP transport over real sockets, against a server that answers as it is told."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from kube_actors.actors import Entropy
from kube_actors.api.errors import ApiError, not_found
from kube_actors.api.messages import STDERR, STDOUT, WatchEvent
from kube_actors.api.types.core_v1 import Namespace
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.assembly.pki import Pki
from kube_actors.client import Client, HTTPConfig, HTTPTransport, ProtocolError, TransportTimeout, Unavailable
from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    Send,
    StreamResponse,
    WebSocketUpgrade,
    serve_http,
    server_context,
)
from kube_actors.wire.websocket import WebSocket

JSON = (("Content-Type", "application/json"),)
EPOCH = 1_790_000_000.0

Script = Callable[[HttpRequest], Awaitable[Answer]]


class Server:
    """A real server with a scripted handler; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []
        self.script: Script = not_scripted
        self.port = 0

    async def handle(self, request: HttpRequest) -> Answer:
        self.asked.append(request)
        return await self.script(request)

    @property
    def config(self) -> HTTPConfig:
        return HTTPConfig(server=f"http://127.0.0.1:{self.port}", token="secret", user_agent="tests")


async def not_scripted(request: HttpRequest) -> Answer:
    return HttpResponse(404, JSON, not_found("things", request.path).status.encode())


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve_http, found.handle, "127.0.0.1", 0)
        found.port = running.port
        yield found
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(config: HTTPConfig, timeout: float = 10) -> AsyncIterator[Client]:
    async with HTTPTransport(config, Entropy(1), timeout=timeout) as transport:
        yield Client(transport)


def answering(status: int, body: bytes, headers: tuple[tuple[str, str], ...] = JSON) -> Script:
    async def script(request: HttpRequest) -> Answer:
        return HttpResponse(status, headers, body)

    return script


def streaming(*chunks: bytes, then: Callable[[], Awaitable[None]] | None = None) -> Script:
    async def produce(send: Send) -> None:
        for chunk in chunks:
            await send(chunk)
        if then is not None:
            await then()

    async def script(request: HttpRequest) -> Answer:
        return StreamResponse(200, JSON, produce)

    return script


def event(name: str, revision: int) -> WatchEvent:
    body = b'{"kind":"Namespace","metadata":{"name":"%s","resourceVersion":"%d"}}' % (name.encode(), revision)
    return WatchEvent("ADDED", body, revision)


async def test_a_request_is_the_ordinary_rest_call(server: Server) -> None:
    server.script = answering(201, b'{"kind":"Namespace","metadata":{"name":"x","uid":"1"}}')
    async with connected(server.config) as client:
        made = await client.create(Namespace(metadata=ObjectMeta(name="x")), dry_run=True)
    assert made.metadata.uid == "1"
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/api/v1/namespaces", "dryRun=All")
    assert asked.headers.get("authorization") == "Bearer secret"
    assert asked.headers.get("user-agent") == "tests"
    assert asked.headers.get("content-type") == "application/json"
    assert b'"name":"x"' in asked.body


async def test_a_refusal_is_the_servers_own_status(server: Server) -> None:
    async with connected(server.config) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(Namespace, "x")
        with pytest.raises(ApiError):
            async with client.watch(Namespace):
                pass
    assert caught.value.is_not_found


async def test_an_answer_that_is_no_object_is_refused(server: Server) -> None:
    server.script = answering(200, b"<html>", (("Content-Type", "text/html"),))
    async with connected(server.config) as client:
        with pytest.raises(ProtocolError):
            await client.get(Namespace, "x")


async def test_a_watch_is_read_as_it_comes_and_ends_cleanly(server: Server) -> None:
    body = event("a", 5).line() + event("b", 6).line()
    server.script = streaming(body[:30], body[30:70], body[70:])
    async with connected(server.config) as client:
        async with client.watch(Namespace, resource_version="4") as events:
            seen = [(found.type, found.object.metadata.name) async for found in events]
    assert seen == [("ADDED", "a"), ("ADDED", "b")]
    assert server.asked[0].query_pairs() == [("watch", "true"), ("resourceVersion", "4")]


async def test_a_watch_that_breaks_off_is_unavailable(server: Server) -> None:
    async def die() -> None:
        raise RuntimeError("the server dies")

    server.script = streaming(event("a", 5).line(), b'{"type":', then=die)
    async with connected(server.config) as client:
        async with client.watch(Namespace) as events:
            assert (await anext(events)).object.metadata.name == "a"
            with pytest.raises(Unavailable):
                await anext(events)


async def test_a_closed_watch_is_noticed_by_the_server(server: Server) -> None:
    gone = trio.Event()

    async def wait() -> None:
        try:
            await trio.sleep_forever()
        finally:
            gone.set()

    server.script = streaming(event("a", 5).line(), then=wait)
    async with connected(server.config) as client:
        async with client.watch(Namespace) as events:
            await anext(events)
        with trio.fail_after(2):
            await gone.wait()


async def test_closing_a_watch_wakes_its_reader(server: Server) -> None:
    server.script = streaming(event("a", 5).line(), then=trio.sleep_forever)
    async with connected(server.config) as client:
        stream = await client.open_watch(Namespace)
        assert len(await stream.receive_batch()) == 1
        batches = []

        async def read() -> None:
            batches.append(await stream.receive_batch())

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await trio.lowlevel.checkpoint()
                stream.close()
                stream.close()
        assert batches == [[]]


async def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with connected(HTTPConfig(server=f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(Unavailable, match="get namespaces x: "):
            await client.get(Namespace, "x")
        with pytest.raises(Unavailable):
            await client.run("web", ["true"], namespace="default")


async def test_no_answer_in_time_is_a_timeout(server: Server) -> None:
    async def script(request: HttpRequest) -> Answer:
        await trio.sleep_forever()
        raise AssertionError

    server.script = script
    async with connected(server.config, timeout=0.05) as client:
        with pytest.raises(TransportTimeout, match=r"no answer from http://127\.0\.0\.1:\d+ in 0\.05 s"):
            await client.get(Namespace, "x")


async def test_a_token_file_is_read_again_when_it_is_old(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    server.script = answering(200, b"{}")
    config = HTTPConfig(server=f"http://127.0.0.1:{server.port}", token_file=str(file))
    async with connected(config) as client:
        await client.get_raw("/version")
        file.write_text("second\n")
        await client.get_raw("/version")
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Bearer first", "Bearer first"]


async def test_a_log_is_followed(server: Server) -> None:
    server.script = streaming(b"one\n", b"two\n")
    async with connected(server.config) as client:
        async with client.follow_logs("web", namespace="default", container="main") as log:
            text = b""
            while chunk := await log.receive_some():
                text += chunk
    assert text == b"one\ntwo\n"
    asked = server.asked[0]
    assert (asked.path, asked.query) == ("/api/v1/namespaces/default/pods/web/log", "container=main&follow=true")


async def test_a_remote_command_runs_over_a_websocket(server: Server) -> None:
    async def command(ws: WebSocket) -> None:
        given = b""
        while True:
            frame = await ws.receive()
            assert isinstance(frame, bytes)
            if frame == b"\xff\x00":
                break
            given += frame[1:]
        await ws.send(bytes([STDOUT]) + given.upper())
        await ws.send(bytes([STDERR]) + b"warning")
        status = b'{"kind":"Status","status":"Failure","reason":"NonZeroExitCode","message":"command failed",'
        await ws.send(b"\x03" + status + b'"details":{"causes":[{"reason":"ExitCode","message":"3"}]}}')

    async def script(request: HttpRequest) -> Answer:
        return WebSocketUpgrade(command, "v5.channel.k8s.io")

    server.script = script
    async with connected(server.config) as client:
        with trio.fail_after(10):
            result = await client.run("web", ["tr", "a", "A"], namespace="default", stdin=b"hello")
    assert (result.stdout, result.stderr, result.exit_code) == (b"HELLO", b"warning", 3)
    asked = server.asked[0]
    assert asked.path == "/api/v1/namespaces/default/pods/web/exec"
    assert asked.query_pairs()[:3] == [("command", "tr"), ("command", "a"), ("command", "A")]
    assert asked.headers.get("authorization") == "Bearer secret"


async def test_a_refused_command_is_the_servers_own_status(server: Server) -> None:
    async with connected(server.config) as client:
        with pytest.raises(ApiError) as caught:
            await client.run("web", ["true"], namespace="default")
    assert caught.value.is_not_found


async def test_tls_with_the_clusters_authority_and_a_client_certificate() -> None:
    pki = Pki(lambda: EPOCH, Entropy(7).serial)
    serving, alice = pki.serving("server", ["127.0.0.1"]), pki.client("alice", ["admins"])
    tls = server_context(serving.certificate, serving.key, client_ca=pki.ca_certificate)
    found = Server()
    found.script = answering(200, b"{}")
    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve_http_tls, found, tls)
        good = HTTPConfig(
            server=f"https://127.0.0.1:{running.port}",
            ca=pki.ca_certificate,
            client_certificate=alice.certificate,
            client_key=alice.key,
        )
        async with connected(good) as client:
            await client.get_raw("/version")
        assert found.asked[0].certificate is not None
        stranger = Pki(lambda: EPOCH, Entropy(8).serial)
        async with connected(HTTPConfig(server=good.server, ca=stranger.ca_certificate)) as client:
            with pytest.raises(ProtocolError, match="certificate verify failed: self-signed"):
                await client.get_raw("/version")
        nursery.cancel_scope.cancel()


async def serve_http_tls(found: Server, tls: object, task_status: trio.TaskStatus[object]) -> None:
    await serve_http(found.handle, "127.0.0.1", 0, tls=tls, task_status=task_status)  # type: ignore[arg-type]

"""WebSockets: our server with an independent client, our client with our server, and rude peers."""

from __future__ import annotations

import httpx
import pytest
import trio
import websocket as websocket_client

from kube_actors.wire import (
    HandshakeFailed,
    HttpResponse,
    Limits,
    WebSocketClosed,
    WebSocketUpgrade,
    choose_subprotocol,
    client_context,
    wants_websocket,
)
from kube_actors.wire.websocket_client import connect_websocket

KEY = bytes(range(16))


async def echo(request):
    if not wants_websocket(request):
        return HttpResponse(400, (), b"a WebSocket, please")

    async def handle(ws):
        while True:
            await ws.send(await ws.receive())

    return WebSocketUpgrade(handle, choose_subprotocol(request, ("v5.x", "v4.x")))


async def test_an_independent_client_is_echoed(serving, tls, tmp_path, pki, until):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(pki.ca_certificate)

    def talk(port: int) -> None:
        ws = websocket_client.create_connection(
            f"wss://localhost:{port}/exec?command=a", subprotocols=["v4.x", "v5.x"], sslopt={"ca_certs": str(ca)}
        )
        assert ws.subprotocol == "v4.x", "the client's order decides"
        ws.send("text äö")
        assert ws.recv() == "text äö"
        ws.send_binary(b"\0" * 300_000)
        assert ws.recv() == b"\0" * 300_000
        ws.ping("are you there")
        opcode, frame = ws.recv_data_frame(control_frame=True)
        assert (opcode, frame.data) == (websocket_client.ABNF.OPCODE_PONG, b"are you there")
        ws.send_close(1000, b"bye")
        opcode, frame = ws.recv_data_frame(control_frame=True)
        assert opcode == websocket_client.ABNF.OPCODE_CLOSE
        ws.shutdown()

    async with serving(echo, tls=tls) as server:
        await trio.to_thread.run_sync(talk, server.port)
        await until(lambda: not server.statistics().connections, 2)


@pytest.mark.parametrize("secure", [False, True])
async def test_our_client_and_server(serving, tls, pki, secure):
    async with serving(echo, tls=tls if secure else None) as server:
        context = client_context(ca=pki.ca_certificate) if secure else None
        url = f"{'https' if secure else 'ws'}://127.0.0.1:{server.port}/x"
        async with connect_websocket(url, key=KEY, tls=context, subprotocols=("v5.x",)) as ws:
            assert ws.subprotocol == "v5.x"
            for message in (b"", b"\0abc", "text", b"x" * 1_000_000):
                await ws.send(message)
                assert await ws.receive() == message


async def test_the_servers_close_code_reaches_the_client(serving):
    async def handler(request):
        async def handle(ws):
            await ws.send("last")
            await ws.aclose(4000, "done")

        return WebSocketUpgrade(handle)

    async with serving(handler) as server:
        async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY) as ws:
            assert await ws.receive() == "last"
            with pytest.raises(WebSocketClosed) as closed:
                await ws.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "done")


@pytest.mark.parametrize("polite", [True, False])
async def test_a_handler_does_not_outlive_its_client(serving, polite):
    started, cancelled = trio.Event(), trio.Event()

    async def handler(request):
        async def handle(ws):
            started.set()
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()

        return WebSocketUpgrade(handle)

    async with serving(handler) as server:
        async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY) as ws:
            await started.wait()
            if not polite:
                ws._transport.send_eof()
                ws._lost = True
        with trio.fail_after(1):
            await cancelled.wait()


async def test_a_failing_handler_closes_with_1011(serving, caplog):
    async def handler(request):
        async def handle(ws):
            raise RuntimeError("deliberate")

        return WebSocketUpgrade(handle)

    async with serving(handler) as server:
        async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY) as ws:
            with pytest.raises(WebSocketClosed) as closed:
                await ws.receive()
    assert closed.value.code == 1011
    assert "deliberate" in caplog.text


async def test_a_departure_seen_by_a_child_task_is_no_failure(serving, caplog, until):
    ended = trio.Event()

    async def handler(request):
        async def handle(ws):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ws.receive)
            finally:
                ended.set()

        return WebSocketUpgrade(handle)

    async with serving(handler) as server:
        async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY) as ws:
            await ws.aclose(4001, "gone fishing")
        await ended.wait()
        await until(lambda: not server.statistics().connections)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_too_big_message_closes_with_1009(serving):
    async with serving(echo, limits=Limits(message_bytes=1000)) as server:
        async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY) as ws:
            await ws.send(b"x" * 1001)
            with pytest.raises(WebSocketClosed) as closed:
                await ws.receive()
            assert closed.value.code == 1009


async def test_untaken_messages_hold_up_the_sender(serving, until):
    go = trio.Event()
    received = []

    async def handler(request):
        async def handle(ws):
            await go.wait()
            while True:
                received.append(len(await ws.receive()))

        return WebSocketUpgrade(handle)

    async with serving(handler, limits=Limits(messages_bytes=100_000)) as server:
        url, impatient = f"ws://127.0.0.1:{server.port}/", Limits(close_seconds=0.1)
        async with connect_websocket(url, key=KEY, limits=impatient) as ws:
            sent = 0
            with trio.move_on_after(0.5):
                while sent < 1000:
                    await ws.send(b"x" * 100_000)
                    sent += 1
            assert sent < 1000, "bounded by the kernel's buffers and ours"
            go.set()
            await until(lambda: len(received) >= sent)


async def test_a_refusal_is_reported_with_its_status_and_body(serving):
    async def handler(request):
        return HttpResponse(403, (), b"not you")

    async with serving(handler) as server:
        with pytest.raises(HandshakeFailed) as refused:
            async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY):
                raise AssertionError("not reached")
        assert (refused.value.status, refused.value.body) == (403, b"not you")


async def test_an_exception_in_the_clients_block_arrives_as_it_is(serving):
    async with serving(echo) as server:
        with pytest.raises(KeyError, match="mine"):
            async with connect_websocket(f"ws://127.0.0.1:{server.port}/", key=KEY):
                raise KeyError("mine")


async def test_upgrade_to_something_else_is_an_ordinary_request(serving):
    async with serving(echo) as server:
        async with httpx.AsyncClient() as client:
            headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
            answer = await client.get(f"http://127.0.0.1:{server.port}/", headers=headers)
            assert (answer.status_code, answer.text) == (400, "a WebSocket, please")


async def test_frames_sent_with_the_handshake_are_not_lost(serving, raw):
    async with serving(echo) as server:
        stream = await raw(server)
        handshake = (
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await stream.send_all(handshake + b"\x81\x82\0\0\0\0hi")
        data = b""
        while not data.endswith(b"\x81\x02hi"):
            data += await stream.receive_some()
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data

"""The server as clients meet it: independent clients and raw sockets on loopback."""

from __future__ import annotations

import gzip
import logging

import h11
import httpx
import pytest
import trio

from kube_actors.wire import (
    HttpResponse,
    HttpServer,
    Limits,
    ListenError,
    StreamResponse,
    client_context,
    listen_tcp,
    serve_http,
)

TEXT = (("Content-Type", "text/plain"),)


async def echo(request):
    body = f"{request.method} {request.path}?{request.query} ".encode() + request.body
    return HttpResponse(200, TEXT, body)


async def read_until(stream: trio.abc.Stream, end: bytes) -> bytes:
    data = b""
    while end not in data:
        more = await stream.receive_some()
        assert more, f"the server closed after {data!r}"
        data += more
    return data


async def read_all(stream: trio.abc.Stream) -> bytes:
    data = b""
    while more := await stream.receive_some():
        data += more
    return data


@pytest.mark.parametrize("secure", [False, True])
async def test_requests_of_every_shape_by_httpx(serving, tls, pki, secure):
    async with serving(echo, tls=tls if secure else None) as server:
        scheme = "https" if secure else "http"
        verify = client_context(ca=pki.ca_certificate) if secure else False
        base = f"{scheme}://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, verify=verify) as client:
            assert (await client.get("/a", params={"q": "x y"})).text == "GET /a?q=x+y "
            assert (await client.post("/b", content=b"z" * 100_000)).content.endswith(b"z" * 100_000)

            async def parts():
                yield b"one,"
                yield b"two"

            assert (await client.put("/c", content=parts())).text == "PUT /c? one,two"
            head = await client.head("/d")
            assert (head.text, head.headers["content-length"]) == ("", "9")
        assert server.statistics().requests == 4
        assert server.statistics().accepted == 1, "the connection was kept alive"


async def test_h11_agrees_with_our_framing(serving, raw):
    async def handler(request):
        if request.path == "/stream":

            async def produce(send):
                for part in (b"a", b"", b"bc"):
                    await send(part)
                    await trio.testing.wait_all_tasks_blocked()

            return StreamResponse(200, TEXT, produce)
        return HttpResponse(204 if request.path == "/none" else 200, TEXT, b"" if request.path == "/none" else b"x")

    async with serving(handler) as server:
        stream = await raw(server)
        client = h11.Connection(h11.CLIENT)
        for path, expected in (("/none", b""), ("/stream", b"abc"), ("/", b"x")):
            request = h11.Request(method="GET", target=path, headers=[("host", "x")])
            await stream.send_all(client.send(request) + client.send(h11.EndOfMessage()))
            body = b""
            while not isinstance(event := client.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    client.receive_data(await stream.receive_some())
                elif isinstance(event, h11.Data):
                    body += event.data
            assert body == expected
            client.start_next_cycle()


async def test_pipelined_requests_are_answered_in_order(serving, raw):
    running = []

    async def handler(request):
        running.append(request.path)
        await trio.lowlevel.checkpoint()
        assert len(running) == 1, "one at a time"
        running.pop()
        return HttpResponse(200, (), request.path.encode() + b";")

    async with serving(handler, limits=Limits(pipelined=4)) as server:
        stream = await raw(server)
        count = 100
        requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(count))
        await stream.send_all(requests)
        data = await read_until(stream, b"/99;")
        answers = [int(part.rpartition(b"/")[2]) for part in data.split(b";")[:-1]]
        assert answers == list(range(count))


async def test_a_shut_sending_side_still_gets_its_answer(serving, raw):
    async with serving(echo) as server:
        stream = await raw(server)
        await stream.send_all(b"GET /x HTTP/1.0\r\n\r\n")
        await stream.send_eof()
        answer = await read_all(stream)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"GET /x? ")


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
async def test_a_departed_client_cancels_its_handler_within_a_second(serving, tls, pki, secure, streaming, raw, until):
    started, cancelled = trio.Event(), trio.Event()

    async def wait(send=None):
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def handler(request):
        if streaming:
            return StreamResponse(200, (), wait)
        return await wait()

    async with serving(handler, tls=tls if secure else None) as server:
        stream = await raw(server, tls=client_context(ca=pki.ca_certificate) if secure else None)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()
        await stream.aclose()
        with trio.fail_after(1):
            await cancelled.wait()
            await until(lambda: not server.statistics().connections)


async def test_stream_head_goes_out_before_the_first_event_and_bursts_are_joined(serving, raw):
    go = trio.Event()

    async def produce(send):
        await go.wait()
        for n in range(100):
            await send(b"%d\n" % n)

    async def handler(request):
        return StreamResponse(200, TEXT, produce)

    async with serving(handler) as server:
        stream = await raw(server)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_until(stream, b"\r\n\r\n")).endswith(b"\r\n\r\n")
        go.set()
        body = await read_until(stream, b"0\r\n\r\n")
        assert body.count(b"\r\n") <= 6, "a burst is a chunk or two, not a hundred"
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(stream, b"0\r\n\r\n")


@pytest.mark.parametrize("secure", [False, True])
async def test_a_slow_client_holds_up_the_producer_and_is_cut_off(serving, tls, pki, secure, raw):
    sent, cancelled = [], trio.Event()

    async def produce(send):
        try:
            while True:
                await send(b"x" * 65536)
                sent.append(1)
                await trio.lowlevel.checkpoint()
        finally:
            cancelled.set()

    async def handler(request):
        return StreamResponse(200, (), produce)

    async with serving(handler, tls=tls if secure else None, limits=Limits(write_seconds=0.2)) as server:
        stream = await raw(server, tls=client_context(ca=pki.ca_certificate) if secure else None)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await cancelled.wait()
        assert len(sent) < 1000, "bounded by the kernel's buffers and ours"


async def test_big_answers_arrive_whole_and_compressed_where_accepted(serving, tls, pki):
    body = b"0123456789abcdef" * 500_000

    async def handler(request):
        return HttpResponse(200, TEXT, body)

    async with serving(handler, tls=tls) as server:
        url = f"https://127.0.0.1:{server.port}/"
        async with httpx.AsyncClient(verify=client_context(ca=pki.ca_certificate)) as client:
            answer = await client.get(url, headers={"Accept-Encoding": "identity"})
            assert answer.content == body
            assert "content-encoding" not in answer.headers
            async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
                packed = b"".join([part async for part in answer.aiter_raw()])
                assert answer.headers["content-encoding"] == "gzip"
            assert gzip.decompress(packed) == body


async def test_expect_continue(serving, raw):
    async with serving(echo) as server:
        stream = await raw(server)
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await read_until(stream, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await stream.send_all(b"ok")
        assert b"ok" in await read_until(stream, b"ok")


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_oversized_body_gets_413_and_the_client_can_read_it(serving, chunked):
    async def handler(request):
        return HttpResponse(200, (), request.body)

    async def parts():
        for _ in range(50):
            yield b"x" * 100_000

    async with serving(handler, limits=Limits(body_bytes=1000)) as server:
        async with httpx.AsyncClient() as client:
            content = parts() if chunked else b"x" * 5_000_000
            answer = await client.post(f"http://127.0.0.1:{server.port}/", content=content)
            assert answer.status_code == 413
            assert "limit of 1000 bytes" in answer.text
            assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100, 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
async def test_bad_requests_are_refused_and_the_connection_closed(serving, request_bytes, status, raw):
    limits = Limits(target_bytes=4000, head_bytes=10_000, headers=50)
    async with serving(echo, limits=limits) as server:
        stream = await raw(server)
        await stream.send_all(request_bytes)
        answer = await read_all(stream)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"Connection: close" in answer


async def test_a_good_request_before_a_bad_one_is_answered(serving, raw):
    async with serving(echo) as server:
        stream = await raw(server)
        await stream.send_all(b"GET /good HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n")
        answer = await read_all(stream)
        assert answer.index(b"GET /good") < answer.index(b"HTTP/1.1 400")


async def test_a_failing_handler_is_500_logged_once_and_others_go_on(serving, caplog):
    async def handler(request):
        if request.path == "/bad":
            raise RuntimeError("deliberate")
        if request.path == "/inject":
            return HttpResponse(200, (("X-A", "b\r\nSet-Cookie: c"),), b"")
        return HttpResponse(200, (), b"fine")

    async with serving(handler) as server:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            for path in ("/bad", "/inject"):
                with caplog.at_level(logging.ERROR):
                    caplog.clear()
                    answer = await client.get(path)
                assert answer.status_code == 500
                assert "deliberate" not in answer.text
                assert len(caplog.records) == 1
            assert (await client.get("/")).text == "fine"


async def test_a_failing_stream_is_truncated_not_completed(serving, caplog):
    async def produce(send):
        await send(b"half")
        await trio.testing.wait_all_tasks_blocked()
        raise RuntimeError("deliberate")

    async def handler(request):
        return StreamResponse(200, (), produce)

    async with serving(handler) as server:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"http://127.0.0.1:{server.port}/")
    assert "deliberate" in caplog.text


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"])
async def test_dawdling_clients_are_closed(serving, sent, raw):
    limits = Limits(head_seconds=0.1, body_seconds=0.1, idle_seconds=0.1)
    async with serving(echo, limits=limits) as server:
        stream = await raw(server)
        if sent:
            await stream.send_all(sent)
        assert await read_all(stream) == b""


async def test_an_idle_connection_and_a_stuck_handshake_are_closed(serving, tls, raw):
    async with serving(echo, tls=tls, limits=Limits(handshake_seconds=0.1)) as server:
        stream = await raw(server)
        assert await read_all(stream) == b""
    async with serving(echo, limits=Limits(idle_seconds=0.1)) as server:
        stream = await raw(server)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_all(stream)).endswith(b"GET /? ")


async def test_trickling_header_bytes_do_not_extend_the_deadline(serving, raw):
    async with serving(echo, limits=Limits(head_seconds=0.2)) as server:
        stream = await raw(server)
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"A: b\r\n")
                await trio.sleep(0.02)


async def test_shutdown_finishes_requests_ends_streams_and_closes_idle_connections(serving, raw):
    started, go = trio.Event(), trio.Event()

    async def handler(request):
        if request.path == "/stream":

            async def produce(send):
                await send(b"first")
                await trio.sleep_forever()

            return StreamResponse(200, (), produce)
        if request.path == "/slow":
            started.set()
            await go.wait()
        return HttpResponse(200, (), b"done")

    sockets = await listen_tcp("127.0.0.1", 0)
    server = HttpServer(handler, sockets)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        slow, idle, stream = [await raw(server) for _ in range(3)]
        await idle.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(idle, b"done")
        await stream.send_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(stream, b"first")
        await slow.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await started.wait()
        server.shutdown()
        assert await read_all(idle) == b""
        assert (await read_all(stream)).endswith(b"0\r\n\r\n"), "a clean end, not a cut"
        with pytest.raises(OSError):
            await raw(server)
        go.set()
        answer = await read_all(slow)
        assert b"Connection: close" in answer
        assert answer.endswith(b"done")


async def test_the_connection_limit_lets_the_idlest_go_and_keeps_the_busy(serving, raw):
    started = trio.Event()

    async def handler(request):
        if request.path == "/stay":
            started.set()
            await trio.sleep_forever()
        return HttpResponse(200, (), b"ok!")

    async with serving(handler, limits=Limits(connections=2)) as server:
        busy, idle = await raw(server), await raw(server)
        await busy.send_all(b"GET /stay HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(idle, b"ok!")
        await started.wait()
        newcomer = await raw(server)
        await newcomer.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_until(newcomer, b"ok!")
        assert await read_all(idle) == b""
        assert server.statistics().connections == 2


async def test_a_port_in_use_is_named():
    sockets = await listen_tcp("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        await serve_http(echo, "127.0.0.1", port)
    sockets[0].close()


async def test_date_header_from_the_given_clock(serving):
    async with serving(echo, now=lambda: 1_795_533_429.7) as server:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/")
            assert answer.headers["date"] == "Tue, 24 Nov 2026 15:17:09 GMT"

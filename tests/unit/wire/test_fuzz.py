"""Whatever bytes come, however cut: the parser keeps its word and the server goes on."""

from __future__ import annotations

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube_actors.wire import HttpResponse, Limits, WebSocketUpgrade, listen_tcp, wants_websocket
from kube_actors.wire.parser import RequestParser
from kube_actors.wire.server import HttpServer

FRAGMENTS = (
    b"GET ", b"POST ", b"CONNECT ", b"/", b"*", b"http://h/p", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n",
    b"Host: x\r\n", b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n", b"\0", b"\xff",
    b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Key: AAAA\r\n", b"Expect: 100-continue\r\n",
    b"abc", b"\x81\x82\0\0\0\0hi", b"\x88\x80\0\0\0\0",
)  # fmt: skip
rubbish = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=20), max_size=25).map(b"".join)
LIMITS = Limits(
    body_bytes=50, head_bytes=300, target_bytes=100, headers=10, linger_seconds=0, half_close_seconds=0.01,
    close_seconds=0.01,
)  # fmt: skip


def outcome(pieces):
    parser = RequestParser(LIMITS, ("", 0))
    found = []
    for piece in pieces:
        found += parser.feed(piece)
    return [(i.request.method, i.request.target, i.request.content, i.upgrade) for i in found], parser


@given(rubbish)
@settings(max_examples=500)
def test_the_parser_yields_requests_or_one_refusal_never_anything_else(data):
    found, parser = outcome([data])
    for _, target, content, _ in found:
        assert len(target) <= LIMITS.target_bytes
        assert content is None or len(content) <= LIMITS.body_bytes
    assert parser.refusal is None or parser.refusal.status in (400, 413, 414, 431)


@given(st.lists(st.tuples(st.sampled_from(["GET", "PUT"]), st.binary(max_size=40)), max_size=5), st.data())
def test_how_a_stream_is_cut_does_not_matter(requests, data):
    stream = b"".join(
        b"%b /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (method.encode(), len(body), body)
        for method, body in requests
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found, parser = outcome([piece for piece in pieces if piece])
    assert [(method, content) for method, _, content, _ in found] == requests
    assert parser.refusal is None
    assert not parser.in_message


def test_endless_framing_is_refused_with_bounded_memory():
    parser = RequestParser(LIMITS, ("", 0))
    parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ")
    for _ in range(100):
        assert parser.feed(b"x" * 100) == []
    assert parser.refusal is not None
    assert parser.refusal.status == 413


async def handler(request):
    async def handle(ws):
        while True:
            await ws.send(await ws.receive())

    return WebSocketUpgrade(handle) if wants_websocket(request) else HttpResponse(200, (), request.body)


async def throw_at_server(data):
    server = HttpServer(handler, await listen_tcp("127.0.0.1", 0), limits=LIMITS)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        with trio.fail_after(10):
            stream = await trio.open_tcp_stream("127.0.0.1", server.port)
            try:
                await stream.send_all(data)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass  # a reset is an answer as well
            good = await trio.open_tcp_stream("127.0.0.1", server.port)
            await good.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await good.receive_some()).startswith(b"HTTP/1.1 200")
            await good.aclose()
            await stream.aclose()
        nursery.cancel_scope.cancel()


@given(rubbish)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_server_survives_rubbish(data):
    trio.run(throw_at_server, data)


async def test_server_survives_handshakes_full_of_rubbish_frames():
    handshake = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for frames in (b"\xff" * 50, b"\x81\xff" + b"\xff" * 12, b"\x88\x81\0\0\0\0\x01", b"\x81\x02hi", b"\x89\xfe"):
        await throw_at_server(handshake + frames)

"""Answers without another task: what repeats is read as it would be read anew, and order is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from kube_actors.wire import HttpRequest, HttpResponse, Limits, Send, SendNow, StreamResponse, client_context
from kube_actors.wire.parser import RequestParser

HEAD = b"Host: x\r\nAccept: application/json\r\n\r\n"


def parser() -> RequestParser:
    return RequestParser(Limits(target_bytes=200), ("127.0.0.1", 1))


def seen(request: HttpRequest) -> tuple[Any, ...]:
    lines = tuple(request.headers)
    return request.method, request.target, request.path, request.query, lines, request.content, request.version


@pytest.mark.parametrize("target", [b"/", b"/a/b?c=%20d&e", b"/a%2fb", b"//x", b"/a?b?c", b"/~a!$&'()*+,;=:@"])
def test_what_repeats_is_what_would_have_been_read(target: bytes) -> None:
    learned, fresh = parser(), parser()
    learned.feed(b"GET /first HTTP/1.1\r\n" + HEAD)
    data = b"GET %b HTTP/1.1\r\n%b" % (target, HEAD)
    again = learned.again(data)
    assert again is not None
    assert seen(again) == seen(fresh.feed(data)[0].request)
    assert learned.again(data) is not None
    assert [seen(each.request) for each in learned.feed(data)] == [seen(again)]


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\n" + HEAD,
        b"GET / HTTP/1.0\r\n" + HEAD,
        b"GET http://x/ HTTP/1.1\r\n" + HEAD,
        b"GET /a b HTTP/1.1\r\n" + HEAD,
        b"GET /\xc3\xa4 HTTP/1.1\r\n" + HEAD,
        b"GET /%b HTTP/1.1\r\n%b" % (b"a" * 200, HEAD),
        b"GET / HTTP/1.1\r\n" + HEAD + b"GET / HTTP/1.1\r\n" + HEAD,
        b"GET / HTTP/1.1\r\n" + HEAD[:-1],
        b"\r\nGET / HTTP/1.1\r\n" + HEAD,
        b"GET / HTTP/1.1\r\nHost: y\r\n\r\n",
        b"",
    ],
)
def test_all_else_is_read(data: bytes) -> None:
    learned = parser()
    assert learned.again(b"GET / HTTP/1.1\r\n" + HEAD) is None
    learned.feed(b"GET / HTTP/1.1\r\n" + HEAD)
    assert learned.again(data) is None


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: x\r\nContent-Length: 1\r\n\r\nx",
        b"Host: x\r\nContent-Length: 0\r\n\r\n",
        b"Host: x\r\nConnection: close\r\n\r\n",
        b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Host: x\r\nExpect: 100-continue\r\n\r\n",
        b"Accept: */*\r\n\r\n",
    ],
)
def test_what_frames_a_body_or_ends_a_connection_is_never_learned(lines: bytes) -> None:
    learned = parser()
    data = b"GET / HTTP/1.1\r\n" + lines
    learned.feed(data)
    assert learned.again(data) is None


def test_no_request_begins_in_the_middle_of_another() -> None:
    learned, data = parser(), b"GET / HTTP/1.1\r\n" + HEAD
    learned.feed(data)
    learned.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n")
    assert learned.again(data) is None


async def test_answers_keep_their_order(serving: Callable[..., Any], raw: Callable[..., Any]) -> None:
    waited: list[str] = []

    async def handler(request: HttpRequest) -> HttpResponse:
        waited.append(request.path)
        return HttpResponse(200, (), f"[waited {request.path}]".encode())

    def at_once(request: HttpRequest) -> HttpResponse | None:
        if request.path.startswith("/wait"):
            return None
        return HttpResponse(200, (), f"[{request.path}]".encode(), "X-Quick: yes\r\n")

    def get(path: bytes) -> bytes:
        return b"GET %b HTTP/1.1\r\n%b" % (path, HEAD)

    async with serving(handler, at_once=at_once) as server:
        stream = await raw(server)
        found = b""

        async def told(count: int) -> None:
            nonlocal found
            while found.count(b"[") < count or not found.endswith(b"]"):
                found += await stream.receive_some()

        await stream.send_all(get(b"/first"))
        await told(1)
        await stream.send_all(get(b"/a"))
        await told(2)
        await stream.send_all(get(b"/wait"))
        await told(3)
        await stream.send_all(get(b"/b") + get(b"/wait2") + get(b"/c"))
        await told(6)
        await stream.send_all(get(b"/d"))
        await told(7)
        bodies = [part.split(b"]")[0].decode() for part in found.split(b"[")[1:]]
        assert [body.removeprefix("waited ") for body in bodies] == [
            "/first", "/a", "/wait", "/b", "/wait2", "/c", "/d",
        ]  # fmt: skip
        assert bodies[1] == "/a"
        assert bodies[6] == "/d"
        assert found.count(b"X-Quick: yes\r\n") == 2
        assert server.statistics().requests == 7


@pytest.mark.parametrize("secure", [False, True])
async def test_pieces_written_at_once_keep_their_order_and_wait_for_a_slow_client(
    serving: Callable[..., Any], raw: Callable[..., Any], tls: Any, pki: Any, secure: bool
) -> None:
    taken: list[int] = []
    filled = trio.Event()

    async def handler(request: HttpRequest) -> StreamResponse:
        writes: list[SendNow] = []

        async def produce(send: Send) -> None:
            await send(b"[0]")
            await trio.testing.wait_all_tasks_blocked()
            for number in range(1, 5000):
                if not writes[0](b"[%d]" % number + b"." * 9000):
                    break
                taken.append(number)
            filled.set()
            assert not writes[0](b"[never]")
            await send(b"[last]")

        return StreamResponse(200, (), produce, prompt=True, lend=writes.append)

    async with serving(handler, tls=tls if secure else None) as server:
        stream = await raw(server, tls=client_context(ca=pki.ca_certificate) if secure else None)
        await stream.send_all(b"GET / HTTP/1.1\r\n" + HEAD)
        await filled.wait()
        found = b""
        while not found.endswith(b"0\r\n\r\n"):
            found += await stream.receive_some()
        numbers = re.findall(rb"\[([a-z0-9]+)\]", found)
        assert len(taken) > 1
        assert numbers == [b"0", *(b"%d" % number for number in taken), b"last"]


async def test_a_client_that_left_is_noticed_by_what_is_written_at_once(
    serving: Callable[..., Any], raw: Callable[..., Any]
) -> None:
    ended = trio.Event()
    writes: list[SendNow] = []

    async def handler(request: HttpRequest) -> StreamResponse:
        async def produce(send: Send) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.set()

        return StreamResponse(200, (), produce, prompt=True, lend=writes.append)

    async with serving(handler) as server:
        stream = await raw(server)
        await stream.send_all(b"GET / HTTP/1.1\r\n" + HEAD)
        await stream.receive_some()
        await stream.aclose()
        while not ended.is_set():
            writes[0](b"x" * 1000)
            await trio.lowlevel.checkpoint()
        writes[0](b"x")  # nobody is there any more, and nobody minds

"""Connections that are kept between requests, over real sockets and over pipes of this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    HttpServer,
    Limits,
    PeerGone,
    Send,
    StreamResponse,
    Unreachable,
    listen_tcp,
)
from kube_actors.wire.pool import Pool
from tests.kit.pipes import BUFFER_BYTES, Wires, pair

HOST = (("Host", "x"),)
Serve = Callable[[HttpRequest], Awaitable[Answer]]


async def echo(request: HttpRequest) -> Answer:
    if request.path == "/endless":

        async def produce(send: Send) -> None:
            await send(b"first")
            await trio.sleep_forever()

        return StreamResponse(200, (), produce)
    return HttpResponse(200, (), request.content or b"nothing")


@asynccontextmanager
async def a_pool(way: str, handler: Serve = echo, connections: int = 3, **options: float) -> AsyncIterator[Pool]:
    """A pool and the server at its other end, which is `pool.server`."""
    sockets = await listen_tcp("127.0.0.1", 0) if way == "sockets" else []
    limits = Limits(**options)  # type: ignore[arg-type]
    server = HttpServer(handler, sockets, limits=limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        dial = None if sockets else Wires(server, nursery, limits)
        port = server.port if sockets else 80
        pool = Pool("127.0.0.1", port, connections=connections, idle=2, idle_seconds=60, dial=dial)
        pool.server = server  # type: ignore[attr-defined]
        yield pool
        pool.close()
        nursery.cancel_scope.cancel()


def accepted(pool: Pool) -> int:
    return pool.server.statistics().accepted  # type: ignore[attr-defined,no-any-return]


async def ask(pool: Pool, method: str = "POST", path: str = "/", body: bytes = b"hello") -> bytes:
    reply = await pool.call(method, path, HOST, body)
    assert reply.status == 200
    return await reply.read()


both = pytest.mark.parametrize("way", ["sockets", "pipes"])


@both
async def test_one_connection_serves_request_after_request(way: str) -> None:
    async with a_pool(way) as pool:
        assert [await ask(pool) for _ in range(5)] == [b"hello"] * 5
        assert await ask(pool, body=b"x" * (3 * BUFFER_BYTES)) == b"x" * (3 * BUFFER_BYTES)
        assert await ask(pool, "GET", body=b"") == b"nothing"
        assert accepted(pool) == 1


@both
async def test_an_answer_that_is_not_read_out_gives_its_connection_up(way: str) -> None:
    async with a_pool(way, connections=1) as pool:
        reply = await pool.call("GET", "/endless", HOST)
        assert await reply.receive_some() == b"first"
        reply.close()
        reply.close()
        with trio.fail_after(5):
            assert await ask(pool) == b"hello"
        assert accepted(pool) == 2


@both
async def test_closing_wakes_whoever_reads(way: str) -> None:
    async with a_pool(way) as pool:
        reply = await pool.call("GET", "/endless", HOST)
        await reply.receive_some()
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                async def read() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await reply.receive_some()

                nursery.start_soon(read)
                await trio.testing.wait_all_tasks_blocked()
                reply.close()


async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_pool("pipes", idle_seconds=5) as pool:
        assert await ask(pool) == b"hello"
        await trio.sleep(20)
        assert await ask(pool) == b"hello"
        assert accepted(pool) == 2


async def test_an_old_connection_is_not_used_again(autojump_clock: trio.testing.MockClock) -> None:
    async with a_pool("pipes") as pool:
        await ask(pool)
        await trio.sleep(61)
        await ask(pool)
        assert accepted(pool) == 2


async def test_a_request_beyond_the_limit_waits(autojump_clock: trio.testing.MockClock) -> None:
    async with a_pool("pipes", connections=1) as pool:
        reply = await pool.call("GET", "/endless", HOST)
        with trio.move_on_after(5) as scope:
            await ask(pool)
        assert scope.cancelled_caught
        reply.close()
        assert await ask(pool) == b"hello"


async def test_nobody_there_is_told_with_the_address(autojump_clock: trio.testing.MockClock) -> None:
    async with a_pool("pipes") as pool:
        pool._dial.cut = True  # type: ignore[attr-defined]
        with pytest.raises(Unreachable, match=r"cannot connect to 127\.0\.0\.1:80: Connection refused"):
            await ask(pool)


async def test_headers_with_line_breaks_are_not_sent(autojump_clock: trio.testing.MockClock) -> None:
    async with a_pool("pipes", connections=1) as pool:
        with pytest.raises(ValueError, match="line break"):
            await pool.call("GET", "/", (("X", "a\r\nb: c"),))
        assert await ask(pool) == b"hello"


async def test_a_pipe_is_bounded_and_tells_its_end(autojump_clock: trio.testing.MockClock) -> None:
    one, two = pair(Limits(write_seconds=3))
    assert one.quiet() and two.quiet()
    await one.send(b"x" * BUFFER_BYTES)
    with pytest.raises(PeerGone, match="took no data for 3 s"):
        await one.send(b"y")
    assert not two.quiet()
    taken = 0
    while taken < BUFFER_BYTES:
        taken += len(await two.receive())
    one.close()
    assert await two.receive() == b""
    with pytest.raises(PeerGone, match="Broken pipe"):
        await two.send(b"z")

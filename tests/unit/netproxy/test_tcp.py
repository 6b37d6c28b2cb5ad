"""TCP through the proxy, on real sockets."""

import hashlib
import os
import random
import socket
import struct

import pytest
import trio

from netproxy import limits
from netproxy.addresses import open_proxy
from netproxy.contract import Backend, Frontend, Route, Table

PORT = 8080


def table(address, *backends, affinity=None):
    return Table((Route("web", (Frontend(address, PORT),), tuple(backends), affinity),))


async def test_connections_rotate_over_the_backends(proxy, echo, name_of, address):
    servers = [await echo(name) for name in ("one", "two", "three")]
    assert await proxy.apply(table(address, *(server.backend for server in servers))) == ()
    names = [await name_of(address, PORT) for _ in range(6)]
    assert names == ["one", "two", "three"] * 2
    assert proxy.statistics().accepted == 6


async def test_an_affine_client_stays_with_its_backend(proxy, echo, name_of, address):
    servers = [await echo(name) for name in ("one", "two", "three")]
    await proxy.apply(table(address, *(server.backend for server in servers), affinity=60))
    assert len({await name_of(address, PORT) for _ in range(5)}) == 1


async def test_the_end_of_one_direction_leaves_the_other_open(proxy, echo, dial, address):
    server = await echo("one")
    await proxy.apply(table(address, server.backend))
    _, stream = await dial(address, PORT)
    await stream.send_all(b"question")
    await stream.send_eof()
    answer = b""
    async for data in stream:
        answer += data
    assert answer == b"question"


@pytest.mark.parametrize("size", [1, 100_000, 3 * limits.BULK_BYTES + 17])
async def test_every_byte_arrives_once_and_in_order_both_ways(proxy, echo, address, dial, size):
    server = await echo("one")
    await proxy.apply(table(address, server.backend))
    _, stream = await dial(address, PORT)
    payload = b"".join(number.to_bytes(8, "big") for number in range(size // 8 + 1))[:size]
    digest, received = hashlib.sha256(), 0

    async def send():
        await stream.send_all(payload)
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        async for data in stream:
            digest.update(data)
            received += len(data)
    assert received == size
    assert digest.digest() == hashlib.sha256(payload).digest()


async def test_without_backends_clients_are_refused_until_there_is_one(proxy, echo, name_of, address):
    server = await echo("one")
    await proxy.apply(table(address))
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream(address, PORT)
    await proxy.apply(table(address, server.backend))
    assert await name_of(address, PORT) == "one"
    await proxy.apply(table(address))
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream(address, PORT)
    await proxy.apply(table(address, server.backend))
    assert await name_of(address, PORT) == "one"


async def test_a_dead_backend_is_passed_over(proxy, echo, name_of, address):
    alive = await echo("alive")
    dead = Backend(address, 1)
    await proxy.apply(table(address, dead, alive.backend))
    assert [await name_of(address, PORT) for _ in range(4)] == ["alive"] * 4
    assert proxy.statistics().retried > 0


async def test_only_dead_backends_end_in_a_reset(proxy, address):
    await proxy.apply(table(address, Backend(address, 1), Backend(address, 2)))
    with pytest.raises((trio.BrokenResourceError, OSError)):
        async with await trio.open_tcp_stream(address, PORT) as stream:
            await stream.receive_some(1)
    assert proxy.statistics().refused == 1
    assert proxy.statistics().connections == 0


async def test_a_connection_to_a_removed_backend_drains(proxy, echo, dial, name_of, address):
    old, new = await echo("old"), await echo("new")
    await proxy.apply(table(address, old.backend))
    name, stream = await dial(address, PORT)
    await proxy.apply(table(address, new.backend))
    assert (name, await name_of(address, PORT)) == ("old", "new")
    await stream.send_all(b"still")
    assert await stream.receive_some(5) == b"still"
    await proxy.apply(Table())
    await stream.send_all(b"there")
    assert await stream.receive_some(5) == b"there"


async def test_a_reset_is_handed_on(proxy, echo, dial, address):
    server = await echo("one")
    await proxy.apply(table(address, server.backend))
    _, stream = await dial(address, PORT)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()
    with trio.fail_after(5):
        while proxy.statistics().connections:
            await trio.lowlevel.checkpoint()


async def test_an_answer_that_comes_before_a_reset_arrives(proxy, nursery, address):
    """A server that answers without reading everything ends with RST; the client still gets the answer."""

    async def rude(stream):
        await stream.send_all(b"too large")
        await stream.receive_some(1)
        await stream.aclose()

    listeners = await trio.open_tcp_listeners(0, host=address)
    host, port = listeners[0].socket.getsockname()
    nursery.start_soon(trio.serve_listeners, rude, listeners)
    await proxy.apply(table(address, Backend(host, port)))
    received = b""
    async with await trio.open_tcp_stream(address, PORT) as stream:
        await stream.send_all(b"x" * 100_000)
        try:
            async for data in stream:
                received += data
        except trio.BrokenResourceError:
            pass
    assert received == b"too large"


async def test_more_clients_than_connections_wait_for_their_turn(proxy, echo, dial, name_of, address, monkeypatch):
    monkeypatch.setattr(limits, "CONNECTIONS", 2)
    server = await echo("one")
    await proxy.apply(table(address, server.backend))
    streams = [(await dial(address, PORT))[1] for _ in range(2)]
    happened = []

    async def third():
        happened.append(await name_of(address, PORT))

    with trio.fail_after(10):
        async with trio.open_nursery() as inner:
            inner.start_soon(third)
            while not proxy.statistics().paused:
                await trio.lowlevel.checkpoint()
            assert proxy.statistics().connections == 2
            happened.append("closed")
            await streams[0].aclose()
    assert happened == ["closed", "one"]


class Rude:
    """A server that reads a little and then ends in one of the ways there are."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    async def serve(self, stream):
        try:
            await stream.receive_some(self.random.choice([1, 100, 100_000]))
            if self.random.random() < 0.6:
                await stream.send_all(bytes(self.random.choice([1, 1000, 300_000])))
            await finish(stream, self.random)
        except trio.BrokenResourceError:
            pass


async def finish(stream, chance):
    """An orderly end, the end of one direction only, or a reset."""
    ending = chance.choice(["close", "half", "reset"])
    if ending == "reset":
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif ending == "half":
        await stream.send_eof()
        async for _ in stream:
            pass
    await stream.aclose()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bulk_bytes", [1000, limits.BULK_BYTES])
async def test_however_peers_end_nothing_is_left_open(proxy, nursery, address, monkeypatch, seed, bulk_bytes):
    monkeypatch.setattr(limits, "BULK_BYTES", bulk_bytes)
    chance = random.Random(seed)
    listeners = await trio.open_tcp_listeners(0, host=address)
    nursery.start_soon(trio.serve_listeners, Rude(seed).serve, listeners)
    await proxy.apply(table(address, Backend(*listeners[0].socket.getsockname()), Backend(address, 1)))
    before = len(os.listdir("/proc/self/fd"))

    async def client(number):
        async with await trio.open_tcp_stream(address, PORT) as stream:
            try:
                await stream.send_all(bytes(chance.choice([1, 1000, 300_000])))
                await finish(stream, chance)
            except trio.BrokenResourceError:
                pass

    with trio.fail_after(60):
        async with trio.open_nursery() as clients:
            for number in range(100):
                clients.start_soon(client, number)
        while proxy.statistics().connections or len(os.listdir("/proc/self/fd")) > before:
            await trio.lowlevel.checkpoint()
    assert proxy.statistics().accepted == 100


async def test_nothing_is_left_of_a_proxy_that_ended(loopback_range, echo, dial, address):
    server = await echo("one")
    async with open_proxy("loopback", loopback_range) as running:
        await running.apply(table(address, server.backend))
        _, stream = await dial(address, PORT)
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some(1)
    with socket.socket() as again:
        again.bind((address, PORT))

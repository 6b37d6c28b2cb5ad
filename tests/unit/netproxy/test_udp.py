"""UDP through the proxy, on real sockets."""

import socket

import pytest
import trio

from netproxy import limits
from netproxy.contract import NODE_ADDRESS, Backend, Frontend, Route, Table
from netproxy.proxy import serve_sockets

PORT = 5353


class NamedServer:
    """Answers each datagram with its name and the datagram."""

    def __init__(self, name, sock):
        self.name = name
        self.sock = sock
        self.peers = set()
        self.backend = Backend(*sock.getsockname())

    async def serve(self):
        while True:
            data, peer = await self.sock.recvfrom(65536)
            self.peers.add(peer)
            await self.sock.sendto(self.name.encode() + b":" + data, peer)


@pytest.fixture
async def server(address):
    sockets = []
    async with trio.open_nursery() as servers:

        async def start(name):
            sock = trio.socket.socket(type=socket.SOCK_DGRAM)
            await sock.bind((address, 0))
            sockets.append(sock)
            one = NamedServer(name, sock)
            servers.start_soon(one.serve)
            return one

        yield start
        servers.cancel_scope.cancel()
    for sock in sockets:
        sock.close()


@pytest.fixture
async def client():
    sockets = []

    async def open_client(address, port=PORT):
        sock = trio.socket.socket(type=socket.SOCK_DGRAM)
        sockets.append(sock)
        await sock.connect((address, port))
        return sock

    yield open_client
    for sock in sockets:
        sock.close()


async def ask(sock, text=b"hello"):
    with trio.fail_after(5):
        await sock.send(text)
        return (await sock.recv(65536)).decode()


def table(address, *backends, affinity=None):
    return Table((Route("dns", (Frontend(address, PORT, "UDP"),), tuple(backends), affinity),))


async def test_a_flow_stays_and_new_flows_rotate(proxy, server, client, address):
    one, two = await server("one"), await server("two")
    assert await proxy.apply(table(address, one.backend, two.backend)) == ()
    first, second = await client(address), await client(address)
    assert [await ask(first), await ask(second), await ask(first)] == ["one:hello", "two:hello", "one:hello"]
    assert proxy.statistics().flows == 2
    assert len(one.peers) == 1


async def test_a_big_datagram_stays_whole(proxy, server, client, address):
    one = await server("one")
    await proxy.apply(table(address, one.backend))
    text = bytes(range(256)) * 250
    sock = await client(address)
    with trio.fail_after(5):
        await sock.send(text)
        assert await sock.recv(65536) == b"one:" + text


async def test_a_flow_to_a_removed_backend_ends_at_once(proxy, server, client, address):
    old, new = await server("old"), await server("new")
    await proxy.apply(table(address, old.backend))
    sock = await client(address)
    assert await ask(sock) == "old:hello"
    await proxy.apply(table(address, new.backend))
    assert proxy.statistics().flows == 0
    assert await ask(sock) == "new:hello"


async def test_an_affine_client_address_keeps_its_backend(proxy, server, client, address):
    one, two = await server("one"), await server("two")
    await proxy.apply(table(address, one.backend, two.backend, affinity=60))
    assert {await ask(await client(address)) for _ in range(4)} == {"one:hello"}


async def test_without_backends_the_port_is_unreachable(proxy, server, client, address):
    one = await server("one")
    await proxy.apply(table(address))
    sock = await client(address)
    with pytest.raises(ConnectionRefusedError), trio.fail_after(5):
        await sock.send(b"hello")
        await sock.recv(1)
    await proxy.apply(table(address, one.backend))
    assert await ask(sock) == "one:hello"


async def test_a_dead_backend_loses_one_datagram_and_then_the_flow(proxy, server, client, address):
    one = await server("one")
    await proxy.apply(table(address, Backend(address, 1), one.backend))
    sock = await client(address)
    await sock.send(b"lost")
    with trio.fail_after(5):
        while proxy.statistics().datagrams == 0 or proxy.statistics().flows:
            await trio.lowlevel.checkpoint()
    assert await ask(sock) == "one:hello"


async def test_the_most_silent_flow_makes_room(proxy, server, client, address, monkeypatch):
    monkeypatch.setattr(limits, "UDP_FLOWS", 2)
    one = await server("one")
    await proxy.apply(table(address, one.backend))
    for _ in range(3):
        await ask(await client(address))
    assert proxy.statistics().flows == 2
    assert len(one.peers) == 3


async def test_a_silent_flow_is_forgotten(proxy, server, client, address, monkeypatch):
    monkeypatch.setattr(limits, "UDP_IDLE_SECONDS", 0.0)
    one = await server("one")
    await proxy.apply(table(address, one.backend))
    await ask(await client(address))
    with trio.fail_after(10):
        while proxy.statistics().flows:
            await trio.lowlevel.checkpoint()


async def test_a_node_port_answers_from_the_address_that_was_asked(server, client, address):
    """A socket on every address would otherwise answer from whichever address the kernel prefers."""
    one = await server("one")
    async with serve_sockets(node_address="0.0.0.0", freebind=False) as proxy:
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("0.0.0.0", 0))
            port = probe.getsockname()[1]
        route = Route("dns", (Frontend(NODE_ADDRESS, port, "UDP"),), (one.backend,))
        assert await proxy.apply(Table((route,))) == ()
        # A connected client drops an answer that comes from anywhere else.
        assert await ask(await client(address, port)) == "one:hello"
        assert await ask(await client("127.0.0.1", port)) == "one:hello"

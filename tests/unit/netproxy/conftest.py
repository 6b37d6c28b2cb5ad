"""Real sockets on a slice of loopback of this test run's own; no test sleeps, no test picks a port by luck."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import trio

from netproxy.addresses import open_proxy, reserve_loopback_range
from netproxy.contract import Backend, Proxy


@pytest.fixture(scope="session")
def loopback_range() -> Iterator[str]:
    reserved = reserve_loopback_range()
    yield reserved.network
    reserved.close()


_hosts = count(1)


@pytest.fixture
def address(loopback_range: str) -> str:
    """An address that no other test uses."""
    first, second, *_ = loopback_range.split(".")
    number = next(_hosts)
    return f"{first}.{second}.{number // 250}.{number % 250 + 1}"


@pytest.fixture
async def proxy(loopback_range: str) -> AsyncIterator[Proxy]:
    async with open_proxy("loopback", loopback_range) as running:
        yield running
        running.check()


class EchoServer:
    """Sends its name, then everything back that it receives, then its end after the client's."""

    def __init__(self, name: str, listener: trio.SocketListener) -> None:
        self.name = name
        self.listener = listener
        self.served = 0
        host, port, *_ = listener.socket.getsockname()
        self.backend = Backend(host, port)

    async def serve(self, stream: trio.SocketStream) -> None:
        self.served += 1
        try:
            await stream.send_all(self.name.encode() + b"\n")
            async for data in stream:
                await stream.send_all(data)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass  # the client of a test that ends a connection the hard way


@pytest.fixture
async def echo(nursery, address):
    """Call it with a name: a new echo server."""

    async def start(name: str) -> EchoServer:
        listeners = await trio.open_tcp_listeners(0, host=address)
        server = EchoServer(name, listeners[0])
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        return server

    return start


@pytest.fixture
async def dial():
    """Call it with an address and a port: the name of the server that answered, and the connection."""
    streams = []

    async def connect(address: str, port: int) -> tuple[str, trio.SocketStream]:
        stream = await trio.open_tcp_stream(address, port)
        streams.append(stream)
        name = b""
        while not name.endswith(b"\n"):
            data = await stream.receive_some(1)
            assert data, "the connection ended before the greeting"
            name += data
        return name.decode().strip(), stream

    yield connect
    for stream in streams:
        await stream.aclose()


@pytest.fixture
def name_of(dial):
    """Call it with an address and a port: the name of the server that answers a new connection."""

    async def ask(address: str, port: int) -> str:
        name, stream = await dial(address, port)
        await stream.aclose()
        return name

    return ask

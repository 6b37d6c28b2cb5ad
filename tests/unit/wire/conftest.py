"""A server on loopback for one test, plain and TLS, with certificates of a throw-away authority."""

from __future__ import annotations

import contextlib
import datetime
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio

from kube_actors.assembly.pki import Pki
from kube_actors.wire import HttpServer, Limits, listen_tcp, server_context


@pytest.fixture(scope="session")
def pki() -> Pki:
    serials = itertools.count(1)
    return Pki(lambda: datetime.datetime.now(datetime.UTC).timestamp(), lambda: next(serials))


@pytest.fixture(scope="session")
def tls(pki: Pki) -> Any:
    pair = pki.apiserver()
    return server_context(pair.certificate, pair.key, client_ca=pki.ca_certificate)


@pytest.fixture
def serving() -> Callable[..., Any]:
    """`async with serving(handler, tls=..., limits=...) as server`."""

    @contextlib.asynccontextmanager
    async def open_server(
        handler: Any, *, tls: Any = None, limits: Limits | None = None, now: Any = None, at_once: Any = None
    ) -> AsyncIterator[HttpServer]:
        sockets = await listen_tcp("127.0.0.1", 0)
        server = HttpServer(handler, sockets, tls=tls, limits=limits, now=now, at_once=at_once)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run)
            with trio.fail_after(30):
                yield server
            nursery.cancel_scope.cancel()

    return open_server


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Any]]:
    """`await raw(server, tls=...)`: a connected stream without an HTTP client; closed after the test."""
    streams: list[trio.abc.Stream] = []

    async def dial(server: HttpServer, *, tls: Any = None) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        streams.append(stream)
        if tls is None:
            return stream
        secure = trio.SSLStream(stream, tls, server_hostname="localhost", https_compatible=True)
        await secure.do_handshake()
        return secure

    yield dial
    for stream in streams:
        await trio.aclose_forcefully(stream)


@pytest.fixture
def until() -> Callable[..., Any]:
    """`await until(condition)`: sockets have no event for what the other side will see."""

    async def poll(condition: Callable[[], bool], seconds: float = 5) -> None:
        with trio.fail_after(seconds):
            while not condition():  # noqa: ASYNC110
                await trio.sleep(0.005)

    return poll

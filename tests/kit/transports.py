"""Over which transport the tests' clients reach the in-process API server: the channel, or HTTP/1.1 over `pipes`.

A test asks for the fixture `any_transport` (tests/unit/conftest.py) and runs over both; nothing else in it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from kube_actors.api.messages import Answer, AnyRequest, ByteStream, EventStream, Request, Session, UserInfo
from kube_actors.apiserver import Authenticator, HttpFace, Token
from kube_actors.apiserver.server import APIServer
from kube_actors.client import ChannelTransport, HTTPConfig, HTTPTransport, Transport
from kube_actors.wire import HttpServer, Limits

from .pipes import Wires

TRANSPORTS = ("channel", "http")
_chosen = ["channel"]


@contextmanager
def over(transport: str) -> Iterator[None]:
    """API servers that start within the block are reached this way."""
    assert transport in TRANSPORTS
    _chosen.append(transport)
    try:
        yield
    finally:
        _chosen.pop()


class Passing:
    """A transport that hands on to another; for tests that step in between."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(self, request: AnyRequest) -> Answer:
        return await self._inner.send(request)

    async def open_watch(self, request: Request) -> EventStream:
        return await self._inner.open_watch(request)

    async def open_stream(self, request: AnyRequest) -> ByteStream:
        return await self._inner.open_stream(request)

    async def open_session(self, request: Request) -> Session:
        return await self._inner.open_session(request)


class Ways:
    """The ways to one API server, opened when first used."""

    def __init__(self, server: APIServer, nursery: trio.Nursery) -> None:
        self.kind = _chosen[-1]
        self._server = server
        self._nursery = nursery
        self.wires: Wires | None = None
        self._authenticator = Authenticator(server.system.clock)
        self._given = 0

    def transport(self, user: UserInfo, user_agent: str = "") -> Transport:
        """A transport of this user's own."""
        if self.kind == "channel":
            return ChannelTransport(self._server.mailbox, user, user_agent)
        return self.http(user, user_agent)

    def http(self, user: UserInfo, user_agent: str = "") -> HTTPTransport:
        self._given += 1
        secret = f"token-{self._given}"
        self._authenticator.add(Token(secret, user))
        config = HTTPConfig(server="http://127.0.0.1", token=secret, user_agent=user_agent)
        entropy = self._server.system.entropy.split(secret)
        return HTTPTransport(config, entropy, dial=self._open())

    def _open(self) -> Wires:
        if self.wires is None:
            access = self._server.core.access
            access.authenticator = self._authenticator
            face = HttpFace(self._server.handle, access, self._server.system, self._server.at_once)
            server = HttpServer(face, (), at_once=face.at_once)
            self._nursery.start_soon(server.run)
            self.wires = Wires(server, self._nursery, Limits())
        return self.wires

"""Clients over the in-process API server: over the channel in virtual time, and over HTTPS on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio.testing

from kube_actors.actors import Entropy
from kube_actors.apiserver import Access, Authenticator, Token
from kube_actors.apiserver.listener import HttpFace, serve
from kube_actors.assembly.pki import Pki
from kube_actors.client import Client, HTTPConfig, HTTPTransport
from kube_actors.wire.tls import server_context
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver


@pytest.fixture
async def api(autojump_clock: trio.testing.MockClock) -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


@pytest.fixture
def client(api: RunningAPIServer) -> Client:
    return api.client(TESTER, "client-tests")


@asynccontextmanager
async def over_https(api: RunningAPIServer) -> AsyncIterator[Client]:
    """The same server behind its HTTP face."""
    clock, entropy = api.system.clock, Entropy(3)
    pki = Pki(clock.now, entropy.serial)
    pair = pki.serving("kube-apiserver", ["127.0.0.1"])
    access = Access(api.system, api.store)
    access.authenticator = Authenticator(clock, [Token("secret", TESTER)])
    face = HttpFace(api.server.handle, access, api.system)
    async with serve(face, "127.0.0.1", 0, tls=server_context(pair.certificate, pair.key)) as server:
        config = HTTPConfig(
            server=f"https://127.0.0.1:{server.port}",
            ca=pki.ca_certificate,
            token="secret",
            user_agent="client-tests",
        )
        async with HTTPTransport(config, entropy) as transport:
            yield Client(transport)


@pytest.fixture(params=["channel", "https"])
async def any_client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """In real time, since sockets do not wait for a virtual clock."""
    async with running_apiserver() as running:
        if request.param == "channel":
            yield running.client(TESTER, "client-tests")
            return
        async with over_https(running) as client:
            yield client

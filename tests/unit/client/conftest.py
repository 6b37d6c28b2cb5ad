"""A client over the in-process API server, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio.testing

from kube_actors.client import ChannelTransport, Client
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver


@pytest.fixture
async def api(autojump_clock: trio.testing.MockClock) -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


@pytest.fixture
def client(api: RunningAPIServer) -> Client:
    return Client(ChannelTransport(api.mailbox, TESTER, "client-tests"))

"""Component tests run over both transports: the second one is the real thing, and no component is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio.testing

from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Namespace
from kube_actors.client import ChannelTransport, HTTPTransport
from tests.kit.apiserver import running_apiserver
from tests.kit.transports import over
from tests.unit.conftest import COMPONENTS

UNIT = Path(__file__).parents[1]
# They are about the channel itself.
ABOUT_THE_CHANNEL = {"client/test_client.py", "client/test_http.py", "client/conftest.py"}


async def test_http_is_the_real_client_talking_to_the_real_face(autojump_clock: trio.testing.MockClock) -> None:
    with over("http"):
        async with running_apiserver() as api:
            client = api.client(user_agent="someone")
            assert isinstance(client.transport, HTTPTransport)
            await client.get(Namespace, "default")
            async with client.watch(Namespace, resource_version="0") as events:
                assert (await anext(events)).object.metadata.name
            with pytest.raises(ApiError) as caught:
                await client.get(Namespace, "nobody")
            assert caught.value.is_not_found
    async with running_apiserver() as api:
        assert isinstance(api.client().transport, ChannelTransport)


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_no_test_of_a_component_picks_its_transport(component: str) -> None:
    for path in (UNIT / component).glob("*.py"):
        if f"{component}/{path.name}" not in ABOUT_THE_CHANNEL:
            assert "ChannelTransport" not in path.read_text(), f"{path}: use api.client() or api.transport()"

"""What a component in a process of its own tells of its way to the API server: one line for each change."""

from __future__ import annotations

import pytest
import trio.testing

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.api.types.core_v1 import Node, Pod
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.authz import Authorizer, Decision
from kube_actors.assembly.reaching import client_of
from kube_actors.client import Unavailable
from tests.kit.apiserver import running_apiserver

URL = "http://127.0.0.1"
NODE = UserInfo(name="system:node:n1", groups=("system:authenticated",))


class Rights:
    """A judge that allows what it is told to."""

    def __init__(self, *verbs: str) -> None:
        self.verbs = set(verbs)

    async def decide(self, asked: Attributes) -> Decision:
        return Decision(asked.verb in self.verbs or not asked.resource)


async def test_what_is_forbidden_is_told_once(autojump_clock: trio.testing.MockClock) -> None:
    rights, told = Rights("get"), list[str]()
    async with running_apiserver(authorizer=Authorizer(rights)) as api:
        client = client_of(api.ways.http(NODE), URL, told.append, api.system)

        async def refused() -> None:
            with pytest.raises(ApiError):
                await client.list(Node)
            with pytest.raises(ApiError):
                async with client.watch(Pod):
                    pass

        await client.get("Namespace", "default")
        for _ in range(3):
            await refused()
        nodes = (
            f'{URL}: 403 nodes is forbidden: User "system:node:n1" cannot list resource "nodes" in API group "" at the '
            "cluster scope; trying again"
        )
        assert told == [nodes]
        rights.verbs |= {"list", "watch"}
        await client.list(Node)
        async with client.watch(Pod):
            pass
        rights.verbs -= {"list", "watch"}
        await refused()
        assert told == [nodes, nodes]


async def test_what_admission_forbids_is_not_about_us(autojump_clock: trio.testing.MockClock) -> None:
    told: list[str] = []
    async with running_apiserver() as api:
        client = client_of(api.ways.http(NODE), URL, told.append, api.system)
        await client.get("Namespace", "default")
        with pytest.raises(ApiError) as caught:
            await client.delete("Namespace", "kube-system")
        assert caught.value.code == 403
    assert told == []


async def test_a_server_that_is_away_is_told_and_so_is_its_return(autojump_clock: trio.testing.MockClock) -> None:
    told: list[str] = []
    async with running_apiserver() as api:
        transport = api.ways.http(NODE)
        client = client_of(transport, URL, told.append, api.system)
        assert api.ways.wires is not None
        api.ways.wires.cut = True
        for _ in range(2):
            with pytest.raises(Unavailable):
                await client.get("Namespace", "default")
        api.ways.wires.cut = False
        await client.get("Namespace", "default")
    assert told == [
        f"{URL}: it cannot be reached (cannot connect to 127.0.0.1:80: Connection refused); trying again",
        f"{URL}: it answers again",
    ]

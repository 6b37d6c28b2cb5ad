"""A real API server in this process, over the memory store, in virtual time: what component tests run against.

async with running_apiserver() as api:
    answer = await api.server.handle(Request(...))        # or ask(api.mailbox, Request(...))
    await api.create("v1", "Pod", {...})                    # plain dicts in, plain dicts out
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from kube_actors.actors import Ask, Entropy, Mailbox, System, VirtualClock
from kube_actors.api.errors import ApiError, decode
from kube_actors.api.messages import Answer, AnyAnswer, AnyRequest, Options, Request, UserInfo, Verb, WatchAnswer
from kube_actors.api.node_messages import NodeGateway
from kube_actors.apiserver.admission import default_steps
from kube_actors.apiserver.admission.service_account import ServiceAccountName
from kube_actors.apiserver.server import APIServer
from kube_actors.client import Client, Transport
from kube_actors.store.contract import Store
from kube_actors.store.memory import MemoryStore

from .transports import Ways

TESTER = UserInfo(name="tester", groups=("system:masters", "system:authenticated"))


class RunningAPIServer:
    """What `running_apiserver` gives: the server, its mailbox, system and store, and short hands on dicts."""

    def __init__(self, server: APIServer, store: Store, ways: Ways) -> None:
        self.server = server
        self.store = store
        self.ways = ways

    def transport(self, user: UserInfo | None = None, user_agent: str = "") -> Transport:
        """A user's own way to the server, over the transport that the test runs on."""
        return self.ways.transport(user or TESTER, user_agent)

    def client(self, user: UserInfo | None = None, user_agent: str = "") -> Client:
        return Client(self.transport(user, user_agent))

    @property
    def system(self) -> System:
        return self.server.system

    @property
    def mailbox(self) -> Mailbox[Ask[AnyRequest, AnyAnswer]]:
        return self.server.mailbox

    def request(self, verb: Verb, kind: str, namespace: str = "", name: str = "", **more: Any) -> Request:
        """A request on a kind ("Pod", "deployments.apps"); namespaced kinds go to `default` unless told."""
        resource = self.server.resources.find(kind)
        body = more.pop("body", b"")
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if resource.namespaced and not namespace and verb not in ("list", "watch"):
            namespace = "default"
        names = Options.__struct_fields__
        options = Options(**{key: more.pop(key) for key in list(more) if key in names})
        return Request(
            verb=verb,
            group=resource.group,
            version=resource.version,
            resource=resource.plural,
            namespace=namespace,
            name=name,
            body=body,
            options=options,
            user=more.pop("user", TESTER),
            **more,
        )

    async def send(self, verb: Verb, kind: str, namespace: str = "", name: str = "", **more: Any) -> Answer:
        """The raw answer, errors included."""
        answer = await self.server.handle(self.request(verb, kind, namespace, name, **more))
        assert isinstance(answer, Answer), answer
        return answer

    async def ask(self, verb: Verb, kind: str, namespace: str = "", name: str = "", **more: Any) -> dict[str, Any]:
        """The decoded answer; an error is raised as ApiError."""
        answer = await self.send(verb, kind, namespace, name, **more)
        if answer.status >= 400:
            raise decode(answer.status, answer.body)
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def create(self, obj: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create from a manifest with apiVersion and kind."""
        kind = f"{obj['apiVersion']}/{obj['kind']}"
        namespace = obj.get("metadata", {}).get("namespace", "")
        return await self.ask("create", kind, namespace, body=obj, **more)

    async def update(self, obj: dict[str, Any], **more: Any) -> dict[str, Any]:
        kind = f"{obj['apiVersion']}/{obj['kind']}"
        metadata = obj["metadata"]
        return await self.ask("update", kind, metadata.get("namespace", ""), metadata["name"], body=obj, **more)

    async def get(self, kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
        return await self.ask("get", kind, namespace, name, **more)

    async def list(self, kind: str, namespace: str = "", **more: Any) -> dict[str, Any]:
        return await self.ask("list", kind, namespace, **more)

    async def delete(self, kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
        return await self.ask("delete", kind, namespace, name, **more)

    async def watch(self, kind: str, namespace: str = "", **more: Any) -> WatchAnswer:
        answer = await self.server.handle(self.request("watch", kind, namespace, **more))
        if isinstance(answer, Answer):
            raise decode(answer.status, answer.body)
        assert isinstance(answer, WatchAnswer), answer
        return answer


@asynccontextmanager
async def running_apiserver(
    *,
    seed: int | str = 0,
    store: Store | None = None,
    nodes: NodeGateway | None = None,
    namespaces: Sequence[str] = (),
    service_accounts: bool = False,
    **server_options: Any,
) -> AsyncIterator[RunningAPIServer]:
    """A server that is ready, with further namespaces made; cancelled on leaving.

    Every test that uses it must itself ask for the `autojump_clock` fixture (pytest-trio looks at the test only): its
    time is trio's. service_accounts=False leaves out the admission
    step that wants the ServiceAccount `default` in a pod's namespace, since no controller makes it here.
    """
    system = System(clock=VirtualClock(), entropy=Entropy(seed))
    engine = store or MemoryStore()
    steps = default_steps()
    if not service_accounts:
        steps = [ServiceAccountName() if step.name == "ServiceAccount" else step for step in steps]
    server_options.setdefault("admission", steps)
    server_options.setdefault("loopback_endpoints", True)  # tests of the dataplane have nothing but loopback
    server = APIServer(system, engine, nodes=nodes, **server_options)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        running = RunningAPIServer(server, engine, Ways(server, nursery))
        for name in namespaces:
            await running.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield running
        nursery.cancel_scope.cancel()


__all__ = ["TESTER", "ApiError", "RunningAPIServer", "running_apiserver"]

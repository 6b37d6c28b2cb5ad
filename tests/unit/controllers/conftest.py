"""Controllers over the in-process API server in virtual time, with pods played by the test kubelet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from kube_actors.actors import System
from kube_actors.api import codec
from kube_actors.client import Client
from kube_actors.controllers import ControllerManager, Options
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver
from tests.kit.testkubelet import TestKubelet


class World:
    """A running cluster without a scheduler: server, controllers, test kubelet."""

    def __init__(self, api: RunningAPIServer, client: Client, manager: ControllerManager, kubelet: TestKubelet) -> None:
        self.api = api
        self.client = client
        self.manager = manager
        self.kubelet = kubelet

    @property
    def system(self) -> System:
        return self.api.system

    async def until(self, told: Callable[[], Any], seconds: float = 120.0, step: float = 0.5) -> Any:
        """Ask again and again in virtual time until the answer is true."""
        with trio.fail_after(seconds):
            while True:
                answer = await told()
                if answer:
                    return answer
                await trio.sleep(step)

    async def items(self, kind: str, namespace: str = "default") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.list(kind, namespace))["items"]
        return found

    async def events(self, namespace: str = "default") -> list[tuple[str, str, str]]:
        await trio.sleep(2)
        return [(e["involvedObject"]["kind"], e["reason"], e["message"]) for e in await self.items("Event", namespace)]

    async def patch(self, kind: str, name: str, body: dict[str, Any], namespace: str = "default") -> Any:
        return await self.client.patch(kind, name, body, namespace=namespace, patch_type="merge")


@asynccontextmanager
async def running(
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    nodes: tuple[str, ...] = ("node-0", "node-1"),
    kubelet: bool = True,
) -> AsyncIterator[World]:
    async with running_apiserver() as api:
        client = api.client(TESTER, "controller-tests")
        manager = ControllerManager(api.client(TESTER, "kcm"), api.system, options)
        player = TestKubelet(client, api.system, nodes)
        async with trio.open_nursery() as nursery:
            if kubelet:
                await nursery.start(player.run)
            nursery.start_soon(manager.run)
            await manager.started.wait()
            yield World(api, client, manager, player)
            nursery.cancel_scope.cancel()


def deployment(name: str = "web", replicas: int = 3, image: str = "img:1", **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": image}], "terminationGracePeriodSeconds": 1},
    }
    body = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


__all__ = ["World", "codec", "deployment", "running"]

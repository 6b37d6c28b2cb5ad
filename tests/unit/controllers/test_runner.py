"""The one shell: no action on stale caches, restarts without harm, switches by name, and who leads."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from kube_actors.api.messages import AnyRequest, EventStream, Request
from kube_actors.client import Client, ElectionConfig, Transport
from kube_actors.controllers import ControllerManager, Options, known_controllers, rare
from kube_actors.controllers.manager import enabled
from tests.kit.apiserver import TESTER, running_apiserver
from tests.kit.transports import Passing

from .conftest import deployment, running


def test_switches() -> None:
    assert set(enabled(("*",))) == set(known_controllers()) - rare.OFF_BY_DEFAULT
    assert "namespace-controller" not in enabled(("*", "-namespace-controller"))
    assert enabled(("ttl-controller",)) == ("ttl-controller",)
    with pytest.raises(ValueError, match="not in the list of known controllers"):
        enabled(("*", "-no-such-controller"))


class LateWatches(Passing):
    """Watch events of pods come only when they are let through."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.gate = trio.Event()
        self.gate.set()
        self.created = 0

    async def send(self, request: AnyRequest) -> Any:
        if isinstance(request, Request) and request.verb == "create" and request.resource == "pods":
            self.created += 1
        return await super().send(request)

    async def open_watch(self, request: Request) -> EventStream:
        stream = await super().open_watch(request)
        return _Gated(stream, self) if request.resource == "pods" else stream


class _Gated:
    def __init__(self, stream: EventStream, transport: LateWatches) -> None:
        self._stream = stream
        self._transport = transport

    async def receive_batch(self) -> Any:
        batch = await self._stream.receive_batch()
        await self._transport.gate.wait()
        return batch

    def close(self) -> None:
        self._stream.close()


async def test_a_cache_that_is_behind_never_makes_pods_twice(autojump_clock: Any) -> None:
    async with running_apiserver() as api:
        transport = LateWatches(api.transport(TESTER, "late"))
        manager = ControllerManager(Client(transport), api.system)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.run)
            await trio.sleep(1)
            transport.gate = trio.Event()
            await api.create(deployment(replicas=3))
            await trio.sleep(5)
            assert transport.created == 3
            # The set's own status changes meanwhile and brings its key back again and again.
            (rs,) = (await api.list("ReplicaSet", "default"))["items"]
            for number in range(5):
                rs = await api.get("ReplicaSet", rs["metadata"]["name"])
                rs["metadata"]["labels"] = {**rs["metadata"]["labels"], "touched": str(number)}
                await api.update(rs)
                await trio.sleep(5)
                manager.kill("replicaset-controller")
            assert transport.created == 3
            transport.gate.set()
            await trio.sleep(5)
            assert transport.created == 3
            assert len((await api.list("Pod", "default"))["items"]) == 3
            nursery.cancel_scope.cancel()


async def test_killed_controllers_come_back_and_finish(autojump_clock: Any) -> None:
    async with running() as world:
        world.kubelet.start_seconds = 2.0
        await world.api.create(deployment(replicas=6))
        for _ in range(4):
            await trio.sleep(1)
            image = [{"name": "c", "image": f"img:{int(trio.current_time())}"}]
            await world.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": image}}}})
            for name in ("deployment-controller", "replicaset-controller", "garbage-collector-controller"):
                world.manager.kill(name)

        async def done() -> bool:
            status = (await world.api.get("Deployment", "web"))["status"]
            return bool(status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == 6)

        await world.until(done)

        async def six() -> bool:
            return len(await world.items("Pod")) == 6

        await world.until(six)


async def test_nothing_is_written_once_all_is_well(autojump_clock: Any) -> None:
    options = Options(controllers=("*", "-pod-garbage-collector-controller", "-node-lifecycle-controller"))
    async with running(options) as world:
        await world.api.create(deployment(replicas=4))
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        await world.api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service})
        await trio.sleep(60)
        before = {s.name: s.actions for s in world.manager.statistics()}
        await trio.sleep(3600)
        after = {s.name: s.actions for s in world.manager.statistics()}
        assert after == before


async def test_pods_that_are_refused_are_told_and_tried_again(autojump_clock: Any) -> None:
    async with running() as world:
        made = deployment(replicas=2)
        made["spec"]["template"]["spec"]["priorityClassName"] = "missing"
        await world.api.create(made)

        async def failing() -> Any:
            status = (await world.api.get("Deployment", "web"))["status"]
            return [c for c in status.get("conditions", []) if c["type"] == "ReplicaFailure"]

        (condition,) = await world.until(failing)
        assert (condition["status"], condition["reason"]) == ("True", "FailedCreate")
        events = await world.events()
        assert any(reason == "FailedCreate" and text.startswith("Error creating: pods") for _, reason, text in events)
        await world.api.create(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": "missing"},
                "value": 7,
            }
        )

        async def well() -> bool:
            status = (await world.api.get("Deployment", "web"))["status"]
            return status.get("availableReplicas") == 2 and not await failing()

        await world.until(well, seconds=600)


async def test_only_the_leader_works(autojump_clock: Any) -> None:
    async with running_apiserver() as api:

        def manager(identity: str) -> ControllerManager:
            election = ElectionConfig(name="kcm", namespace="kube-system", identity=identity)
            client = api.client(TESTER, identity)
            return ControllerManager(client, api.system, Options(election=election))

        first, second = manager("one"), manager("two")
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(second.run)
                nursery.start_soon(first.run)
                await trio.sleep(30)
                assert first.started.is_set() != second.started.is_set()
                scope.cancel()
            nursery.cancel_scope.cancel()

"""Informers against the real API server: current, indexed, and told of everything, whatever happens to the watch."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kube_actors.actors import System
from kube_actors.api.messages import (
    Answer,
    AnyRequest,
    ByteStream,
    EventStream,
    Request,
    Session,
)
from kube_actors.api.types.core_v1 import ConfigMap
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client import Client, Informer, InformerFactory, Transport, Unavailable
from tests.kit.apiserver import TESTER, RunningAPIServer

Change = tuple[str | None, str | None]


class Fragile:
    """A transport whose watches can be cut and whose server can be made unreachable."""

    def __init__(self, inner: Transport) -> None:
        self.down = False
        self.streams: list[EventStream] = []
        self.lists = 0
        self._inner = inner

    async def send(self, request: AnyRequest) -> Answer:
        if self.down:
            await trio.lowlevel.checkpoint()
            raise Unavailable("down")
        if isinstance(request, Request) and request.verb == "list":
            self.lists += 1
        return await self._inner.send(request)

    async def open_watch(self, request: Request) -> EventStream:
        if self.down:
            await trio.lowlevel.checkpoint()
            raise Unavailable("down")
        stream = await self._inner.open_watch(request)
        self.streams.append(stream)
        return stream

    async def open_stream(self, request: AnyRequest) -> ByteStream:
        return await self._inner.open_stream(request)

    async def open_session(self, request: Request) -> Session:
        return await self._inner.open_session(request)

    def cut(self) -> None:
        for stream in self.streams:
            stream.close()
        self.streams.clear()


def config(name: str, namespace: str = "default", **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace, labels={"app": name}), data=data)


def recorded(informer: Informer[ConfigMap]) -> list[Change]:
    changes: list[Change] = []

    def handler(old: ConfigMap | None, new: ConfigMap | None) -> None:
        changes.append((old and old.data.get("x"), new and new.data.get("x")))

    informer.add_handler(handler)
    return changes


@pytest.mark.parametrize("mode", ["list", "stream"])
async def test_handlers_are_told_of_every_change(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client, mode: str
) -> None:
    await client.create(config("a", x="1"))
    factory = InformerFactory(client, api.system, mode=mode)  # type: ignore[arg-type]
    informer = factory.informer(ConfigMap, namespace="default")
    changes = recorded(informer)
    async with trio.open_nursery() as nursery:
        await nursery.start(factory.run)
        await factory.synced()
        await client.patch(ConfigMap, "a", {"data": {"x": "2"}}, namespace="default", patch_type="merge")
        await client.create(config("b", x="3"))
        await client.delete(ConfigMap, "a", namespace="default")
        await wait_all_tasks_blocked()
        assert changes == [(None, "1"), ("1", "2"), (None, "3"), ("2", None)]
        assert informer.keys() == ["default/b"]
        assert informer.get("default/b") is not None
        nursery.cancel_scope.cancel()


async def test_a_late_handler_hears_of_what_is_there(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    await client.create(config("a", x="1"))
    informer = Informer(client, api.system, ConfigMap)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(informer.run)
        await informer.synced()
        assert recorded(informer) == [(None, "1")]
        nursery.cancel_scope.cancel()


async def test_deletions_missed_while_away_are_made_up_for(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    transport = Fragile(api.transport(TESTER))
    informer = Informer(Client(transport), api.system, ConfigMap)
    await client.create(config("a", x="1"))
    await client.create(config("b", x="2"))
    changes = recorded(informer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(informer.run)
        await informer.synced()
        await wait_all_tasks_blocked()  # the watch is open
        changes.clear()
        transport.down = True
        transport.cut()
        await client.delete(ConfigMap, "a", namespace="default")
        await client.patch(ConfigMap, "b", {"data": {"x": "3"}}, namespace="default", patch_type="merge")
        await trio.sleep(5)
        # The history goes too, so that the informer cannot just catch up.
        await api.store.compact(api.store.revision)
        transport.down = False
        await trio.sleep(120)
        assert changes == [("1", None), ("2", "3")]
        assert informer.relists == 2
        nursery.cancel_scope.cancel()


async def test_a_cut_watch_is_resumed_without_a_new_list(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    transport = Fragile(api.transport(TESTER))
    informer = Informer(Client(transport), api.system, ConfigMap, mode="list")
    changes = recorded(informer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(informer.run)
        await informer.synced()
        for number in range(5):
            transport.cut()
            await client.create(config(f"c{number}", x=str(number)))
            await trio.sleep(60)
        assert [new for _, new in changes if new is not None] == ["0", "1", "2", "3", "4"]
        assert transport.lists == 1
        nursery.cancel_scope.cancel()


async def test_indexes_follow_the_objects(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    informer = Informer(client, api.system, ConfigMap)
    informer.add_index("x", lambda found: [found.data["x"]] if "x" in found.data else [])
    await client.create(config("a", x="1"))
    await client.create(config("b", x="1"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(informer.run)
        await informer.synced()
        assert [found.metadata.name for found in informer.by_index("x", "1")] == ["a", "b"]
        await client.patch(ConfigMap, "a", {"data": {"x": "2"}}, namespace="default", patch_type="merge")
        await wait_all_tasks_blocked()
        assert [found.metadata.name for found in informer.by_index("x", "1")] == ["b"]
        assert [found.metadata.name for found in informer.by_index("x", "2")] == ["a"]
        await client.delete(ConfigMap, "a", namespace="default")
        await wait_all_tasks_blocked()
        assert informer.index_values("x") == ("1",)
        assert informer.list("default") == informer.list()
        assert informer.list("elsewhere") == []
        with pytest.raises(KeyError):
            informer.by_index("y", "1")
        nursery.cancel_scope.cancel()


async def test_a_factory_shares_informers_and_runs_late_ones(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    factory = InformerFactory(client, api.system)
    async with trio.open_nursery() as nursery:
        await nursery.start(factory.run)
        informer = factory.informer(ConfigMap, label_selector="app=a")
        assert factory.informer("configmaps", label_selector="app=a") is informer
        assert factory.informer(ConfigMap) is not informer
        await factory.synced()
        await client.create(config("a", x="1"))
        await client.create(config("b", x="2"))
        await wait_all_tasks_blocked()
        assert [found.data["x"] for found in informer] == ["1"]
        nursery.cancel_scope.cancel()


async def test_what_a_handler_raises_ends_the_informer(
    autojump_clock: trio.testing.MockClock, api: RunningAPIServer, client: Client
) -> None:
    await client.create(config("a", x="1"))
    informer = Informer(client, api.system, ConfigMap)

    def broken(old: ConfigMap | None, new: ConfigMap | None) -> None:
        raise RuntimeError("broken handler")

    informer.add_handler(broken)
    with pytest.raises(RuntimeError, match="broken handler"):
        await informer.run()


@pytest.mark.parametrize("mode", ["list", "stream"])
async def test_informers_work_over_both_transports(any_client: Client, mode: str) -> None:
    client = any_client
    await client.create(config("a", x="1"))
    informer = Informer(client, System(), ConfigMap, mode=mode)  # type: ignore[arg-type]
    deleted = trio.Event()
    changes = recorded(informer)
    informer.add_handler(lambda old, new: deleted.set() if new is None else None)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(informer.run)
            await informer.synced()
            await client.patch(ConfigMap, "a", {"data": {"x": "2"}}, namespace="default", patch_type="merge")
            await client.delete(ConfigMap, "a", namespace="default")
            await deleted.wait()
            nursery.cancel_scope.cancel()
    assert changes == [(None, "1"), ("1", "2"), ("2", None)]

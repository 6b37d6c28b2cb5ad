"""kr8s against our server over HTTPS: it finds kinds by discovery, lists in pages and watches on its own.

Its asyncio face is used: the synchronous one is the same code in a thread that can never be ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import kr8s.asyncio
import pytest
from kr8s.asyncio.objects import ConfigMap, Deployment, Pod

from tests.kit.served import Served

# The newest kr8s that there is was released before the version of Kubernetes that we are.
pytestmark = pytest.mark.filterwarnings("ignore:Kubernetes version v1.36:UserWarning")

Run = Callable[[Callable[[kr8s.asyncio.Api], Awaitable[None]]], None]
SECONDS = 30


@asynccontextmanager
async def connected(kubeconfig: str, namespace: str) -> AsyncIterator[kr8s.asyncio.Api]:
    api = await kr8s.asyncio.api(kubeconfig=kubeconfig, namespace=namespace)
    try:
        yield api
    finally:
        await api._session.aclose()  # kr8s has no public way, and leaves its sockets to the garbage collector


@pytest.fixture
def run(served_api: Served, namespace: str) -> Run:
    """Runs a scenario with a connected API."""

    def runner(scenario: Callable[[kr8s.asyncio.Api], Awaitable[None]]) -> None:
        async def main() -> None:
            async with asyncio.timeout(SECONDS), connected(served_api.kubeconfig, namespace) as api:
                await scenario(api)

        asyncio.run(main())

    return runner


async def config_map(api: kr8s.asyncio.Api, name: str, labels: dict[str, str] | None = None, **data: str) -> ConfigMap:
    metadata = {"name": name, "namespace": api.namespace, "labels": labels or {}}
    return await ConfigMap({"metadata": metadata, "data": data}, api=api)


async def deployment(api: kr8s.asyncio.Api, name: str) -> Deployment:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return await Deployment({"metadata": {"name": name, "namespace": api.namespace}, "spec": spec}, api=api)


def test_the_server_is_known(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        assert (await api.version())["minor"] == "36"
        assert "v1" in [each async for each in api.api_versions()]
        kinds = {(each["kind"], each["version"]) for each in await api.api_resources()}
        assert {("Pod", "v1"), ("Deployment", "apps/v1"), ("CronJob", "batch/v1")} <= kinds
        assert await api.lookup_kind("deploy") == ("deployment.apps/v1", "deployments", True)
        assert await api.whoami() == "kubernetes-admin"

    run(scenario)


def test_an_object_lives_and_dies(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        made = await config_map(api, "c", x="1")
        assert not await made.exists()
        await made.create()
        assert await made.exists() and made.raw.metadata.uid
        await made.patch({"data": {"x": "2"}})
        assert (await ConfigMap.get("c", namespace=api.namespace, api=api)).raw.data == {"x": "2"}
        await made.label({"app": "x"})
        await made.annotate(note="y")
        await made.refresh()
        assert made.labels == {"app": "x"} and made.annotations == {"note": "y"}
        await made.patch([{"op": "remove", "path": "/data/x"}], type="json")
        assert "x" not in made.raw.get("data", {})
        await made.delete()
        assert not await made.exists()
        with pytest.raises(kr8s.NotFoundError):
            await made.refresh()

    run(scenario)


def test_lists_are_selected(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back"}), ("c", None)):
            await (await config_map(api, name, labels)).create()

        async def found(*names: str, **how: object) -> list[str]:
            return [each.name async for each in api.get("configmaps", *names, **how)]

        assert await found() == ["a", "b", "c"]
        assert await found("b") == ["b"]
        assert await found(label_selector={"tier": "front"}) == ["a"]
        assert await found(label_selector="tier in (front, back)") == ["a", "b"]
        assert await found(field_selector="metadata.name=c") == ["c"]
        assert "default" in [each.name async for each in api.get("namespaces")]

    run(scenario)


def test_scale_and_status(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        web = await deployment(api, "web")
        await web.create()
        await web.patch({"spec": {"replicas": 4}}, subresource="scale")
        await web.refresh()
        assert web.replicas == 4
        await web.patch({"status": {"readyReplicas": 1, "replicas": 4}}, subresource="status")
        await web.refresh()
        assert web.status.readyReplicas == 1
        await web.delete(propagation_policy="Foreground")
        await web.refresh()
        assert web.metadata.finalizers == ["foregroundDeletion"]

    run(scenario)


def test_a_watch_follows(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        events: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        async def read() -> None:
            async for kind, each in api.watch("configmaps", namespace=api.namespace):
                events.put_nowait((kind, each.name))

        await (await config_map(api, "a")).create()
        # A task that is cancelled, since kr8s leaves the connection open when one breaks out of the loop.
        reader = asyncio.create_task(read())
        assert await events.get() == ("ADDED", "a")
        other = await config_map(api, "b")
        await other.create()
        assert await events.get() == ("ADDED", "b")
        await other.delete()
        assert await events.get() == ("DELETED", "b")
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)

    run(scenario)


def test_waiting_for_a_condition(run: Run) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        metadata = {"name": "p", "namespace": api.namespace}
        spec = {"containers": [{"name": "c", "image": "nginx"}]}
        pod = await Pod({"metadata": metadata, "spec": spec}, api=api)
        await pod.create()
        conditions = [{"type": each, "status": "True"} for each in ("Ready", "ContainersReady")]
        other = await Pod.get("p", namespace=api.namespace, api=api)
        await other.patch({"status": {"conditions": conditions}}, subresource="status")
        await pod.wait("condition=Ready")  # met already: kr8s does not close the watch that it would wait with
        assert await pod.ready()

    run(scenario)


def test_refusals(run: Run, served_api: Served) -> None:
    async def scenario(api: kr8s.asyncio.Api) -> None:
        await (await config_map(api, "twice")).create()
        with pytest.raises(kr8s.ServerError) as caught:
            await (await config_map(api, "twice")).create()
        assert caught.value.response.status_code == 409 and caught.value.status["reason"] == "AlreadyExists"
        with pytest.raises(kr8s.ServerError) as caught:
            await (await config_map(api, "Not_A_Name")).create()
        assert caught.value.response.status_code == 422
        with pytest.raises(kr8s.ServerError) as caught:
            async with connected(served_api.kubeconfig_for("alice-token"), api.namespace) as alice:
                await (await config_map(alice, "mine")).create()
        assert caught.value.response.status_code == 403

    run(scenario)

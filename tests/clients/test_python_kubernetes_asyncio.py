"""kubernetes_asyncio against our server over HTTPS: many requests and watches on one loop, over aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.client import ApiException

from tests.kit.served import Served

SECONDS = 30
Run = Callable[[Callable[[client.ApiClient], Awaitable[None]]], None]


@pytest.fixture
def run(served_api: Served) -> Run:
    """Runs a scenario with a connected client."""

    def runner(scenario: Callable[[client.ApiClient], Awaitable[None]]) -> None:
        async def main() -> None:
            connection = await config.new_client_from_config(served_api.kubeconfig)
            async with asyncio.timeout(SECONDS), connection:
                await scenario(connection)

        asyncio.run(main())

    return runner


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}


def test_an_object_lives_and_dies(run: Run, namespace: str) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        core = client.CoreV1Api(connection)
        made = await core.create_namespaced_config_map(namespace, config_map("c", x="1"))
        made.data = {"x": "2"}
        replaced = await core.replace_namespaced_config_map("c", namespace, made)
        assert replaced.data == {"x": "2"} and replaced.metadata.uid == made.metadata.uid
        with pytest.raises(ApiException) as caught:
            await core.replace_namespaced_config_map("c", namespace, made)
        assert (caught.value.status, caught.value.reason) == (409, "Conflict")
        patched = await core.patch_namespaced_config_map("c", namespace, {"data": {"y": "3"}})
        assert patched.data == {"x": "2", "y": "3"}
        await core.delete_namespaced_config_map("c", namespace)
        with pytest.raises(ApiException) as caught:
            await core.read_namespaced_config_map("c", namespace)
        assert caught.value.status == 404

    run(scenario)


def test_many_at_once_in_pages(run: Run, namespace: str) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        core = client.CoreV1Api(connection)
        bodies = [config_map(f"c-{number:02}", {"even": str(number % 2 == 0).lower()}) for number in range(40)]
        await asyncio.gather(*(core.create_namespaced_config_map(namespace, body) for body in bodies))
        names: list[str] = []
        token = None
        while token != "":
            page = await core.list_namespaced_config_map(namespace, limit=15, _continue=token or "")
            names += [each.metadata.name for each in page.items]
            token = page.metadata._continue or ""
        assert names == [body["metadata"]["name"] for body in bodies]
        even = await core.list_namespaced_config_map(namespace, label_selector="even=true")
        assert len(even.items) == 20
        await core.delete_collection_namespaced_config_map(namespace, label_selector="even=true")
        assert len((await core.list_namespaced_config_map(namespace)).items) == 20

    run(scenario)


def test_several_watches_beside_the_writes(run: Run, namespace: str) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        core = client.CoreV1Api(connection)
        start = (await core.list_namespaced_config_map(namespace)).metadata.resource_version

        async def read() -> list[tuple[str, str]]:
            seen = []
            async with watch.Watch() as watcher:
                async for event in watcher.stream(core.list_namespaced_config_map, namespace, resource_version=start):
                    seen.append((event["type"], event["object"].metadata.name))
                    if event["type"] == "DELETED":
                        break
            return seen

        readers = [asyncio.create_task(read()) for _ in range(3)]
        await core.create_namespaced_config_map(namespace, config_map("a"))
        await core.patch_namespaced_config_map("a", namespace, {"data": {"k": "v"}})
        await core.delete_namespaced_config_map("a", namespace)
        for reader in readers:
            assert await reader == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]

    run(scenario)


def test_a_forgotten_revision_is_gone(run: Run, namespace: str, served_api: Served) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        core = client.CoreV1Api(connection)
        start = (await core.list_namespaced_config_map(namespace)).metadata.resource_version
        for name in ("a", "b"):
            await core.create_namespaced_config_map(namespace, config_map(name))
        await asyncio.to_thread(served_api.compact)
        with pytest.raises(ApiException) as caught:
            async with watch.Watch() as watcher:
                await anext(watcher.stream(core.list_namespaced_config_map, namespace, resource_version=start))
        assert caught.value.status == 410

    run(scenario)


def test_scale_and_status(run: Run, namespace: str) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        apps = client.AppsV1Api(connection)
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        await apps.create_namespaced_deployment(namespace, {"metadata": {"name": "web"}, "spec": spec})
        scale = await apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 4}})
        assert scale.spec.replicas == 4 and scale.status.selector == "app=web"
        status = {"status": {"replicas": 4, "readyReplicas": 1}}
        written = await apps.patch_namespaced_deployment_status("web", namespace, status)
        assert written.status.ready_replicas == 1 and written.spec.replicas == 4

    run(scenario)


def test_discovery_and_the_dynamic_client(run: Run, namespace: str) -> None:
    async def scenario(connection: client.ApiClient) -> None:
        anything = await dynamic.DynamicClient(connection)
        maps = await anything.resources.get(api_version="v1", kind="ConfigMap")
        body = {"apiVersion": "v1", "kind": "ConfigMap", **config_map("c", x="1")}
        made = await maps.create(body=body, namespace=namespace)
        assert made.data.x == "1"
        assert (await maps.get(name="c", namespace=namespace)).metadata.uid == made.metadata.uid

    run(scenario)


def test_who_asks(served_api: Served, namespace: str) -> None:
    async def refusal(token: str | None) -> int:
        connection = await config.new_client_from_config(served_api.kubeconfig_for(token))
        async with connection:
            with pytest.raises(ApiException) as caught:
                await client.CoreV1Api(connection).list_namespaced_config_map(namespace)
        return caught.value.status

    assert [asyncio.run(refusal(token)) for token in ("wrong-token", "alice-token", None)] == [401, 403, 403]

"""The garbage collector over the real API server: background, foreground, orphans, and owners that are not there."""

from __future__ import annotations

from typing import Any

from .conftest import World, deployment, running


def config_map(name: str, *owners: dict[str, Any], namespace: str = "default", **more: Any) -> dict[str, Any]:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **more,
        }
        for owner in owners
    ]
    metadata = {"name": name, "namespace": namespace, "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}


async def left(world: World, namespace: str = "default") -> set[str]:
    found = {o["metadata"]["name"] for o in await world.items("ConfigMap", namespace)}
    return found - {"kube-root-ca.crt"}


async def until_left(world: World, *names: str) -> None:
    async def so() -> bool:
        return await left(world) == set(names)

    await world.until(so)


async def test_a_chain_goes_in_the_background(autojump_clock: Any) -> None:
    async with running() as world:
        a = await world.api.create(config_map("a"))
        b = await world.api.create(config_map("b", a))
        await world.api.create(config_map("c", b))
        await world.api.create(config_map("d"))
        await world.api.delete("ConfigMap", "a")
        await until_left(world, "d")


async def test_deployment_sets_and_pods_go_together(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment())

        async def up() -> bool:
            return bool((await world.api.get("Deployment", "web"))["status"].get("availableReplicas") == 3)

        await world.until(up)
        await world.client.delete("Deployment", "web", namespace="default", propagation="Foreground")

        async def gone() -> bool:
            kinds = ("Deployment", "ReplicaSet", "Pod")
            return not any([await world.items(kind) for kind in kinds])

        await world.until(gone)


async def test_foreground_waits_for_what_blocks(autojump_clock: Any) -> None:
    async with running() as world:
        a = await world.api.create(config_map("a"))
        held = config_map("b", a, blockOwnerDeletion=True)
        held["metadata"]["finalizers"] = ["example.com/f"]
        await world.api.create(held)
        await world.client.delete("ConfigMap", "a", namespace="default", propagation="Foreground")

        async def deleting() -> bool:
            return "deletionTimestamp" in (await world.api.get("ConfigMap", "b"))["metadata"]

        await world.until(deleting)
        assert await left(world) == {"a", "b"}
        await world.patch("ConfigMap", "b", {"metadata": {"finalizers": None}})
        await until_left(world)


async def test_orphans_stay(autojump_clock: Any) -> None:
    async with running() as world:
        a = await world.api.create(config_map("a"))
        await world.api.create(config_map("b", a, controller=True, blockOwnerDeletion=True))
        await world.client.delete("ConfigMap", "a", namespace="default", propagation="Orphan")
        await until_left(world, "b")
        assert "ownerReferences" not in (await world.api.get("ConfigMap", "b"))["metadata"]


async def test_one_owner_of_two_is_enough(autojump_clock: Any) -> None:
    async with running() as world:
        a = await world.api.create(config_map("a"))
        b = await world.api.create(config_map("b"))
        await world.api.create(config_map("c", a, b))
        await world.api.delete("ConfigMap", "a")

        async def cut() -> bool:
            references = (await world.api.get("ConfigMap", "c"))["metadata"]["ownerReferences"]
            return [reference["name"] for reference in references] == ["b"]

        await world.until(cut)
        await world.api.delete("ConfigMap", "b")
        await until_left(world)


async def test_an_owner_that_never_was_and_one_of_another_namespace(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        a = await world.api.create(config_map("a"))
        ghost = {**a, "metadata": {**a["metadata"], "uid": "11111111-2222-3333-4444-555555555557"}}
        await world.api.create(config_map("b", ghost))
        await until_left(world, "a")
        await world.api.create(config_map("far", a, namespace="team"))

        async def gone() -> bool:
            return await left(world, "team") == set()

        await world.until(gone)
        assert ("ConfigMap", "OwnerRefInvalidNamespace") in {e[:2] for e in await world.events("team")}


async def test_a_namespaced_owner_of_a_cluster_object_deletes_nothing(autojump_clock: Any) -> None:
    async with running() as world:
        a = await world.api.create(config_map("a"))
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "r", "ownerReferences": config_map("x", a)["metadata"]["ownerReferences"]},
            "rules": [],
        }
        await world.api.create(role)
        await world.api.delete("ConfigMap", "a")
        await until_left(world)
        assert (await world.api.get("ClusterRole", "r"))["metadata"]["name"] == "r"

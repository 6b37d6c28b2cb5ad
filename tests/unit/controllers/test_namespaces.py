"""What namespaces are given, and how they go."""

from __future__ import annotations

from typing import Any

from kube_actors.controllers import Options

from .conftest import deployment, running


async def test_every_namespace_has_an_account_and_the_root_certificate(autojump_clock: Any) -> None:
    async with running(Options(root_ca="PEM")) as world:
        await world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})

        async def given() -> bool:
            accounts = [o["metadata"]["name"] for o in await world.items("ServiceAccount", "team")]
            maps = {o["metadata"]["name"]: o["data"] for o in await world.items("ConfigMap", "team")}
            return accounts == ["default"] and maps == {"kube-root-ca.crt": {"ca.crt": "PEM"}}

        await world.until(given)
        await world.patch("ConfigMap", "kube-root-ca.crt", {"data": {"ca.crt": "junk", "more": "x"}}, "team")
        await world.until(given)
        await world.api.delete("ServiceAccount", "default", "team")
        await world.api.delete("ConfigMap", "kube-root-ca.crt", "team")
        await world.until(given)


async def test_a_namespace_goes_with_all_that_is_in_it(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await world.api.create(deployment() | {"metadata": {"name": "web", "namespace": "team"}})

        async def up() -> bool:
            return bool((await world.api.get("Deployment", "web", "team"))["status"].get("availableReplicas") == 3)

        await world.until(up)
        await world.api.delete("Namespace", "team")

        async def gone() -> bool:
            return "team" not in {o["metadata"]["name"] for o in await world.items("Namespace")}

        await world.until(gone)
        for kind in ("Pod", "Deployment", "ReplicaSet", "ConfigMap", "ServiceAccount"):
            assert await world.items(kind, "team") == []


async def test_a_namespace_says_what_holds_it(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await world.api.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "team", "finalizers": ["example.com/f"]},
            }
        )
        await world.api.delete("Namespace", "team")

        async def said() -> Any:
            status = (await world.api.get("Namespace", "team"))["status"]
            return {c["type"]: (c["status"], c["reason"], c["message"]) for c in status.get("conditions", [])}

        said_ = await world.until(said)
        assert said_ == {
            "NamespaceDeletionDiscoveryFailure": (
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            "NamespaceDeletionGroupVersionParsingFailure": (
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            "NamespaceDeletionContentFailure": (
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            "NamespaceContentRemaining": (
                "True",
                "SomeResourcesRemain",
                "Some resources are remaining: configmaps. has 1 resource instances",
            ),
            "NamespaceFinalizersRemaining": (
                "True",
                "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances",
            ),
        }
        await world.patch("ConfigMap", "a", {"metadata": {"finalizers": None}}, "team")

        async def gone() -> bool:
            return "team" not in {o["metadata"]["name"] for o in await world.items("Namespace")}

        await world.until(gone)

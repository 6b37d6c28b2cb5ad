"""Resource quotas: charged by admission, given back by the controller, repaired when somebody else writes."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.api.errors import ApiError

from .conftest import World, running


def quota(name: str = "q", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec}


def pod(name: str, cpu: str = "100m", **spec: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": "64Mi"}
    container = {"name": "c", "image": "i", "resources": {"requests": amounts, "limits": amounts}}
    body = {"containers": [container], "terminationGracePeriodSeconds": 1} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


async def until_used(world: World, used: dict[str, str], name: str = "q") -> None:
    async def there() -> bool:
        status = (await world.api.get("ResourceQuota", name, "default")).get("status") or {}
        return bool(status.get("used") == used)

    await world.until(there)


async def test_what_was_there_counts_and_what_goes_is_given_back(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(pod("before"))
        await world.api.create(quota(hard={"pods": "2", "requests.cpu": "1"}))
        await until_used(world, {"pods": "1", "requests.cpu": "100m"})
        await world.api.create(pod("after", "900m"))
        await until_used(world, {"pods": "2", "requests.cpu": "1"})
        with pytest.raises(ApiError, match=r"exceeded quota: q, requested: pods=1,requests\.cpu=1m"):
            await world.api.create(pod("third", "1m"))
        await world.api.delete("Pod", "before", "default")
        await until_used(world, {"pods": "1", "requests.cpu": "900m"})
        await world.api.create(pod("third", "1m"))


async def test_any_kind_may_be_counted(autojump_clock: Any) -> None:
    async with running(kubelet=False) as world:
        await world.api.create(
            quota(hard={"count/configmaps": "5", "configmaps": "9", "count/leases.coordination.k8s.io": "1"})
        )
        maps = len(await world.until(lambda: world.items("ConfigMap")))  # the cluster's root certificate
        before = {"count/configmaps": str(maps), "configmaps": str(maps), "count/leases.coordination.k8s.io": "0"}
        await until_used(world, before)
        await world.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        await world.api.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}})
        more = {"count/configmaps": str(maps + 1), "configmaps": str(maps + 1), "count/leases.coordination.k8s.io": "1"}
        await until_used(world, more)
        await world.api.delete("ConfigMap", "a", "default")
        await world.api.delete("Lease", "l", "default")
        await until_used(world, before)


async def test_scopes_choose_pods_and_a_foreign_status_is_repaired(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(quota(hard={"pods": "5"}, scopes=["Terminating"]))
        await world.api.create(pod("short", activeDeadlineSeconds=600))
        await world.api.create(pod("long"))
        await until_used(world, {"pods": "1"})
        junk = {"status": {"hard": {"pods": "99"}, "used": {"pods": "77"}}}
        await world.client.patch("ResourceQuota", "q", junk, namespace="default", subresource="status")
        await until_used(world, {"pods": "1"})

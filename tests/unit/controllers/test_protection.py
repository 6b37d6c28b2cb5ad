"""Small controllers over the real API server: storage in use stays, aggregated roles follow, ranges are held."""

from __future__ import annotations

from typing import Any

import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.errors import ApiError
from kube_actors.controllers.servicecidr import may_go

from .conftest import World, running

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def gone(world: World, kind: str, name: str, namespace: str = "") -> bool:
    try:
        await world.api.get(kind, name, namespace)
    except ApiError as error:
        assert error.is_not_found
        return True
    return False


async def test_a_claim_outlives_the_pods_that_use_it(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(CLAIM)
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume], "terminationGracePeriodSeconds": 1}
        await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})

        async def bound() -> bool:
            return bool((await world.api.get("Pod", "a", "default"))["spec"].get("nodeName"))

        await world.until(bound)
        await world.api.delete("PersistentVolumeClaim", "data", "default")
        await trio.testing.wait_all_tasks_blocked()
        found = await world.api.get("PersistentVolumeClaim", "data", "default")
        assert found["metadata"]["deletionTimestamp"]
        assert found["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        await world.api.delete("Pod", "a", "default")
        await world.until(lambda: gone(world, "PersistentVolumeClaim", "data", "default"))


async def test_a_volume_that_is_not_bound_goes(autojump_clock: Any) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    async with running() as world:
        await world.api.create(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": spec}
        )
        await world.api.delete("PersistentVolume", "pv")
        await world.until(lambda: gone(world, "PersistentVolume", "pv"))


async def test_a_class_of_attributes_goes_once_no_claim_names_it(autojump_clock: Any) -> None:
    kind = "VolumeAttributesClass"
    async with running() as world:
        for name in ("idle", "gold"):
            made = {"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "driverName": "d.io"}
            await world.api.create({**made, "parameters": {"a": "b"}})
        await world.api.create({**CLAIM, "spec": {**CLAIM["spec"], "volumeAttributesClassName": "gold"}})
        await trio.testing.wait_all_tasks_blocked()
        for name in ("idle", "gold"):
            await world.api.delete(kind, name)
        await world.until(lambda: gone(world, kind, "idle"))
        assert not await gone(world, kind, "gold")
        await world.api.delete("PersistentVolumeClaim", "data", "default")
        await world.until(lambda: gone(world, kind, "gold"))


def role(name: str, resource: str, **labels: str) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


async def test_an_aggregated_role_follows_its_parts(autojump_clock: Any) -> None:
    async with running() as world:
        whole = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "whole"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]},
        }
        await world.api.create(whole)
        await world.api.create(role("b", "pods", part="yes"))
        await world.api.create(role("a", "secrets", part="yes"))
        await world.api.create(role("c", "nodes", part="no"))

        def holding(*resources: str) -> Any:
            async def there() -> bool:
                rules = (await world.api.get("ClusterRole", "whole")).get("rules") or []
                return [rule["resources"] for rule in rules] == [[resource] for resource in resources]

            return there

        await world.until(holding("secrets", "pods"))
        await world.api.delete("ClusterRole", "a")
        await world.until(holding("pods"))


async def test_a_service_range_is_ready_and_goes_after_its_grace(autojump_clock: Any) -> None:
    async with running() as world:
        metadata = {"name": "more"}
        body = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": metadata}
        await world.api.create(body | {"spec": {"cidrs": ["10.200.0.0/24"]}})

        async def ready() -> bool:
            found = await world.api.get("ServiceCIDR", "more")
            told = [(c["type"], c["status"]) for c in found["status"].get("conditions", ())]
            return told == [("Ready", "True")] and bool(found["metadata"].get("finalizers"))

        await world.until(ready)
        await world.api.delete("ServiceCIDR", "more")
        assert not await gone(world, "ServiceCIDR", "more")
        await world.until(lambda: gone(world, "ServiceCIDR", "more"))


@given(st.lists(st.integers(0, 255).map(lambda n: f"10.0.0.{n}"), max_size=6), st.sampled_from([24, 25, 28]))
def test_a_range_goes_only_when_each_address_has_another(addresses: list[str], prefix: int) -> None:
    assert may_go(["10.0.0.0/24"], ["10.0.0.0/16"], addresses)
    assert may_go(["10.0.0.0/24"], [], addresses) == (not addresses)
    covered = {f"10.0.0.{n}" for n in range(2 ** (32 - prefix))}
    assert may_go(["10.0.0.0/24"], [f"10.0.0.0/{prefix}"], addresses) == (prefix == 24 or set(addresses) <= covered)

"""Disruption budgets: their numbers, and evictions counted down by the API server and up again here."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Pod, PodCondition, PodStatus
from kube_actors.api.types.meta_v1 import LabelSelector, ObjectMeta
from kube_actors.api.types.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec
from kube_actors.controllers.budgets import numbers, selector_text

from .conftest import World, deployment, running


def budget(**spec: Any) -> dict[str, Any]:
    body = {"selector": {"matchLabels": {"app": "web"}}} | spec
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "pdb"}, "spec": body}


async def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await world.api.get("PodDisruptionBudget", "pdb", "default"))["status"]
    return found


async def until(world: World, **wanted: int) -> dict[str, Any]:
    async def there() -> Any:
        found = await status(world)
        return found if all(found.get(key) == value for key, value in wanted.items()) else None

    found: dict[str, Any] = await world.until(there)
    return found


async def test_an_eviction_is_counted_down_and_up_again(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(replicas=3))
        await world.api.create(budget(maxUnavailable="30%"))
        found = await until(world, expectedPods=3, desiredHealthy=2, currentHealthy=3, disruptionsAllowed=1)
        assert [(c["type"], c["status"], c["reason"]) for c in found["conditions"]] == [
            ("DisruptionAllowed", "True", "SufficientPods")
        ]
        first, second = [o["metadata"]["name"] for o in await world.items("Pod")][:2]
        await world.client.evict(first, namespace="default")
        with pytest.raises(ApiError, match="disruption budget"):
            await world.client.evict(second, namespace="default")
        await until(world, currentHealthy=3, disruptionsAllowed=1)
        assert (await status(world)).get("disruptedPods", {}) == {}


async def test_pods_without_a_controller_cannot_be_counted(autojump_clock: Any) -> None:
    async with running() as world:
        pod = {
            "metadata": {"name": "a", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        await world.api.create({"apiVersion": "v1", "kind": "Pod"} | pod)
        await world.api.create(budget(maxUnavailable=1))
        await until(world, currentHealthy=1, expectedPods=0, disruptionsAllowed=0)
        assert any(reason == "UnmanagedPods" for _, reason, _ in await world.events())


async def test_an_owner_without_scale_stops_all_evictions(autojump_clock: Any) -> None:
    async with running() as world:
        owner = await world.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o"}})
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "controller": True}
        metadata = {"name": "a", "labels": {"app": "web"}}
        metadata["ownerReferences"] = [reference | {"uid": owner["metadata"]["uid"]}]  # type: ignore[assignment]
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        await world.api.create(budget(maxUnavailable=1))

        async def told() -> Any:
            return [c for c in (await status(world)).get("conditions", ()) if c["reason"] == "SyncFailed"]

        (condition,) = await world.until(told)
        assert condition["message"] == "configmaps does not implement the scale subresource"
        assert "observedGeneration" not in await status(world)


async def test_a_pod_that_was_to_go_and_stays_loses_its_mark(autojump_clock: Any) -> None:
    async with running() as world:
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
        now = format_time(world.system.clock.now())
        mark = {"type": "DisruptionTarget", "status": "True", "reason": "Test", "lastTransitionTime": now}
        await world.client.patch(
            "Pod",
            "a",
            {"status": {"conditions": [mark]}},
            namespace="default",
            patch_type="strategic",
            subresource="status",
        )

        async def unmarked() -> bool:
            found = (await world.api.get("Pod", "a", "default"))["status"]["conditions"]
            return any(c["type"] == "DisruptionTarget" and c["status"] == "False" for c in found)

        await world.until(unmarked, seconds=300)


def pod(name: str, ready: bool, going: bool) -> Pod:
    conditions = (PodCondition(type="Ready", status="True" if ready else "False"),)
    metadata = ObjectMeta(name=name, deletion_timestamp="2026-01-01T00:00:00Z" if going else None)
    return Pod(metadata=metadata, status=PodStatus(conditions=conditions))


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8),
    st.integers(0, 8) | st.integers(0, 100).map(lambda percent: f"{percent}%"),
    st.booleans(),
)
def test_what_is_allowed_never_breaks_the_budget(
    shape: list[tuple[bool, bool]], amount: int | str, least: bool
) -> None:
    pods = [pod(f"p{i}", *state) for i, state in enumerate(shape)]
    spec = PodDisruptionBudgetSpec(**({"min_available": amount} if least else {"max_unavailable": amount}))
    found = numbers(PodDisruptionBudget(spec=spec), pods, len(pods), {})
    assert 0 <= found.allowed <= found.current <= len(pods)
    assert found.allowed == 0 or found.current - found.allowed >= found.desired
    spared = numbers(PodDisruptionBudget(spec=spec), pods, len(pods), {p.metadata.name: "x" for p in pods[:1]})
    assert spared.allowed <= found.allowed


def test_a_selector_in_an_event_reads_as_go_prints_it() -> None:
    text = "&LabelSelector{MatchLabels:map[string]string{app: x,},MatchExpressions:[]LabelSelectorRequirement{},}"
    assert selector_text(LabelSelector(match_labels={"app": "x"})) == text


async def test_a_budget_finds_its_pods_by_whatever_selects_them(autojump_clock: Any) -> None:
    """By one label, by several, by an expression, and an empty selector selects all."""
    selectors: dict[str, Any] = {
        "one": {"matchLabels": {"app": "web"}},
        "two": {"matchLabels": {"app": "web", "tier": "front"}},
        "expression": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
        "all": {},
        "none": {"matchLabels": {"app": "other"}},
    }
    async with running() as world:
        for name, selector in selectors.items():
            spec = {"minAvailable": 1, "selector": selector}
            await world.api.create(
                {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
            )
        spec = {"containers": [{"name": "c", "image": "i"}]}
        for name, labels in (("a", {"app": "web", "tier": "front"}), ("b", {"app": "web"}), ("c", {})):
            metadata = {"name": name, "labels": labels}
            await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

        async def counted() -> bool:
            found = {
                one["metadata"]["name"]: one.get("status", {}).get("currentHealthy")
                for one in await world.items("PodDisruptionBudget")
            }
            return found == {"one": 2, "two": 1, "expression": 1, "all": 3, "none": 0}

        await world.until(counted)

"""Autoscalers over the in-process API server in virtual time: bounds, what cannot be measured, whose pods they are."""

from __future__ import annotations

from typing import Any

import trio

from kube_actors.controllers import Options

from .conftest import World, deployment, running

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
QUICK = Options(horizontal_pod_autoscaler_sync_period=3.0)


def autoscaler(name: str = "h", kind: str = "Deployment", least: int = 1, most: int = 5) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": kind, "name": "web"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": [CPU]},
    }


async def conditions(world: World, name: str = "h") -> dict[str, tuple[str, str]]:
    status = (await world.api.get("HorizontalPodAutoscaler", name, "default")).get("status") or {}
    return {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or ()}


async def test_bounds_come_first_then_the_metrics_that_there_are_not(autojump_clock: Any) -> None:
    async with running(QUICK) as world:
        await world.api.create(autoscaler(least=2))
        await world.until(lambda: _has(world, "AbleToScale", ("False", "FailedGetScale")))
        await world.api.create(deployment(replicas=1))

        async def scaled() -> bool:
            return bool((await world.api.get("Deployment", "web", "default"))["spec"]["replicas"] == 2)

        await world.until(scaled)
        await world.until(lambda: _has(world, "ScalingActive", ("False", "FailedGetResourceMetric")))
        told = {(reason, message) for _, reason, message in await world.events()}
        assert ("SuccessfulRescale", "New size: 2; reason: Current number of replicas below Spec.MinReplicas") in told
        assert ("FailedGetScale", 'deployments.apps "web" not found') in told


async def test_two_autoscalers_of_the_same_pods_do_nothing(autojump_clock: Any) -> None:
    async with running(QUICK) as world:
        await world.api.create(deployment(replicas=2))
        await world.api.create(autoscaler("a"))
        await world.api.create(autoscaler("b"))
        await world.until(lambda: _has(world, "ScalingActive", ("False", "AmbiguousSelector"), "a"))
        await world.until(lambda: _has(world, "ScalingActive", ("False", "AmbiguousSelector"), "b"))
        texts = [message for _, reason, message in await world.events() if reason == "AmbiguousSelector"]
        assert "pods by selector app=web are controlled by multiple HPAs: [default/a default/b]" in texts
        await world.client.delete("HorizontalPodAutoscaler", "b", namespace="default")
        await world.until(lambda: _has(world, "ScalingActive", ("False", "FailedGetResourceMetric"), "a"))


async def test_an_autoscaler_is_looked_at_in_its_period_whatever_happens_to_it(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(deployment(replicas=1))
        await world.api.create(autoscaler())
        for number in range(8):
            await trio.sleep(7)
            await world.patch("HorizontalPodAutoscaler", "h", {"metadata": {"labels": {"n": str(number)}}})
        await trio.sleep(4)
        found = next(s for s in world.manager.statistics() if s.name == "horizontal-pod-autoscaler-controller")
        assert found.actions <= 4, "sixty seconds, a look every fifteen"


async def _has(world: World, kind: str, wanted: tuple[str, str], name: str = "h") -> bool:
    return (await conditions(world, name)).get(kind) == wanted

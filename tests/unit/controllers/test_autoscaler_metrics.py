"""Autoscalers that go by custom and external metrics, of an extension server in this process, on any scalable kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import trio

from kube_actors.api.messages import Answer, RawRequest, Request
from kube_actors.apiserver import RawAnswers
from kube_actors.controllers import Options
from tests.kit.apiserver import TESTER

from .conftest import World, deployment, running

QUICK = Options(horizontal_pod_autoscaler_sync_period=3.0)


class Metrics:
    """Serves a metrics API; answers are lists of items by the path below the namespace."""

    def __init__(self, group: str, version: str, items: Mapping[str, list[dict[str, Any]]]) -> None:
        self.group, self.version = group, version
        self.service = ("monitoring", group)
        self.items = items
        self.asked: list[str] = []

    async def resource(self, request: Request) -> Answer:
        path = "/".join(
            part for part in (request.namespace, request.resource, request.name, request.subresource) if part
        )
        params = [*request.params, ("labelSelector", request.options.label_selector)]
        self.asked.append(path + "?" + "&".join(f"{key}={text}" for key, text in params if text))
        return Answer(body=msgspec.json.encode({"items": self.items.get(path, [])}))

    async def document(self, request: RawRequest) -> Answer:
        return Answer(body=b'{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"g/v","resources":[]}')


def autoscaler(target: dict[str, Any], *metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 20, "metrics": list(metrics)},
    }


def serve_discovery(world: World) -> None:
    server = world.api.server
    server.raw = RawAnswers(world.system, server.resources)


WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


async def scaled_to(world: World, kind: str, replicas: int) -> None:
    async def there() -> bool:
        return bool((await world.api.get(kind, "web", "default"))["spec"]["replicas"] == replicas)

    await world.until(there)


async def current(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.api.get("HorizontalPodAutoscaler", "h", "default"))["status"][
        "currentMetrics"
    ]
    return found


async def test_pods_and_objects(autojump_clock: Any) -> None:
    async with running(QUICK) as world:
        await world.api.create(deployment(replicas=2))

        async def ready() -> Any:
            found = await world.items("Pod")
            return len(found) == 2 and all(pod["status"].get("phase") == "Running" for pod in found) and found

        pods = await world.until(ready)
        about = [{"kind": "Pod", "name": pod["metadata"]["name"]} for pod in pods]
        items = [{"describedObject": each, "value": "30", "timestamp": "2026-01-01T00:00:00Z"} for each in about]
        serve_discovery(world)
        server = Metrics("custom.metrics.k8s.io", "v1beta2", {"default/pods/*/rps": items})
        world.api.server.core.aggregator.extend(server)
        target = {"type": "AverageValue", "averageValue": "10"}
        metric = {"name": "rps", "selector": {"matchLabels": {"verb": "GET"}}}
        await world.api.create(autoscaler(WEB, {"type": "Pods", "pods": {"metric": metric, "target": target}}))
        await scaled_to(world, "Deployment", 4)  # 6 by the metric, at most 4 at once from 2
        assert server.asked[0] == "default/pods/*/rps?labelSelector=app=web&metricLabelSelector=verb=GET"
        assert (await current(world))[0]["pods"]["current"] == {"averageValue": "30"}


async def test_external_metrics_and_what_is_silent(autojump_clock: Any) -> None:
    async with running(QUICK) as world:
        await world.api.create(deployment(replicas=2))
        items = [{"metricName": "queue", "value": "25"}, {"metricName": "queue", "value": "10"}]
        world.api.server.core.aggregator.extend(Metrics("external.metrics.k8s.io", "v1beta1", {"default/queue": items}))
        queue = {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "10"}}
        silent = {
            "metric": {"name": "r"},
            "target": {"type": "Value", "value": "5"},
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
        }
        metrics = {"type": "Object", "object": silent}, {"type": "External", "external": queue}
        await world.api.create(autoscaler(WEB, *metrics))
        await scaled_to(world, "Deployment", 4)  # 35 shared out by tens, whatever the other one would have said
        reasons = {reason for _, reason, _ in await world.events()}
        assert {"FailedGetObjectMetric", "SuccessfulRescale"} <= reasons


async def test_a_custom_kind_is_scaled_by_its_scale(autojump_clock: Any) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"scale": scale},
    }
    names = {"plural": "farms", "singular": "farm", "kind": "Farm", "listKind": "FarmList"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "farms.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    async with running(QUICK) as world:
        serve_discovery(world)
        await world.api.create(definition)
        await trio.sleep(2)
        client = world.api.client(TESTER)
        path = {"group": "example.com", "version": "v1", "resource": "farms", "namespace": "default"}
        body = {"apiVersion": "example.com/v1", "kind": "Farm", "metadata": {"name": "web"}, "spec": {"replicas": 1}}
        await client.send(Request(verb="create", body=msgspec.json.encode(body), **path))  # type: ignore[arg-type]
        farm = {"apiVersion": "example.com/v1", "kind": "Farm", "name": "web"}
        least = autoscaler(farm)
        least["spec"] |= {"minReplicas": 3}
        await world.api.create(least)

        async def scaled() -> bool:
            answer = await client.send(Request(verb="get", name="web", **path))  # type: ignore[arg-type]
            return bool(msgspec.json.decode(answer.body)["spec"]["replicas"] == 3)

        await world.until(scaled)

        async def selectorless() -> bool:
            told = await world.events()
            return any(reason == "SelectorRequired" for _, reason, _ in told)

        await world.until(selectorless)

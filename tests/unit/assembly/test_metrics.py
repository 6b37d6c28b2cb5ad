"""The metrics API of a whole cluster in virtual time: what pods and nodes use, and autoscalers that go by it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import trio

from kube_actors import Cluster
from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Options, RawRequest, Request
from kube_actors.metrics.usage import Container, Pair, Reading, duration_text, paired, usage
from runtimes.simulated import SimulatedRuntime
from runtimes.simulated.behaviour import Behaviour

GROUP = "/apis/metrics.k8s.io/v1beta1"


def virtual(**options: Any) -> Cluster:
    return Cluster(system=System(VirtualClock(), Entropy(1)), **options)


def deployment(replicas: int, cores: float = 0.1, name: str = "web", **metadata: Any) -> dict[str, Any]:
    usage = {"simulated.kube-actors/behaviour": json.dumps({"cpu_cores": cores, "memory_bytes": 64 << 20})}
    container = {"name": "c", "image": "web", "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": usage} | metadata,
                "spec": {"containers": [container]},
            },
        },
    }


async def ask(cluster: Cluster, resource: str, name: str = "", **more: Any) -> dict[str, Any]:
    request = Request(
        verb="get" if name else "list",
        group="metrics.k8s.io",
        version="v1beta1",
        resource=resource,
        namespace="default" if resource == "pods" else "",
        name=name,
        **more,
    )
    found: dict[str, Any] = msgspec.json.decode((await cluster.client.send(request)).body)
    return found


async def test_what_pods_and_nodes_use(autojump_clock: Any) -> None:
    async with virtual(nodes=2) as cluster:
        await cluster.apply(deployment(3))
        await cluster.wait("deployment/web", "Available", timeout=60)
        await trio.sleep(300)
        listed = await ask(cluster, "pods", options=Options(label_selector="app=web"))
        assert listed["kind"] == "PodMetricsList" and len(listed["items"]) == 3
        first = listed["items"][0]
        assert first["containers"] == [{"name": "c", "usage": {"cpu": "100m", "memory": "64Mi"}}]
        assert (first["window"], first["metadata"]["labels"]["app"]) == ("1s", "web")
        await trio.sleep(15)
        one = await ask(cluster, "pods", first["metadata"]["name"])
        assert (one["kind"], one["window"], one["containers"][0]["usage"]["cpu"]) == ("PodMetrics", "15s", "100m")
        nodes = await ask(cluster, "nodes")
        total = sum(int(item["usage"]["cpu"].removesuffix("m")) for item in nodes["items"])
        assert (len(nodes["items"]), total) == (2, 300)
        table = await ask(cluster, "pods", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        assert table["rows"][0]["cells"][1:3] == ["100m", "64Mi"]
        with pytest.raises(ApiError, match=r'podmetrics.metrics.k8s.io "default/nobody" not found'):
            await ask(cluster, "pods", "nobody")


async def test_it_is_an_api_service_until_somebody_installs_another(autojump_clock: Any) -> None:
    async with virtual(nodes=1) as cluster:
        document = msgspec.json.decode(await cluster.client.get_raw(GROUP))
        assert [entry["kind"] for entry in document["resources"]] == ["NodeMetrics", "PodMetrics"]
        groups = msgspec.json.decode(await cluster.client.get_raw("/apis"))["groups"]
        assert groups[-1]["name"] == "metrics.k8s.io"
        found = await cluster.client.get("APIService", "v1beta1.metrics.k8s.io")
        assert [(c.type, c.status, c.reason) for c in found.status.conditions] == [("Available", "True", "Passed")]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "metrics-server", "namespace": "kube-system"},
            "spec": {"ports": [{"port": 443}], "clusterIP": "None", "selector": {"k8s-app": "metrics-server"}},
        }
        await cluster.apply(service)
        with pytest.raises(ApiError, match="service unavailable"):
            await ask(cluster, "pods")


async def test_without_it_there_is_no_such_group(autojump_clock: Any) -> None:
    async with virtual(nodes=1, without=("metrics",)) as cluster:
        with pytest.raises(ApiError) as caught:
            await ask(cluster, "pods")
        assert caught.value.code == 404
        with pytest.raises(ApiError):
            await cluster.client.send(RawRequest(path=GROUP))


async def test_an_autoscaler_goes_by_what_is_measured(autojump_clock: Any) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 6, "metrics": [{"type": "Resource", "resource": metric}]},
    }
    async with virtual(nodes=2) as cluster:
        assert cluster.nodes is not None
        runtimes = [cluster.nodes.actor(f"node-{number}").runtime for number in range(2)]
        body = deployment(2)
        del body["spec"]["template"]["metadata"]["annotations"]
        await cluster.apply(body)

        def use(cores: float) -> None:
            for runtime in runtimes:
                assert isinstance(runtime, SimulatedRuntime)
                runtime.script.set("web", Behaviour(cpu_cores=cores))

        async def replicas() -> int:
            found = await cluster.client.get("Deployment", "web", namespace="default")
            return found.spec.replicas or 0

        async def until(count: int) -> None:
            await cluster.wait(
                "deployment/web", lambda found: found and found["spec"]["replicas"] == count, timeout=1200
            )

        use(0.1)
        await cluster.apply(autoscaler)
        await trio.sleep(120)
        assert await replicas() == 2
        use(0.25)  # 125% of the request each, and it is not shared out: as many as there may be
        await until(6)
        found = await cluster.client.get("HorizontalPodAutoscaler", "web", namespace="default")
        assert found.status.current_metrics[0].resource.current.average_utilization == 125
        limited = {c.type: (c.status, c.reason) for c in found.status.conditions}
        assert limited["ScalingActive"] == ("True", "ValidMetricFound")
        use(0.02)
        before = trio.current_time()
        await until(2)
        assert trio.current_time() - before >= 290, "the window of scaling down"


def test_readings_of_counters() -> None:
    who = Container("n", "p", "c")
    first, second = Reading(10.0, 5.0, 1_000, 1), Reading(20.0, 5.0, 2_000_001_000, 2)
    pairs = paired({who: Pair(first)}, {who: second})
    told = usage(pairs[who])
    assert told is not None and (told.nano_cores, told.window, told.memory) == (200_000_000, 10.0, 2)
    again = Reading(30.0, 25.0, 500_000_000, 2)
    restarted = usage(paired(pairs, {who: again})[who])
    assert restarted is not None and (restarted.nano_cores, restarted.window) == (100_000_000, 5.0)
    assert usage(Pair(Reading(1000.0, 5.0, 1, 1))) is None
    assert [duration_text(s) for s in (15.0, 10.062, 90.5, 3600.0, 0.5)] == [
        "15s",
        "10.062s",
        "1m30.5s",
        "1h0m0s",
        "500ms",
    ]

"""EndpointSlices and Endpoints follow Services and pods, over the real API server."""

from __future__ import annotations

from typing import Any

from .conftest import World, deployment, running


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]} | spec
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"team": "a"}}, "spec": body}


async def slices(world: World, name: str = "web") -> list[dict[str, Any]]:
    found = await world.items("EndpointSlice")
    return [s for s in found if s["metadata"]["labels"].get("kubernetes.io/service-name") == name]


async def ready(world: World, count: int, name: str = "web") -> list[dict[str, Any]]:
    async def enough() -> Any:
        found = await slices(world, name)
        endpoints = [e for s in found for e in s.get("endpoints") or []]
        return found if sum(e["conditions"]["ready"] for e in endpoints) == count == len(endpoints) else None

    found: list[dict[str, Any]] = await world.until(enough)
    return found


async def test_endpoints_of_a_deployment(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(service())
        (empty,) = await ready(world, 0)
        await world.api.create(deployment())
        (piece,) = await ready(world, 3)
        assert piece["metadata"]["name"] == empty["metadata"]["name"]
        assert piece["addressType"] == "IPv4"
        assert piece["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
        labels = piece["metadata"]["labels"]
        assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
        assert labels["team"] == "a"
        endpoint = piece["endpoints"][0]
        assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
        assert endpoint["targetRef"]["kind"] == "Pod"
        assert endpoint["nodeName"].startswith("node-")
        (owner,) = piece["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["controller"]) == ("Service", True)

        async def old_form() -> Any:
            old = await world.api.get("Endpoints", "web")
            (subset,) = old.get("subsets") or [{}]
            return old if len(subset.get("addresses", [])) == 3 else None

        old = await world.until(old_form)
        assert old["metadata"]["labels"] == {
            "team": "a",
            "endpoints.kubernetes.io/managed-by": "endpoint-controller",
        }
        assert old["subsets"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
        await world.patch("Deployment", "web", {"spec": {"replicas": 1}})
        await ready(world, 1)
        await world.api.delete("Service", "web")

        async def gone() -> bool:
            return not [e for e in await world.items("Endpoints") if e["metadata"]["name"] == "web"]

        await world.until(gone)


async def test_a_service_of_250_pods_has_three_slices(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(service())
        await world.api.create(deployment(replicas=250))
        found = await ready(world, 250)
        assert sorted(len(piece["endpoints"]) for piece in found)[-1] <= 100
        assert len(found) == 3


async def test_not_ready_and_named_ports(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(service(ports=[{"port": 80, "targetPort": "http"}], clusterIP="None"))
        pods = [("a", "ok", [{"name": "http", "containerPort": 8000}]), ("b", "never-ready", [])]
        for name, behaviour, ports in pods:
            container = {"name": "c", "image": "i", "ports": ports}
            metadata = {"name": name, "labels": {"app": "web"}, "annotations": {"test/behaviour": behaviour}}
            await world.api.create(
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
            )

        async def both() -> Any:
            found = await slices(world)
            endpoints = [e for s in found for e in s.get("endpoints") or []]
            return found if len(endpoints) == 2 else None

        found = await world.until(both)
        by_pod = {e["targetRef"]["name"]: (s, e) for s in found for e in s["endpoints"]}
        assert by_pod["a"][0]["ports"][0]["port"] == 8000
        assert not by_pod["b"][0].get("ports")
        assert by_pod["b"][1]["conditions"] == {"ready": False, "serving": False, "terminating": False}
        assert "service.kubernetes.io/headless" in found[0]["metadata"]["labels"]

"""DaemonSets against the real API server: placement, tolerations and revisions as people see them."""

from __future__ import annotations

from typing import Any

from .conftest import World, running


def daemon_set(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "ds"}},
        "spec": {"containers": [{"name": "c", "image": "img:1"}], "terminationGracePeriodSeconds": 1},
    }
    body = {"selector": {"matchLabels": {"app": "ds"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "ds"}, "spec": body | spec}


async def settled(world: World, nodes: int) -> dict[str, Any]:
    async def done() -> Any:
        found = await world.api.get("DaemonSet", "ds")
        status = found["status"]
        figures = {status.get(key, 0) for key in ("desiredNumberScheduled", "updatedNumberScheduled")}
        same = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if same and figures == {nodes} else None

    found: dict[str, Any] = await world.until(done)
    return found


async def test_every_node_has_a_pod_that_only_fits_there(autojump_clock: Any) -> None:
    async with running(kubelet=False) as world:
        for name in ("node-0", "node-1"):
            await world.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        await world.api.create(daemon_set())
        await settled(world, 2)
        pods = await world.items("Pod")
        affinities = [
            pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] for pod in pods
        ]
        names = sorted(one["nodeSelectorTerms"][0]["matchFields"][0]["values"][0] for one in affinities)
        assert names == ["node-0", "node-1"]
        labels = pods[0]["metadata"]["labels"]
        assert labels == {"app": "ds", "controller-revision-hash": "89bd5d746", "pod-template-generation": "1"}
        (revision,) = await world.items("ControllerRevision")
        assert (revision["metadata"]["name"], revision["revision"]) == ("ds-89bd5d746", 1)
        keys = [toleration["key"].rpartition("/")[2] for toleration in pods[0]["spec"]["tolerations"]]
        assert keys == ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"]

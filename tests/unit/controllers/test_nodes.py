"""Nodes that fall silent, pods that leave them, and pods of nodes that are gone; over the real API server."""

from __future__ import annotations

from typing import Any

import trio

from kube_actors.controllers import Options

from .conftest import World, deployment, running

FAST = Options(node_monitor_period=1.0, node_monitor_grace_period=15.0)


async def taints(world: World, name: str) -> set[tuple[str, str]]:
    node = await world.api.get("Node", name)
    return {(taint["key"], taint["effect"]) for taint in node["spec"].get("taints") or []}


async def condition(world: World, name: str, kind: str = "Ready") -> tuple[str, str, str]:
    node = await world.api.get("Node", name)
    (found,) = [c for c in node["status"]["conditions"] if c["type"] == kind]
    return found["status"], found["reason"], found["message"]


def short(seconds: int = 5) -> dict[str, Any]:
    made = deployment(replicas=4)
    made["spec"]["template"]["spec"]["tolerations"] = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    ]
    return made


async def available(world: World, count: int) -> None:
    async def so() -> bool:
        return bool((await world.api.get("Deployment", "web"))["status"].get("availableReplicas") == count)

    await world.until(so)


UNREACHABLE = {("node.kubernetes.io/unreachable", "NoSchedule"), ("node.kubernetes.io/unreachable", "NoExecute")}


async def test_a_dead_node_loses_its_pods(autojump_clock: Any) -> None:
    async with running(FAST) as world:
        await world.api.create(short())
        await available(world, 4)
        world.kubelet.dead.add("node-0")

        async def tainted() -> bool:
            return await taints(world, "node-0") == UNREACHABLE

        await world.until(tainted)
        assert await condition(world, "node-0") == (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
        unknown = await condition(world, "node-0", "DiskPressure")
        assert unknown == ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")

        async def marked() -> bool:
            pods = [p for p in await world.items("Pod") if p["spec"].get("nodeName") == "node-0"]
            return bool(pods) and all(p["metadata"].get("deletionTimestamp") for p in pods)

        await world.until(marked)
        (pod, *_) = [p for p in await world.items("Pod") if p["spec"].get("nodeName") == "node-0"]
        conditions = {c["type"]: c for c in pod["status"]["conditions"]}
        assert conditions["DisruptionTarget"]["reason"] == "DeletionByTaintManager"
        assert conditions["Ready"]["status"] == "False"
        events = await world.events()
        name = pod["metadata"]["name"]
        assert ("Pod", "TaintManagerEviction", f"Marking for deletion Pod default/{name}") in events
        assert ("Pod", "NodeNotReady", "Node is not ready") in events
        world.kubelet.dead.clear()

        async def clean() -> bool:
            node = await world.api.get("Node", "node-0")
            ready = [c for c in node["status"]["conditions"] if c["type"] == "Ready"]
            ready[0] |= {"status": "True", "reason": "KubeletReady", "message": "back"}
            rest = [c for c in node["status"]["conditions"] if c["type"] == "Ready"]
            await world.client.patch("Node", "node-0", {"status": {"conditions": rest}}, subresource="status")
            await trio.sleep(3)
            return not await taints(world, "node-0")

        await world.until(clean)


async def test_when_all_nodes_are_silent_nobody_is_evicted(autojump_clock: Any) -> None:
    async with running(FAST) as world:
        await world.api.create(short())
        await available(world, 4)
        world.kubelet.dead.update(world.kubelet.nodes)

        async def unknown() -> bool:
            return all([(await condition(world, name))[0] == "Unknown" for name in world.kubelet.nodes])

        await world.until(unknown)
        await trio.sleep(60)
        for name in world.kubelet.nodes:
            assert await taints(world, name) == {("node.kubernetes.io/unreachable", "NoSchedule")}
        assert not [p for p in await world.items("Pod") if p["metadata"].get("deletionTimestamp")]


async def test_conditions_and_cordon_become_taints(autojump_clock: Any) -> None:
    async with running(FAST) as world:

        async def clean() -> bool:
            return not await taints(world, "node-0")

        await world.until(clean)
        pressure = {"type": "MemoryPressure", "status": "True", "reason": "r", "message": "m"}
        await world.client.patch("Node", "node-0", {"status": {"conditions": [pressure]}}, subresource="status")
        await world.patch("Node", "node-0", {"spec": {"unschedulable": True}}, "")

        async def tainted() -> bool:
            return await taints(world, "node-0") == {
                ("node.kubernetes.io/memory-pressure", "NoSchedule"),
                ("node.kubernetes.io/unschedulable", "NoSchedule"),
            }

        await world.until(tainted)


async def test_a_tolerated_taint_that_goes_again_evicts_nobody(autojump_clock: Any) -> None:
    async with running(FAST, nodes=("node-0",)) as world:
        spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 1}
        lone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone"}, "spec": spec}
        pod = await world.api.create(lone)

        async def bound() -> bool:
            return "nodeName" in (await world.api.get("Pod", "lone"))["spec"]

        await world.until(bound)
        taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
        await world.patch("Node", "node-0", {"spec": {"taints": [taint]}}, "")
        events = await world.events()
        # The node is well, so the life cycle controller takes the taint away again.
        text = "Cancelling deletion of Pod default/lone"
        assert ("Pod", "TaintManagerEviction", text) in events
        taint = {"key": "mine", "effect": "NoExecute"}
        await world.patch("Node", "node-0", {"spec": {"taints": [taint]}}, "")

        async def gone() -> bool:
            return pod["metadata"]["uid"] not in {p["metadata"]["uid"] for p in await world.items("Pod")}

        await world.until(gone)


async def test_pods_of_a_node_that_is_gone_are_removed(autojump_clock: Any) -> None:
    async with running(FAST) as world:
        await world.api.create(deployment(replicas=2))
        await available(world, 2)
        world.kubelet.dead.add("node-0")
        world.kubelet.dead.add("node-1")
        lost = {p["metadata"]["uid"] for p in await world.items("Pod") if p["spec"]["nodeName"] == "node-0"}
        await world.api.delete("Node", "node-0")

        async def gone() -> bool:
            return not lost & {p["metadata"]["uid"] for p in await world.items("Pod")}

        await trio.sleep(30)
        assert not await gone()
        await world.until(gone)


async def test_too_many_ended_pods_are_thinned_out(autojump_clock: Any) -> None:
    async with running(Options(terminated_pod_gc_threshold=2)) as world:
        for number in range(5):
            metadata = {"name": f"p{number}", "annotations": {"test/behaviour": "succeed"}}
            spec = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
            await world.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
            await trio.sleep(2)

        async def two() -> bool:
            return [p["metadata"]["name"] for p in await world.items("Pod")] == ["p3", "p4"]

        await world.until(two)

"""The scheduler over the real API server in this process, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from kube_actors.actors import RestartPolicy, open_supervisor
from kube_actors.api.messages import UserInfo
from kube_actors.client import Client, ElectionConfig, LeaderElector
from kube_actors.scheduler import Code, Scheduler, Verdict, default_profile
from tests.kit.apiserver import RunningAPIServer, running_apiserver

USER = UserInfo(name="system:kube-scheduler", groups=("system:masters", "system:authenticated"))


class World:
    def __init__(self, api: RunningAPIServer, client: Client, scheduler: Scheduler) -> None:
        self.api = api
        self.client = client
        self.scheduler = scheduler

    async def node(self, name: str, *, cpu: str = "4", pods: str = "110", **spec: Any) -> None:
        labels = {"kubernetes.io/hostname": name, **spec.pop("labels", {})}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec}
        made = await self.api.create(node)
        made["status"] = {
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": pods},
            "capacity": {"cpu": cpu, "memory": "8Gi", "pods": pods},
        }
        await self.api.ask("update", "Node", "", name, subresource="status", body=made)
        current = await self.api.get("Node", name)
        current["spec"].pop("taints", None)
        if spec.get("taints"):
            current["spec"]["taints"] = spec["taints"]
        await self.api.update(current)

    async def pod(self, name: str, *, cpu: str = "100m", labels: Any = None, **spec: Any) -> dict[str, Any]:
        container = {"name": "c", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
        container.update(spec.pop("container", {}))
        metadata = {"name": name, "namespace": "default", "labels": labels or {}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}
        return await self.api.create(pod)

    async def settle(self) -> None:
        """Until every task waits for something that does not come by itself soon."""
        await trio.testing.wait_all_tasks_blocked(0.002)

    async def node_of(self, name: str) -> str:
        found: str = (await self.api.get("Pod", name))["spec"].get("nodeName", "")
        return found

    async def condition(self, name: str) -> dict[str, Any]:
        pod = await self.api.get("Pod", name)
        return next((c for c in pod["status"].get("conditions", []) if c["type"] == "PodScheduled"), {})

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        events = (await self.api.list("Event", "default"))["items"]
        return [(e["type"], e["reason"], e["message"]) for e in events if e["involvedObject"]["name"] == name]


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    async with running_apiserver() as api:
        client = api.client(USER, "kube-scheduler")
        scheduler = Scheduler(client, api.system, **options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scheduler.run)
            await scheduler.synced.wait()
            yield World(api, client, scheduler)
            nursery.cancel_scope.cancel()


async def test_places_a_pod_and_says_so(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1")
        await w.pod("web")
        await w.settle()
        assert await w.node_of("web") == "n1"
        assert (await w.condition("web"))["status"] == "True"
        assert await w.events("web") == [("Normal", "Scheduled", "Successfully assigned default/web to n1")]
        assert w.scheduler.bound == 1
        w.scheduler.snapshot.check()
        w.scheduler.queue.check()


async def test_spreads_by_load(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        for name in ("n1", "n2", "n3"):
            await w.node(name)
        for index in range(9):
            await w.pod(f"p{index}", cpu="500m")
        await w.settle()
        homes = [await w.node_of(f"p{index}") for index in range(9)]
        assert {name: homes.count(name) for name in homes} == {"n1": 3, "n2": 3, "n3": 3}


async def test_says_why_not_and_tries_again_when_room_comes(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1", cpu="1")
        await w.node("n2", cpu="4", taints=[{"key": "own", "value": "x", "effect": "NoSchedule"}])
        await w.pod("big", cpu="2")
        await w.settle()
        text = (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). no new claims to "
            "deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        condition = await w.condition("big")
        assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", text)
        assert ("Warning", "FailedScheduling", text) in await w.events("big")
        await w.node("n3", cpu="4")
        await trio.sleep(2)
        assert await w.node_of("big") == "n3"


async def test_no_nodes(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.pod("lonely")
        await w.settle()
        assert (await w.condition("lonely"))["message"] == "no nodes available to schedule pods"
        await w.node("n1")
        await trio.sleep(2)
        assert await w.node_of("lonely") == "n1"


async def test_room_that_a_pod_leaves_is_taken(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1", cpu="1")
        await w.pod("first", cpu="1")
        await w.settle()
        await w.pod("second", cpu="1")
        await w.settle()
        assert await w.node_of("second") == ""
        await w.api.delete("Pod", "first", body={"gracePeriodSeconds": 0})
        await trio.sleep(2)
        assert await w.node_of("second") == "n1"


async def test_gates_hold_a_pod_back(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1")
        pod = await w.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
        await w.settle()
        assert await w.node_of("gated") == ""
        assert w.scheduler.queue.statistics().gated == 1
        pod = await w.api.get("Pod", "gated")
        pod["spec"].pop("schedulingGates")
        await w.api.update(pod)
        await w.settle()
        assert await w.node_of("gated") == "n1"


async def test_another_schedulers_pods_are_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1")
        await w.pod("theirs", schedulerName="somebody-else")
        await w.settle()
        assert await w.node_of("theirs") == ""
        assert await w.condition("theirs") == {}


async def test_higher_priority_goes_first_and_preempts(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        for name, value in (("low", 10), ("high", 1000)):
            await w.api.create(
                {
                    "apiVersion": "scheduling.k8s.io/v1",
                    "kind": "PriorityClass",
                    "metadata": {"name": name},
                    "value": value,
                }
            )
        await w.node("n1", cpu="1")
        await w.pod("small", cpu="800m", priorityClassName="low", terminationGracePeriodSeconds=0)
        await w.settle()
        assert await w.node_of("small") == "n1"
        await w.pod("vip", cpu="900m", priorityClassName="high")
        await w.settle()
        vip = await w.api.get("Pod", "vip")
        assert vip["status"].get("nominatedNodeName") == "n1"
        await trio.sleep(3)
        assert await w.node_of("vip") == "n1"
        names = [pod["metadata"]["name"] for pod in (await w.api.list("Pod", "default"))["items"]]
        assert names == ["vip"]
        assert any(reason == "Preempted" for _, reason, _ in await w.events("small"))


async def test_a_nomination_that_has_become_pointless_is_taken_back(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1", cpu="1")
        pod = await w.pod("web", cpu="2", schedulingGates=[{"name": "example.com/wait"}])
        pod["status"]["nominatedNodeName"] = "n1"
        await w.api.ask("update", "Pod", "default", "web", subresource="status", body=pod)
        pod = await w.api.get("Pod", "web")
        pod["spec"].pop("schedulingGates")
        await w.api.update(pod)
        await w.settle()
        assert (await w.condition("web"))["reason"] == "Unschedulable"
        assert "nominatedNodeName" not in (await w.api.get("Pod", "web"))["status"]
        assert not w.scheduler.snapshot.nominated


async def test_host_ports_are_not_shared(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1")
        await w.node("n2")
        port = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
        for index in range(3):
            await w.pod(f"p{index}", container=port)
        await w.settle()
        homes = sorted([await w.node_of(f"p{index}") for index in range(3)])
        assert homes == ["", "n1", "n2"]


async def test_a_binding_that_fails_is_tried_again(autojump_clock: trio.testing.MockClock) -> None:
    class Reluctant:
        name = "Reluctant"

        def __init__(self) -> None:
            self.left = 2

        async def pre_bind(self, state: Any, pod: Any, node: str, client: Client) -> Any:
            self.left -= 1
            if self.left >= 0:
                return Verdict(Code.ERROR, ("not yet",), self.name)
            return None

    async with world(profiles=[default_profile([Reluctant()])]) as w:
        await w.node("n1", cpu="1")
        await w.pod("web", cpu="1")
        await w.settle()
        assert await w.node_of("web") == ""
        assert not w.scheduler.snapshot.nodes["n1"].pods
        assert ("Warning", "FailedScheduling", "not yet") in await w.events("web")
        await trio.sleep(5)
        assert await w.node_of("web") == "n1"


async def test_a_restarted_scheduler_finds_its_state(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        client = api.client(USER, "kube-scheduler")
        made: list[Scheduler] = []

        def make() -> Scheduler:
            made.append(Scheduler(client, api.system))
            return made[-1]

        async with open_supervisor("control-plane", api.system) as supervisor:
            child = supervisor.start("scheduler", make, RestartPolicy(restart="always", limit=None))
            await trio.testing.wait_all_tasks_blocked(0.002)
            w = World(api, client, made[0])
            await made[0].synced.wait()
            await w.node("n1", cpu="1")
            await w.pod("first", cpu="600m")
            await w.settle()
            child.kill()
            await w.pod("second", cpu="600m")
            await w.pod("third", cpu="300m")
            await trio.sleep(5)
            assert len(made) == 2
            assert [await w.node_of(name) for name in ("first", "second", "third")] == ["n1", "", "n1"]
            supervisor.cancel()


async def test_a_claim_that_waits_is_bound_where_its_pod_goes(autojump_clock: trio.testing.MockClock) -> None:
    """The volume is on one node only; the scheduler goes there, keeps it, and waits until it is bound."""
    async with world() as w:
        for name in ("n1", "n2", "n3"):
            await w.node(name)
        await w.api.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "local"},
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "disk"},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "local",
                "local": {"path": "/mnt/disk"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            },
        }
        made = await w.api.create(volume)
        made["status"] = {"phase": "Available"}
        await w.api.ask("update", "PersistentVolume", "", "disk", subresource="status", body=made)
        await w.api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "local",
                    "resources": {"requests": {"storage": "5Gi"}},
                },
            }
        )
        await w.pod("db", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
        # The pod may be seen before its claim, and is then tried again after its back-off.
        await trio.sleep(3)
        disk = await w.api.get("PersistentVolume", "disk")
        assert disk["spec"]["claimRef"]["name"] == "data"
        assert await w.node_of("db") == ""
        claim = await w.api.get("PersistentVolumeClaim", "data")
        claim["spec"]["volumeName"] = "disk"
        claim["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
        await w.api.update(claim)
        await trio.sleep(2)
        assert await w.node_of("db") == "n2"


async def test_a_missing_claim_is_told_and_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    async with world() as w:
        await w.node("n1")
        await w.pod("db", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
        await w.settle()
        text = '0/1 nodes are available: persistentvolumeclaim "data" not found. not found'
        assert (await w.condition("db"))["message"] == text


async def test_of_two_schedulers_one_places_until_it_goes(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        client = api.client(USER, "kube-scheduler")

        def make(identity: str) -> Scheduler:
            config = ElectionConfig(name="kube-scheduler", namespace="kube-system", identity=identity)
            return Scheduler(client, api.system, elector=LeaderElector(client, api.system, config))

        first, second = make("first"), make("second")
        w = World(api, client, first)
        await w.node("n1")
        async with trio.open_nursery() as standby:
            async with trio.open_nursery() as leading:
                leading.start_soon(first.run)
                await trio.sleep(1)
                standby.start_soon(second.run)
                await w.pod("one")
                await trio.sleep(5)
                assert (first.bound, second.bound) == (1, 0)
                leading.cancel_scope.cancel()
            await w.pod("two")
            await trio.sleep(20)
            assert (first.bound, second.bound) == (1, 1)
            assert await w.node_of("two") == "n1"
            standby.cancel_scope.cancel()

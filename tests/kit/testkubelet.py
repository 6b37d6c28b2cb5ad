"""Pods played for tests of controllers: bound, Running and Ready at once, and gone soon after they are deleted.

The annotation `test/behaviour` of a pod chooses otherwise: `never-ready`, `pending` (nothing happens), `fail`,
`succeed`, `hang-stop` (a deletion is not honoured). Nodes get a Lease that is kept fresh.
"""

from __future__ import annotations

from typing import Any

import trio
from msgspec import structs

from kube_actors.actors import System
from kube_actors.api import codec
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_micro_time, format_time
from kube_actors.api.types.coordination_v1 import Lease, LeaseSpec
from kube_actors.api.types.core_v1 import Node, NodeCondition, NodeStatus, Pod, PodCondition, PodIP
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client import Client, InformerFactory, WorkQueue, key_of, split_key

BEHAVIOUR = "test/behaviour"
LEASE_SECONDS = 10.0
STOP_SECONDS = 0.3


class TestKubelet:
    """Plays all pods on its nodes; pods without a node are bound to one in turn."""

    __test__ = False

    def __init__(self, client: Client, system: System, nodes: tuple[str, ...] = ("node-0",)) -> None:
        self.client = client
        self.system = system
        self.nodes = nodes
        self.dead: set[str] = set()
        self.start_seconds = 0.0
        self._turn = 0
        self._ips = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        factory = InformerFactory(self.client, self.system)
        pods = factory.informer(Pod)
        queue: WorkQueue[str] = WorkQueue("test kubelet")
        pods.add_handler(lambda old, new: queue.add(key_of(new)) if new is not None else None)
        async with trio.open_nursery() as nursery:
            for name in self.nodes:
                await self._register(name)
                nursery.start_soon(self._heartbeat, name)
            await nursery.start(factory.run)
            await pods.synced()
            task_status.started()
            while True:
                key = await queue.get()
                nursery.start_soon(self._play, queue, key)

    async def _play(self, queue: WorkQueue[str], key: str) -> None:
        namespace, name = split_key(key)
        try:
            pod = await self.client.get(Pod, name, namespace=namespace)
            await self._act(pod)
        except ApiError as error:
            if not error.is_not_found:
                queue.add_after(key, 0.1)
        finally:
            queue.done(key)

    async def _act(self, pod: Pod) -> None:
        namespace, name = pod.metadata.namespace, pod.metadata.name
        behaviour = pod.metadata.annotations.get(BEHAVIOUR, "ok")
        if pod.spec.node_name is None:
            if behaviour != "unscheduled" and not pod.metadata.deletion_timestamp:
                self._turn += 1
                alive = [node for node in self.nodes if node not in self.dead] or self.nodes
                await self.client.bind(name, alive[self._turn % len(alive)], namespace=namespace)
            return
        if pod.spec.node_name in self.dead or pod.spec.node_name not in self.nodes:
            return
        if pod.metadata.deletion_timestamp:
            if behaviour != "hang-stop":
                await trio.sleep(STOP_SECONDS)
                await self.client.delete(Pod, name, namespace=namespace, grace_seconds=0, uid=pod.metadata.uid)
            return
        if behaviour == "pending" or pod.status.phase in ("Succeeded", "Failed"):
            return
        if self.start_seconds and pod.status.phase != "Running":
            await trio.sleep(self.start_seconds)
            pod = await self.client.get(Pod, name, namespace=namespace)
        await self._write(pod, behaviour)

    async def _write(self, pod: Pod, behaviour: str) -> None:
        phase = {"fail": "Failed", "succeed": "Succeeded"}.get(behaviour, "Running")
        ready = "True" if behaviour in ("ok", "hang-stop") else "False"
        now = format_time(self.system.clock.now())
        known = {c.type: c for c in pod.status.conditions}
        wanted: list[Any] = []
        for kind, status in (("Initialized", "True"), ("Ready", ready), ("ContainersReady", ready)):
            old = known.pop(kind, None)
            same = old is not None and old.status == status
            wanted.append(old if same else PodCondition(type=kind, status=status, last_transition_time=now))
        conditions = (*known.values(), *wanted)
        if not pod.status.pod_ip:
            self._ips += 1
        ip = pod.status.pod_ip or f"10.244.{self._ips // 250}.{self._ips % 250 + 1}"
        status = structs.replace(
            pod.status, phase=phase, conditions=conditions, pod_ip=ip, pod_ips=(PodIP(ip=ip),), start_time=now
        )
        if pod.status.phase != phase or pod.status.conditions != conditions:
            await self.client.update_status(structs.replace(pod, status=status))

    async def _register(self, name: str) -> None:
        now = format_time(self.system.clock.now())
        node = Node(metadata=ObjectMeta(name=name, labels={"kubernetes.io/hostname": name}))
        try:
            await self.client.create(node)
        except ApiError as error:
            if not error.is_already_exists:
                raise
            return
        ready = NodeCondition(
            type="Ready", status="True", reason="KubeletReady", message="kubelet is posting ready status",
            last_heartbeat_time=now, last_transition_time=now,
        )  # fmt: skip
        status = NodeStatus(conditions=(ready,), capacity={"cpu": "64", "memory": "256Gi", "pods": "2000"},
                            allocatable={"cpu": "64", "memory": "256Gi", "pods": "2000"})  # fmt: skip
        # A patch, since controllers write to a new node at the same time.
        await self.client.patch(Node, name, {"status": codec.to_dict(status)}, subresource="status")

    async def _heartbeat(self, name: str) -> None:
        while True:
            if name not in self.dead:
                await self._renew(name)
            await trio.sleep(LEASE_SECONDS)

    async def _renew(self, name: str) -> None:
        renewed = format_micro_time(self.system.clock.now())
        spec = LeaseSpec(holder_identity=name, lease_duration_seconds=40, renew_time=renewed)
        meta = ObjectMeta(name=name, namespace="kube-node-lease")
        try:
            lease = await self.client.get(Lease, name, namespace="kube-node-lease")
            await self.client.update(structs.replace(lease, spec=spec))
        except ApiError as error:
            if not error.is_not_found:
                return
            try:
                await self.client.create(Lease(metadata=meta, spec=spec))
            except ApiError:
                return

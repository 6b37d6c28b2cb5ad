"""Runs a planned workload against an API server: one operation after the other, and what they leave running beside.

Owns the order, the waiting and the collecting; what the objects look like is `objects`, what was seen is `ledger`.
It sees the cluster through a client only, so that it does not matter where the cluster runs.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client, InformerFactory

from . import objects
from .errors import WorkloadError
from .figures import Measured
from .ledger import Collecting, Ledger, matches
from .operations import (
    Barrier,
    Churn,
    CreateAny,
    CreateNamespaces,
    CreateNodes,
    CreatePods,
    DeletePods,
    Sleep,
    StartCollectingMetrics,
    Update,
)
from .workloads import Plan, Step, seconds

CREATORS = 30
"""Requests to create pods or nodes that are under way at one time, as in scheduler_perf."""


Named = tuple[str, Request]
"""A request to create something, and the name of what it creates: a request to create does not tell it."""


async def run(plan: Plan, client: Client, system: System) -> list[Measured]:
    """Run the whole plan; what each of its collections measured."""
    runner = _Runner(plan, client, system)
    informers = InformerFactory(client, system)
    informers.informer(Pod).add_handler(runner.ledger.on_pod)
    async with trio.open_nursery() as nursery:
        await nursery.start(informers.run)
        await informers.synced()
        await runner.run(nursery)
        nursery.cancel_scope.cancel()
    return runner.measured


class _Runner:
    def __init__(self, plan: Plan, client: Client, system: System) -> None:
        self.ledger = Ledger(system.clock.monotonic)
        self.measured: list[Measured] = []
        self._plan = plan
        self._client = client
        self._system = system
        self._nodes = 0
        self._pod_batches = 0
        self._waiting: dict[str, int] = {}
        self._known: set[str] = {"default"}

    async def run(self, beside: trio.Nursery) -> None:
        for step in self._plan.steps:
            try:
                await self._step(step, beside)
            except ApiError as error:
                raise WorkloadError(f"{self._plan.name}: operation {step.index} ({step.op.opcode}): {error}") from error
        if self.ledger.open is not None:
            self._stop_collecting()

    async def _step(self, step: Step, beside: trio.Nursery) -> None:
        match step.op:
            case CreateNodes() as op:
                await self._create_nodes(op, step)
            case CreateNamespaces() as op:
                await self._create_namespaces(op, step)
            case CreatePods() as op:
                await self._create_pods(op, step)
            case DeletePods() as op:
                if op.skip_wait_to_completion:
                    beside.start_soon(self._delete_pods, op)
                else:
                    await self._delete_pods(op)
            case Churn() as op:
                namespace = op.namespace or f"namespace-{step.index}"
                await self._ensure(namespace)
                beside.start_soon(self._churn, op, step, namespace)
            case Barrier() as op:
                await self._barrier(op)
            case Sleep() as op:
                await trio.sleep(seconds(op.duration))
            case StartCollectingMetrics() as op:
                self._start_collecting(op.name or f"operation {step.index}", op.namespaces, op.label_selector)
            case CreateAny() | Update() as op:
                await self._create_or_update(op, step)
            case _:
                self._stop_collecting()

    # Nodes and namespaces

    async def _create_nodes(self, op: CreateNodes, step: Step) -> None:
        unique = self._system.entropy.uuid
        made = objects.nodes(op, step.index, self._nodes, step.templates.get(op.node_template_path), unique)
        self._nodes += op.count
        flat = (obj for pair in made for obj in pair if obj is not None)
        await self._create_all(_creating(obj, "") for obj in flat)

    async def _create_namespaces(self, op: CreateNamespaces, step: Step) -> None:
        template = step.templates.get(op.namespace_template_path)
        for index in range(op.count):
            obj = template.render({"Index": index, "Count": op.count}) if template is not None else None
            await self._ensure(f"{op.prefix}-{index}", obj)

    async def _ensure(self, name: str, obj: Mapping[str, Any] | None = None) -> None:
        """The namespace is there."""
        if name in self._known:
            return
        self._known.add(name)
        metadata = {**((obj or {}).get("metadata") or {}), "name": name}
        metadata.pop("generateName", None)
        await self._client.create({**(obj or {}), "apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    # Pods

    async def _create_pods(self, op: CreatePods, step: Step) -> None:
        namespace = op.namespace or f"namespace-{step.index}"
        await self._ensure(namespace)
        # Made before the clock runs: the cluster is measured, not this program's templates.
        requests = await self._pod_requests(op, step, namespace, op.count)
        if op.collect_metrics:
            self._start_collecting(namespace, [namespace], {})
        if op.steady_state:
            await self._steadily(op, step, namespace, requests)
        else:
            batch = self.ledger.expect(namespace, [name for name, _ in requests])
            await self._create_all(requests)
            if op.skip_wait_to_completion:
                self._waiting[namespace] = self._waiting.get(namespace, 0) + op.count
            else:
                await self.ledger.done(batch)
        if op.collect_metrics:
            self._stop_collecting()

    async def _pod_requests(self, op: CreatePods, step: Step, namespace: str, count: int) -> list[Named]:
        self._pod_batches += 1
        template = step.templates[op.pod_template_path]
        made = objects.pods(template, op.template_params, f"{self._pod_batches}-", count)
        if op.persistent_volume_template_path:
            made = iter([await self._with_volume(op, step, namespace, pod) for pod in made])
        return [_creating(pod, namespace) for pod in made]

    async def _with_volume(self, op: CreatePods, step: Step, namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
        """The pod with a volume of its own, which is there and bound before."""
        name = pod["metadata"]["name"]
        reference = {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name, "apiVersion": "v1"}
        volume = objects.named(step.templates[op.persistent_volume_template_path].render({}), "", 0)
        volume["metadata"]["name"] = f"{namespace}-{name}"
        volume["spec"] = {**volume["spec"], "claimRef": reference}
        claim = objects.named(step.templates[op.persistent_volume_claim_template_path].render({}), "", 0)
        bound = {"pv.kubernetes.io/bind-completed": "true"}
        annotations = {**(claim["metadata"].get("annotations") or {}), **bound}
        claim["metadata"] = {**claim["metadata"], "name": name, "annotations": annotations}
        claim["spec"] = {**claim["spec"], "volumeName": volume["metadata"]["name"]}
        for obj, space in ((volume, ""), (claim, namespace)):
            made = await self._client.create(obj, namespace=space)
            await self._client.update({**made, "status": {"phase": "Bound"}}, subresource="status")
        spec = pod["spec"]
        mounted = {"name": "vol", "persistentVolumeClaim": {"claimName": name}}
        return {**pod, "spec": {**spec, "volumes": [*(spec.get("volumes") or []), mounted]}}

    async def _steadily(self, op: CreatePods, step: Step, namespace: str, first: list[Named]) -> None:
        """Each pod that is bound makes room for a new one, until the time is over."""
        await self._create_all(first)
        bound = 0
        with trio.move_on_after(seconds(op.duration)):
            while True:
                done = [name for name, pod in self.ledger.pods[namespace].items() if pod.spec.node_name]
                for name in done:
                    await self._client.delete(Pod, name, namespace=namespace, grace_seconds=0)
                    bound += 1
                await self._create_all(await self._pod_requests(op, step, namespace, len(done)))
                await self.ledger.changes()
        if not bound:
            raise WorkloadError(f"{self._plan.name}: operation {step.index}: no pod was bound within {op.duration}")

    async def _delete_pods(self, op: DeletePods) -> None:
        names = [name for name, pod in self.ledger.pods[op.namespace].items() if matches(pod, op.label_selector)]
        if not op.delete_pods_per_second:
            selector = ",".join(f"{key}={value}" for key, value in op.label_selector.items())
            await self._client.delete_collection(Pod, namespace=op.namespace, label_selector=selector)
            return
        for name in names:
            await trio.sleep(1 / op.delete_pods_per_second)
            await self._client.delete(Pod, name, namespace=op.namespace)

    async def _barrier(self, op: Barrier) -> None:
        for namespace in op.namespaces or list(self._waiting):
            if namespace not in self._waiting:
                known = ", ".join(self._waiting) or "none"
                raise WorkloadError(f"{self._plan.name}: barrier: nothing waits in {namespace!r}; known are {known}")
            if op.stage_requirement == "Attempted":
                await self.ledger.all_tried(namespace, self._waiting[namespace], op.label_selector)
            else:
                await self.ledger.all_bound(namespace, self._waiting.pop(namespace), op.label_selector)

    # Other objects

    async def _churn(self, op: Churn, step: Step, namespace: str) -> None:
        """create: new objects until there are enough; recreate: `number` turns of creating, then of deleting."""
        slots: list[dict[int, str]] = [{} for _ in op.template_paths]
        turn = 0
        while op.mode == "recreate" or not op.number or turn < op.number:
            await trio.sleep(op.interval_milliseconds / 1000)
            for path, slot in zip(op.template_paths, slots, strict=True):
                obj = step.templates[path].render({"Index": turn})
                at = turn % op.number if op.mode == "recreate" else turn
                name = slot.pop(at, "")
                if name:
                    await self._client.delete(f"{obj['apiVersion']}/{obj['kind']}", name, namespace=namespace)
                    continue
                made = await self._client.create(obj, namespace=namespace)
                if op.mode == "recreate":
                    slot[at] = made["metadata"]["name"]
            turn += 1

    async def _create_or_update(self, op: CreateAny | Update, step: Step) -> None:
        if op.namespace:
            await self._ensure(op.namespace)
        for index in range(op.count):
            obj = step.templates[op.template_path].render({**op.template_params, "Index": index, "Count": op.count})
            placed = {**obj, "metadata": {**obj.get("metadata", {})}}
            if op.namespace:
                placed["metadata"]["namespace"] = op.namespace
            if isinstance(op, CreateAny):
                await self._client.create(placed)
                continue
            if op.update_per_second:
                await trio.sleep(1 / op.update_per_second)
            for subresource in op.subresources or ("",):
                await self._client.update(placed, subresource=subresource)
            if "status" in placed and not op.subresources:
                await self._client.update(placed, subresource="status")

    # Requests

    async def _create_all(self, wanted: Iterable[Named]) -> None:
        """Send them all, some at a time."""
        waiting = iter(wanted)

        async def work(waiting: Iterator[Named]) -> None:
            for name, request in waiting:
                self.ledger.creating(request.namespace, name)
                await self._client.send(request)

        async with trio.open_nursery() as nursery:
            for _ in range(CREATORS):
                nursery.start_soon(work, waiting)

    # Metrics

    def _start_collecting(self, name: str, namespaces: Collection[str], labels: Mapping[str, str]) -> None:
        if self.ledger.open is not None:
            raise WorkloadError(f"{self._plan.name}: metrics are being collected already; stop that first")
        gc.collect()  # what was thrown away while the cluster was filled is not part of the measurement
        now = self._system.clock.monotonic()
        self.ledger.open = Collecting(name, namespaces, labels, now, time.process_time())

    def _stop_collecting(self) -> None:
        found = self.ledger.open
        if found is None:
            raise WorkloadError(f"{self._plan.name}: no metrics are being collected; start that first")
        self.ledger.open = None
        scale = 1 if sys.platform == "darwin" else 1024
        self.measured.append(
            Measured(
                name=f"{self._plan.name} {found.name}",
                threshold=self._plan.threshold,
                bound_at=found.bound_at,
                latencies=found.latencies,
                cpu_seconds=time.process_time() - found.cpu,
                memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale,
            )
        )


def _creating(obj: Mapping[str, Any], namespace: str) -> Named:
    """A request to create a node, a CSINode or a pod, encoded beforehand."""
    group, _, version = obj["apiVersion"].rpartition("/")
    request = Request(
        verb="create",
        group=group,
        version=version,
        resource=f"{obj['kind'].lower()}s",
        namespace=namespace,
        body=msgspec.json.encode(obj),
    )
    return obj["metadata"]["name"], request

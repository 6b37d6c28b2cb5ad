"""The node: registers itself, keeps its heartbeats, and supervises one actor for each of its pods.

Owns the list of pods that are here and what they occupy. It adopts what its engine already runs, removes what no pod
owns, and passes the engine's events on. A pod's own state belongs to its actor.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import trio

from kube_actors.actors import RestartPolicy, Supervisor, System, open_supervisor
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client, EventRecorder
from runtimes.contract import Event as EngineEvent
from runtimes.contract import Runtime, Unavailable

from . import limits, naming, observing, volume_files
from .admission import Occupancy, Refusal, admit
from .adoption import NOTHING, Found
from .config import NodeConfig
from .context import NodeContext, ServiceSource
from .dialing import Dialer, SocketDialer
from .feed import PodFeed, WatchFeed
from .heartbeat import Heartbeat
from .patience import patiently
from .pod_actor import PodActor
from .service import NodeStreams
from .services import OwnServices
from .sources import Sources
from .status import Host, difference, rejected_status

_PODS = RestartPolicy(restart="on_failure", limit=None, initial_seconds=1.0, max_seconds=60.0)
"""A pod that fails again and again harms nobody else: it never takes its node down."""


class _Place:
    """One pod on this node."""

    __slots__ = ("actor", "found", "pod", "removed")

    def __init__(self, pod: Pod, found: Found | None) -> None:
        self.pod = pod
        self.found = found
        self.actor: PodActor | None = None
        self.removed = False


class NodeActor:
    """`ready` is set once the Node is registered and every pod that was here has its actor."""

    def __init__(
        self,
        system: System,
        client: Client,
        runtime: Runtime,
        config: NodeConfig,
        *,
        feed: PodFeed | None = None,
        services: ServiceSource | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self.config = config
        self.handled = 0
        self.ready = trio.Event()
        self.service = NodeStreams(self)
        self.context: NodeContext | None = None
        self.system = system
        self._client = client
        self.runtime = runtime
        self._feed = feed or WatchFeed(client, system)
        self._services: ServiceSource = services or OwnServices(client, system, self.later)
        self._dialer: Dialer = dialer or SocketDialer()
        self._recorder = EventRecorder(client, system, "kubelet", config.name)
        self._heartbeat = Heartbeat(system, client, runtime, config)
        self._places: dict[str, _Place] = {}
        self._by_name: dict[tuple[str, str], str] = {}
        self._occupancy = Occupancy()
        self._found: dict[str, Found] = {}
        self._supervisor: Supervisor | None = None
        self._nursery: trio.Nursery | None = None

    # What others may ask

    def later(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something awaited that a synchronous caller has to leave behind."""
        if self._nursery is not None:
            self._nursery.start_soon(work)

    def pod_actor(self, namespace: str, name: str) -> PodActor | None:
        """The actor of a pod that is here."""
        place = self._places.get(self._by_name.get((namespace, name), ""))
        return place.actor if place is not None else None

    def pods(self) -> list[Pod]:
        """The pods that are here, as the API has them."""
        return [place.pod for place in self._places.values()]

    async def clear(self) -> None:
        """Remove all sandboxes, containers and files of this node, whatever runs; for a cluster that is thrown away."""
        ours = {naming.NODE: self.config.mark}
        for sandbox in await self.runtime.list_sandboxes(ours):
            await self.runtime.remove_sandbox(sandbox.id)
        for container in await self.runtime.list_containers(ours):  # whose sandbox is gone
            await self.runtime.remove_container(container.id, force=True)
        await self._remove_directories(set())

    # Its life

    async def run(self) -> None:
        node = await self._heartbeat.register()
        info = self._heartbeat.info
        assert info is not None
        self.context = NodeContext(
            system=self.system,
            client=self._client,
            runtime=self.runtime,
            config=self.config,
            host=Host(engine=info.engine, ips=self.config.addresses),
            sources=Sources(self._client, self.system),
            dialer=self._dialer,
            record=self._record,
            released=self._occupancy.remove,
            allocatable=node.status.allocatable,
            memory_bytes=info.memory_bytes,
            services=self._services if self.config.service_environment else None,
        )
        name = self.config.name
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._heartbeat.keep_lease, name=f"{name}/lease")
            nursery.start_soon(self._heartbeat.keep_status, name=f"{name}/status")
            nursery.start_soon(self._recorder.run, name=f"{name}/events")
            async with open_supervisor(f"node/{name}", self.system) as supervisor:
                self._supervisor = supervisor
                await nursery.start(self._observe)
                async with self._feed.open(name, self._on_pod):
                    await self._remove_orphans()
                    self.ready.set()
                    await trio.sleep_forever()

    def _record(self, pod: Pod, type: Literal["Normal", "Warning"], reason: str, message: str, container: str) -> None:
        if self.config.record_events:
            self._recorder.event(naming.reference_to(pod, container), type, reason, message)

    # Pods come and go; called by the feed, synchronous

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        self.handled += 1
        if new is not None:
            place = self._places.get(new.metadata.uid)
            if place is None:
                # One of the same name that was deleted by force is told of by its own UID, if its end was missed.
                if old is not None and old.metadata.uid != new.metadata.uid:
                    self._leave(old.metadata.uid)
                self._arrive(new)
            else:
                place.pod = new
                if place.actor is not None:
                    place.actor.offer(new)
        elif old is not None:
            self._leave(old.metadata.uid)

    def _arrive(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        found = self._found.pop(uid, NOTHING)
        over = pod.status.phase in ("Succeeded", "Failed")
        if over and found is NOTHING and pod.metadata.deletion_timestamp is None:
            return  # it has ended and left nothing behind here
        if found is NOTHING and not over and pod.metadata.deletion_timestamp is None:
            refusal = self._refusal(pod)
            if refusal is not None:
                assert self._nursery is not None
                self._nursery.start_soon(self._reject, pod, refusal)
                return
        place = _Place(pod, found)
        self._places[uid] = place
        self._by_name[(pod.metadata.namespace, pod.metadata.name)] = uid
        if not over:
            self._occupancy.add(pod)
        assert self._supervisor is not None
        child = self._supervisor.start(f"{self.config.name}/pod/{uid}", partial(self._make_actor, place), _PODS)
        assert self._nursery is not None
        self._nursery.start_soon(self._await_end, uid, place, child.done)

    def _make_actor(self, place: _Place) -> PodActor:
        assert self.context is not None
        found, place.found = place.found, None  # a second life has to look for itself
        place.actor = PodActor(self.context, place.pod, found)
        if place.removed:
            place.actor.gone()
        return place.actor

    async def _await_end(self, uid: str, place: _Place, done: trio.Event) -> None:
        await done.wait()
        if self._places.get(uid) is place:
            del self._places[uid]
            key = (place.pod.metadata.namespace, place.pod.metadata.name)
            if self._by_name.get(key) == uid:
                del self._by_name[key]
        self._occupancy.remove(uid)

    def _leave(self, uid: str) -> None:
        place = self._places.get(uid)
        if place is not None:
            place.removed = True
            if place.actor is not None:
                place.actor.gone()

    def _refusal(self, pod: Pod) -> Refusal | None:
        node = self._heartbeat.node
        assert node is not None
        return admit(pod, node, node.status.allocatable, self._occupancy)

    async def _reject(self, pod: Pod, refusal: Refusal) -> None:
        self._record(pod, "Warning", refusal.reason, refusal.message, "")
        status = rejected_status(pod, refusal.reason, refusal.message, self.system.clock.now())
        metadata = pod.metadata
        body = {"metadata": {"uid": metadata.uid}, "status": difference(pod.status, status)}
        write = partial(
            self._client.patch, Pod, metadata.name, body, namespace=metadata.namespace, subresource="status"
        )
        try:
            await patiently(write)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    # The engine

    async def _observe(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pass the engine's events on; after every interruption compare what is with what is believed."""
        labels = {naming.NODE: self.config.mark}
        first = True
        while True:
            events = await patiently(partial(self.runtime.events, labels))
            async with events:
                try:
                    found = await patiently(partial(observing.find_all, self.runtime, self.config.mark))
                    if first:
                        self._found = found
                        first = False
                        task_status.started()
                    else:
                        self._compare(found)
                    self._heartbeat.problem("")
                    async for event in events:
                        self._engine_event(event)
                except Unavailable as fault:
                    self._heartbeat.problem(f"container runtime is down: {fault}")
            await trio.sleep(limits.RETRY_INITIAL)

    def _engine_event(self, event: EngineEvent) -> None:
        place = self._places.get(event.labels.get(naming.POD_UID, ""))
        if place is not None and place.actor is not None:
            place.actor.observed(event)

    def _compare(self, found: dict[str, Found]) -> None:
        for uid, place in self._places.items():
            if place.actor is not None:
                place.actor.compare(found.get(uid, NOTHING))

    async def _remove_orphans(self) -> None:
        """What the engine still has of pods that are no longer bound here."""
        for found in self._found.values():
            for sandbox in found.sandboxes:
                await patiently(partial(self.runtime.remove_sandbox, sandbox.id))
        self._found = {}
        await self._remove_directories(set(self._places))

    async def _remove_directories(self, kept: set[str]) -> None:
        if self.config.data_dir:
            directory = os.path.join(self.config.data_dir, "pods")
            await trio.to_thread.run_sync(volume_files.remove_all_but, directory, kept)

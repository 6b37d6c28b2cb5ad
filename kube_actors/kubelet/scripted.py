"""Scripted nodes: one actor plays all of them, by the annotations of their pods.

Owns what it has last acted on for each pod, and the addresses it gave. It registers the nodes it is told of, adopts
every other Node that its selector matches, keeps their leases and writes their pods' statuses. It never writes a
Node's status after registering it, starts nothing, and leaves no events.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Node, Pod, PodStatus
from kube_actors.client import Client, Informer, ItemBackoff, TransportError, WorkQueue, key_of
from kube_actors.client.reflector import Selection
from runtimes.contract import EngineInfo

from . import limits, node_object, scripting
from .config import NodeConfig
from .leases import LeaseKeeper
from .patience import patiently
from .scripting import ScriptRules
from .status import difference

ENGINE = EngineInfo(
    engine="scripted",
    version="1.0",
    cpus=4,
    memory_bytes=16 << 30,
    storage_bytes=100 << 30,
    kernel="none",
    os_image="none",
)
"""What a scripted node says about itself where its configuration says nothing."""


class Addresses(Protocol):
    """Hands addresses out and takes them back."""

    def allocate(self) -> str: ...

    def release(self, address: str) -> None: ...


class _Played:
    """What was done for one pod."""

    __slots__ = ("address", "again", "face", "stop_at", "stopped")

    def __init__(self) -> None:
        self.face: tuple[Any, ...] | None = None
        self.address = ""
        self.again: float | None = None
        self.stop_at: float | None = None
        self.stopped = False


class ScriptedNodes:
    """All scripted nodes of a cluster. `pods` is an informer of all pods that somebody else runs."""

    def __init__(
        self,
        system: System,
        client: Client,
        rules: ScriptRules,
        nodes: Sequence[NodeConfig],
        pods: Informer[Pod],
        addresses: Addresses,
    ) -> None:
        self.handled = 0
        self._system = system
        self._client = client
        self._rules = rules
        self._configs = nodes
        self._pods = pods
        self._addresses = addresses
        self._nodes: Informer[Node] = Informer(client, system, Node, selection=Selection(label_selector=rules.selector))
        self._keepers: dict[str, LeaseKeeper] = {}
        self._played: dict[str, _Played] = {}
        self._queue: WorkQueue[str] = WorkQueue("scripted", ItemBackoff(limits.RETRY_INITIAL, limits.RETRY_MAX))
        self._nodes.add_handler(self._on_node)
        pods.add_handler(self._on_pod)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for config in self._configs:
                await self._register(config)
            nursery.start_soon(self._nodes.run, name="scripted/nodes")
            await self._nodes.synced()
            await self._pods.synced()
            nursery.start_soon(self._keep_leases, name="scripted/leases")
            for pod in self._pods.list():
                self._queue.add(key_of(pod))
            for number in range(limits.SCRIPTED_WORKERS):
                nursery.start_soon(self._work, name=f"scripted/{number}")

    # Nodes

    async def _register(self, config: NodeConfig) -> None:
        made = node_object.new_node(config, ENGINE, self._system.clock.now())
        try:
            await patiently(partial(self._client.create, made))
        except ApiError as error:
            if not error.is_already_exists:
                raise

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        """A node that comes has all its pods looked at. One that lives again has missed what was said meanwhile, and
        acts on the next change of a pod."""
        if new is None:
            if old is not None:
                self._keepers.pop(old.metadata.name, None)
        elif old is None:
            for pod in self._pods.list():
                if pod.spec.node_name == new.metadata.name:
                    self._queue.add(key_of(pod))

    def _is_dead(self, node: Node) -> bool:
        return node.metadata.annotations.get(self._rules.annotation) == scripting.LEASE_STOP

    async def _keep_leases(self) -> None:
        while True:
            began = trio.current_time()
            for node in self._nodes.list():
                if self._is_dead(node):
                    continue
                name = node.metadata.name
                keeper = self._keepers.get(name)
                if keeper is None:
                    find = partial(self._nodes.get, name)
                    seconds = limits.LEASE_DURATION
                    keeper = LeaseKeeper(self._system, self._client, name, find, seconds=seconds)
                    self._keepers[name] = keeper
                await keeper.renew()
            await trio.sleep_until(began + self._rules.lease_seconds)

    # Pods

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            played = self._played.pop(old.metadata.uid, None)
            if played is not None and played.address:
                self._addresses.release(played.address)
        if new is not None and new.spec.node_name and self._nodes.get(new.spec.node_name) is not None:
            self._queue.add(key_of(new))

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._look(key)
                self._queue.forget(key)
            except (ApiError, TransportError) as error:
                self._system.story.tell("scripted", "refused", key=key, detail=str(error))
                self._queue.add_rate_limited(key)
            finally:
                self._queue.done(key)

    async def _look(self, key: str) -> None:
        pod = self._pods.get(key)
        node = self._nodes.get(pod.spec.node_name) if pod is not None and pod.spec.node_name else None
        if pod is None or node is None or self._is_dead(node):
            return
        self.handled += 1
        played = self._played.get(pod.metadata.uid)
        if played is None:
            played = self._played[pod.metadata.uid] = _Played()
        if pod.metadata.deletion_timestamp is not None:
            await self._stop(key, pod, node, played)
        else:
            await self._play(key, pod, node, played)

    async def _play(self, key: str, pod: Pod, node: Node, played: _Played) -> None:
        annotation = self._rules.annotation
        due = played.again is not None and trio.current_time() >= played.again
        face = scripting.face(pod, annotation)
        if played.face == face and not due:
            return
        if not played.address and not pod.spec.host_network:
            played.address = self._addresses.allocate()
        now = self._system.clock.now()
        result = scripting.play(pod, self._rules, ip=played.address, host_ip=_address(node), now=now)
        played.face, played.again = face, None
        if result is None:
            return
        # The phase is part of a pod's face, and it is we who change it.
        played.face = (*face[:-1], result.status.phase)
        if result.again is not None:
            played.again = trio.current_time() + result.again
            self._queue.add_after(key, result.again)
        await self._write(pod, result.status, played)

    async def _stop(self, key: str, pod: Pod, node: Node, played: _Played) -> None:
        if played.stopped or not scripting.behaviour_of(pod, self._rules.annotation).stops:
            return
        now = trio.current_time()
        if played.stop_at is None:
            played.stop_at = now + self._rules.stop_seconds
        if now < played.stop_at:
            self._queue.add_after(key, played.stop_at - now)
            return
        address = played.address
        status = scripting.end(pod, ip=address, host_ip=_address(node), now=self._system.clock.now())
        if status is not None:
            await self._write(pod, status, played)
        await self._remove(pod)
        played.stopped = True

    async def _write(self, pod: Pod, status: PodStatus, played: _Played) -> None:
        patch = difference(pod.status, status)
        if not patch:
            return
        metadata = pod.metadata
        body = {"metadata": {"uid": metadata.uid}, "status": patch}
        try:
            await self._client.patch(Pod, metadata.name, body, namespace=metadata.namespace, subresource="status")
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return  # it is gone, or another has its name
            played.face = None
            raise
        except TransportError:
            played.face = None
            raise

    async def _remove(self, pod: Pod) -> None:
        metadata = pod.metadata
        try:
            await self._client.delete(
                Pod, metadata.name, namespace=metadata.namespace, grace_seconds=0, uid=metadata.uid
            )
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise


def _address(node: Node) -> str:
    return next((one.address for one in node.status.addresses if one.type == "InternalIP"), "127.0.0.1")

"""The node controllers: new nodes learn what their cloud knows of them, and nodes without a machine go.

Owns a node's providerID, its topology labels, its addresses where the cloud knows better, and two taints. A node that
waits for its cloud carries the `uninitialized` taint, which is taken away last.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.actors import System
from kube_actors.api import conditions
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Node, Taint
from kube_actors.client import Client, EventRecorder, Informer, ItemBackoff, TransportError, WorkQueue

from . import limits
from .contract import Instance, InstanceGone, Instances, ProviderError

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
SHUTDOWN = Taint(key="node.cloudprovider.kubernetes.io/shutdown", effect="NoSchedule")

_LABELS = (
    ("node.kubernetes.io/instance-type", "type"),
    ("topology.kubernetes.io/zone", "zone"),
    ("topology.kubernetes.io/region", "region"),
)


def needs_initialization(node: Node) -> bool:
    return any(taint.key == UNINITIALIZED for taint in node.spec.taints)


def initialized(node: Node, instance: Instance) -> Node:
    """The node with what its cloud knows, and without the taint."""
    labels = dict(node.metadata.labels)
    for label, attribute in _LABELS:
        value = getattr(instance, attribute)
        if value:
            labels[label] = value
    taints = tuple(taint for taint in node.spec.taints if taint.key != UNINITIALIZED)
    spec = msgspec.structs.replace(
        node.spec, taints=taints, provider_id=node.spec.provider_id or instance.provider_id or None
    )
    metadata = msgspec.structs.replace(node.metadata, labels=labels)
    return msgspec.structs.replace(node, metadata=metadata, spec=spec)


def readdressed(node: Node, instance: Instance) -> Node | None:
    """The node at the addresses that its cloud gives; None if nothing is to change."""
    if not instance.addresses or instance.addresses == node.status.addresses:
        return None
    names = tuple(a for a in node.status.addresses if a.type == "Hostname")
    known = {a.type for a in instance.addresses}
    addresses = instance.addresses if "Hostname" in known else (*instance.addresses, *names)
    if addresses == node.status.addresses:
        return None
    return msgspec.structs.replace(node, status=msgspec.structs.replace(node.status, addresses=addresses))


class NodeController:
    def __init__(
        self, client: Client, system: System, instances: Instances, nodes: Informer[Node], recorder: EventRecorder
    ) -> None:
        self.handled = 0
        self._client = client
        self._story = system.story
        self._instances = instances
        self._nodes = nodes
        self._recorder = recorder
        self._queue: WorkQueue[str] = WorkQueue(
            "nodes", ItemBackoff(limits.RETRY_INITIAL_SECONDS, limits.RETRY_MAX_SECONDS)
        )
        nodes.add_handler(self._on_node)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is not None and needs_initialization(new):
            self._queue.add(new.metadata.name)

    async def run(self) -> None:
        """Initialise nodes until cancelled."""
        await self._nodes.synced()
        while True:
            name = await self._queue.get()
            try:
                await self._sync(name)
            finally:
                self._queue.done(name)

    async def _sync(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None or not needs_initialization(node):
            self._queue.forget(name)
            return
        self.handled += 1
        try:
            instance = await self._instances.describe(node)
            await self._readdress(node, instance)
            await self._client.modify(Node, name, lambda current: initialized(current, instance))
            self._recorder.event(node, "Normal", "Synced", "Node synced successfully")
            self._queue.forget(name)
        except (ProviderError, ApiError, TransportError) as error:
            if isinstance(error, ApiError) and error.is_not_found:
                return  # it went while we worked
            self._tell(node, "could not be initialised", error)
            self._queue.add_rate_limited(name)

    async def _readdress(self, node: Node, instance: Instance) -> None:
        name = node.metadata.name
        await self._client.modify(Node, name, lambda current: readdressed(current, instance), subresource="status")

    async def refresh(self) -> None:
        """Read the addresses of all initialised nodes again."""
        for node in list(self._nodes.list()):
            if needs_initialization(node):
                continue
            try:
                await self._readdress(node, await self._instances.describe(node))
            except (ProviderError, ApiError, TransportError) as error:
                self._tell(node, "could not be read again", error)

    async def monitor(self) -> None:
        """Look for the machines behind nodes that are not Ready."""
        for node in list(self._nodes.list()):
            ready = conditions.is_true(node.status.conditions, "Ready")
            tainted = any(taint.key == SHUTDOWN.key for taint in node.spec.taints)
            try:
                if ready and tainted:
                    await self._taint(node, wanted=False)
                elif not ready and node.status.conditions:
                    await self._judge(node)
            except (ProviderError, ApiError, TransportError) as error:
                self._tell(node, "could not be judged", error)

    async def _judge(self, node: Node) -> None:
        name = node.metadata.name
        try:
            exists = await self._instances.exists(node)
        except InstanceGone:
            exists = False
        if not exists:
            text = f"Deleting node {name} because it does not exist in the cloud provider"
            self._recorder.event(node, "Normal", "DeletingNode", text)
            await self._client.delete(Node, name, uid=node.metadata.uid)
        elif await self._instances.is_shut_down(node):
            await self._taint(node, wanted=True)

    async def _taint(self, node: Node, *, wanted: bool) -> None:
        def change(current: Node) -> Node | None:
            others = tuple(taint for taint in current.spec.taints if taint.key != SHUTDOWN.key)
            taints = (*others, SHUTDOWN) if wanted else others
            if len(taints) == len(current.spec.taints):
                return None
            return msgspec.structs.replace(current, spec=msgspec.structs.replace(current.spec, taints=taints))

        await self._client.modify(Node, node.metadata.name, change)

    def _tell(self, node: Node, what: str, error: Any) -> None:
        name = node.metadata.name
        self._story.tell("cloud", what, uid=node.metadata.uid, key=f"Node {name}", detail=str(error))

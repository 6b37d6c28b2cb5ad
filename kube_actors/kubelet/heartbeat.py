"""A node's own objects: the Node with its status, and the Lease that says that it lives.

Owns registration, the status loop and the lease loop. The runtime's health is asked for here and nowhere else.
"""

from __future__ import annotations

from functools import partial

import msgspec
import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Node, NodeStatus
from kube_actors.client import Client
from runtimes.contract import EngineInfo, Runtime, RuntimeFault

from . import limits, node_object
from .config import NodeConfig
from .leases import LeaseKeeper
from .patience import patiently


class Heartbeat:
    """`node` is the newest version of the Node object that we know."""

    def __init__(self, system: System, client: Client, runtime: Runtime, config: NodeConfig) -> None:
        self.info: EngineInfo | None = None
        self.node: Node | None = None
        self._system = system
        self._client = client
        self._runtime = runtime
        self._config = config
        self._problem = ""
        self._reported_at = 0.0
        self._changed = trio.Event()

    def problem(self, text: str) -> None:
        """The node is not ready for this reason, or ("") ready again; told at once."""
        if text != self._problem:
            self._problem = text
            self._changed.set()

    async def register(self) -> Node:
        """Create the Node, or take over the one that exists, as a restarted node does."""
        config = self._config
        self.info = await patiently(self._runtime.info)
        made = node_object.new_node(config, self.info, self._system.clock.now())
        while True:
            try:
                self.node = await patiently(partial(self._client.create, made))
                break
            except ApiError as error:
                if not error.is_already_exists:
                    raise
            try:
                found = await patiently(partial(self._client.get, Node, config.name))
                self.node = await self._take_over(found, made)
                break
            except ApiError as error:
                if not error.is_not_found:
                    raise
        self._reported_at = self._system.clock.monotonic()
        return self.node

    async def _take_over(self, found: Node, made: Node) -> Node:
        labels = {key: value for key, value in made.metadata.labels.items() if found.metadata.labels.get(key) != value}
        if labels:
            found = await patiently(
                partial(self._client.patch, Node, self._config.name, {"metadata": {"labels": labels}})
            )
        self.node = found
        await patiently(self._report)
        return self.node

    # Status

    async def keep_status(self) -> None:
        """Look every ten seconds, report what changed, and every five minutes that nothing did."""
        while True:
            with trio.move_on_after(self._config.status_check_seconds):
                await self._changed.wait()
            self._changed = trio.Event()
            try:
                self.info = await self._runtime.info()
                engine_problem = ""
            except RuntimeFault as fault:
                engine_problem = f"container runtime is down: {fault}"
            self._problem = engine_problem or self._problem
            if not engine_problem and self._problem.startswith("container runtime is down"):
                self._problem = ""
            await patiently(self._report_if_due)

    def _status(self) -> NodeStatus:
        assert self.info is not None and self.node is not None
        previous = self.node.status.conditions
        now = self._system.clock.now()
        return node_object.node_status(self._config, self.info, not self._problem, self._problem, previous, now)

    async def _report_if_due(self) -> None:
        assert self.node is not None
        since = self._system.clock.monotonic() - self._reported_at
        if since >= self._config.status_report_seconds or node_object.differs(self.node.status, self._status()):
            await self._report()

    async def _report(self) -> None:
        body = {"status": msgspec.to_builtins(self._status())}
        try:
            self.node = await self._client.patch(Node, self._config.name, body, subresource="status")
        except ApiError as error:
            if not error.is_not_found:
                raise
            # Somebody deleted our Node: the kubelet makes it anew.
            await self.register()
        self._reported_at = self._system.clock.monotonic()

    # Lease

    async def keep_lease(self) -> None:
        assert self.node is not None
        config = self._config
        keeper = LeaseKeeper(self._system, self._client, config.name, lambda: self.node, seconds=config.lease_seconds)
        while True:
            await keeper.renew()
            # Nodes that were started together must not all write at the same moment for ever.
            await trio.sleep(self._system.entropy.jitter(config.lease_renew_seconds, limits.LEASE_JITTER))

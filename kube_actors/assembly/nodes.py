"""The nodes of a cluster in this process: their actors, and the way by which the API server reaches them.

Owns the book of nodes. Nodes of other processes are reached over their kubelet's HTTPS, through `remote`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from kube_actors.actors import Child, RestartPolicy, Supervisor, System
from kube_actors.api import codec, errors
from kube_actors.api.messages import UserInfo
from kube_actors.api.node_messages import NodeEndpoint, NodeGateway, NodeService
from kube_actors.api.types.core_v1 import Node, Pod, Service
from kube_actors.client import Client, Informer
from kube_actors.kubelet import NodeActor, RemoteNodes, ScriptedNodes, ScriptRules, SharedFeed
from kube_actors.kubelet import NodeConfig as KubeletConfig
from runtimes.simulated.addresses import AddressPool

from . import identity
from .addresses import Addresses
from .config import ClusterConfig, ConfigError, NodeConfig, seconds
from .engines import Engines
from .kubelets import cluster_id, maker_of, settings_of

PATIENT = RestartPolicy(restart="always", limit=None)
ClientAs = Callable[[UserInfo], Client]

NOT_READY = "node.kubernetes.io/not-ready"
"""The taint that a new Node gets from admission and loses by the node life-cycle controller."""

CLEAR_SECONDS = 60.0
"""How long the engine may take to remove everything when a cluster stops."""


class Nodes:
    """A NodeGateway for the nodes of this process; made and started by `Cluster`."""

    def __init__(self, system: System, engines: Engines, addresses: Addresses) -> None:
        self.remote: NodeGateway | None = None
        self._system = system
        self._engines = engines
        self._addresses = addresses
        self._children: dict[str, Child] = {}
        self._makers: dict[str, Callable[[], NodeActor]] = {}
        self._cluster = ""
        self._services: Informer[Service] | None = None
        self._played: tuple[str, ...] = ()

    def reach(self, node: NodeEndpoint) -> NodeService:
        """The service of a node of this process, else over HTTPS. Raises a 502 when there is no way."""
        child = self._children.get(node.name)
        if child is not None:
            if isinstance(child.actor, NodeActor):
                return child.actor.service
            raise errors.service_unavailable(f"node {node.name} is starting")
        if node.name in self._played:
            raise errors.service_unavailable(f"node {node.name} is scripted: its pods have no containers to speak to")
        if self.remote is not None:
            return self.remote.reach(node)
        raise errors.internal(f"node {node.name} is not known to this process, and no listener reaches others")

    def tls(self) -> ssl.SSLContext | None:
        """How kubelets of other processes are asked; None without a listener."""
        return self.remote.tls() if isinstance(self.remote, RemoteNodes) else None

    def actor(self, name: str) -> NodeActor:
        """The actor of a node; KeyError when there is none, or it is between two lives."""
        actor = self._children[name].actor
        if not isinstance(actor, NodeActor):
            raise KeyError(name)
        return actor

    def child(self, name: str) -> Child:
        """A node's place in the supervision tree: `child(name).kill()` is a crash of its node process."""
        return self._children[name]

    async def start(
        self,
        config: ClusterConfig,
        stack: AsyncExitStack,
        supervisor: Supervisor,
        client_as: ClientAs,
        *,
        data_dir: Path | None,
    ) -> None:
        """Start every node of the configuration. They share one watch of all pods, dealt out by node name,
        and one of all Services."""
        wanted = config.node_configs()
        if not wanted and not config.scripted.node_selector:
            return
        self._cluster = await cluster_id(client_as(identity.ADMIN))
        informer: Informer[Pod] = Informer(client_as(identity.ADMIN), self._system, Pod)
        codec.prepare(Pod)  # what nodes are for: the first pods shall not wait for it
        feed = SharedFeed(informer)
        supervisor.start("nodes/pods", lambda: informer, PATIENT)
        services: Informer[Service] = Informer(client_as(identity.ADMIN), self._system, Service)
        self._services = services
        supervisor.start("nodes/services", lambda: services, PATIENT)
        engined = [node for node in wanted if not config.is_scripted(node)]
        for place, node in enumerate(engined):
            make = self._maker(place, node, client_as, feed, data_dir)
            self._makers[node.name] = make
            self._children[node.name] = supervisor.start(f"node/{node.name}", make, PATIENT)

        if config.scripted.node_selector:
            scripted = self._scripted(config, client_as(identity.ADMIN), informer)
            supervisor.start("nodes/scripted", lambda: scripted, PATIENT)

    def _scripted(self, config: ClusterConfig, client: Client, pods: Informer[Pod]) -> ScriptedNodes:
        wanted = config.scripted
        rules = ScriptRules(
            selector=wanted.node_selector,
            annotation=wanted.annotation,
            lease_seconds=seconds(wanted.lease_period, "scripted.leasePeriod"),
            stop_seconds=seconds(wanted.stop_after, "scripted.stopAfter"),
            restart_seconds=seconds(wanted.restart_period, "scripted.restartPeriod"),
            restarts=wanted.restarts,
        )
        nodes = [self._scripted_settings(node) for node in config.node_configs() if config.is_scripted(node)]
        self._played = tuple(node.name for node in nodes)
        return ScriptedNodes(self._system, client, rules, nodes, pods, AddressPool(self._addresses.scripted))

    def _scripted_settings(self, node: NodeConfig) -> KubeletConfig:
        return settings_of(node, real=False)

    def _maker(
        self, place: int, node: NodeConfig, client_as: ClientAs, feed: SharedFeed, data_dir: Path | None
    ) -> Callable[[], NodeActor]:
        ranges = self._addresses.pod_ranges
        settings = settings_of(
            node,
            real=self._engines.real,
            data_dir=data_dir,
            cluster=self._cluster,
            pod_cidrs=(ranges[place],) if ranges else (),
        )
        who = identity.node(node.name)
        return maker_of(
            self._system,
            lambda: client_as(who),
            self._engines.of(place),
            settings,
            self._addresses.tier,
            feed=feed,
            services=self._services,
        )

    async def ready(self, client: Client, seconds: float, *, untainted: bool) -> None:
        """Wait until every node of this process is Ready, and (untainted) no controller holds pods off it for a
        reason of its start. Raises ConfigError naming those that are not in time."""
        waiting = {*self._children, *self._played}
        if not waiting:
            return
        done = trio.Event()
        informer: Informer[Node] = Informer(client, self._system, Node)

        def look(old: Node | None, new: Node | None) -> None:
            if new is not None and _is_ready(new) and not (untainted and _is_tainted(new)):
                waiting.discard(new.metadata.name)
            if not waiting:
                done.set()

        informer.add_handler(look)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(informer.run)
            with trio.move_on_after(seconds):
                await done.wait()
            nursery.cancel_scope.cancel()
        if waiting:
            raise ConfigError(f"nodes: not Ready after {seconds:g} s: {', '.join(sorted(waiting)[:5])}")

    async def clear(self) -> None:
        """Remove every container and sandbox of these nodes; what a clean stop leaves behind is nothing.

        The nodes stop first: one that still runs would start again what is removed under it. Cancellation, which is
        how a cluster ends on Ctrl-C, does not cut this short; an engine that does not answer does.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLEAR_SECONDS):
            for child in self._children.values():
                child.stop()
            for child in self._children.values():
                await child.done.wait()
            async with trio.open_nursery() as nursery:
                for make in self._makers.values():
                    nursery.start_soon(make().clear)


def _is_tainted(node: Node) -> bool:
    return any(taint.key == NOT_READY for taint in node.spec.taints)


def _is_ready(node: Node) -> bool:
    return any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions)

"""The control plane of a cluster: the API server and the components beside it, each a supervised actor.

Owns what outlives their restarts: the API server's mailbox and the proxy's sockets. A restarted actor is made anew and
finds its state in the API.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from kube_actors.actors import Actor, Ask, Mailbox, RestartPolicy, Supervisor, System
from kube_actors.api import errors
from kube_actors.api.messages import Answer, AnyAnswer, AnyRequest, RawRequest, UserInfo
from kube_actors.api.resources import Resources
from kube_actors.apiserver import Access, APIServer
from kube_actors.apiserver.server import refusal
from kube_actors.client import ChannelTransport, Client
from kube_actors.kubeproxy import Locality
from kube_actors.store.contract import Store
from netproxy.addresses import open_proxy

from . import components, identity
from .addresses import Addresses
from .config import ClusterConfig, node_ports
from .host import host_address
from .metrics import LazyMetrics
from .nodes import Nodes

if TYPE_CHECKING:
    from kube_actors.apiserver import RawAnswers

    from .serving import Serving

MAILBOX_CAPACITY = 4096
"""Requests over the channel that wait for the API server before askers wait themselves."""

APISERVER = "apiserver"

PATIENT = RestartPolicy(restart="always", limit=None)
"""Components are started again for as long as the cluster lives; each failure is in the story and the statistics."""

ClientAs = Callable[[UserInfo], Client]


class ControlPlane:
    """Made and started by `Cluster`."""

    def __init__(
        self,
        system: System,
        config: ClusterConfig,
        store: Store,
        addresses: Addresses,
        nodes: Nodes,
        serving: Serving | None,
    ) -> None:
        self.resources = Resources()
        self.mailbox: Mailbox[Ask[AnyRequest, AnyAnswer]] = Mailbox(MAILBOX_CAPACITY, name=APISERVER)
        self.access = Access(system, store, token_key=serving.pki.service_account_key if serving is not None else None)
        self._system = system
        self._config = config
        self._store = store
        self._addresses = addresses
        self._nodes = nodes
        self._serving = serving
        self._server: APIServer | None = None
        self._raw: RawAnswers | None = None
        self._metrics = LazyMetrics(self._client_of_metrics, system)
        self._settled = trio.Event()
        self._failure: Exception | None = None

    async def handle(self, request: AnyRequest) -> AnyAnswer:
        """Answer a request that came over HTTP; 503 while the API server is being started again."""
        server = self._server
        if server is None:
            return refusal(errors.service_unavailable("the API server is starting"))
        return await server.handle(request)

    def at_once(self, user: UserInfo, request: AnyRequest) -> Answer | None:
        """The answer to a read that need not wait for anything; None for the rest."""
        server = self._server
        return None if server is None else server.at_once(user, request)

    async def start(self, supervisor: Supervisor) -> None:
        """Start the API server and wait until it has made what every cluster has."""
        supervisor.start(APISERVER, lambda: self, PATIENT)
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    async def run(self) -> None:
        """One life of the API server."""
        server = self._make_server()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(server.run)
                await server.ready.wait()
                self._server = server
                self._settled.set()
        except Exception as failure:
            if not self._settled.is_set():  # a server that never came up is not worth another try
                self._failure = failure
                self._settled.set()
            raise
        finally:
            self._server = None

    @property
    def handled(self) -> int:
        return self._server.handled if self._server is not None else 0

    def _make_server(self) -> APIServer:
        config = self._config
        first, last = node_ports(config)
        server = APIServer(
            self._system,
            self._store,
            resources=self.resources,
            nodes=self._nodes,
            access=self.access,
            front_proxy=self._serving.front_proxy if self._serving is not None else None,
            raw=self._answer_raw,
            service_range=self._addresses.services,
            node_ports=range(first, last + 1),
            endpoint=self._serving.endpoint if self._serving is not None else None,
            # Our proxy runs on this host, so that an endpoint on loopback is one that packets reach.
            loopback_endpoints=self._serving is not None,
            allow_privileged=not config.is_bare if config.allow_privileged is None else config.allow_privileged,
            mailbox=self.mailbox,
        )
        if not config.is_bare and "metrics" not in config.without:
            server.core.aggregator.extend(self._metrics)
        return server

    def _client_of_metrics(self) -> Client:
        return Client(ChannelTransport(self.mailbox, identity.METRICS), resources=self.resources)

    async def _answer_raw(self, request: RawRequest) -> Answer:
        """Discovery, OpenAPI, health, metrics. Embedded clusters seldom ask, so it is made when first asked."""
        if self._raw is None:
            from kube_actors.apiserver import RawAnswers  # lazy: heavy import

            where = self._serving.url.removeprefix("https://") if self._serving is not None else ""
            pages = self.access.tokens.pages(where)
            self._raw = RawAnswers(self._system, self.resources, self._store, address=where, pages=pages)
        return await self._raw(request)

    async def start_components(
        self, stack: AsyncExitStack, supervisor: Supervisor, client_as: ClientAs, engine: str
    ) -> None:
        """Start the scheduler, the controllers, the proxy and the cloud controllers, but those left out."""
        config, system = self._config, self._system

        def start(name: str, make: Callable[[Client], Actor]) -> None:
            if name not in config.without:
                supervisor.start(name, lambda: make(client_as(identity.COMPONENTS[name])), PATIENT)

        start("scheduler", lambda client: components.scheduler(client, system))
        start("controllers", lambda client: components.controllers(client, system, config, self._ca(), self._keys()))
        if self._serving is not None and "controllers" in config.without:
            # Only this process has the keys, so that it signs whoever controls the rest.
            client = client_as(identity.CONTROLLERS)
            supervisor.start("certificates", lambda: components.certificates(client, system, self._keys()), PATIENT)
        start("cloud", lambda client: components.cloud(client, system))
        if "proxy" not in config.without:
            proxy = await stack.enter_async_context(open_proxy(self._addresses.tier, self._addresses.services))
            locality = Locality(
                node_names=frozenset(node.name for node in config.node_configs()),
                load_balancer_ranges=(host_address() if engine != "simulated" else "127.0.0.1",),
            )
            start("proxy", lambda client: components.proxy(client, system, proxy, locality))

    def _keys(self) -> components.Keys:
        """Without a listener nobody can use a certificate, so nobody signs one."""
        if self._serving is None:
            return components.Keys(None, self.access.tokens.legacy)
        from .signing import authority  # lazy: only where certificates are used

        return components.Keys(authority(self._serving.pki), self.access.tokens.legacy)

    def _ca(self) -> str:
        return self._serving.ca_certificate.decode() if self._serving is not None else ""

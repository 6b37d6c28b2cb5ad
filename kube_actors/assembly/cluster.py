"""`Cluster`: the composition root. Every component meets every other one here and nowhere else.

Owns the order in which things start and stop, and the wiring: which mailbox, which client, which runtime. It decides
nothing that a component could decide.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from kube_actors.actors import ActorStatistics, RestartPolicy, Supervisor, System, open_supervisor
from kube_actors.api import codec
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.client import ChannelTransport, Client
from kube_actors.store.contract import Store
from kube_actors.store.opening import open_store

from . import addresses, apply, components, engines, identity, manifests
from .config import ClusterConfig, ConfigError, tree_of
from .controlplane import ControlPlane
from .nodes import Nodes
from .waiting import Test, wait_for

if TYPE_CHECKING:
    from .serving import Serving

START_SECONDS = 60.0
"""How long nodes may take to be Ready when a cluster starts."""

PATIENT = RestartPolicy(restart="always", limit=None)
"""Components are started again for as long as the cluster lives; each failure is in the story and the statistics."""


class Cluster:
    """A whole cluster in this process.

        async with Cluster(nodes=3) as cluster:
            await cluster.apply("app.yaml")
            await cluster.wait("deployment/web", "Available", timeout=30)

    Options are the fields of `ClusterConfig`; a configuration may be given whole, with options over it. Entering
    returns when the API answers and all nodes are Ready. `listen=None` opens no socket; `listen="127.0.0.1:0"` serves
    HTTPS and fills `server` and `kubeconfig`. Raises ConfigError for what cannot be meant, and the engine's, the
    store's or the listener's own error when they cannot be had.
    """

    def __init__(self, config: ClusterConfig | None = None, /, *, system: System | None = None, **options: Any) -> None:
        base = config or ClusterConfig()
        self.config: ClusterConfig = msgspec.structs.replace(base, **options).check()
        self.system = system or System()
        self.engine: engines.EngineName | None = None
        self.why_engine = ""
        self.addresses: addresses.Addresses | None = None
        self.store: Store | None = None
        self.nodes: Nodes | None = None
        self._serving: Serving | None = None
        self._control: ControlPlane | None = None
        self._supervisor: Supervisor | None = None
        self._client: Client | None = None
        self._running: AbstractAsyncContextManager[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = self._run()
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._running is not None
        try:
            return await self._running.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            # The nurseries wrap whatever the caller's block raised; alone, it comes out as it went in.
            if error is not None and _leaves(group) == [error]:
                return False
            raise

    # What one does with it

    @property
    def client(self) -> Client:
        """A client of the API server, as an administrator, over the channel."""
        assert self._client is not None, "the cluster is not running; use it in an async with block"
        return self._client

    @property
    def server(self) -> str | None:
        """The API server's URL; None unless the cluster listens."""
        return self._serving.url if self._serving is not None else None

    @property
    def kubeconfig(self) -> str | None:
        """Path of a kubeconfig for an administrator; None unless the cluster listens."""
        return str(self._serving.kubeconfig) if self._serving is not None else None

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor of the components; `supervisor.children["scheduler"].kill()` is a crash."""
        assert self._supervisor is not None, "the cluster is not running"
        return self._supervisor

    def client_as(self, user: UserInfo) -> Client:
        """A client over the channel as another user."""
        assert self._control is not None, "the cluster is not running"
        return Client(ChannelTransport(self._control.mailbox, user), resources=self._control.resources)

    async def apply(
        self, what: manifests.Source, *, namespace: str = "default", field_manager: str = "kube-actors"
    ) -> list[Any]:
        """Make the cluster hold what is declared, as `kubectl apply` does: create, or patch what differs.

        `what` is a path, YAML or JSON text, a dict, a typed object, or a list of these. Objects without a namespace
        go to `namespace`. Gives the objects as the server has them then, in order.
        """
        return [await self._apply_one(obj, namespace, field_manager) for obj in manifests.read(what)]

    async def _apply_one(self, wanted: dict[str, Any], namespace: str, field_manager: str) -> Any:
        resource, _ = await self.client.kinds.find(wanted)
        wanted = manifests.placed(wanted, namespace if resource.namespaced else "")
        space, name = wanted["metadata"].get("namespace", ""), wanted["metadata"]["name"]
        word = f"{resource.api_version}/{resource.kind}"
        desired = apply.annotated(wanted)
        try:
            live = codec.to_dict(await self.client.get(word, name, namespace=space))
        except ApiError as error:
            if not error.is_not_found:
                raise
            made = await self.client.create(desired, namespace=space, field_manager=field_manager)
            return codec.convert_any(made)
        definition = manifests.definition_of(resource)
        return await self.client.patch(
            word,
            name,
            apply.patch(apply.last_applied(live), desired, definition),
            namespace=space,
            patch_type="strategic" if definition is not None else "merge",
            field_manager=field_manager,
        )

    async def wait(
        self, argument: str, what: str | Test = "Exists", *, timeout: float = 60.0, namespace: str = "default"
    ) -> dict[str, Any] | None:
        """Wait until an object ("deployment/web") is as wanted; it is given as plain data.

        what: a condition ("Available", "Ready=False"), a value ("status.phase=Running"), "Exists", "Deleted", or a
        function of the object. Raises WaitTimeout saying how the object is instead.
        """
        return await wait_for(self.client, argument, what, namespace=namespace, timeout=timeout)

    def story(self, uid: str) -> str:
        """One object's way through all components, a line each."""
        return self.system.story.text(uid)

    def statistics(self) -> list[ActorStatistics]:
        """Every actor's figures: mailbox depth, handled, restarts."""
        return self.system.statistics()

    # How it runs

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        config = self.config
        if "controllers" not in config.without:
            components.check_controllers(config)
        async with AsyncExitStack() as stack:
            choice = await engines.choose(config.runtime)
            self.engine, self.why_engine = choice.name, choice.why
            store = await open_store(config.store)
            stack.push_async_callback(store.aclose)
            if config.encryption:
                store = _encrypted(store, config, self.system)
            self.store = store
            engined = [node for node in config.node_configs() if not config.is_scripted(node)]
            # A bare API server opens no sockets for Services: its Service addresses are Kubernetes' own range.
            serves = config.listen is not None and not config.is_bare
            tier = addresses.choose_tier(config.addresses, listens=serves, engine=choice.name)
            self.addresses = addresses.choose(
                config.addresses,
                tier,
                engine=choice.name,
                nodes=len(engined),
                scripted=bool(config.scripted.node_selector),
                earlier=await _earlier_service_address(store),
            )
            stack.callback(self.addresses.close)
            if config.listen is not None:
                from .serving import open_serving  # lazy: TLS and HTTP, for those who listen

                self._serving = await stack.enter_async_context(
                    open_serving(config, self.system, self.addresses.services, data_dir=_path(config.data_dir))
                )
            runtimes = await stack.enter_async_context(
                engines.open_engines(
                    choice.name,
                    self.system,
                    pod_ranges=self.addresses.pod_ranges[: len(engined)],
                    names=[node.name for node in engined],
                    loopback=tier == "loopback",
                )
            )
            self._supervisor = await stack.enter_async_context(open_supervisor("cluster", self.system))
            stack.callback(self._supervisor.cancel)
            await self._start(stack, runtimes)
            yield

    async def _start(self, stack: AsyncExitStack, runtimes: engines.Engines) -> None:
        assert self.store is not None and self.addresses is not None and self._supervisor is not None
        self.nodes = Nodes(self.system, runtimes, self.addresses)
        self._control = ControlPlane(self.system, self.config, self.store, self.addresses, self.nodes, self._serving)
        await self._control.start(self._supervisor)
        self._client = self.client_as(identity.ADMIN)
        if self._serving is not None:
            control = self._control
            await self._serving.start(self._supervisor, control.handle, control.access, control.at_once)
            self.nodes.remote = self._serving.remote_nodes(stack)
        await self._control.start_components(stack, self._supervisor, self.client_as, self.engine or "simulated")
        data_dir = self._volumes_dir(stack) if runtimes.real else None
        self._start_storage(data_dir)
        await self.nodes.start(self.config, stack, self._supervisor, self.client_as, data_dir=data_dir)
        if runtimes.real:
            stack.push_async_callback(self.nodes.clear)
        controlled = "controllers" not in self.config.without
        await self.nodes.ready(self._client, START_SECONDS, untainted=controlled)
        if controlled:
            # A pod needs its namespace's ServiceAccount; who has waited for the cluster may create pods at once.
            await self.wait("serviceaccount/default", timeout=START_SECONDS)

    def _start_storage(self, data_dir: Path | None) -> None:
        """Start the provisioner of volumes on this host, where there is to be one."""
        assert self._supervisor is not None
        if not components.storage_class(self.config, real=data_dir is not None):
            return
        directory = str(data_dir.absolute() / "volumes") if data_dir is not None else ""
        client = self.client_as(identity.STORAGE)
        self._supervisor.start(
            "storage", lambda: components.storage(client, self.system, self.config, directory), PATIENT
        )

    def _volumes_dir(self, stack: AsyncExitStack) -> Path:
        """Where real containers' volumes live; a temporary place when the cluster has no data directory."""
        if self.config.data_dir is not None:
            return Path(self.config.data_dir)
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kube-actors-volumes-")))


def _encrypted(store: Store, config: ClusterConfig, system: System) -> Store:
    """The store with what the configuration names sealed. Raises ConfigError."""
    from kube_actors.apiserver.access import encryption  # lazy: only where it is asked for

    try:
        keys = encryption.sealers(tree_of(config.encryption, "encryption"), system.entropy.secret_bytes)
    except encryption.EncryptionError as error:
        raise ConfigError(f"encryption: {error}") from None
    return encryption.EncryptedStore(store, keys)


async def _earlier_service_address(store: Store) -> str:
    """The address of default/kubernetes, if the store has been used before."""
    entry = await store.get("/registry/core/services/default/kubernetes")
    if entry is None:
        return ""
    spec: Mapping[str, Any] = msgspec.json.decode(entry.value).get("spec") or {}
    return str(spec.get("clusterIP", ""))


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for each in failure.exceptions for leaf in _leaves(each)]
    return [failure]


def _path(text: str | None) -> Path | None:
    return Path(text) if text is not None else None


__all__: Sequence[str] = ["Cluster"]

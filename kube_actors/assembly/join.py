"""A node as a process of its own, joined to an API server over HTTPS with the token that `kube-actors up` leaves.

Owns this process's wiring. The server is verified by the authority that stands in the token file.
"""

from __future__ import annotations

import hashlib
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import trio
from msgspec import Struct

from kube_actors.actors import RestartPolicy, Supervisor, System, open_supervisor
from kube_actors.client import Client, HTTPConfig, HTTPTransport
from kube_actors.kubelet import NodeActor, NodeServer
from kube_actors.kubeproxy import Locality
from netproxy.addresses import open_proxy

from . import addresses, components, engines
from .config import AddressConfig, NodeConfig, check_node_name
from .enrolling import enrol
from .host import host_address
from .kubelets import cluster_id, maker_of, settings_of
from .nodetoken import NodeToken, read_token
from .pki import Pki
from .reaching import Tell, check_url, client_of, first_contact

PATIENT = RestartPolicy(restart="always", limit=None)


class JoinConfig(Struct, frozen=True, kw_only=True):
    """What `kube-actors node` is told. address "": this host's own is found."""

    server: str
    token_file: str
    name: str
    runtime: str = "auto"
    data_dir: str = ""
    address: str = ""
    proxy: bool = True


def default_name() -> str:
    """This host's name, as a node may be named."""
    return socket.gethostname().lower()


async def run_node(config: JoinConfig, tell: Tell) -> None:
    """Join and run until cancelled. Containers of this node are left running, for the next process to adopt.

    Raises ConfigError for a bad name, a bad token file or an engine that does not answer.
    """
    check_url(config.server)
    check_node_name("name", config.name)
    system = System()
    token = read_token(config.token_file)
    server = HTTPConfig(server=config.server, token=token.secret, ca=token.ca)
    choice = await engines.choose(config.runtime)
    if choice.why:
        tell(f"runtime {choice.name}: {choice.why}")
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(HTTPTransport(server, system.entropy))
        client = client_of(transport, config.server, tell, system)
        await first_contact(client, config.server, f"the token in {config.token_file}")
        # What goes wrong here ends this process with its one line, and need not be told before.
        pair = await enrol(Client(transport), config.name, system, _pair_directory(config, token))
        own = HTTPConfig(server=config.server, ca=token.ca, client_certificate=pair.certificate, client_key=pair.key)
        transport = await stack.enter_async_context(HTTPTransport(own, system.entropy))
        client = client_of(transport, config.server, tell, system)
        await first_contact(client, config.server, "the node's certificate")
        pod_ranges = addresses.choose(AddressConfig(), "simulated", engine=choice.name, nodes=1).pod_ranges
        runtimes = await stack.enter_async_context(
            engines.open_engines(choice.name, system, pod_ranges=pod_ranges, names=[config.name], loopback=False)
        )
        supervisor = await stack.enter_async_context(open_supervisor("node", system))
        stack.callback(supervisor.cancel)
        await start_node(config, token, supervisor, system, client, runtimes)
        if config.proxy:
            await _start_proxy(stack, config, supervisor, system, client, choice.name)
        tell(f"node {config.name} runs")
        await trio.sleep_forever()


def _pair_directory(config: JoinConfig, token: NodeToken) -> Path:
    """Where the node's pair is kept: one place for each cluster that it joins."""
    cluster = hashlib.sha256(token.ca).hexdigest()[:16]
    return Path(config.data_dir) / "nodes" / config.name / f"pki-{cluster}"


async def start_node(
    config: JoinConfig,
    token: NodeToken,
    supervisor: Supervisor,
    system: System,
    client: Client,
    runtimes: engines.Engines,
) -> None:
    """The node's actor and its HTTPS API, under the supervisor.

    The API's certificate is signed by nobody else, as a kubelet's is; callers prove that they are the API server.
    """
    address = config.address or (host_address() if runtimes.real else "127.0.0.1")
    own = Pki(system.clock.now, system.entropy.serial).serving("kubelet", (config.name, address))
    server = await NodeServer.listen(
        "0.0.0.0" if config.address or runtimes.real else "127.0.0.1",
        0,
        clock=system.clock,
        certificate=own.certificate,
        key=own.key,
        client_ca=token.ca,
    )
    settings = settings_of(
        NodeConfig(name=config.name),
        real=runtimes.real,
        data_dir=Path(config.data_dir),
        address=address,
        cluster=await cluster_id(client),
        kubelet_port=server.port,
    )
    make = maker_of(system, lambda: client, runtimes.of(0), settings, "simulated")
    child = supervisor.start(f"node/{config.name}", make, PATIENT)
    server.node = lambda: child.actor if isinstance(child.actor, NodeActor) else None
    supervisor.start("kubelet/https", lambda: server, RestartPolicy(restart="never"))


async def _start_proxy(
    stack: AsyncExitStack, config: JoinConfig, supervisor: Supervisor, system: System, client: Client, engine: str
) -> None:
    """This host's proxy, where the service range of the cluster can be served here."""
    entry = await client.get("Service", "kubernetes", namespace="default")
    service_range = addresses.range_of(entry.spec.cluster_ip or "")
    tier = addresses.choose_tier(AddressConfig(), listens=True, engine=engine)
    if tier == "host" and not addresses.is_loopback(service_range):
        sockets = await stack.enter_async_context(open_proxy(tier, service_range))
        locality = Locality(
            node_names=frozenset((config.name,)), load_balancer_ranges=(config.address or host_address(),)
        )
        supervisor.start("proxy", lambda: components.proxy(client, system, sockets, locality), PATIENT)

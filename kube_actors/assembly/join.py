"""A node as a process of its own, joined to an API server over HTTPS with the token that `kube-actors up` leaves.

Owns this process's wiring. The server is verified by the authority that stands in the token file.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import trio
from msgspec import Struct

from kube_actors.actors import RestartPolicy, Supervisor, System, open_supervisor
from kube_actors.client import Client, HTTPConfig, HTTPTransport
from kube_actors.kubelet import NodeActor
from kube_actors.kubelet import NodeConfig as KubeletConfig
from netproxy.addresses import open_proxy

from . import addresses, components, engines
from .config import AddressConfig
from .nodetoken import read_token
from .serving import host_address

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


async def run_node(config: JoinConfig, tell: Callable[[str], None]) -> None:
    """Join and run until cancelled. Containers of this node are left running, for the next process to adopt.

    Raises ConfigError for a bad token file or an engine that does not answer.
    """
    system = System()
    token = read_token(config.token_file)
    server = HTTPConfig(server=config.server, token=token.secret, ca=token.ca)
    choice = await engines.choose(config.runtime)
    if choice.why:
        tell(f"runtime {choice.name}: {choice.why}")
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(HTTPTransport(server, system.entropy))
        client = Client(transport)
        pod_ranges = addresses.choose(AddressConfig(), "simulated", engine=choice.name, nodes=1).pod_ranges
        runtimes = await stack.enter_async_context(
            engines.open_engines(choice.name, system, pod_ranges=pod_ranges, names=[config.name], loopback=False)
        )
        supervisor = await stack.enter_async_context(open_supervisor("node", system))
        stack.callback(supervisor.cancel)
        start_node(config, supervisor, system, client, runtimes)
        if config.proxy:
            await _start_proxy(stack, config, supervisor, system, client, choice.name)
        tell(f"node {config.name} runs")
        await trio.sleep_forever()


def start_node(
    config: JoinConfig, supervisor: Supervisor, system: System, client: Client, runtimes: engines.Engines
) -> None:
    """The node's actor, under the supervisor."""
    address = config.address or (host_address() if runtimes.real else "127.0.0.1")
    settings = KubeletConfig(
        name=config.name,
        addresses=(address,),
        data_dir=str(Path(config.data_dir) / "nodes" / config.name) if runtimes.real else "",
    )
    runtime = runtimes.of(0)
    supervisor.start(f"node/{config.name}", lambda: NodeActor(system, client, runtime, settings), PATIENT)


async def _start_proxy(
    stack: AsyncExitStack, config: JoinConfig, supervisor: Supervisor, system: System, client: Client, engine: str
) -> None:
    """This host's proxy, where the service range of the cluster can be served here."""
    entry = await client.get("Service", "kubernetes", namespace="default")
    service_range = addresses.range_of(entry.spec.cluster_ip or "")
    tier = addresses.choose_tier(AddressConfig(), listens=True, engine=engine)
    if tier == "host" and not addresses.is_loopback(service_range):
        sockets = await stack.enter_async_context(open_proxy(tier, service_range))
        names = frozenset((config.name,))
        supervisor.start("proxy", lambda: components.proxy(client, system, sockets, names), PATIENT)

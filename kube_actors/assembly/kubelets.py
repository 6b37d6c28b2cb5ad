"""What a node is made of, in a cluster's own process or in one of its own: its settings, its way to pods, its actor.

Owns the one place where these are put together. Which nodes there are is `nodes`' business and `join`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Taint
from kube_actors.client import Client
from kube_actors.kubelet import Dialer, NodeActor, RuntimeDialer
from kube_actors.kubelet import NodeConfig as KubeletConfig
from netproxy.addresses import Tier
from runtimes.contract import Runtime
from runtimes.simulated import SimulatedRuntime

from .config import NodeConfig
from .host import host_address

SIMULATED_CAPACITY = {"cpu": "16", "memory": "64Gi", "pods": "110"}


def settings_of(
    node: NodeConfig, *, real: bool, data_dir: Path | None = None, address: str = "", **more: Any
) -> KubeletConfig:
    """What a node is told about itself. Only a real engine has a host behind it: addresses, amounts, a file system."""
    capacity = {} if real else dict(SIMULATED_CAPACITY)
    return KubeletConfig(
        name=node.name,
        labels=node.labels,
        annotations=node.annotations,
        taints=tuple(Taint(key=t.key, value=t.value or None, effect=t.effect) for t in node.taints),
        capacity=capacity | {name: str(amount) for name, amount in node.capacity.items()},
        addresses=(address or (host_address() if real else "127.0.0.1"),),
        data_dir=str(data_dir / "nodes" / node.name) if data_dir is not None and real else "",
        **more,
    )


def maker_of(
    system: System,
    client: Callable[[], Client],
    runtime: Runtime,
    settings: KubeletConfig,
    tier: Tier,
    **shared: Any,
) -> Callable[[], NodeActor]:
    """How to make the node's actor, for every life of it. `shared` is what nodes of one process have in common."""
    dialer = _dialer_for(runtime, tier)

    def make() -> NodeActor:
        return NodeActor(system, client(), runtime, settings, dialer=dialer, **shared)

    return make


async def cluster_id(client: Client) -> str:
    """What tells this cluster from others: the UID of its namespace kube-system."""
    return str((await client.get("Namespace", "kube-system")).metadata.uid)


def _dialer_for(runtime: Runtime, tier: Tier) -> Dialer | None:
    """How probes reach the pods of a runtime; None for real sockets."""
    if tier == "simulated" and isinstance(runtime, SimulatedRuntime):
        return RuntimeDialer(runtime.http_get)
    return None

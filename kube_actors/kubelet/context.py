"""What all actors of one node share, passed down explicitly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api.types.core_v1 import Pod, Service
from kube_actors.client import Client
from runtimes.contract import Runtime

from .config import NodeConfig
from .dialing import Dialer
from .sources import Sources
from .status import Host


class ServiceSource(Protocol):
    """Where Service variables come from; an `Informer[Service]` is one."""

    def list(self, namespace: str = "") -> Sequence[Service]: ...

    async def synced(self) -> None: ...


Recorder = Callable[[Pod, Literal["Normal", "Warning"], str, str, str], None]
"""(pod, type, reason, message, container or "")"""


class NodeContext(Struct, frozen=True, kw_only=True):
    system: System
    client: Client
    runtime: Runtime
    config: NodeConfig
    host: Host
    sources: Sources
    dialer: Dialer
    record: Recorder
    released: Callable[[str], None]
    """Told a pod's UID when its containers have ended for good: what it took of the node is free."""
    allocatable: dict[str, str] = {}
    memory_bytes: int = 0
    services: ServiceSource | None = None

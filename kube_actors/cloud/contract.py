"""What a cloud must be able to do for a cluster. A provider knows its cloud and nothing of the API server.

Every call may be repeated at any time and must then change nothing that is as it should be. A provider keeps no
state that it could not find again: the manager may be started anew between any two calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from kube_actors.api.types.core_v1 import LoadBalancerStatus, Node, NodeAddress, Service


class ProviderError(Exception):
    """The cloud refused or cannot be reached; the call is repeated later. The text is for the user."""


class InstanceGone(ProviderError):
    """There is no machine behind this node."""


class Instance(Struct, frozen=True, kw_only=True):
    """The machine behind a node."""

    provider_id: str
    addresses: tuple[NodeAddress, ...] = ()
    type: str = ""
    zone: str = ""
    region: str = ""


class Instances(Protocol):
    """Machines. A node is known by its providerID, or by its name as long as it has none."""

    async def describe(self, node: Node) -> Instance:
        """Raises InstanceGone."""
        ...

    async def exists(self, node: Node) -> bool: ...

    async def is_shut_down(self, node: Node) -> bool: ...


class LoadBalancers(Protocol):
    """Load balancers, one for each Service that wants one."""

    async def ensure(self, service: Service, nodes: Sequence[Node]) -> LoadBalancerStatus:
        """Make it what the Service asks for, leading to these nodes; where it can be reached."""
        ...

    async def delete(self, service: Service) -> None:
        """Take it away, if it is there."""
        ...


class Provider(Protocol):
    """A cloud. What it does not have is None, and the controller for it does not run."""

    @property
    def name(self) -> str: ...

    @property
    def instances(self) -> Instances | None: ...

    @property
    def load_balancers(self) -> LoadBalancers | None: ...

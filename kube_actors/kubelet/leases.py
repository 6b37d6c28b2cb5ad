"""The Lease by which a node says that it lives."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_micro_time
from kube_actors.api.types.coordination_v1 import Lease, LeaseSpec
from kube_actors.api.types.core_v1 import Node
from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference
from kube_actors.client import Client, TransportError

from . import limits


class LeaseKeeper:
    """One node's Lease: found or made when it is first renewed, looked for again after a failure."""

    def __init__(
        self, system: System, client: Client, name: str, node: Callable[[], Node | None], *, seconds: int
    ) -> None:
        self._system = system
        self._client = client
        self._name = name
        self._node = node
        self._seconds = seconds
        self._lease: Lease | None = None

    async def renew(self) -> None:
        """One sign of life; one that cannot be given is left out."""
        try:
            await self._renew()
        except (ApiError, TransportError):
            self._lease = None  # look again next time

    async def _renew(self) -> None:
        moment = format_micro_time(self._system.clock.now())
        if self._lease is None:
            self._lease = await self._find(moment)
        if self._lease.spec.renew_time == moment:
            return
        spec = structs.replace(
            self._lease.spec, renew_time=moment, holder_identity=self._name, lease_duration_seconds=self._seconds
        )
        self._lease = await self._client.update(structs.replace(self._lease, spec=spec))

    async def _find(self, moment: str) -> Lease:
        node = self._node()
        owners = (
            (OwnerReference(api_version="v1", kind="Node", name=self._name, uid=node.metadata.uid),) if node else ()
        )
        spec = LeaseSpec(holder_identity=self._name, lease_duration_seconds=self._seconds, renew_time=moment)
        metadata = ObjectMeta(name=self._name, namespace=limits.LEASE_NAMESPACE, owner_references=owners)
        try:
            return await self._client.create(Lease(metadata=metadata, spec=spec))
        except ApiError as error:
            if not error.is_already_exists:
                raise
        return await self._client.get(Lease, self._name, namespace=limits.LEASE_NAMESPACE)

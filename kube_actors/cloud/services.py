"""The service controller: every Service of type LoadBalancer has a load balancer, and no other has.

Owns the finalizer that keeps a Service until its load balancer is gone, and the Service's load balancer status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from kube_actors.api import conditions
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import LoadBalancerStatus, Node, Service, ServiceStatus
from kube_actors.client import Client, EventRecorder, Informer, ItemBackoff, TransportError, WorkQueue, key_of

from . import limits
from .contract import LoadBalancers, ProviderError

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
LEAVING_TAINT = "ToBeDeletedByClusterAutoscaler"

Wish = Literal["ensure", "delete", "nothing"]


def wish_of(service: Service) -> Wish:
    """What a Service needs. One with a class of its own belongs to another implementation."""
    wants = service.spec.type == "LoadBalancer" and service.spec.load_balancer_class is None
    kept = FINALIZER in service.metadata.finalizers
    if wants and service.metadata.deletion_timestamp is None:
        return "ensure"
    return "delete" if kept else "nothing"


def is_target(node: Node) -> bool:
    """Whether load balancers may lead to a node."""
    if EXCLUDE_LABEL in node.metadata.labels or any(taint.key == LEAVING_TAINT for taint in node.spec.taints):
        return False
    return conditions.is_true(node.status.conditions, "Ready")


def shape_of(service: Service, nodes: Sequence[Node]) -> tuple[Any, ...]:
    """All that a load balancer is made from; while it is the same there is nothing to do."""
    spec = service.spec
    return (
        service.metadata.uid,
        service.metadata.annotations,
        spec.ports,
        spec.session_affinity,
        spec.session_affinity_config,
        spec.load_balancer_source_ranges,
        spec.load_balancer_ip,
        spec.external_ips,
        spec.external_traffic_policy,
        spec.health_check_node_port,
        tuple(sorted((node.metadata.name, node.status.addresses) for node in nodes)),
    )


class ServiceController:
    def __init__(
        self,
        client: Client,
        balancers: LoadBalancers,
        services: Informer[Service],
        nodes: Informer[Node],
        recorder: EventRecorder,
    ) -> None:
        self.handled = 0
        self._client = client
        self._balancers = balancers
        self._services = services
        self._nodes = nodes
        self._recorder = recorder
        self._made: dict[str, tuple[Any, ...]] = {}
        self._queue: WorkQueue[str] = WorkQueue(
            "services", ItemBackoff(limits.RETRY_INITIAL_SECONDS, limits.RETRY_MAX_SECONDS)
        )
        services.add_handler(self._on_service)
        nodes.add_handler(self._on_node)

    def _on_service(self, old: Service | None, new: Service | None) -> None:
        if new is None:
            assert old is not None
            self._made.pop(key_of(old), None)
        elif self._services.has_synced and wish_of(new) != "nothing":
            self._queue.add(key_of(new))

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if not self._services.has_synced:
            return
        before = old is not None and is_target(old)
        after = new is not None and is_target(new)
        moved = old is not None and new is not None and old.status.addresses != new.status.addresses
        if before != after or (after and moved):
            for service in self._services.list():
                if wish_of(service) == "ensure":
                    self._queue.add(key_of(service))

    async def run(self) -> None:
        """Work until cancelled. Services that have an address already come first, so that they keep it."""
        await self._nodes.synced()
        await self._services.synced()
        for service in sorted(self._services.list(), key=lambda one: (not _has_address(one), key_of(one))):
            if wish_of(service) != "nothing":
                self._queue.add(key_of(service))
        while True:
            key = await self._queue.get()
            try:
                await self._sync(key)
            finally:
                self._queue.done(key)

    async def _sync(self, key: str) -> None:
        service = self._services.get(key)
        if service is None:
            self._queue.forget(key)
            return
        self.handled += 1
        try:
            if wish_of(service) == "ensure":
                await self._ensure(key, service)
            elif wish_of(service) == "delete":
                await self._delete(key, service)
            self._queue.forget(key)
        except (ProviderError, ApiError, TransportError) as error:
            if isinstance(error, ApiError) and error.is_not_found:
                return  # it went while we worked
            self._recorder.event(service, "Warning", "SyncLoadBalancerFailed", f"Error syncing load balancer: {error}")
            self._queue.add_rate_limited(key)

    async def _ensure(self, key: str, service: Service) -> None:
        nodes = [node for node in self._nodes.list() if is_target(node)]
        shape = shape_of(service, nodes)
        if self._made.get(key) == shape:
            return
        first = key not in self._made and not _has_address(service)
        if first:
            self._recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        # The finalizer goes first: else a Service deleted in between would leave its load balancer behind.
        await self._set_finalizer(service, wanted=True)
        if not nodes:
            text = "There are no available nodes for LoadBalancer"
            self._recorder.event(service, "Warning", "UnAvailableLoadBalancer", text)
        try:
            status = await self._balancers.ensure(service, nodes)
        except ProviderError as error:
            raise ProviderError(f"failed to ensure load balancer: {error}") from error
        await self._set_status(service, status)
        self._made[key] = shape
        if first:
            self._recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")

    async def _delete(self, key: str, service: Service) -> None:
        self._recorder.event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        try:
            await self._balancers.delete(service)
        except ProviderError as error:
            raise ProviderError(f"failed to delete load balancer: {error}") from error
        self._made.pop(key, None)
        if service.metadata.deletion_timestamp is None:
            await self._set_status(service, LoadBalancerStatus())
        await self._set_finalizer(service, wanted=False)
        self._recorder.event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    async def _set_finalizer(self, service: Service, *, wanted: bool) -> None:
        def change(current: Service) -> Service | None:
            there = FINALIZER in current.metadata.finalizers
            if there == wanted or current.metadata.uid != service.metadata.uid:
                return None
            others = tuple(one for one in current.metadata.finalizers if one != FINALIZER)
            finalizers = (*others, FINALIZER) if wanted else others
            metadata = msgspec.structs.replace(current.metadata, finalizers=finalizers)
            return msgspec.structs.replace(current, metadata=metadata)

        metadata = service.metadata
        await self._client.modify(Service, metadata.name, change, namespace=metadata.namespace)

    async def _set_status(self, service: Service, status: LoadBalancerStatus) -> None:
        if (service.status.load_balancer or LoadBalancerStatus()) == status:
            return

        def change(current: Service) -> Service | None:
            if current.metadata.uid != service.metadata.uid:
                return None
            new: ServiceStatus = msgspec.structs.replace(current.status, load_balancer=status)
            return msgspec.structs.replace(current, status=new)

        metadata = service.metadata
        await self._client.modify(Service, metadata.name, change, namespace=metadata.namespace, subresource="status")


def _has_address(service: Service) -> bool:
    balancer = service.status.load_balancer
    return balancer is not None and bool(balancer.ingress)

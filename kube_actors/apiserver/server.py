"""The API server as an actor: requests as messages in, answers out; errors are answers here, never exceptions.

Owns the actor's life (bootstrap, serving its mailbox, compaction) and the boundary at which every refusal becomes a
Status. What a request does is found in `dispatch`. Knows nothing of HTTP.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from kube_actors.actors import Ask, Mailbox, System, serve
from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyAnswer, AnyRequest, RawRequest, Request, UserInfo
from kube_actors.api.node_messages import NodeGateway
from kube_actors.api.resources import Resources
from kube_actors.apiserver import at_once, bootstrap, compactor, limits
from kube_actors.apiserver.access.access import Access
from kube_actors.apiserver.admission import default_steps
from kube_actors.apiserver.admission.chain import Admission, Step
from kube_actors.apiserver.aggregation import FrontProxy, availability
from kube_actors.apiserver.allocation import DEFAULT_SERVICE_RANGE, NODE_PORTS, Allocators
from kube_actors.apiserver.core import Core, RequestAuthorizer, refusal
from kube_actors.apiserver.custom import naming
from kube_actors.apiserver.dispatch import dispatch
from kube_actors.apiserver.kinds import Kinds
from kube_actors.apiserver.molds import Molds
from kube_actors.apiserver.strategies import strategy_for
from kube_actors.apiserver.strategies.capabilities import without_privileged
from kube_actors.apiserver.strategies.loopback import loopback_strategy_for
from kube_actors.store.contract import Store, StoreClosed, StoreError, StoreFull

__all__ = ["APIServer", "RawHandler", "RequestAuthorizer", "refusal"]

NAME = "apiserver"


class RawHandler(Protocol):
    """Answers what is no resource: discovery, OpenAPI, health, metrics."""

    async def __call__(self, request: RawRequest) -> Answer: ...


class APIServer:
    """One API server over one store. Restarting means making a new one with the same mailbox and store.

    endpoint is where clients outside reach it, published behind the Service default/kubernetes. loopback_endpoints
    lets Endpoints hold loopback addresses, for a cluster on one host's loopback network. With `access` requests are
    authorized by it, and its bootstrap policy is made; without, and without an authorizer, all is allowed.
    """

    def __init__(
        self,
        system: System,
        store: Store,
        *,
        resources: Resources | None = None,
        nodes: NodeGateway | None = None,
        admission: Sequence[Step] | None = None,
        authorizer: RequestAuthorizer | None = None,
        raw: RawHandler | None = None,
        service_range: str = DEFAULT_SERVICE_RANGE,
        node_ports: range = NODE_PORTS,
        endpoint: tuple[str, int] | None = None,
        loopback_endpoints: bool = False,
        allow_privileged: bool = True,
        mailbox: Mailbox[Ask[AnyRequest, AnyAnswer]] | None = None,
        access: Access | None = None,
        front_proxy: Callable[[], FrontProxy] | None = None,
    ) -> None:
        self.system = system
        self.mailbox: Mailbox[Ask[AnyRequest, AnyAnswer]] = mailbox or Mailbox(limits.MAILBOX, name=NAME)
        self.handled = 0
        self.ready = trio.Event()
        self.raw = raw
        self._authorizer = authorizer or (access.authorizer if access is not None else None)
        self._seeded = access is not None
        self._endpoint = endpoint
        self._dispatch = dispatch if allow_privileged else _dispatch_without_privileged
        self.core = Core(
            system,
            store,
            Kinds(resources or Resources(), loopback_strategy_for if loopback_endpoints else strategy_for),
            Admission(default_steps() if admission is None else admission),
            Allocators(system.entropy.split(NAME), service_range, node_ports),
            nodes,
            access or Access(system, store),
            Molds(),
            self._authorizer,
        )

        self._reads = at_once.reads_of(self.core, self._authorizer)
        self.core.aggregator.front_proxy = front_proxy
        self.core.access.printer_for = self.core.custom.printer_for

    @property
    def resources(self) -> Resources:
        return self.core.kinds.resources

    async def run(self) -> None:
        """Bring the cluster's own objects up, then serve until cancelled."""
        await bootstrap.run(self.core, self._endpoint)
        self.ready.set()
        self.mailbox.at_once = self.at_once
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(compactor.run, self.core)
                nursery.start_soon(naming.run, self.core)
                nursery.start_soon(self.core.fan_out.run)
                nursery.start_soon(availability.run, self.core)
                if self._seeded:
                    nursery.start_soon(self.core.access.seeds.run)
                await serve(self.mailbox, self.handle)
                nursery.cancel_scope.cancel()
        finally:
            if self.mailbox.at_once == self.at_once:
                self.mailbox.at_once = None
            for close in self.core.closers:
                await close()

    def at_once(self, user: UserInfo, request: AnyRequest) -> Answer | None:
        """The answer to a read that nothing has to be waited for, in the asker's own task; None for all others."""
        answer = None if self._reads is None else self._reads(user, request)
        if answer is not None:
            self.handled += 1
        return answer

    async def handle(self, request: AnyRequest) -> AnyAnswer:
        """Answer one request. Never raises but for cancellation."""
        if not self.ready.is_set():
            await self.ready.wait()
        self.handled += 1
        try:
            if self._authorizer is not None:
                await self._authorizer.authorize(request)
            if isinstance(request, RawRequest):
                return await self._raw(request)
            return await self._dispatch(self.core, request)
        except ApiError as error:
            return refusal(error)
        except StoreFull as error:
            return refusal(errors.internal(f"the store is full: {error}"))
        except StoreClosed:
            return refusal(errors.service_unavailable("the store is closed"))
        except StoreError as error:
            return refusal(errors.internal(str(error)))
        except Exception as error:  # a bug of ours: this one request fails and tells its story, the server goes on
            return self._bug(request, error)

    async def _raw(self, request: RawRequest) -> Answer:
        if self.raw is None:
            raise errors.no_such_resource()
        await self.core.custom.refresh()
        if request.path.startswith(("/apis", "/openapi/v3")) and await self.core.aggregator.remote():
            from kube_actors.apiserver.aggregation import merging  # lazy: only where other servers have a part

            return await merging.answer(self.core, request, self.raw)
        return await self.raw(request)

    def _bug(self, request: AnyRequest, error: Exception) -> Answer:
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = request.path if isinstance(request, RawRequest) else f"{request.verb} {request.resource}/{request.name}"
        detail = f"{what}: {error!r} at {where.name}:{where.lineno}"
        self.system.story.tell(NAME, "failed a request", key=what, detail=detail)
        return refusal(errors.internal(detail))


async def _dispatch_without_privileged(core: Core, request: Request) -> AnyAnswer:
    with without_privileged():
        return await dispatch(core, request)

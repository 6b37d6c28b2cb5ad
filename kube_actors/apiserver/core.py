"""What every part of the request path shares: the store, the kinds, time, admission, allocation; and one call.

`Core` is built once by the server and passed down; a `Call` is one request on one resource. Neither decides anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from kube_actors.actors import System
from kube_actors.api import time
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyRequest, Options, Request
from kube_actors.api.node_messages import NodeGateway
from kube_actors.apiserver.aggregation.book import PREFIX, Aggregator
from kube_actors.apiserver.custom.book import CustomBook
from kube_actors.apiserver.facets import FacetCache
from kube_actors.apiserver.fanout import FanOut
from kube_actors.apiserver.kinds import Kind, Kinds
from kube_actors.apiserver.mirror import Mirrors
from kube_actors.apiserver.segments import Segments
from kube_actors.store.contract import Store

if TYPE_CHECKING:
    from kube_actors.apiserver.access.access import Access
    from kube_actors.apiserver.admission.chain import Admission
    from kube_actors.apiserver.allocation import Allocators
    from kube_actors.apiserver.molds import Molds


NOTES: ContextVar[dict[str, str] | None] = ContextVar("audit_notes", default=None)
"""Annotations for the audit event of the request that this task serves; None when nobody keeps a log."""


class RequestAuthorizer(Protocol):
    """Says whether a request is allowed."""

    async def authorize(self, request: AnyRequest) -> None:
        """Raise a 403 when it is not."""
        ...


class Core:
    """The server's own parts, for those who serve a request."""

    def __init__(
        self,
        system: System,
        store: Store,
        kinds: Kinds,
        admission: Admission,
        allocators: Allocators,
        nodes: NodeGateway | None,
        access: Access,
        molds: Molds,
        authorizer: RequestAuthorizer | None = None,
    ) -> None:
        self.system = system
        self.store = store
        self.kinds = kinds
        self.admission = admission
        self.allocators = allocators
        self.nodes = nodes
        self.authorizer = authorizer
        self.access = access
        self.facets = FacetCache()
        self.segments = Segments()
        self.fan_out = FanOut()
        self.mirrors = Mirrors(store)
        self.custom = CustomBook(self.mirrors.of("/registry/apiextensions.k8s.io/customresourcedefinitions/"), kinds)
        self.aggregator = Aggregator(system, store, kinds, self.mirrors.of(PREFIX))
        self.molds = molds
        self.closers: list[Callable[[], Awaitable[None]]] = []
        """What is to be closed when the server ends, by those who opened it at their first use."""

    def now_text(self) -> str:
        return time.format_time(self.system.clock.now())


class Call:
    """One request, its kind, and the warnings that its answer will carry."""

    __slots__ = ("core", "dry_run", "kind", "name", "namespace", "options", "request", "warnings")

    def __init__(self, core: Core, kind: Kind, request: Request) -> None:
        self.core = core
        self.kind = kind
        self.request = request
        self.options: Options = request.options
        self.namespace = request.namespace
        self.name = request.name
        self.dry_run = bool(request.options.dry_run)
        self.warnings: list[str] = [kind.strategy.deprecation] if kind.strategy.deprecation else []

    @property
    def key(self) -> str:
        return self.kind.key(self.namespace, self.name)

    def answer(self, body: bytes, status: int = 200) -> Answer:
        """The finished answer, with the warnings gathered so far."""
        return Answer(status=status, body=body, headers=warning_headers(self.warnings))


Handler = Callable[[Call], Awaitable[Answer]]


def warning_headers(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Warning headers as net/http's quoting has them, each text once."""
    if not texts:
        return ()
    return tuple(("Warning", f'299 - "{_quoted(text)}"') for text in dict.fromkeys(texts))


def refusal(error: ApiError, warnings: Sequence[str] = ()) -> Answer:
    """An error as an answer."""
    headers = warning_headers(warnings)
    if error.retry_after:
        headers = (*headers, ("Retry-After", str(error.retry_after)))
    return Answer(status=error.code, body=error.status.encode(), headers=headers)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char >= " " and char != "\x7f" else " " for char in escaped)

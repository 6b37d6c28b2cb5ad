"""The metrics API as the API server of this process reaches it: made when somebody first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kube_actors.actors import System
from kube_actors.api.messages import Answer, AnyAnswer, RawRequest, Request
from kube_actors.client import Client

if TYPE_CHECKING:
    from kube_actors.metrics import MetricsServer


class LazyMetrics:
    """An `Extension` that costs nothing before its first request."""

    group = "metrics.k8s.io"
    version = "v1beta1"
    service = ("kube-system", "metrics-server")

    def __init__(self, client: Callable[[], Client], system: System) -> None:
        self._client = client
        self._system = system
        self._made: MetricsServer | None = None

    def _server(self) -> MetricsServer:
        if self._made is None:
            from kube_actors.metrics import MetricsServer  # lazy: most clusters are never asked

            self._made = MetricsServer(self._client(), self._system)
        return self._made

    async def resource(self, request: Request) -> AnyAnswer:
        return await self._server().resource(request)

    async def document(self, request: RawRequest) -> Answer:
        return await self._server().document(request)

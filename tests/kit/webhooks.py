"""A real HTTPS webhook server: what admission and conversion are tested against.

async with webhook_server(lambda review: {"allowed": True}) as hooks:
    {"url": f"{hooks.url}/path", "caBundle": hooks.ca_bundle}
"""

from __future__ import annotations

import base64
import datetime
import functools
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from kube_actors.assembly.pki import Pki
from kube_actors.wire import HttpRequest, HttpResponse, HttpServer, listen_tcp, server_context

Answer = Callable[[dict[str, Any]], dict[str, Any] | bytes | int | None]
"""From a review's request to its response; bytes are sent as they stand, a number is a status, None never answers."""


@functools.cache
def _pki() -> Pki:
    serials = itertools.count(1)
    return Pki(lambda: datetime.datetime.now(datetime.UTC).timestamp(), lambda: next(serials))


class Webhooks:
    """What was asked, and where to ask."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.paths: list[str] = []
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_bundle(self) -> str:
        return base64.b64encode(_pki().ca_certificate).decode()


@asynccontextmanager
async def webhook_server(answer: Answer, *names: str) -> AsyncIterator[Webhooks]:
    """A server on loopback whose certificate is good for 127.0.0.1 and names."""
    pair = _pki().serving("webhook", ["127.0.0.1", "localhost", *names])
    sockets = await listen_tcp("127.0.0.1", 0)
    found = Webhooks(sockets[0].getsockname()[1])

    async def serve(request: HttpRequest) -> HttpResponse:
        review = json.loads(request.body)
        found.paths.append(request.target)
        found.requests.append(review["request"])
        said = answer(review["request"])
        if said is None:
            await trio.sleep_forever()
        if isinstance(said, int):
            return HttpResponse(said, body=b"it broke")
        if not isinstance(said, bytes):
            response = {"uid": review["request"]["uid"], **(said or {})}
            said = json.dumps(
                {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}
            ).encode()
        return HttpResponse(200, (("Content-Type", "application/json"),), said)

    server = HttpServer(serve, sockets, tls=server_context(pair.certificate, pair.key))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield found
        nursery.cancel_scope.cancel()


def json_patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """The response that patches."""
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(operations).encode()).decode(),
    }

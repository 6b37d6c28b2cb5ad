"""A node's own HTTPS API, as the kubelet has it: logs, exec and attach, for an API server in another process.

Owns paths, parameters and who may ask: only a client whose certificate the cluster's authority has signed for the API
server. The node behind it may be restarted at any time; it is asked for anew with every request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import socket
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec
import trio

from kube_actors.actors import Clock
from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import ByteStream, Session
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest
from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    HttpServer,
    Limits,
    Send,
    StreamResponse,
    WebSocketUpgrade,
    choose_subprotocol,
    listen_tcp,
    server_context,
    wants_websocket,
)

from . import channels, limits

if TYPE_CHECKING:
    from kube_actors.wire.websocket import WebSocket

    from .node_actor import NodeActor

API_SERVER = "kube-apiserver-kubelet-client"
MASTERS = "system:masters"
_TRUE = ("1", "true", "True")
_TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
_JSON = (("Content-Type", "application/json"),)


class NodeServer:
    """Listens at once, so that the port is known before the Node says it; `run` serves."""

    def __init__(
        self, sockets: Sequence[socket], clock: Clock, certificate: bytes, key: bytes, client_ca: bytes
    ) -> None:
        self.node: Callable[[], NodeActor | None] = lambda: None
        """Gives the node as it is now; set by whoever wires them."""
        self._clock = clock
        context = server_context(certificate, key, client_ca=client_ca)
        self._server = HttpServer(self._handle, sockets, tls=context, limits=Limits(), now=clock.now)

    @classmethod
    async def listen(
        cls, host: str, port: int, *, clock: Clock, certificate: bytes, key: bytes, client_ca: bytes
    ) -> NodeServer:
        """Raises ListenError when the port is in use."""
        return cls(await listen_tcp(host, port), clock, certificate, key, client_ca)

    @property
    def port(self) -> int:
        return self._server.port

    async def run(self) -> None:
        await self._server.run()

    async def _handle(self, request: HttpRequest) -> Answer:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            return await self._serve(request)
        except ApiError as error:
            return HttpResponse(error.code, _JSON, error.status.encode())

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        certificate = request.certificate
        if certificate is None or not certificate.valid_at(self._clock.now()):
            return HttpResponse(401, _TEXT, b"Unauthorized")
        if certificate.common_name != API_SERVER and MASTERS not in certificate.organizations:
            verb = "get" if request.method == "GET" else "create"
            text = f"Forbidden (user={certificate.common_name}, verb={verb}, resource=nodes, subresource=[proxy])"
            return HttpResponse(403, _TEXT, text.encode())
        return None

    async def _serve(self, request: HttpRequest) -> Answer:
        head, *names = [unquote(part) for part in request.path.strip("/").split("/")]
        if head == "healthz":
            return HttpResponse(200, _TEXT, b"ok")
        node = self.node()
        if node is None:
            raise errors.service_unavailable("the node is starting")
        if head == "pods":
            pods = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": node.pods()}
            return HttpResponse(200, _JSON, msgspec.json.encode(pods))
        told = await node.service.document("/".join([head, *names]))
        if told is not None:
            return HttpResponse(told.status, (("Content-Type", told.content_type),), told.body)
        if len(names) == 3 and head == "containerLogs":
            return _stream(await node.service.logs(_log_request(names, request)))
        if len(names) == 3 and head in ("exec", "attach"):
            return await _remote_command(node, head, names, request)
        return HttpResponse(404, _TEXT, b"404 page not found\n")


def _flag(given: dict[str, list[str]], name: str) -> bool:
    return given.get(name, [""])[0] in _TRUE


def _number(given: dict[str, list[str]], name: str) -> int | None:
    text = given.get(name, [""])[0]
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _log_request(names: Sequence[str], request: HttpRequest) -> LogRequest:
    given = request.params()
    return LogRequest(
        namespace=names[0],
        pod=names[1],
        container=names[2],
        follow=_flag(given, "follow"),
        previous=_flag(given, "previous"),
        timestamps=_flag(given, "timestamps"),
        tail_lines=_number(given, "tailLines"),
        since_seconds=_number(given, "sinceSeconds"),
        since_time=given.get("sinceTime", [""])[0],
        limit_bytes=_number(given, "limitBytes"),
    )


def _stream(body: ByteStream) -> StreamResponse:
    async def produce(send: Send) -> None:
        try:
            while chunk := await body.receive_some():
                await send(chunk)
        finally:
            body.close()

    return StreamResponse(200, _TEXT, produce)


async def _remote_command(node: NodeActor, kind: str, names: Sequence[str], request: HttpRequest) -> Answer:
    if not wants_websocket(request):
        raise errors.bad_request("Upgrade request required")
    protocol = choose_subprotocol(request, channels.PROTOCOLS)
    if protocol is None:
        raise errors.bad_request(f"unable to upgrade: the protocols are {', '.join(channels.PROTOCOLS)}")
    session = await _open(node, kind, names, request.params())

    async def handle(socket: WebSocket) -> None:
        with trio.move_on_after(limits.MAX_EXEC_SECONDS):
            await channels.carry(socket, session)

    return WebSocketUpgrade(handle, protocol)


async def _open(node: NodeActor, kind: str, names: Sequence[str], given: dict[str, list[str]]) -> Session:
    stdin, stdout, stderr, tty = (_flag(given, name) for name in ("input", "output", "error", "tty"))
    if not (stdin or stdout or stderr):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if kind == "attach":
        return await node.service.attach(
            AttachRequest(
                namespace=names[0], pod=names[1], container=names[2], stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
            )
        )
    return await node.service.exec(
        ExecRequest(
            namespace=names[0],
            pod=names[1],
            container=names[2],
            command=tuple(given.get("command", ())),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            tty=tty,
        )
    )

"""Nodes of other processes, as the API server reaches them: `NodeService` over a kubelet's HTTPS API.

The other end of `server`, and of any kubelet that speaks the WebSocket protocols. Owns one transport a node.
"""

from __future__ import annotations

import ssl
from urllib.parse import quote, urlencode

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.api.messages import ByteStream, RawRequest, Session
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest, NodeEndpoint, NodeService
from kube_actors.client import TransportError
from kube_actors.client.config import HTTPConfig
from kube_actors.client.http import HTTPTransport
from kube_actors.wire import client_context


class RemoteNodes:
    """A `NodeGateway` that speaks to kubelets with the API server's client certificate.

    ca b"": a kubelet's serving certificate is not verified, as kube-apiserver does by default.
    """

    def __init__(self, entropy: Entropy, *, certificate: bytes, key: bytes, ca: bytes = b"") -> None:
        self._entropy = entropy
        self._certificate = certificate
        self._key = key
        self._ca = ca
        self._nodes: dict[str, tuple[NodeEndpoint, RemoteNode]] = {}

    def reach(self, node: NodeEndpoint) -> NodeService:
        if not node.port or not node.host:
            raise errors.internal(f"node {node.name} has told no address of its own API")
        known = self._nodes.get(node.name)
        if known is None or known[0] != node:
            host = f"[{node.host}]" if ":" in node.host else node.host
            config = HTTPConfig(
                server=f"https://{host}:{node.port}",
                ca=self._ca,
                client_certificate=self._certificate,
                client_key=self._key,
                insecure=not self._ca,
            )
            known = (node, RemoteNode(config, self._entropy))
            self._nodes[node.name] = known
        return known[1]

    def tls(self) -> ssl.SSLContext:
        """What a kubelet's own API is asked with, for those who pass requests on to it."""
        return client_context(ca=self._ca or None, certificate=self._certificate, key=self._key, verify=bool(self._ca))

    async def aclose(self) -> None:
        """Close all connections."""
        for _, node in self._nodes.values():
            await node.aclose()


class RemoteNode:
    """One kubelet."""

    def __init__(self, config: HTTPConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._transport = HTTPTransport(config, entropy)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def logs(self, request: LogRequest) -> ByteStream:
        params: dict[str, str] = {}
        for name in ("follow", "previous", "timestamps"):
            if getattr(request, name):
                params[name] = "true"
        numbers = {
            "tailLines": request.tail_lines,
            "sinceSeconds": request.since_seconds,
            "limitBytes": request.limit_bytes,
        }
        params |= {name: str(value) for name, value in numbers.items() if value is not None}
        if request.since_time:
            params["sinceTime"] = request.since_time
        path = _path("containerLogs", request)
        try:
            return await self._transport.open_stream(RawRequest(path=path, params=tuple(params.items()), accept="*/*"))
        except TransportError as error:
            raise errors.internal(f'Get "{self._config.server}{path}": {error}') from error

    async def exec(self, request: ExecRequest) -> Session:
        words = [("command", word) for word in request.command]
        return await self._session("exec", request, words)

    async def attach(self, request: AttachRequest) -> Session:
        return await self._session("attach", request, [])

    async def _session(self, kind: str, request: ExecRequest | AttachRequest, params: list[tuple[str, str]]) -> Session:
        from kube_actors.client.sessions import open_session  # lazy: heavy import (wsproto)

        wanted = {"input": request.stdin, "output": request.stdout, "error": request.stderr, "tty": request.tty}
        params += [(name, "1") for name, on in wanted.items() if on]
        config = self._config
        tls = client_context(
            ca=config.ca or None,
            certificate=config.client_certificate or None,
            key=config.client_key or None,
            verify=not config.insecure,
        )
        try:
            return await open_session(
                f"{config.server}{_path(kind, request)}?{urlencode(params)}",
                key=self._entropy.integer(0, 2**128 - 1).to_bytes(16, "big"),
                tls=tls,
                server_hostname=None,
                headers=(),
                what=f"{kind} on {config.server}",
            )
        except TransportError as error:
            raise errors.internal(f"error sending request: {error}") from error


def _path(head: str, request: LogRequest | ExecRequest | AttachRequest) -> str:
    return "/" + "/".join(quote(part, safe="") for part in (head, request.namespace, request.pod, request.container))

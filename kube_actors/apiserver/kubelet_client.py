"""The way to nodes of other processes: the kubelet's own HTTPS API.

Owns paths, parameters and the API server's credentials towards nodes. What a node refuses comes back as it said it;
a node that cannot be reached is a 500 in kube-apiserver's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.api.messages import ByteStream, RawRequest, Session
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest, NodeEndpoint, NodeService
from kube_actors.client import HTTPTransport, TransportError
from kube_actors.client.config import HTTPConfig
from kube_actors.wire.tls import client_context

Pairs = tuple[tuple[str, str], ...]


class KubeletGateway:
    """The `NodeGateway` for nodes that are reached over the network. Close it with `aclose`.

    certificate and key are the API server's towards nodes; with `ca` a node's certificate must be signed by it, without
    one any is taken, as kube-apiserver does when no authority for kubelets is configured.
    """

    def __init__(self, entropy: Entropy, certificate: bytes, key: bytes, *, ca: bytes | None = None) -> None:
        self._entropy = entropy
        self._certificate = certificate
        self._key = key
        self._ca = ca
        self._known: dict[NodeEndpoint, KubeletService] = {}

    def reach(self, node: NodeEndpoint) -> NodeService:
        """The service of a node; raises a 500 when it has no address."""
        if not node.host or not node.port:
            raise errors.server_failure(f"node {node.name}: no preferred addresses found; known addresses: []")
        found = self._known.get(node)
        if found is None:
            host = f"[{node.host}]" if ":" in node.host else node.host
            config = HTTPConfig(
                server=f"https://{host}:{node.port}",
                ca=self._ca or b"",
                client_certificate=self._certificate,
                client_key=self._key,
                insecure=self._ca is None,
            )
            found = self._known[node] = KubeletService(config, self._entropy)
        return found

    async def aclose(self) -> None:
        """Give all connections up."""
        while self._known:
            _, service = self._known.popitem()
            await service.aclose()


class KubeletService:
    """The `NodeService` of one node over HTTPS."""

    def __init__(self, config: HTTPConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._transport = HTTPTransport(config, entropy)
        self._tls = client_context(
            ca=config.ca or None,
            certificate=config.client_certificate,
            key=config.client_key,
            verify=not config.insecure,
        )

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def logs(self, request: LogRequest) -> ByteStream:
        path = _path("containerLogs", request)
        with self._told("Get", path):
            return await self._transport.open_stream(RawRequest(path=path, params=log_params(request), accept="*/*"))

    async def exec(self, request: ExecRequest) -> Session:
        command = tuple(("command", word) for word in request.command)
        return await self._session(_path("exec", request), (*command, *_stream_params(request)))

    async def attach(self, request: AttachRequest) -> Session:
        return await self._session(_path("attach", request), _stream_params(request))

    async def _session(self, path: str, params: Pairs) -> Session:
        from kube_actors.client.sessions import open_session  # lazy: heavy import (wsproto)

        with self._told("Get", path):
            return await open_session(
                f"{self._config.server}{path}?{urlencode(params)}",
                key=self._entropy.integer(0, 2**128 - 1).to_bytes(16, "big"),
                tls=self._tls,
                server_hostname=None,
                headers=(),
                what=path,
            )

    @contextmanager
    def _told(self, method: str, path: str) -> Iterator[None]:
        """A broken way as an answer."""
        try:
            yield
        except TransportError as error:
            text = f'error dialing backend: {method} "{self._config.server}{path}": {error}'
            raise errors.server_failure(text) from error


def _path(kind: str, request: LogRequest | ExecRequest | AttachRequest) -> str:
    names = (request.namespace, request.pod, request.container)
    return "/".join(["", kind, *(quote(name, safe="") for name in names)])


def log_params(request: LogRequest) -> Pairs:
    """What the kubelet is asked of a log; defaults are left out."""
    found: list[tuple[str, str]] = []
    for name, wanted in (
        ("follow", request.follow),
        ("previous", request.previous),
        ("timestamps", request.timestamps),
    ):
        if wanted:
            found.append((name, "true"))
    for name, number in (
        ("tailLines", request.tail_lines),
        ("sinceSeconds", request.since_seconds),
        ("limitBytes", request.limit_bytes),
    ):
        if number is not None:
            found.append((name, str(number)))
    if request.since_time:
        found.append(("sinceTime", request.since_time))
    return tuple(found)


def _stream_params(request: ExecRequest | AttachRequest) -> Pairs:
    """As the kubelet spells them."""
    given = (("input", request.stdin), ("output", request.stdout), ("error", request.stderr), ("tty", request.tty))
    return tuple((name, "1") for name, wanted in given if wanted)

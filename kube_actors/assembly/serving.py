"""The HTTPS face of a cluster: sockets, keys, tokens, and the kubeconfig that leads to it.

The sockets are opened before anything else starts, so that a port in use is told at once and the API server knows
where it can be reached.
"""

from __future__ import annotations

import ipaddress
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from kube_actors.actors import RestartPolicy, Supervisor, System
from kube_actors.api.messages import Answer, AnyAnswer, AnyRequest, UserInfo
from kube_actors.apiserver import Access, Authenticator, HttpFace, Token
from kube_actors.apiserver.aggregation import FrontProxy
from kube_actors.kubelet import RemoteNodes
from kube_actors.wire import HttpServer, listen_tcp, server_context

from . import identity
from .config import ClusterConfig, ConfigError, split_address, tree_of
from .host import reachable
from .kubeconfig import kubeconfig, write_kubeconfig
from .nodetoken import TOKEN_FILE, NodeToken, read_token, write_token
from .pki import Pki

if TYPE_CHECKING:
    from kube_actors.apiserver.access.audit import Audit

Handle = Callable[[AnyRequest], Awaitable[AnyAnswer]]
Reads = Callable[[UserInfo, AnyRequest], Answer | None]
FACE = "apiserver/https"


class Serving:
    """Sockets that listen and what is needed to answer on them. Made by `open_serving`."""

    def __init__(
        self, system: System, config: ClusterConfig, sockets: list[Any], service_range: str, directory: Path
    ) -> None:
        assert config.listen is not None
        self.host, _ = split_address(config.listen, "listen")
        self.port: int = sockets[0].getsockname()[1]
        self.pki = Pki(system.clock.now, system.entropy.serial, directory / "pki")
        self.kubeconfig = Path(config.kubeconfig) if config.kubeconfig else directory / "kubeconfig"
        self.authenticator = Authenticator(system.clock, [_token(token) for token in config.tokens])
        self._system = system
        self._audit = _audit(config, system)
        self._sockets = sockets
        self._service_range = service_range
        self._directory = directory

    @property
    def url(self) -> str:
        """Where clients on this host find the server."""
        host = reachable(self.host)
        return f"https://[{host}]:{self.port}" if ":" in host else f"https://{host}:{self.port}"

    @property
    def endpoint(self) -> tuple[str, int]:
        """The address behind the Service default/kubernetes."""
        return reachable(self.host), self.port

    @property
    def ca_certificate(self) -> bytes:
        return self.pki.ca_certificate

    def write_kubeconfig(self) -> None:
        """Leave a kubeconfig for an administrator with a certificate of his own."""
        client = self.pki.client(identity.ADMIN.name, ["system:masters"])
        write_kubeconfig(self.kubeconfig, kubeconfig(self.url, self.ca_certificate, client=client))

    async def start(self, supervisor: Supervisor, handle: Handle, access: Access, reads: Reads) -> None:
        """Answer from now on, by asking `handle`."""
        names = [reachable(self.host), socket.gethostname()]
        first = str(next(ipaddress.ip_network(self._service_range).hosts()))
        pair = self.pki.apiserver(names, service_ip=first)
        tls = server_context(pair.certificate, pair.key, client_ca=self.ca_certificate)
        access.authenticator = self.authenticator
        access.audit = self._audit
        face = HttpFace(handle, access, self._system, reads)

        now = self._system.clock.now

        def make() -> HttpServer:
            # A server closes what it listens on. Ours stay open under it: while the next one starts, clients wait.
            return HttpServer(face, [each.dup() for each in self._sockets], tls=tls, now=now, at_once=face.at_once)

        supervisor.start(FACE, make, RestartPolicy(restart="always", limit=None))
        self.write_kubeconfig()
        self._admit_nodes()

    def front_proxy(self) -> FrontProxy:
        """What extension API servers know this one by."""
        pair = self.pki.client("front-proxy-client")
        return FrontProxy(pair.certificate, pair.key, self.ca_certificate)

    def remote_nodes(self, stack: AsyncExitStack) -> RemoteNodes:
        """The way to nodes of other processes, as the API server's kubelet client."""
        pair = self.pki.client(identity.KUBELET_CLIENT.name, ["system:masters"])
        remote = RemoteNodes(self._system.entropy.split("nodes"), certificate=pair.certificate, key=pair.key)
        stack.push_async_callback(remote.aclose)
        return remote

    def _admit_nodes(self) -> None:
        """Leave the file with which other hosts' nodes join, and accept its token; it stays the same over restarts."""
        path = self._directory / TOKEN_FILE
        try:
            token = read_token(path)
        except ConfigError:
            token = NodeToken(self._system.entropy.token(), self.ca_certificate)
        if token.ca != self.ca_certificate.strip():
            token = NodeToken(token.secret, self.ca_certificate)
        write_token(path, token)
        self.authenticator.add(Token(token.secret, identity.JOINING))


@asynccontextmanager
async def open_serving(
    config: ClusterConfig, system: System, service_range: str, *, data_dir: Path | None
) -> AsyncIterator[Serving]:
    """Listen where the configuration says. Without a data directory keys live in a temporary one.

    Raises wire.ListenError naming the address and the cause.
    """
    assert config.listen is not None
    host, port = split_address(config.listen, "listen")
    sockets = await listen_tcp(host, port)
    try:
        if data_dir is not None:
            await trio.Path(data_dir).mkdir(parents=True, exist_ok=True)
            yield Serving(system, config, sockets, service_range, data_dir)
            return
        with tempfile.TemporaryDirectory(prefix="kube-actors-") as directory:
            yield Serving(system, config, sockets, service_range, Path(directory))
    finally:
        for each in sockets:
            each.close()


def _audit(config: ClusterConfig, system: System) -> Audit | None:
    """The audit log that the configuration asks for. Raises ConfigError."""
    if not config.audit.log:
        return None
    from kube_actors.apiserver.access import audit  # lazy: only where it is asked for

    try:
        policy = audit.read_policy(tree_of(config.audit.policy, "audit.policy"))
    except audit.PolicyError as error:
        raise ConfigError(f"audit.policy: {error}") from None

    def tell(problem: str) -> None:
        system.story.tell("apiserver", "audit event lost", detail=problem)

    return audit.Audit(policy, Path(config.audit.log), system.clock.now, tell)


def _token(token: Any) -> Token:
    user = UserInfo(name=token.user, uid=token.uid or token.user, groups=token.groups)
    return Token(token.token, user)

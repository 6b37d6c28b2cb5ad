"""A real HTTPS API server over the memory store in real time, with a kubeconfig: what real clients are run against."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from kube_actors.actors import Entropy, System, SystemClock
from kube_actors.api.messages import UserInfo
from kube_actors.api.node_messages import NodeGateway
from kube_actors.apiserver import Access, APIServer, Authenticator, HttpFace, RawAnswers, Token
from kube_actors.apiserver.admission import default_steps
from kube_actors.assembly.kubeconfig import kubeconfig
from kube_actors.assembly.pki import Pki
from kube_actors.store.memory import MemoryStore
from kube_actors.wire import HttpServer, Limits, listen_tcp, server_context

ADMIN_TOKEN = "admin-token"
ADMIN = UserInfo(name="admin", groups=("system:masters",))
ALICE = UserInfo(name="alice", groups=("dev",))


class HttpsServer:
    """What `https_apiserver` gives."""

    def __init__(
        self, server: APIServer, face: HttpFace, http: HttpServer, store: MemoryStore, pki: Pki, path: Path
    ) -> None:
        self.server = server
        self.face = face
        self.http = http
        self.store = store
        self.pki = pki
        self.kubeconfig = path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.http.port}"

    async def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the installed kubectl as admin."""
        home = self.kubeconfig.parent
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--cache-dir={home / 'cache'}", *arguments]
        done = await trio.run_process(
            command,
            stdin=stdin.encode(),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "KUBE_EDITOR": "false"},
        )
        found = subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())
        if check:
            assert found.returncode == 0, f"{' '.join(arguments)}: {found.stdout}{found.stderr}"
        return found


@asynccontextmanager
async def https_apiserver(
    directory: Path,
    *,
    nodes: NodeGateway | None = None,
    service_accounts: bool = False,
    tokens: Sequence[Token] = (),
    limits: Limits | None = None,
    port: int = 0,
    **server_options: Any,
) -> AsyncIterator[HttpsServer]:
    """A server that listens on loopback; gone when the block ends."""
    system = System(clock=SystemClock(), entropy=Entropy())
    store = MemoryStore()
    steps = [step for step in default_steps() if service_accounts or step.name != "ServiceAccount"]
    sockets: list[socket.socket] = await listen_tcp("127.0.0.1", port)
    endpoint = ("127.0.0.1", sockets[0].getsockname()[1])
    server_options = {"admission": steps, "endpoint": endpoint, "loopback_endpoints": True, **server_options}
    access = Access(system, store)
    server = APIServer(system, store, nodes=nodes, access=access, **server_options)
    server.raw = RawAnswers(
        system, server.resources, store, address=f"{endpoint[0]}:{endpoint[1]}", pages=access.tokens.pages("")
    )
    access.authenticator = Authenticator(
        system.clock, [Token(ADMIN_TOKEN, ADMIN), Token("alice-token", ALICE), *tokens]
    )
    face = HttpFace(server.handle, access, system, server.at_once)
    pki = Pki(system.clock.now, system.entropy.serial)
    pair = pki.apiserver(["127.0.0.1"])
    tls = server_context(pair.certificate, pair.key, client_ca=pki.ca_certificate)
    http = HttpServer(face, sockets, tls=tls, limits=limits, now=system.clock.now, at_once=face.at_once)
    path = directory / "kubeconfig"
    client = pki.client("kubernetes-admin", ["system:masters"])
    path.write_text(kubeconfig(f"https://127.0.0.1:{http.port}", pki.ca_certificate, client=client))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await nursery.start(http.run)
        await server.ready.wait()
        yield HttpsServer(server, face, http, store, pki, path)
        nursery.cancel_scope.cancel()

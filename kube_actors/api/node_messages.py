"""What the API server asks of a node: logs, exec and attach, in-process or over the kubelet's HTTPS API.

Shapes only. Streams are those of `messages`. Errors are `ApiError` (a container that is not there is 404 or 400,
as the kubelet answers).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct

from .messages import Answer, ByteStream, Session


class LogRequest(Struct, frozen=True, kw_only=True):
    """Read a container's log. since_time is RFC 3339; tail_lines None is all, limit_bytes None is no limit."""

    namespace: str
    pod: str
    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: str = ""
    limit_bytes: int | None = None


class ExecRequest(Struct, frozen=True, kw_only=True):
    """Run a command in a running container."""

    namespace: str
    pod: str
    container: str
    command: tuple[str, ...]
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class AttachRequest(Struct, frozen=True, kw_only=True):
    """Attach to a running container's first process."""

    namespace: str
    pod: str
    container: str
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


class NodeEndpoint(Struct, frozen=True, kw_only=True):
    """Where a node's kubelet answers, from its Node object: name, host (address) and port (0: none told)."""

    name: str
    host: str = ""
    port: int = 0


class NodeService(Protocol):
    """What one node offers to the API server. The kubelet implements it."""

    async def logs(self, request: LogRequest) -> ByteStream: ...

    async def exec(self, request: ExecRequest) -> Session: ...

    async def attach(self, request: AttachRequest) -> Session: ...


@runtime_checkable
class NodeDocuments(Protocol):
    """A node of this process, which can be asked for what it shows of itself without its HTTPS API."""

    async def document(self, path: str) -> Answer | None:
        """What is at a path of the kubelet's API; None where it has nothing to give in this way."""
        ...


class NodeGateway(Protocol):
    """Finds a node's service. The assembly knows nodes in this process; others are reached by HTTPS."""

    def reach(self, node: NodeEndpoint) -> NodeService:
        """Raise ApiError (502 or 500 in Kubernetes' wording) when the node cannot be reached at all."""
        ...

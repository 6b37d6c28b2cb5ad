"""A node that runs no containers: its log is given, and its commands echo what they are sent."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import trio

from kube_actors.api import errors
from kube_actors.api.messages import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, Answer, ByteStream, Session
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest, NodeEndpoint, NodeService

SUCCESS = b'{"metadata":{},"status":"Success"}'


def exit_status(code: int) -> bytes:
    """How a command that failed ends."""
    cause = {"reason": "ExitCode", "message": str(code)}
    message = f"command terminated with non-zero exit code: exit status {code}"
    status = {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": [cause]}}
    return json.dumps(status).encode()


class GivenLog:
    """A body of given chunks, followed by silence when it is followed."""

    def __init__(self, chunks: list[bytes], *, follow: bool) -> None:
        self._chunks = list(chunks)
        self._follow = follow
        self.closed = trio.Event()

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._chunks:
            return self._chunks.pop(0)
        if self._follow:
            await self.closed.wait()
        return b""

    def close(self) -> None:
        self.closed.set()


class EchoSession:
    """Says its command on stderr, echoes stdin, and ends with it: "exit N" as input is how it fails."""

    def __init__(self, request: ExecRequest | AttachRequest) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[int, bytes]](100)
        self.sizes: list[bytes] = []
        self.closed = trio.Event()
        self._ended = False
        if isinstance(request, ExecRequest):
            self._send.send_nowait((STDERR, " ".join(request.command).encode() + b"\n"))
        if not request.stdin:
            self._end(SUCCESS)

    async def send(self, channel: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self._ended:
            return  # as to a process that is gone
        if channel == RESIZE:
            self.sizes.append(data)
        elif channel == CLOSE:
            self._end(SUCCESS)
        elif channel == STDIN and data.startswith(b"exit "):
            self._end(exit_status(int(data[5:])))
        elif channel == STDIN:
            await self._send.send((STDOUT, data))

    def _end(self, status: bytes) -> None:
        self._ended = True
        self._send.send_nowait((ERROR, status))
        self._send.close()

    async def receive(self) -> tuple[int, bytes] | None:
        try:
            return await self._receive.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return None

    def close(self) -> None:
        self._send.close()
        self._receive.close()
        self.closed.set()


class EchoNode:
    """A NodeService, and a NodeGateway that finds it whatever node is asked for."""

    def __init__(self) -> None:
        self.logs_read: list[LogRequest] = []
        self.logs_given: list[GivenLog] = []
        self.sessions: list[EchoSession] = []

    def reach(self, node: NodeEndpoint) -> NodeService:
        return self

    async def document(self, path: str) -> Answer | None:
        return None

    async def logs(self, request: LogRequest) -> ByteStream:
        if request.previous:
            text = f'previous terminated container "{request.container}" in pod "{request.pod}" not found'
            raise errors.bad_request(text)
        self.logs_read.append(request)
        log = GivenLog([b"one\n", b"two\n"], follow=request.follow)
        self.logs_given.append(log)
        return log

    async def exec(self, request: ExecRequest) -> Session:
        return self._session(request)

    async def attach(self, request: AttachRequest) -> Session:
        return self._session(request)

    def _session(self, request: ExecRequest | AttachRequest) -> Session:
        session = EchoSession(request)
        self.sessions.append(session)
        return session

    def as_actor(self) -> Any:
        """What the kubelet's server reads of a node's actor."""
        return SimpleNamespace(service=self, pods=list)

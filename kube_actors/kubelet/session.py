"""A remote command as frames: the engine's session behind `api.messages.Session`.

Ends with one ERROR frame that holds a Status: Success, or Failure with the exit code, as Kubernetes' clients expect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from kube_actors.api.errors import Cause, Details, Status
from kube_actors.api.messages import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT
from runtimes.contract import STDOUT as ENGINE_STDOUT
from runtimes.contract import ExecSession, RuntimeFault

Later = Callable[[Callable[[], Awaitable[None]]], None]


class _Size(msgspec.Struct, rename="pascal"):
    width: int = 0
    height: int = 0


class RemoteSession:
    """Implements `api.messages.Session`. `later` runs what has to be awaited after a synchronous close."""

    def __init__(self, session: ExecSession, *, stdout: bool, stderr: bool, later: Later) -> None:
        self._session = session
        self._wanted = {STDOUT: stdout, STDERR: stderr}
        self._later = later
        self._ended = False
        self._closed = False
        self._receiving: trio.CancelScope | None = None

    async def send(self, channel: int, data: bytes) -> None:
        if self._closed:
            return
        try:
            if channel == STDIN:
                if data:
                    await self._session.send_stdin(data)
            elif channel == CLOSE:
                if data == bytes([STDIN]):
                    await self._session.close_stdin()
            elif channel == RESIZE:
                await self._resize(data)
        except RuntimeFault:
            return  # the command has ended; its receiver is told how

    async def _resize(self, data: bytes) -> None:
        try:
            size = msgspec.json.decode(data, type=_Size)
        except msgspec.DecodeError:
            return  # as the kubelet does: a size that cannot be read changes nothing
        if size.width > 0 and size.height > 0:
            await self._session.resize(size.width, size.height)

    async def receive(self) -> tuple[int, bytes] | None:
        if self._ended or self._closed:
            return None
        with trio.CancelScope() as self._receiving:
            return await self._receive()
        return None

    async def _receive(self) -> tuple[int, bytes] | None:
        try:
            while (output := await self._session.receive()) is not None:
                stream, data = output
                channel = STDOUT if stream == ENGINE_STDOUT else STDERR
                if self._wanted[channel]:
                    return channel, data
            code = await self._session.exit_code()
            status = _exit_status(code)
        except RuntimeFault as fault:
            status = Status(message=f"error executing command in container: {fault}", reason="InternalError", code=500)
        self._ended = True
        return ERROR, status.encode()

    def close(self) -> None:
        """Hang up; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._receiving is not None:
            self._receiving.cancel()
        self._later(self._session.aclose)


def _exit_status(code: int) -> Status:
    if code == 0:
        return Status(status="Success")
    return Status(
        message=f"command terminated with non-zero exit code: exit status {code}",
        reason="NonZeroExitCode",
        details=Details(causes=(Cause(reason="ExitCode", message=str(code)),)),
        code=500,
    )

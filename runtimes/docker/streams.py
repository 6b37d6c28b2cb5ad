"""Docker's hijacked and endless answers, on the engine's own socket: exec, attach, logs, events, statistics.

Owns the paths and parameters of these calls; the framing is `enginestreams`'. It never creates or changes a container.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
import trio

from runtimes import limits
from runtimes.contract import ExecSession, RuntimeFault, Unavailable
from runtimes.docker.faults import fault_of
from runtimes.enginesocket import EngineSocket, Response, message_of
from runtimes.enginestreams import EngineEvents, EngineLogs, HijackedSession
from runtimes.labels import label_filter
from runtimes.timestamps import parse_ns

_PREFIX = "/v1.41"
_EXIT_POLL_SECONDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # an exec's code comes a moment after its output ended


class DockerStreams:
    def __init__(self, url: str) -> None:
        self._socket = EngineSocket(url)

    async def ask(
        self, method: str, path: str, body: Any = None, *, timeout_seconds: float = limits.CALL_TIMEOUT_SECONDS
    ) -> Any:
        """A call with a small JSON answer, on a connection of its own."""
        data = msgspec.json.encode(body) if body is not None else b""
        try:
            with trio.fail_after(timeout_seconds):
                status, answer = await self._socket.call(method, _PREFIX + path, body=data)
        except trio.TooSlowError:
            raise Unavailable(f"the engine at {self._socket.url} gave no answer in {timeout_seconds:g} s") from None
        if status >= 400:
            raise fault_of(status, message_of(answer))
        return msgspec.json.decode(answer) if answer else None

    async def _open(self, method: str, path: str, body: Any = None, *, upgrade: bool = False) -> Response:
        data = msgspec.json.encode(body) if body is not None else b""
        try:
            with trio.fail_after(limits.CALL_TIMEOUT_SECONDS):
                response = await self._socket.request(method, _PREFIX + path, body=data, upgrade=upgrade)
        except trio.TooSlowError:
            raise Unavailable(f"the engine at {self._socket.url} gave no answer") from None
        if response.status < 400:
            return response
        try:
            raise fault_of(response.status, await response.error_message())
        finally:
            await response.aclose()

    async def exec(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        wanted = {
            "AttachStdin": stdin,
            "AttachStdout": True,
            "AttachStderr": not tty,
            "Tty": tty,
            "Cmd": list(command),
        }
        created = await self.ask("POST", f"/containers/{container_id}/exec", wanted)
        exec_id = created["Id"]
        response = await self._open("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty}, upgrade=True)
        return HijackedSession(
            response,
            tty=tty,
            resize=partial(self._resize, f"/exec/{exec_id}"),
            exit_code=partial(self._exec_code, exec_id),
        )

    async def _exec_code(self, exec_id: str) -> int:
        attempt = 0
        while True:
            state = await self.ask("GET", f"/exec/{exec_id}/json")
            if not state["Running"] and state.get("ExitCode") is not None:
                return int(state["ExitCode"])
            await trio.sleep(_EXIT_POLL_SECONDS[min(attempt, len(_EXIT_POLL_SECONDS) - 1)])
            attempt += 1

    async def attach(self, container_id: str, *, tty: bool, stdin: bool) -> ExecSession:
        query = urlencode({"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(stdin)})
        response = await self._open("POST", f"/containers/{container_id}/attach?{query}", upgrade=True)
        return HijackedSession(
            response,
            tty=tty,
            resize=partial(self._resize, f"/containers/{container_id}"),
            exit_code=partial(self.wait, container_id),
        )

    async def wait(self, container_id: str) -> int:
        """Until the container has ended, however long that takes."""
        answer = await self.ask("POST", f"/containers/{container_id}/wait", timeout_seconds=math.inf)
        return int(answer["StatusCode"])

    async def stop(self, container_id: str, grace_seconds: int) -> None:
        """Here, since a wait of minutes must not keep one of the few connections of the ordinary calls."""
        patience = grace_seconds + limits.STOP_MARGIN_SECONDS
        await self.ask("POST", f"/containers/{container_id}/stop?t={grace_seconds}", timeout_seconds=patience)

    async def _resize(self, path: str, width: int, height: int) -> None:
        try:
            await self.ask("POST", f"{path}/resize?h={height}&w={width}")
        except RuntimeFault:
            return  # what just ended has no terminal any more

    async def logs(
        self, container_id: str, *, tty: bool, follow: bool, tail: int | None, since: float | None
    ) -> EngineLogs:
        query = {
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "follow": str(int(follow)),
            "tail": "all" if tail is None else str(max(tail, 0)),
        }
        if since:
            query["since"] = f"{since:.9f}"
        response = await self._open("GET", f"/containers/{container_id}/logs?{urlencode(query)}")
        return EngineLogs(response, tty=tty)

    async def events(self, labels: Mapping[str, str]) -> EngineEvents:
        """Docker answers before it subscribes; asking for what was since the daemon's own time closes that gap."""
        now_ns = parse_ns((await self.ask("GET", "/info"))["SystemTime"])
        since = f"{now_ns // 10**9}.{now_ns % 10**9:09d}"
        filters = {"type": ["container"], "label": label_filter(labels, None)}
        query = urlencode({"since": since, "filters": msgspec.json.encode(filters).decode()})
        return EngineEvents(await self._open("GET", f"/events?{query}"))

    async def statistics(self, container_id: str) -> Any:
        return await self.ask("GET", f"/containers/{container_id}/stats?stream=false&one-shot=true")

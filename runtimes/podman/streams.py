"""What streams or waits for long, on Podman's own socket under trio: exec, attach, logs, events, wait, stop, pull.

Owns the paths and parameters of those calls; the framing is shared with Docker in `runtimes.enginestreams`. Every
one of them ends at once when it is cancelled, which a call in a worker thread cannot.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec
import trio

from runtimes.contract import Auth, Event, ImagePullFailed, Stream, Unavailable
from runtimes.enginesocket import EngineSocket, Response
from runtimes.enginestreams import EngineEvents, EngineLogs, HijackedSession
from runtimes.podman.faults import Doing, fault_of
from runtimes.podman.limits import (
    API_VERSION,
    EVENT_LOOKBACK_SECONDS,
    EXEC_POLL_MAX_SECONDS,
    EXEC_POLL_SECONDS,
    RESIZE_TRIES,
    WAIT_INTERVAL_MS,
)

_ROOT = f"/v{API_VERSION}/libpod"


class ExecState(msgspec.Struct, frozen=True, rename="pascal"):
    running: bool = False
    exit_code: int = 0
    pid: int = 0


class PodmanStreams:
    def __init__(self, url: str) -> None:
        self._socket = EngineSocket(url)

    async def _json(self, method: str, path: str, body: object = None, *, doing: Doing = "other") -> bytes:
        data = b"" if body is None else msgspec.json.encode(body)
        status, answer = await self._socket.call(method, _ROOT + path, body=data)
        if status >= 400:
            raise fault_of(status, answer, doing)
        return answer

    async def _open(
        self, method: str, path: str, body: object = None, *, upgrade: bool = False, doing: Doing = "other"
    ) -> Response:
        data = b"" if body is None else msgspec.json.encode(body)
        response = await self._socket.request(method, _ROOT + path, body=data, upgrade=upgrade)
        if response.status >= 400:
            try:
                raise fault_of(response.status, await response.read(), doing)
            finally:
                await response.aclose()
        return response

    # --- commands ---

    async def create_exec(self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool) -> str:
        answer = await self._json(
            "POST",
            f"/containers/{container_id}/exec",
            {"Cmd": list(command), "AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True, "Tty": tty},
            doing="exec",
        )
        return str(msgspec.json.decode(answer)["Id"])

    async def start_exec(self, exec_id: str, *, tty: bool) -> HijackedSession:
        response = await self._open(
            "POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty}, upgrade=True, doing="exec"
        )

        async def resize(width: int, height: int) -> None:
            await self._resize_exec(exec_id, width, height)

        async def exit_code() -> int:
            return await self.exec_exit_code(exec_id)

        return HijackedSession(response, tty=tty, resize=resize, exit_code=exit_code)

    async def exec_state(self, exec_id: str) -> ExecState:
        return msgspec.json.decode(await self._json("GET", f"/exec/{exec_id}/json"), type=ExecState)

    async def _resize_exec(self, exec_id: str, width: int, height: int) -> None:
        """The first size comes before the command has started: try until it is taken or the command has ended."""
        for _ in range(RESIZE_TRIES):
            status, answer = await self._socket.call("POST", f"{_ROOT}/exec/{exec_id}/resize?h={height}&w={width}")
            if status < 400:
                return
            if status == 404:
                raise fault_of(status, answer)
            await trio.sleep(EXEC_POLL_SECONDS)
            if (await self.exec_state(exec_id)).exit_code:
                return

    async def exec_exit_code(self, exec_id: str) -> int:
        """Podman closes the output a moment before it knows the exit code, and cannot be waited on for it. A command
        that closed its own output early may go on for long: look less and less often."""
        pause = EXEC_POLL_SECONDS
        while True:
            state = await self.exec_state(exec_id)
            if not state.running:
                return state.exit_code
            await trio.sleep(pause)
            pause = min(pause * 1.5, EXEC_POLL_MAX_SECONDS)

    async def attach(self, container_id: str, *, tty: bool, stdin: bool) -> HijackedSession:
        query = urlencode({"stream": "true", "stdout": "true", "stderr": "true", "stdin": str(stdin).lower()})
        response = await self._open("POST", f"/containers/{container_id}/attach?{query}", upgrade=True, doing="exec")

        async def resize(width: int, height: int) -> None:
            await self._json("POST", f"/containers/{container_id}/resize?h={height}&w={width}")

        async def exit_code() -> int:
            return await self.wait(container_id)

        return HijackedSession(response, tty=tty, resize=resize, exit_code=exit_code)

    # --- ends ---

    async def wait(self, container_id: str) -> int:
        """The container's exit code, once it has ended."""
        query = f"condition=stopped&condition=exited&interval={WAIT_INTERVAL_MS}ms"
        return int(await self._json("POST", f"/containers/{container_id}/wait?{query}"))

    async def stop(self, container_id: str, grace_seconds: float) -> None:
        await self._json("POST", f"/containers/{container_id}/stop?timeout={math.ceil(max(grace_seconds, 0))}")

    # --- observation ---

    async def logs(self, container_id: str, *, follow: bool, tail: int | None, since: float | None) -> EngineLogs:
        query = {"stdout": "true", "stderr": "true", "timestamps": "true", "follow": str(follow).lower()}
        if tail is not None:
            query["tail"] = str(tail)
        if since is not None:
            query["since"] = f"{since:.9f}"
        # Unlike Docker's, these answers are framed for a TTY as well.
        return EngineLogs(await self._open("GET", f"/containers/{container_id}/logs?{urlencode(query)}"), tty=False)

    async def events(self, labels: Mapping[str, str], now: float) -> PodmanEvents:
        filters = {"type": ["container"], "event": ["create", "start", "died", "remove"]}
        since = int(now) - EVENT_LOOKBACK_SECONDS
        query = urlencode({"stream": "true", "since": str(since), "filters": json.dumps(filters)})
        return PodmanEvents(await self._open("GET", f"/events?{query}"), labels, now)

    # --- images ---

    async def pull(self, reference: str, auth: Auth | None) -> str:
        """Pull the image and return its id."""
        headers = {}
        if auth is not None:
            fields = {
                "username": auth.username,
                "password": auth.password,
                "serveraddress": auth.server,
                "identitytoken": auth.identity_token,
            }
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(msgspec.json.encode(fields)).decode()
        path = f"{_ROOT}/images/pull?policy=always&reference={quote(reference, safe='')}"
        response = await self._socket.request("POST", path, headers=headers)
        try:
            body = await response.read()
        finally:
            await response.aclose()
        if response.status >= 400:
            raise ImagePullFailed(fault_of(response.status, body).message)
        identity = ""
        for line in body.splitlines():
            report = msgspec.json.decode(line) if line.strip() else {}
            if report.get("error"):
                raise ImagePullFailed(" ".join(str(report["error"]).split()))
            identity = report.get("id") or identity
        if not identity:
            raise Unavailable(f"podman ended the pull of {reference} without a result")
        return identity


class PodmanEvents(Stream[Event]):
    """Podman takes any one of several labels and whole seconds; this keeps what has all and is not older."""

    def __init__(self, response: Response, labels: Mapping[str, str], since: float) -> None:
        self._events = EngineEvents(response)
        self._labels = labels.items()
        self._since = since

    async def __anext__(self) -> Event:
        while True:
            event = await self._events.__anext__()
            if event.time >= self._since and self._labels <= event.labels.items():
                return event

    async def aclose(self) -> None:
        await self._events.aclose()

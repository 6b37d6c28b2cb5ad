"""Podman as a Runtime: a pause container holds a sandbox's namespaces, containers join it.

Short calls go through podman-py in worker threads (`api`), streams and long waits over the socket (`streams`);
what is asked for and what comes back is translated in `spec` and `read`. Podman keeps everything that matters in
labels; this object remembers only what saves a round trip, or what Podman forgets (a failed start).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import trio

from runtimes import limits
from runtimes.contract import (
    EXIT_KILLED,
    Auth,
    Container,
    ContainerConfig,
    ContainerStats,
    ContainerStatus,
    EngineInfo,
    Event,
    ExecResult,
    ExecSession,
    Image,
    ImageNotPresent,
    LogLine,
    NotFound,
    Resources,
    RuntimeFault,
    Sandbox,
    SandboxConfig,
    StartFailed,
    Stream,
    Unavailable,
    Version,
    WrongState,
)
from runtimes.labels import Kind, label_filter
from runtimes.oomscore import lowest_oom_score
from runtimes.pause import image_archive
from runtimes.podman import commands, statistics
from runtimes.podman.api import PodmanApi
from runtimes.podman.limits import REMEMBERED_FAILURES, REMEMBERED_SANDBOXES
from runtimes.podman.logfile import open_log
from runtimes.podman.oomkills import killed_for_memory
from runtimes.podman.read import (
    read_container,
    read_image,
    read_info,
    read_sandbox,
    read_sandbox_facts,
    read_state,
    read_status,
    record_of,
)
from runtimes.podman.spec import SandboxFacts, container_spec, linux_resources, sandbox_spec
from runtimes.podman.streams import PodmanStreams
from runtimes.together import together

V = TypeVar("V")

ROOT_SOCKET = "unix:///run/podman/podman.sock"


def default_url() -> str:
    """Where podman's own remote client would look."""
    if url := os.environ.get("CONTAINER_HOST"):
        return url
    folder = os.environ.get("XDG_RUNTIME_DIR")
    return f"unix://{folder}/podman/podman.sock" if os.geteuid() != 0 and folder else ROOT_SOCKET


@asynccontextmanager
async def open_podman(url: str | None = None, *, now: Callable[[], float] = time.time) -> AsyncIterator[PodmanRuntime]:
    """The engine behind the socket at `url`. Opening does not connect: a dead service shows at the first call."""
    runtime = PodmanRuntime(url or default_url(), now=now)
    try:
        yield runtime
    finally:
        await runtime.aclose()


class PodmanRuntime:
    """Implements `runtimes.contract.Runtime`."""

    def __init__(self, url: str, *, now: Callable[[], float]) -> None:
        self._api = PodmanApi(url)
        self._streams = PodmanStreams(url)
        self._now = now
        self._host_name = socket.gethostname()
        self._lowest_oom_score = lowest_oom_score()
        self._starts = trio.CapacityLimiter(limits.CONCURRENT_STARTS)
        self._pulls = trio.CapacityLimiter(limits.CONCURRENT_PULLS)
        self._facts: dict[str, SandboxFacts] = {}
        self._sandboxes: dict[str, Sandbox] = {}  # those that were ready when last looked at
        self._failures: dict[str, tuple[StartFailed, float]] = {}
        self._out_of_memory: dict[str, bool] = {}

    async def aclose(self) -> None:
        self._api.close()

    async def version(self) -> Version:
        raw = (await self._api.ask("GET", "/version")).json()
        return Version(engine="podman", version=raw["Version"], api_version=raw["ApiVersion"])

    async def info(self) -> EngineInfo:
        raw = (await self._api.ask("GET", "/info")).json()
        return read_info(raw)

    # --- sandboxes ---

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        async with self._starts:
            sandbox_id = await self._create_sandbox(sandbox_spec(config, self._lowest_oom_score))
            try:
                await self._api.ask("POST", f"/containers/{sandbox_id}/start", doing="start")
                raw = await self._inspect(sandbox_id)
            except BaseException:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + limits.KILL_WAIT_SECONDS):
                    await self._remove(sandbox_id)
                raise
        _remember(self._facts, sandbox_id, read_sandbox_facts(raw, self._host_name), REMEMBERED_SANDBOXES)
        return self._keep_sandbox(raw)

    async def _create_sandbox(self, spec: dict[str, Any]) -> str:
        try:
            reply = await self._api.ask("POST", "/containers/create", body=spec, doing="create")
        except ImageNotPresent:
            engine = (await self._api.ask("GET", "/version")).json()
            await self._api.ask("POST", "/images/load", body=image_archive(engine["Arch"]), doing="image")
            reply = await self._api.ask("POST", "/containers/create", body=spec, doing="create")
        return str(reply.json()["Id"])

    def _keep_sandbox(self, raw: Mapping[str, Any]) -> Sandbox:
        sandbox = read_sandbox(raw)
        if sandbox.state == "ready":
            _remember(self._sandboxes, sandbox.id, sandbox, REMEMBERED_SANDBOXES)
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        members = await self._list("container", {}, sandbox_id=sandbox_id)
        running = [raw["Id"] for raw in members if read_state(raw["State"]) == "running"]
        await together(partial(self.stop_container, identity, 0.0) for identity in running)
        await self.stop_container(sandbox_id, 0.0)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        members = await self._list("container", {}, sandbox_id=sandbox_id)
        await together(partial(self._remove, raw["Id"]) for raw in members)
        await self._remove(sandbox_id, depend=True)  # and a container that was created since
        self._facts.pop(sandbox_id, None)
        self._sandboxes.pop(sandbox_id, None)

    async def list_sandboxes(self, labels: Mapping[str, str] = {}) -> tuple[Sandbox, ...]:
        listed = await self._list("sandbox", labels)
        found: dict[str, Sandbox] = {}

        async def look(raw: Mapping[str, Any]) -> None:
            try:
                found[raw["Id"]] = self._keep_sandbox(await self._inspect(raw["Id"]))
            except NotFound:
                return  # removed since it was listed

        unknown = []
        for raw in listed:
            known = self._sandboxes.get(raw["Id"])
            if known is not None and read_state(raw["State"]) == "running":
                found[raw["Id"]] = known
            else:
                unknown.append(raw)
        await together(partial(look, raw) for raw in unknown)
        return tuple(found[raw["Id"]] for raw in listed if raw["Id"] in found)

    async def sandbox_status(self, sandbox_id: str) -> Sandbox:
        return self._keep_sandbox(await self._inspect(sandbox_id))

    # --- containers ---

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        facts = self._facts.get(sandbox_id)
        if facts is None:
            facts = read_sandbox_facts(await self._inspect(sandbox_id), self._host_name)
            _remember(self._facts, sandbox_id, facts, REMEMBERED_SANDBOXES)
        spec = container_spec(sandbox_id, facts, config, self._lowest_oom_score)
        reply = await self._api.ask("POST", "/containers/create", body=spec, doing="create")
        return str(reply.json()["Id"])

    async def start_container(self, container_id: str) -> None:
        async with self._starts:
            try:
                if await self._prepare(container_id):
                    await self._api.ask("POST", f"/containers/{container_id}/start", doing="start")
            except StartFailed as error:
                _remember(self._failures, container_id, (error, self._now()), REMEMBERED_FAILURES)
                raise
        self._failures.pop(container_id, None)
        self._out_of_memory.pop(container_id, None)

    async def _prepare(self, container_id: str) -> bool:
        """Whether it is left to be started. A start alone would bring a stopped sandbox back to life as well, with
        another address; this first half of a start refuses, in the same words as for what is running already."""
        reply = await self._api.ask("POST", f"/containers/{container_id}/init", doing="start")
        if reply.status != 304:
            return True
        status = (await self._inspect(container_id))["State"]["Status"]
        if status != "initialized" and read_state(status) != "running":
            raise WrongState(f"the sandbox of container {container_id} is not running")
        return bool(status == "initialized")

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        try:
            with trio.fail_after(grace_seconds + limits.STOP_MARGIN_SECONDS):
                await self._streams.stop(container_id, grace_seconds)
        except (NotFound, WrongState):
            return  # gone, or never started
        except trio.TooSlowError:
            raise Unavailable(f"podman did not stop {container_id} in time") from None

    async def kill_container(self, container_id: str, signal: str = "KILL") -> None:
        try:
            await self._api.ask("POST", f"/containers/{container_id}/kill", params={"signal": signal})
            if signal.removeprefix("SIG") == "KILL":
                with trio.fail_after(limits.KILL_WAIT_SECONDS):
                    await self._streams.wait(container_id)
        except (NotFound, WrongState):
            return  # gone, or not running
        except trio.TooSlowError:
            raise Unavailable(f"podman did not kill {container_id} in time") from None

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        await self._remove(container_id, force=force)

    async def _remove(self, identity: str, *, force: bool = True, depend: bool = False) -> None:
        params = {"force": str(force).lower(), "v": "true", "timeout": "0", "depend": str(depend).lower()}
        try:
            await self._api.ask("DELETE", f"/containers/{identity}", params=params)
        except NotFound:
            pass  # what is gone already is no error
        self._failures.pop(identity, None)
        self._out_of_memory.pop(identity, None)

    async def list_containers(
        self, labels: Mapping[str, str] = {}, *, sandbox_id: str | None = None
    ) -> tuple[Container, ...]:
        failures = {identity: failure for identity, (failure, _) in self._failures.items()}
        listed = await self._list("container", labels, sandbox_id=sandbox_id)
        return tuple(read_container(raw, failures) for raw in listed)

    async def _list(
        self, kind: Kind, labels: Mapping[str, str], *, sandbox_id: str | None = None
    ) -> list[Mapping[str, Any]]:
        filters = msgspec.json.encode({"label": label_filter(labels, kind, sandbox_id)}).decode()
        reply = await self._api.ask("GET", "/containers/json", params={"all": "true", "filters": filters})
        found = []
        for raw in reply.json() or ():
            record, _ = record_of(raw.get("Labels"), kind, raw["Id"])
            if labels.items() <= record.labels.items():  # an image's own label may have matched
                found.append(raw)
        return found

    async def _inspect(self, identity: str) -> Mapping[str, Any]:
        raw: Mapping[str, Any] = (await self._api.ask("GET", f"/containers/{quote(identity, safe='')}/json")).json()
        return raw

    async def container_status(self, container_id: str) -> ContainerStatus:
        raw = await self._inspect(container_id)
        status = read_status(raw, self._failures.get(container_id))
        if status.exit_code == EXIT_KILLED and not status.oom_killed and await self._ran_out_of_memory(status.id):
            return read_status(raw, out_of_memory=True)
        return status

    async def _ran_out_of_memory(self, container_id: str) -> bool:
        """Looked up once a container: the kernel's note comes before its death and may be overwritten later."""
        if container_id not in self._out_of_memory:
            found = await trio.to_thread.run_sync(killed_for_memory, container_id)
            _remember(self._out_of_memory, container_id, found, REMEMBERED_FAILURES)
        return self._out_of_memory[container_id]

    async def update_resources(self, container_id: str, resources: Resources) -> None:
        body = linux_resources(resources)
        if body:
            await self._api.ask("POST", f"/containers/{container_id}/update", body=body, doing="create")

    # --- images ---

    async def pull_image(self, reference: str, auth: Auth | None = None) -> Image:
        async with self._pulls:
            identity = await self._streams.pull(reference, auth)
        image = await self.image_status(identity)
        if image is None:
            raise ImageNotPresent(f"{reference} was removed while it was pulled")
        return image

    async def image_status(self, reference: str) -> Image | None:
        reply = await self._api.ask("GET", f"/images/{quote(reference, safe='/:@')}/json", doing="image", allow=(404,))
        return None if reply.status == 404 else read_image(reply.json())

    async def list_images(self) -> tuple[Image, ...]:
        return tuple(read_image(raw) for raw in (await self._api.ask("GET", "/images/json")).json() or ())

    async def remove_image(self, reference: str) -> None:
        try:
            await self._api.ask("DELETE", f"/images/{quote(reference, safe='/:@')}", doing="image")
        except ImageNotPresent:
            return

    # --- streams and commands ---

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> ExecSession:
        exec_id = await self._streams.create_exec(container_id, command, tty=tty, stdin=stdin)
        return await self._streams.start_exec(exec_id, tty=tty)

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float | None = None
    ) -> ExecResult:
        return await commands.run(self._streams, container_id, command, timeout_seconds)

    async def attach(self, container_id: str, *, stdin: bool = False) -> ExecSession:
        raw = await self._inspect(container_id)
        if read_state(raw["State"]["Status"]) != "running":
            raise WrongState(f"container {container_id} is not running")
        return await self._streams.attach(container_id, tty=bool(raw["Config"].get("Tty")), stdin=stdin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Stream[LogLine]:
        raw = await self._inspect(container_id)
        path = ((raw.get("HostConfig") or {}).get("LogConfig") or {}).get("Path") or ""
        running = read_state(raw["State"]["Status"]) == "running"
        monitor = int(raw["State"].get("ConmonPid") or 0) if follow and running else 0
        log = await trio.to_thread.run_sync(partial(open_log, path, monitor, tail=tail, since=since))
        if log is not None:
            return log
        return await self._streams.logs(container_id, follow=follow, tail=tail, since=since)

    # --- observation ---

    async def stats(self, container_ids: Sequence[str]) -> tuple[ContainerStats, ...]:
        found: dict[str, ContainerStats] = {}

        async def measure(identity: str) -> None:
            try:
                found[identity] = await statistics.measure(self._api, identity)
            except Unavailable:
                raise
            except RuntimeFault:
                return  # it does not run, or no longer exists

        async with trio.open_nursery() as nursery:
            for identity in container_ids:
                nursery.start_soon(measure, identity)
        return tuple(found[identity] for identity in container_ids if identity in found)

    async def events(self, labels: Mapping[str, str] = {}) -> Stream[Event]:
        return await self._streams.events(labels, self._now())


def _remember(memory: dict[str, V], key: str, value: V, limit: int) -> None:
    """Keep it, and forget the oldest beyond the limit."""
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > limit:
        del memory[next(iter(memory))]

"""Docker as a Runtime: a pause container holds a sandbox's namespaces, containers join it.

Ordinary calls go through aiodocker (`client`), streams over the socket (`streams`); what is asked for and what comes
back is translated in `spec` and `read`. Docker keeps everything that matters in labels; this object remembers only
what saves a round trip.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import trio

from runtimes import limits
from runtimes.contract import (
    STDERR,
    STDOUT,
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
    ImagePullFailed,
    LogLine,
    NotFound,
    Resources,
    RuntimeFault,
    Sandbox,
    SandboxConfig,
    Stream,
    TimedOut,
    Unavailable,
    Version,
    WrongState,
)
from runtimes.docker import read, spec
from runtimes.docker.client import DockerClient, open_client
from runtimes.docker.faults import start_fault_of
from runtimes.docker.streams import DockerStreams
from runtimes.labels import Kind, Record, container_name, label_filter, sandbox_name
from runtimes.oomscore import lowest_oom_score
from runtimes.pause import image_archive
from runtimes.together import together

DEFAULT_URL = "unix:///var/run/docker.sock"


def default_url() -> str:
    """Where docker's own client would look."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_URL


@asynccontextmanager
async def open_docker(url: str | None = None, *, network: str = "bridge") -> AsyncIterator[DockerRuntime]:
    """The engine behind the socket at `url`. Opening does not connect: a dead engine shows at the first call."""
    url = url or default_url()
    streams = DockerStreams(url)
    async with open_client(url) as client:
        yield DockerRuntime(client, streams, network=network)


class DockerRuntime:
    """Implements `runtimes.contract.Runtime`. `network` is the Docker network that sandboxes are put on."""

    def __init__(self, client: DockerClient, streams: DockerStreams, *, network: str) -> None:
        self._client = client
        self._streams = streams
        self._network = network
        self._lowest_oom_score = lowest_oom_score()
        self._starts = trio.CapacityLimiter(limits.CONCURRENT_STARTS)
        self._pulls = trio.CapacityLimiter(limits.CONCURRENT_PULLS)
        self._records: dict[str, Record] = {}  # of sandboxes, by id

    async def aclose(self) -> None:
        """Closed by `open_docker`; nothing is held here."""
        await trio.lowlevel.checkpoint()

    async def version(self) -> Version:
        raw = await self._client.call(lambda docker: docker.version())
        return Version(engine="docker", version=raw["Version"], api_version=raw["ApiVersion"])

    async def info(self) -> EngineInfo:
        raw = await self._client.call(lambda docker: docker.system.info())
        try:
            disk = os.statvfs(raw.get("DockerRootDir") or "/")
        except OSError:
            disk = os.statvfs("/")  # the engine's root is not visible from here
        return read.read_info(raw, disk.f_blocks * disk.f_frsize)

    # --- sandboxes ---

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        body, name = spec.sandbox_body(config, self._network, self._lowest_oom_score), sandbox_name(config)
        async with self._starts:
            try:
                sandbox_id = await self._create(body, name)
            except ImageNotPresent:
                await self._load_pause_image()
                sandbox_id = await self._create(body, name)
            try:
                await self._start(sandbox_id)
                raw = await self._inspect(sandbox_id)
            except BaseException:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + limits.KILL_WAIT_SECONDS):
                    await self._remove(sandbox_id)
                raise
        return self._keep(raw)

    async def _load_pause_image(self) -> None:
        raw = await self._client.call(lambda docker: docker.version())
        archive = image_archive(raw["Arch"])

        async def load(docker: Any) -> None:
            await docker.images.import_image(archive)

        await self._client.call(load)

    def _keep(self, raw: Mapping[str, Any]) -> Sandbox:
        sandbox = read.read_sandbox(raw)
        self._records[sandbox.id] = read.record_of(raw["Config"]["Labels"], sandbox.id)
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        members = await self._list("container", {}, sandbox_id=sandbox_id)
        await together(partial(self.kill_container, raw["Id"]) for raw in members if raw["State"] == "running")
        await self.kill_container(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        members = await self._list("container", {}, sandbox_id=sandbox_id)
        await together(partial(self._remove, raw["Id"]) for raw in members)
        await self._remove(sandbox_id)
        self._records.pop(sandbox_id, None)

    async def list_sandboxes(self, labels: Mapping[str, str] = {}) -> tuple[Sandbox, ...]:
        return tuple(read.read_listed_sandbox(raw) for raw in await self._list("sandbox", labels))

    async def sandbox_status(self, sandbox_id: str) -> Sandbox:
        return self._keep(await self._inspect(sandbox_id))

    # --- containers ---

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        record = self._records.get(sandbox_id)
        if record is None:
            self._keep(await self._inspect(sandbox_id))
            record = self._records[sandbox_id]
        body = spec.container_body(sandbox_id, record, config, self._lowest_oom_score)
        return await self._create(body, container_name(sandbox_id, config))

    async def start_container(self, container_id: str) -> None:
        async with self._starts:
            await self._start(container_id)

    async def _create(self, body: dict[str, Any], name: str) -> str:
        # The engine goes on when nobody waits any more. Who asked would be gone before its container came.
        with trio.CancelScope(shield=True):
            container = await self._client.call(lambda docker: docker.containers.create(body, name=name))
        return str(container.id)

    async def _start(self, identity: str) -> None:
        await self._client.call(lambda docker: docker.containers.container(identity).start(), fault=start_fault_of)

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        if grace_seconds <= 0:
            await self.kill_container(container_id)
            return
        try:
            await self._streams.stop(container_id, math.ceil(grace_seconds))
        except (NotFound, WrongState):
            return  # gone, or not running

    async def kill_container(self, container_id: str, signal: str = "KILL") -> None:
        try:
            await self._client.call(lambda docker: docker.containers.container(container_id).kill(signal=signal))
            if signal.removeprefix("SIG") == "KILL":
                with trio.fail_after(limits.KILL_WAIT_SECONDS):
                    await self._streams.wait(container_id)
        except (NotFound, WrongState):
            return  # gone, or not running
        except trio.TooSlowError:
            raise Unavailable(f"docker did not kill {container_id[:12]} in time") from None

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        await self._remove(container_id, force=force)

    async def _remove(self, identity: str, *, force: bool = True) -> None:
        try:
            await self._client.call(lambda docker: docker.containers.container(identity).delete(force=force, v=True))
        except NotFound:
            return
        except WrongState as fault:
            if "already in progress" not in fault.message:
                raise

    async def list_containers(
        self, labels: Mapping[str, str] = {}, *, sandbox_id: str | None = None
    ) -> tuple[Container, ...]:
        listed = await self._list("container", labels, sandbox_id=sandbox_id)
        return tuple(read.read_listed_container(raw) for raw in listed)

    async def _list(
        self, kind: Kind, labels: Mapping[str, str], *, sandbox_id: str | None = None
    ) -> list[dict[str, Any]]:
        filters = msgspec.json.encode({"label": label_filter(labels, kind, sandbox_id)}).decode()

        async def listing(docker: Any) -> list[dict[str, Any]]:
            found = await docker.containers.list(all=1, filters=filters)
            return [container._container for container in found]

        found = await self._client.call(listing)
        # An image's own label may have matched instead of the caller's.
        return [raw for raw in found if labels.items() <= read.record_of(raw["Labels"], raw["Id"]).labels.items()]

    async def _inspect(self, identity: str) -> dict[str, Any]:
        raw: dict[str, Any] = await self._client.call(lambda docker: docker.containers.container(identity).show())
        return raw

    async def container_status(self, container_id: str) -> ContainerStatus:
        return read.read_status(await self._inspect(container_id))

    async def update_resources(self, container_id: str, resources: Resources) -> None:
        await self._streams.ask("POST", f"/containers/{container_id}/update", spec.update_body(resources))

    # --- images ---

    async def pull_image(self, reference: str, auth: Auth | None = None) -> Image:
        credentials = None
        if auth is not None:
            reference = _with_registry(reference)
            credentials = {"username": auth.username, "password": auth.password, "serveraddress": auth.server}
            if auth.identity_token:
                credentials = {"identitytoken": auth.identity_token}

        async def pull(docker: Any) -> None:
            await docker.images.pull(reference, auth=credentials)

        async with self._pulls:
            try:
                await self._client.call(pull, timeout_seconds=math.inf)
            except Unavailable:
                raise
            except RuntimeFault as fault:
                raise ImagePullFailed(fault.message) from fault
        image = await self.image_status(reference)
        if image is None:
            raise ImagePullFailed(f"{reference} was removed while it was pulled")
        return image

    async def image_status(self, reference: str) -> Image | None:
        try:
            return read.read_image(await self._client.call(lambda docker: docker.images.inspect(reference)))
        except (ImageNotPresent, NotFound):
            return None

    async def list_images(self) -> tuple[Image, ...]:
        return tuple(map(read.read_image, await self._client.call(lambda docker: docker.images.list())))

    async def remove_image(self, reference: str) -> None:
        try:
            await self._client.call(lambda docker: docker.images.delete(reference))
        except (ImageNotPresent, NotFound):
            return

    # --- streams and commands ---

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> ExecSession:
        return await self._streams.exec(container_id, command, tty=tty, stdin=stdin)

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float | None = None
    ) -> ExecResult:
        kept: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray()}
        code: int | None = None
        with trio.move_on_after(math.inf if timeout_seconds is None else timeout_seconds):
            async with await self.exec(container_id, command) as session:
                while (piece := await session.receive()) is not None:
                    stream, data = piece
                    kept[stream] += data[: limits.EXEC_OUTPUT_BYTES - len(kept[stream])]
                code = await session.exit_code()
        if code is None:
            raise TimedOut(f"command {command[0]!r} timed out after {timeout_seconds:g} s")
        return ExecResult(exit_code=code, stdout=bytes(kept[STDOUT]), stderr=bytes(kept[STDERR]))

    async def attach(self, container_id: str, *, stdin: bool = False) -> ExecSession:
        tty = (await self.container_status(container_id)).tty
        return await self._streams.attach(container_id, tty=tty, stdin=stdin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Stream[LogLine]:
        tty = (await self.container_status(container_id)).tty
        return await self._streams.logs(container_id, tty=tty, follow=follow, tail=tail, since=since)

    # --- observation ---

    async def stats(self, container_ids: Sequence[str]) -> tuple[ContainerStats, ...]:
        found: dict[str, ContainerStats] = {}

        async def look(identity: str) -> None:
            try:
                stats = read.read_stats(identity, await self._streams.statistics(identity))
            except NotFound:
                return
            if stats is not None:
                found[identity] = stats

        await together(partial(look, identity) for identity in container_ids)
        return tuple(found[identity] for identity in container_ids if identity in found)

    async def events(self, labels: Mapping[str, str] = {}) -> Stream[Event]:
        return await self._streams.events(labels)


def _with_registry(reference: str) -> str:
    """aiodocker wants the registry written out when it is given credentials."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"

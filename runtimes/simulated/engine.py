"""The simulated engine: sandboxes, containers and images in memory, in virtual or real time.

Owns the records of one node. It waits only through trio and learns the time from the function it is given, so that a
simulation replays it exactly; identities come from a counter. A container costs a task only if it does something by
itself. It never starts a process, and it opens sockets only in the loopback network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Literal

import trio

from runtimes.contract import (
    EXIT_KILLED,
    AlreadyExists,
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
    InvalidConfig,
    LogLine,
    NotFound,
    Resources,
    Sandbox,
    SandboxConfig,
    StartFailed,
    Stream,
    Unavailable,
    Version,
    WrongState,
)
from runtimes.simulated import commands, images, processes
from runtimes.simulated.addresses import AddressPool
from runtimes.simulated.behaviour import Script
from runtimes.simulated.containers import SimulatedContainer, SimulatedSandbox
from runtimes.simulated.streams import SimulatedAttachment, SimulatedEvents, SimulatedLogs, SimulatedSession

Network = Literal["none", "loopback"]


class SimulatedRuntime:
    """One engine for one node. Beyond the contract: `crash`, `set_available`, `http_get` for tests and probes."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        now: Callable[[], float],
        name: str = "simulated",
        network: Network = "none",
        pod_cidr: str = "10.244.0.0/24",
        host_ip: str = "127.0.0.1",
        script: Script | None = None,
        cpus: int = 4,
        memory_bytes: int = 16 << 30,
        storage_bytes: int = 100 << 30,
    ) -> None:
        self.name = name
        self.network = network
        self.host_ip = host_ip
        self.script = script or Script()
        self.now = now
        self.nursery = nursery
        self._info = EngineInfo(
            engine="simulated",
            version="1.0",
            cpus=cpus,
            memory_bytes=memory_bytes,
            storage_bytes=storage_bytes,
            kernel="simulated",
            os_image="simulated",
        )
        self._addresses = AddressPool(pod_cidr)
        self._images = images.ImageShelf(self.script)
        self._sandboxes: dict[str, SimulatedSandbox] = {}
        self._names: dict[tuple[str, str, str, int], str] = {}  # which sandbox has this name
        self._containers: dict[str, SimulatedContainer] = {}
        self._readers: set[SimulatedEvents] = set()
        self._serial = 0
        self._available = True

    # For tests and the fault plan.

    def set_available(self, available: bool) -> None:
        """An engine that is away answers Unavailable and ends its event streams; its containers go on."""
        self._available = available
        if not available:
            for reader in tuple(self._readers):
                reader.cut("the simulated engine went away")

    def crash(self, container_id: str, exit_code: int = EXIT_KILLED, *, oom: bool = False) -> None:
        """A running container's process dies by itself, now."""
        container = self._container(container_id)
        if container.state == "running":
            self.end(container, exit_code, oom=oom)

    def http_get(self, ip: str, port: int, path: str) -> tuple[int, bytes]:
        """What an HTTP request to a sandbox's address gives, without any socket. Raises ConnectionRefusedError."""
        for sandbox in self._sandboxes.values():
            if (sandbox.ip or self.host_ip) == ip and sandbox.state == "ready":
                for container in sandbox.containers.values():
                    if processes.listens(container, port, self.now()):
                        return processes.respond(container, path)
        raise ConnectionRefusedError(f"connect {ip}:{port}: connection refused")

    # The engine.

    async def _enter(self) -> None:
        await trio.lowlevel.checkpoint()
        if not self._available:
            raise Unavailable("the simulated engine is away")

    async def version(self) -> Version:
        await self._enter()
        return Version(engine="simulated", version=self._info.version, api_version="1")

    async def info(self) -> EngineInfo:
        await self._enter()
        return self._info

    async def aclose(self) -> None:
        """Ends every container, as pulling the plug does."""
        for container in tuple(self._containers.values()):
            if container.state == "running":
                self.end(container, EXIT_KILLED)
        for reader in tuple(self._readers):
            reader.cut("the simulated engine was closed")
        self._available = False
        await trio.lowlevel.checkpoint()

    def _identity(self) -> str:
        self._serial += 1
        return sha256(f"{self.name}/{self._serial}".encode()).hexdigest()

    # Sandboxes.

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox:
        await self._enter()
        key = _name_of(config)
        if key in self._names:
            raise AlreadyExists(f"a sandbox of {config.namespace}/{config.name} exists: {self._names[key][:12]}")
        ip = "" if config.host_network else self._addresses.allocate()
        sandbox = SimulatedSandbox(self._identity(), config, ip, self.now())
        self._sandboxes[sandbox.id] = sandbox
        self._names[key] = sandbox.id
        self._emit_sandbox(sandbox, "created")
        self._emit_sandbox(sandbox, "started")
        return sandbox.view()

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._enter()
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is not None:
            self._stop_sandbox(sandbox)

    def _stop_sandbox(self, sandbox: SimulatedSandbox) -> None:
        for container in sandbox.containers.values():
            if container.state == "running":
                self.end(container, EXIT_KILLED)
        if sandbox.state == "ready":
            sandbox.state = "notready"
            if sandbox.ip:
                self._addresses.release(sandbox.ip)
            self._emit_sandbox(sandbox, "died")

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._enter()
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        self._stop_sandbox(sandbox)
        for container in tuple(sandbox.containers.values()):
            self._remove(container)
        del self._sandboxes[sandbox_id]
        del self._names[_name_of(sandbox.config)]
        self._emit_sandbox(sandbox, "removed")

    async def list_sandboxes(self, labels: Mapping[str, str] = {}) -> tuple[Sandbox, ...]:
        await self._enter()
        return tuple(sandbox.view() for sandbox in self._sandboxes.values() if _carries(sandbox.config.labels, labels))

    async def sandbox_status(self, sandbox_id: str) -> Sandbox:
        await self._enter()
        if sandbox_id not in self._sandboxes:
            raise NotFound(f"no such sandbox: {sandbox_id}")
        return self._sandboxes[sandbox_id].view()

    # Containers.

    def _container(self, container_id: str) -> SimulatedContainer:
        container = self._containers.get(container_id)
        if container is None:
            raise NotFound(f"no such container: {container_id}")
        return container

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        await self._enter()
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            raise NotFound(f"no such sandbox: {sandbox_id}")
        if sandbox.state != "ready":
            raise WrongState(f"sandbox {sandbox_id[:12]} is not ready")
        image = self._images.get(config.image)
        if image is None:
            raise ImageNotPresent(f"no such image: {config.image}")
        for other in sandbox.containers.values():
            if (other.config.name, other.config.attempt) == (config.name, config.attempt):
                raise AlreadyExists(f"container {config.name!r} attempt {config.attempt} exists in this sandbox")
        container = SimulatedContainer(
            self._identity(),
            sandbox,
            config,
            image.id,
            lambda: self.script.for_container(config, sandbox.config.annotations),
            self.now(),
        )
        sandbox.containers[container.id] = container
        self._containers[container.id] = container
        self._emit(container, "created")
        return container.id

    async def start_container(self, container_id: str) -> None:
        await self._enter()
        container = self._container(container_id)
        if container.state != "created":
            raise WrongState(f"container {container_id[:12]} is {container.state}")
        behaviour = container.behaviour
        if behaviour.start_seconds:
            await trio.sleep(behaviour.start_seconds)
        if container.removed or container.sandbox.state != "ready":
            raise WrongState(f"the sandbox of container {container_id[:12]} is not ready")
        if behaviour.start_error:
            container.finish(self.now(), behaviour.start_exit_code, reason="StartError", message=behaviour.start_error)
            raise StartFailed(behaviour.start_error, behaviour.start_exit_code)
        container.state = "running"
        container.started_at = self.now()
        self._emit(container, "started")
        processes.start(self, container)

    def end(self, container: SimulatedContainer, exit_code: int, *, oom: bool = False, message: str = "") -> None:
        """A container's process is over. The one way from running to exited."""
        container.finish(self.now(), exit_code, oom=oom, message=message)
        if oom:
            self._emit(container, "oom")
        self._emit(container, "died")

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        await self._enter()
        container = self._containers.get(container_id)
        if container is None or container.state != "running":
            return
        if grace_seconds > 0:
            processes.signal(self, container, "TERM")
            with trio.move_on_after(grace_seconds):
                await container.ended.wait()
        if container.state == "running":
            self.end(container, EXIT_KILLED)

    async def kill_container(self, container_id: str, signal: str = "KILL") -> None:
        await self._enter()
        container = self._containers.get(container_id)
        if container is not None and container.state == "running":
            processes.signal(self, container, commands.signal_name(signal))

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        await self._enter()
        container = self._containers.get(container_id)
        if container is None:
            return
        if container.state == "running":
            if not force:
                raise WrongState(f"container {container_id[:12]} is running")
            self.end(container, EXIT_KILLED)
        self._remove(container)

    def _remove(self, container: SimulatedContainer) -> None:
        container.removed = True
        container.scope.cancel()
        container.logs.close()
        container.sandbox.containers.pop(container.id, None)
        self._containers.pop(container.id, None)
        self._emit(container, "removed")

    async def list_containers(
        self, labels: Mapping[str, str] = {}, *, sandbox_id: str | None = None
    ) -> tuple[Container, ...]:
        await self._enter()
        found = self._containers
        if sandbox_id is not None:
            sandbox = self._sandboxes.get(sandbox_id)
            found = sandbox.containers if sandbox is not None else {}
        return tuple(container.view() for container in found.values() if _carries(container.config.labels, labels))

    async def container_status(self, container_id: str) -> ContainerStatus:
        await self._enter()
        return self._container(container_id).status()

    async def update_resources(self, container_id: str, resources: Resources) -> None:
        """Accepted and without effect: the simulation enforces no limits."""
        await self._enter()
        self._container(container_id)

    # Images.

    async def pull_image(self, reference: str, auth: Auth | None = None) -> Image:
        await self._enter()
        return await self._images.pull(reference)

    async def image_status(self, reference: str) -> Image | None:
        await self._enter()
        return self._images.get(reference)

    async def list_images(self) -> tuple[Image, ...]:
        await self._enter()
        return self._images.all()

    async def remove_image(self, reference: str) -> None:
        await self._enter()
        image = self._images.get(reference)
        if image is None:
            return
        if any(container.image_id == image.id for container in self._containers.values()):
            raise WrongState(f"image {reference} is used by a container")
        self._images.remove(image)

    # Streams.

    def _running(self, container_id: str) -> SimulatedContainer:
        container = self._container(container_id)
        if container.state != "running":
            raise WrongState(f"container {container_id[:12]} is not running")
        return container

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> ExecSession:
        await self._enter()
        container = self._running(container_id)
        if not command:
            raise InvalidConfig("no command to execute")
        session = SimulatedSession(tty=tty, stdin=stdin)
        self.nursery.start_soon(processes.execute, self, container, tuple(command), session)
        return session

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float | None = None
    ) -> ExecResult:
        await self._enter()
        container = self._running(container_id)
        if not command:
            raise InvalidConfig("no command to execute")
        return await processes.execute_sync(self, container, tuple(command), timeout_seconds)

    async def attach(self, container_id: str, *, stdin: bool = False) -> ExecSession:
        await self._enter()
        return SimulatedAttachment(self._running(container_id), stdin=stdin)

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Stream[LogLine]:
        await self._enter()
        return SimulatedLogs(self._container(container_id).logs, follow=follow, tail=tail, since=since)

    # Observation.

    async def stats(self, container_ids: Sequence[str]) -> tuple[ContainerStats, ...]:
        await self._enter()
        found = (self._containers.get(identity) for identity in container_ids)
        return tuple(
            processes.usage(container, self.now())
            for container in found
            if container is not None and container.state == "running"
        )

    async def events(self, labels: Mapping[str, str] = {}) -> Stream[Event]:
        await self._enter()
        reader = SimulatedEvents(labels, self._readers.discard)
        self._readers.add(reader)
        return reader

    def _emit_sandbox(
        self, sandbox: SimulatedSandbox, action: Literal["created", "started", "died", "removed"]
    ) -> None:
        if self._readers:
            self._offer(
                Event(
                    subject="sandbox",
                    action=action,
                    id=sandbox.id,
                    sandbox_id=sandbox.id,
                    time=self.now(),
                    name=sandbox.config.name,
                    labels=sandbox.config.labels,
                    exit_code=0 if action == "died" else None,
                )
            )

    def _emit(
        self, container: SimulatedContainer, action: Literal["created", "started", "died", "oom", "removed"]
    ) -> None:
        if self._readers:
            self._offer(
                Event(
                    subject="container",
                    action=action,
                    id=container.id,
                    sandbox_id=container.sandbox.id,
                    time=self.now(),
                    name=container.config.name,
                    labels=container.config.labels,
                    exit_code=container.exit_code if action == "died" else None,
                )
            )

    def _offer(self, event: Event) -> None:
        for reader in tuple(self._readers):
            reader.offer(event)


def _name_of(config: SandboxConfig) -> tuple[str, str, str, int]:
    return config.namespace, config.name, config.uid, config.attempt


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


@asynccontextmanager
async def open_simulated(
    *,
    now: Callable[[], float],
    name: str = "simulated",
    network: Network = "none",
    pod_cidr: str = "10.244.0.0/24",
    host_ip: str = "127.0.0.1",
    script: Script | None = None,
    cpus: int = 4,
    memory_bytes: int = 16 << 30,
    storage_bytes: int = 100 << 30,
) -> AsyncIterator[SimulatedRuntime]:
    """An engine that lives as long as this block. `now` gives unix seconds."""
    async with trio.open_nursery() as nursery:
        runtime = SimulatedRuntime(
            nursery,
            now=now,
            name=name,
            network=network,
            pod_cidr=pod_cidr,
            host_ip=host_ip,
            script=script,
            cpus=cpus,
            memory_bytes=memory_bytes,
            storage_bytes=storage_bytes,
        )
        try:
            yield runtime
        finally:
            with trio.CancelScope(shield=True):
                await runtime.aclose()
            nursery.cancel_scope.cancel()

"""Performs what a pod's machine decided, each effect in a task of its own, and posts what came of it.

A task is known by its container's name ("" is the pod's own) so that it can be given up or replaced. An engine or
API that is away is waited for; every other failure is an event for the machine, or the end of the pod's actor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import trio

from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Pod, Secret
from runtimes.contract import (
    AlreadyExists,
    ContainerConfig,
    Mount,
    NotFound,
    RuntimeFault,
    Sandbox,
    StartFailed,
    Unavailable,
    WrongState,
)

from . import container_config, environment, images, model, naming
from .adoption import exit_of
from .context import NodeContext
from .environment import ConfigError
from .hooks import HookError, run_hook
from .images import ImageError
from .model import AnyContainer, Effect, Event, PodState, container_named
from .patience import patiently
from .probing import Prober
from .termination import Terminator
from .volumes import PodVolumes, VolumeError


class Performer:
    """The hands of one pod actor. `state` gives the machine's newest state, `post` takes events for it."""

    def __init__(
        self,
        context: NodeContext,
        nursery: trio.Nursery,
        state: Callable[[], PodState],
        post: Callable[[Event], None],
        finalize: Callable[[], Awaitable[None]],
        idle: Callable[[], None],
    ) -> None:
        self.volumes = PodVolumes(context, state().pod)
        self.busy = 0
        """Pieces of work that are likely to be done in a moment: a status may wait for them."""
        self._context = context
        self._runtime = context.runtime
        self._nursery = nursery
        self._state = state
        self._post = post
        self._finalize = finalize
        self._idle = idle
        self._scopes: dict[str, trio.CancelScope] = {}
        self._terminator = Terminator(context, self.volumes)
        self._probers: dict[str, Prober] = {}
        self._users: dict[str, str] = {}
        self._starting = 0
        self._started = trio.Event()

    @property
    def pod(self) -> Pod:
        return self._state().pod

    def perform(self, effect: Effect) -> None:
        """Begin an effect; synchronous."""
        match effect:
            case model.Report():
                self._context.record(self.pod, effect.type, effect.reason, effect.message, effect.container)
            case model.Prepare():
                if self.pod.spec.volumes or self.volumes.directory:
                    self._spawn("", self._prepare)
                else:
                    self._post(model.Prepared())
            case model.RunSandbox():
                self._spawn("", partial(self._run_sandbox, effect))
            case model.EnsureImage():
                self._spawn(effect.name, partial(self._ensure_image, effect))
            case model.StartContainer():
                self._starting += 1
                self._spawn(effect.name, partial(self._start, effect))
            case model.RunPostStart():
                self._spawn(effect.name, partial(self._post_start, effect))
            case model.StopContainer():
                self._spawn(effect.name, partial(self._stop, effect))
            case model.Abort():
                self._abort(effect.name)
            case model.StartProbes():
                self._start_probes(effect)
            case model.StopProbes():
                prober = self._probers.pop(effect.name, None)
                if prober is not None:
                    prober.stop()
            case model.StopSandbox():
                self._spawn("", partial(self._stop_sandbox, effect))
            case model.Clean():
                self._spawn("", self._clean)
            case model.Finalize():
                self._spawn("", self._finalizing)
            case _:
                raise AssertionError(f"nobody performs {effect!r}")

    def inspect(self, name: str, identity: str) -> None:
        """A container is said to have ended: find out how."""
        self._nursery.start_soon(self._inspect, name, identity)

    def _spawn(self, key: str, work: Callable[[], Awaitable[None]]) -> None:
        self._abort(key)
        scope = trio.CancelScope()
        self._scopes[key] = scope
        self.busy += 1
        self._nursery.start_soon(self._task, key, scope, work)

    async def _task(self, key: str, scope: trio.CancelScope, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with scope:
                await work()
        finally:
            self.busy -= 1
            if not self.busy:
                self._idle()
            if self._scopes.get(key) is scope:
                del self._scopes[key]

    def _abort(self, key: str) -> None:
        scope = self._scopes.pop(key, None)
        if scope is not None:
            scope.cancel()

    def _tell(self, name: str) -> Callable[[Literal["Normal", "Warning"], str, str], None]:
        return lambda type, reason, message: self._context.record(self.pod, type, reason, message, name)

    # The pod

    async def _prepare(self) -> None:
        pod = self.pod
        try:
            await patiently(partial(self.volumes.prepare, pod))
        except VolumeError as error:
            self._post(model.PrepareFailed(error.reason, error.message))
        except (ApiError, OSError) as error:
            self._post(model.PrepareFailed("FailedMount", str(error)))
        else:
            self._post(model.Prepared())

    async def _run_sandbox(self, effect: model.RunSandbox) -> None:
        config = container_config.sandbox_config(self.pod, self._context.config, effect.attempt)
        if effect.previous:
            await patiently(partial(self._runtime.remove_sandbox, effect.previous))
        try:
            sandbox = await patiently(partial(self._runtime.run_sandbox, config))
        except AlreadyExists:
            # The engine made it, and its answer was lost.
            sandbox = await patiently(partial(self._find_sandbox, effect.attempt))
        except RuntimeFault as fault:
            self._post(model.SandboxFailed(str(fault)))
            return
        self._post(model.SandboxReady(sandbox.id, sandbox.ips))

    async def _find_sandbox(self, attempt: int) -> Sandbox:
        found = await self._runtime.list_sandboxes({naming.POD_UID: self.pod.metadata.uid})
        return next(sandbox for sandbox in found if sandbox.attempt == attempt)

    async def _stop_sandbox(self, effect: model.StopSandbox) -> None:
        await patiently(partial(self._runtime.stop_sandbox, effect.id))

    async def _clean(self) -> None:
        # A start that was given up may still be under way in the engine; what it makes is to go as well.
        while self._starting:
            self._started = trio.Event()
            await self._started.wait()
        labels = {naming.POD_UID: self.pod.metadata.uid}
        for sandbox in await patiently(partial(self._runtime.list_sandboxes, labels)):
            await patiently(partial(self._runtime.remove_sandbox, sandbox.id))
        await self.volumes.clean()
        self._post(model.Cleaned())

    async def _finalizing(self) -> None:
        await self._finalize()
        self._post(model.Finalized())

    # Containers

    async def _ensure_image(self, effect: model.EnsureImage) -> None:
        pod, name = self.pod, effect.name
        container = _spec(pod, name)
        secrets = await self._pull_secrets(pod) if pod.spec.image_pull_secrets else ()
        clock = self._context.system.clock
        try:
            image = await patiently(partial(images.have, self._runtime, container, secrets, self._tell(name), clock))
        except ImageError as error:
            self._post(model.ImageFailed(name, error.reason, error.message))
        else:
            self._users[name] = image.user
            self._post(model.ImageReady(name, images.image_id(image)))

    async def _pull_secrets(self, pod: Pod) -> tuple[Secret, ...]:
        found = []
        for reference in pod.spec.image_pull_secrets:
            fetch = partial(self._context.sources.secret, pod.metadata.namespace, reference.name or "")
            secret = await patiently(fetch)
            if secret is not None:
                found.append(secret)
        return tuple(found)

    async def _start(self, effect: model.StartContainer) -> None:
        try:
            await self._create_and_start(effect)
        finally:
            self._starting -= 1
            self._started.set()

    async def _create_and_start(self, effect: model.StartContainer) -> None:
        name, attempt = effect.name, effect.attempt
        try:
            config = await patiently(partial(self._config, effect))
        except (ConfigError, VolumeError) as error:
            self._post(model.StartFailed(name, "CreateContainerConfigError", str(error), attempt))
            return
        except ApiError as error:
            self._post(model.StartFailed(name, "CreateContainerConfigError", error.message, attempt))
            return
        try:
            identity = await patiently(partial(self._create, config))
        except RuntimeFault as fault:
            self._post(model.StartFailed(name, "CreateContainerError", str(fault), attempt))
            return
        self._tell(name)("Normal", "Created", "Container created")
        try:
            await patiently(partial(self._runtime.start_container, identity))
        except StartFailed as fault:
            self._post(model.StartFailed(name, "RunContainerError", str(fault), attempt, identity, fault.exit_code))
        except RuntimeFault as fault:
            self._post(model.StartFailed(name, "RunContainerError", str(fault), attempt, identity))
        else:
            self._tell(name)("Normal", "Started", "Container started")
            self._post(model.Started(name, identity, attempt, self._context.system.clock.now()))
            if attempt > 1:
                await self._forget_old(name, attempt)

    async def _config(self, effect: model.StartContainer) -> ContainerConfig:
        state, pod = self._state(), self.pod
        container = _spec(pod, effect.name)
        ips = state.ips or (self._context.host.ips if pod.spec.host_network else ())
        variables = environment.environment(pod, container, await self._inputs(pod, container, ips))
        mounts = self.volumes.mounts(pod, container, dict(variables))
        mounts += self._own_mounts(pod, container, effect.attempt, ips)
        return container_config.container_config(
            pod,
            container,
            self._context.config,
            image=container.image or "",
            attempt=effect.attempt,
            env=variables,
            mounts=mounts,
            node_memory=self._context.memory_bytes,
            image_user=self._users.get(effect.name, ""),
        )

    async def _inputs(self, pod: Pod, container: AnyContainer, ips: tuple[str, ...]) -> environment.Inputs:
        context = self._context
        config_maps, secrets = environment.references(container)
        if config_maps or secrets:
            fetched = await self.volumes.inputs(pod, config_maps, secrets, ips=ips)
        else:
            fetched = environment.Inputs(pod_ips=ips, host_ips=context.host.ips, allocatable=context.allocatable)
        source = context.services
        if source is None:
            return fetched
        await source.synced()
        namespace = pod.metadata.namespace
        services = list(source.list(namespace))
        if namespace != "default":
            services += [one for one in source.list("default") if one.metadata.name == "kubernetes"]
        return environment.with_services(fetched, services)

    def _own_mounts(self, pod: Pod, container: AnyContainer, attempt: int, ips: tuple[str, ...]) -> list[Mount]:
        """The files that the node itself gives to every container."""
        mounts = []
        hosts = self.volumes.hosts_file(pod, ips)
        if hosts and not any(mount.mount_path == "/etc/hosts" for mount in container.volume_mounts):
            mounts.append(Mount(host_path=hosts, container_path="/etc/hosts"))
        message = self.volumes.message_file(container.name, attempt)
        if message:
            path = container.termination_message_path or "/dev/termination-log"
            mounts.append(Mount(host_path=message, container_path=path))
        return mounts

    async def _create(self, config: ContainerConfig) -> str:
        sandbox = self._state().sandbox_id
        try:
            return await self._runtime.create_container(sandbox, config)
        except AlreadyExists:
            # Left over from an interrupted start: it never ran, since then it would have been adopted.
            for found in await self._runtime.list_containers(sandbox_id=sandbox):
                if (found.name, found.attempt) == (config.name, config.attempt):
                    await self._runtime.remove_container(found.id, force=True)
            return await self._runtime.create_container(sandbox, config)

    async def _forget_old(self, name: str, attempt: int) -> None:
        """Of the ended instances only the last one is kept, for its log."""
        try:
            for found in await self._runtime.list_containers(sandbox_id=self._state().sandbox_id):
                if found.name == name and found.attempt < attempt - 1 and found.state == "exited":
                    await self._runtime.remove_container(found.id)
        except (Unavailable, WrongState, NotFound):
            return  # the next restart, or the end of the pod, takes them along

    async def _post_start(self, effect: model.RunPostStart) -> None:
        pod, container = self.pod, _spec(self.pod, effect.name)
        handler = container.lifecycle.post_start if container.lifecycle is not None else None
        assert handler is not None, effect
        try:
            await run_hook(handler, pod, container, effect.id, self._ip(), self._runtime, self._context.dialer)
        except HookError as error:
            self._post(model.HookFailed(effect.name, str(error)))
        else:
            self._post(model.HookDone(effect.name))

    async def _stop(self, effect: model.StopContainer) -> None:
        pod = self.pod
        await self._terminator.stop(pod, _spec(pod, effect.name), effect, self._ip())
        await self._inspect(effect.name, effect.id)

    async def _inspect(self, name: str, identity: str) -> None:
        try:
            status = await patiently(partial(self._runtime.container_status, identity))
        except NotFound:
            now = self._context.system.clock.now()
            self._post(model.Exited(name, model.Exit(id=identity, code=137, reason="Error", finished_at=now)))
            return
        if status.state == "exited":
            exit = exit_of(status)
            container = container_named(self.pod, name)
            if container is not None:
                exit = await self._terminator.with_message(container, exit, status.attempt)
            self._post(model.Exited(name, exit))

    def _start_probes(self, effect: model.StartProbes) -> None:
        known = self._probers.pop(effect.name, None)
        if known is not None:
            known.stop()
        container = _spec(self.pod, effect.name)
        prober = Prober(self._context, self._state, container, effect, self._post)
        self._probers[effect.name] = prober
        prober.start(self._nursery)

    def _ip(self) -> str:
        state = self._state()
        if state.ips:
            return state.ips[0]
        return self._context.host.ips[0] if self._context.host.ips else "127.0.0.1"


def _spec(pod: Pod, name: str) -> AnyContainer:
    container = container_named(pod, name)
    assert container is not None, f"pod {pod.metadata.name} has no container {name}"
    return container

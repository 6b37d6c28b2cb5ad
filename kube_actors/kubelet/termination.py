"""How containers end: preStop, TERM, grace, KILL; and the message that one leaves behind."""

from __future__ import annotations

from functools import partial

import trio
from msgspec import structs

from kube_actors.api.types.core_v1 import Pod
from runtimes.contract import NotFound, RuntimeFault

from . import limits, volume_files
from .context import NodeContext
from .hooks import HookError, run_hook
from .model import AnyContainer, Exit, StopContainer
from .patience import patiently
from .volumes import PodVolumes


class Terminator:
    """Stops containers of one pod."""

    def __init__(self, context: NodeContext, volumes: PodVolumes) -> None:
        self._context = context
        self._volumes = volumes

    async def stop(self, pod: Pod, container: AnyContainer, effect: StopContainer, ip: str) -> None:
        """Returns once the container has ended."""
        clock = self._context.system.clock
        began = clock.monotonic()
        handler = container.lifecycle.pre_stop if container.lifecycle is not None else None
        if effect.hook and handler is not None:
            runtime, dialer = self._context.runtime, self._context.dialer
            with trio.move_on_after(effect.grace):
                try:
                    await run_hook(handler, pod, container, effect.id, ip, runtime, dialer)
                except HookError:
                    self._context.record(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container.name)
        grace = effect.grace
        if grace > 0:
            # The hook's time is the container's; what is left may be little, but never nothing.
            grace = max(grace - (clock.monotonic() - began), limits.MINIMUM_GRACE if grace > 2 else grace / 2)
        try:
            await patiently(partial(self._context.runtime.stop_container, effect.id, grace))
        except NotFound:
            return

    async def with_message(self, container: AnyContainer, exit: Exit, attempt: int) -> Exit:
        """The end with the message from the container's file, or from its log when it failed without one."""
        if exit.message:
            return exit
        path = self._volumes.message_path(container.name, attempt)
        text = volume_files.read_tail(path, limits.TERMINATION_MESSAGE_BYTES) if path else b""
        if not text and exit.code and container.termination_message_policy == "FallbackToLogsOnError":
            text = await self._log_tail(exit.id)
        return structs.replace(exit, message=text.decode(errors="replace")) if text else exit

    async def _log_tail(self, identity: str) -> bytes:
        kept = b""
        try:
            async with await self._context.runtime.logs(identity, tail=limits.LOG_FALLBACK_LINES) as lines:
                async for line in lines:
                    kept = (kept + line.data)[-limits.LOG_FALLBACK_BYTES :]
        except RuntimeFault:
            return kept
        return kept

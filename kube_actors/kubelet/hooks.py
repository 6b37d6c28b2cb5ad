"""postStart and preStop: a command in the container, an HTTP request to it, or a pause."""

from __future__ import annotations

import trio

from kube_actors.api.types.core_v1 import LifecycleHandler, Pod
from runtimes.contract import Runtime, RuntimeFault

from . import limits
from .dialing import Dialer, HttpTarget, dial_error
from .model import AnyContainer
from .ports import port_number


class HookError(Exception):
    """The hook failed; the message says how."""


async def run_hook(
    handler: LifecycleHandler,
    pod: Pod,
    container: AnyContainer,
    identity: str,
    ip: str,
    runtime: Runtime,
    dialer: Dialer,
) -> None:
    """Run one handler to its end. Raises HookError; the caller bounds its time."""
    if handler.exec is not None:
        await _exec(runtime, identity, handler.exec.command)
    elif handler.sleep is not None:
        await trio.sleep(handler.sleep.seconds)
    elif handler.http_get is not None:
        action = handler.http_get
        port = port_number(container, action.port)
        if port is None:
            raise HookError(f"couldn't find port: {action.port} in {container.name}")
        target = HttpTarget(
            host=action.host or ip,
            port=port,
            path=_path(action.path),
            tls=(action.scheme or "").upper() == "HTTPS",
            headers=tuple((header.name, header.value) for header in action.http_headers),
        )
        try:
            status, _ = await dialer.http(target, limits.HOOK_TIMEOUT)
        except (OSError, TimeoutError) as error:
            raise HookError(f'Get "{target.url}": {dial_error(target.host, port, error)}') from error
        if not 200 <= status < 400:
            raise HookError(f"HTTP hook failed with statuscode: {status}")


def _path(path: str | None) -> str:
    text = path or "/"
    return text if text.startswith("/") else f"/{text}"


async def _exec(runtime: Runtime, identity: str, command: tuple[str, ...]) -> None:
    try:
        result = await runtime.exec_sync(identity, command)
    except RuntimeFault as fault:
        raise HookError(str(fault)) from fault
    if result.exit_code:
        output = (result.stdout + result.stderr).decode(errors="replace").strip()
        words = " ".join(command)
        raise HookError(f"command '{words}' exited with {result.exit_code}: {output}")

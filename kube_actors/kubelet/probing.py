"""The probes of one running container: a task for each, that asks, counts, and posts changed verdicts.

Counting is `probe_counter`; asking is here. A probe's result is one of success, failure (with what was answered) and
unknown (the probe itself could not be made, which counts for nothing).
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from kube_actors.api.types.core_v1 import Probe
from runtimes.contract import NotFound, RuntimeFault, TimedOut, Unavailable, WrongState

from . import grpc_health, limits
from .context import NodeContext
from .dialing import HttpTarget, dial_error
from .model import AnyContainer, Event, PodState, Probed, ProbeKind, StartProbes
from .ports import port_number
from .probe_counter import Counter


class Prober:
    """All probes of one instance of a container, until `stop`."""

    def __init__(
        self,
        context: NodeContext,
        state: Callable[[], PodState],
        container: AnyContainer,
        effect: StartProbes,
        post: Callable[[Event], None],
    ) -> None:
        self._context = context
        self._state = state
        self._container = container
        self._id = effect.id
        self._adopted = effect.started
        self._post = post
        self._scope = trio.CancelScope()
        self._entropy = context.system.entropy

    def stop(self) -> None:
        self._scope.cancel()

    def start(self, nursery: trio.Nursery) -> None:
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        container = self._container
        began = self._context.system.clock.monotonic()
        with self._scope:
            if container.startup_probe is not None and not self._adopted:
                await self._watch("startup", container.startup_probe, began)
            async with trio.open_nursery() as nursery:
                if container.liveness_probe is not None:
                    nursery.start_soon(self._watch, "liveness", container.liveness_probe, began)
                if container.readiness_probe is not None:
                    nursery.start_soon(self._watch, "readiness", container.readiness_probe, began)

    async def _watch(self, kind: ProbeKind, probe: Probe, began: float) -> None:
        """Probe for ever; a startup probe until it has succeeded once."""
        counter = Counter(kind, probe)
        since = self._context.system.clock.monotonic() - began
        await trio.sleep(max(0.0, (probe.initial_delay_seconds or 0) - since))
        while True:
            ok, message = await self._ask(probe)
            if ok is False:
                self._unhealthy(kind, message)
            verdict = counter.take(ok)
            if verdict is not None:
                self._post(Probed(self._container.name, self._id, kind, verdict, message))
                if kind != "readiness" and not verdict:
                    return  # the container is being killed; its next instance has probes of its own
                if kind == "startup":
                    return
            await trio.sleep(probe.period_seconds or 10)

    def _unhealthy(self, kind: ProbeKind, message: str) -> None:
        text = f"{kind.capitalize()} probe failed: {message}"
        self._context.record(self._state().pod, "Warning", "Unhealthy", text, self._container.name)

    # Asking

    async def _ask(self, probe: Probe) -> tuple[bool | None, str]:
        """(success, failure or None for unknown; what was answered)."""
        timeout = float(probe.timeout_seconds or 1)
        try:
            if probe.exec is not None:
                return await self._exec(probe.exec.command, timeout)
            if probe.http_get is not None:
                return await self._http(probe, timeout)
            if probe.tcp_socket is not None:
                return await self._tcp(probe, timeout)
            if probe.grpc is not None:
                return await grpc_health.check(self._ip(), probe.grpc.port, probe.grpc.service or "", timeout)
        except Unavailable as fault:
            return None, str(fault)
        return None, "missing probe handler"

    async def _exec(self, command: tuple[str, ...], timeout: float) -> tuple[bool | None, str]:
        try:
            result = await self._context.runtime.exec_sync(self._id, command, timeout_seconds=timeout)
        except TimedOut:
            return False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s'
        except (NotFound, WrongState) as fault:
            return None, str(fault)
        except Unavailable:
            raise
        except RuntimeFault as fault:
            return False, str(fault)
        text = (result.stdout + result.stderr)[: limits.PROBE_MESSAGE_BYTES].decode(errors="replace")
        return result.exit_code == 0, text

    async def _http(self, probe: Probe, timeout: float) -> tuple[bool | None, str]:
        action = probe.http_get
        assert action is not None
        port = port_number(self._container, action.port)
        if port is None:
            return None, f"couldn't find port: {action.port}"
        path = action.path or "/"
        target = HttpTarget(
            host=action.host or self._ip(),
            port=port,
            path=path if path.startswith("/") else f"/{path}",
            tls=(action.scheme or "").upper() == "HTTPS",
            headers=tuple((header.name, header.value) for header in action.http_headers),
        )
        try:
            status, body = await self._context.dialer.http(target, timeout)
        except (OSError, TimeoutError) as error:
            return False, f'Get "{target.url}": {dial_error(target.host, port, error)}'
        if 200 <= status < 400:
            return True, body[: limits.PROBE_MESSAGE_BYTES].decode(errors="replace")
        return False, f"HTTP probe failed with statuscode: {status}"

    async def _tcp(self, probe: Probe, timeout: float) -> tuple[bool | None, str]:
        action = probe.tcp_socket
        assert action is not None
        port = port_number(self._container, action.port)
        if port is None:
            return None, f"couldn't find port: {action.port}"
        host = action.host or self._ip()
        try:
            await self._context.dialer.tcp(host, port, timeout)
        except (OSError, TimeoutError) as error:
            return False, dial_error(host, port, error)
        return True, ""

    def _ip(self) -> str:
        state = self._state()
        if state.ips:
            return state.ips[0]
        return self._context.host.ips[0] if self._context.host.ips else "127.0.0.1"

"""The mutable records of the simulated engine: one per sandbox and per container, with their kept logs.

Only `engine` and the tasks that it starts touch them. No waiting happens here except on a record's own events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from runtimes import limits
from runtimes.contract import (
    EXIT_KILLED,
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    LogLine,
    Sandbox,
    SandboxConfig,
    SandboxState,
)
from runtimes.simulated.behaviour import Behaviour
from runtimes.simulated.shell import Surroundings


class SimulatedSandbox:
    __slots__ = ("config", "containers", "created_at", "id", "ip", "removed", "state")

    def __init__(self, identity: str, config: SandboxConfig, ip: str, created_at: float) -> None:
        self.id = identity
        self.config = config
        self.ip = ip
        self.created_at = created_at
        self.state: SandboxState = "ready"
        self.containers: dict[str, SimulatedContainer] = {}
        self.removed = False

    def view(self) -> Sandbox:
        config = self.config
        return Sandbox(
            id=self.id,
            name=config.name,
            uid=config.uid,
            namespace=config.namespace,
            attempt=config.attempt,
            state=self.state,
            created_at=self.created_at,
            ip=self.ip,
            ips=(self.ip,) if self.ip else (),
            host_network=config.host_network,
            labels=config.labels,
            annotations=config.annotations,
        )

    def hostname(self) -> str:
        return self.config.hostname or self.config.name


class LogBook:
    """The newest lines of a container, and the means to wait for more."""

    def __init__(self) -> None:
        self.lines: deque[LogLine] = deque(maxlen=limits.SIMULATED_LOG_LINES)
        self.written = 0  # ever; the first line kept has the number written - len(lines)
        self.closed = False
        self._changed: trio.Event | None = None

    def write(self, time_ns: int, stream: int, data: bytes) -> None:
        """Text that a process wrote; a line without an end is continued by the next write to its stream."""
        for piece in data.splitlines(keepends=True):
            last = self.lines[-1] if self.lines else None
            if last is not None and last.stream == stream and not last.data.endswith(b"\n"):
                self.lines[-1] = LogLine(time_ns=last.time_ns, stream=stream, data=last.data + piece)
            else:
                self.lines.append(LogLine(time_ns=time_ns, stream=stream, data=piece))
                self.written += 1
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def wait(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def line(self, number: int) -> tuple[int, LogLine | None]:
        """The line of that number or the oldest kept after it, with its number; None when it is yet to come."""
        oldest = self.written - len(self.lines)
        number = max(number, oldest)
        return number, (self.lines[number - oldest] if number < self.written else None)


class SimulatedContainer:
    def __init__(
        self,
        identity: str,
        sandbox: SimulatedSandbox,
        config: ContainerConfig,
        image_id: str,
        choose: Callable[[], Behaviour],
        created_at: float,
    ) -> None:
        self.id = identity
        self.sandbox = sandbox
        self.config = config
        self.image_id = image_id
        self.choose = choose
        self.behaviour = choose()
        self.created_at = created_at
        self.started_at = 0.0
        self.finished_at = 0.0
        self.state: ContainerState = "created"
        self.exit_code: int | None = None
        self.oom_killed = False
        self.reason = ""
        self.message = ""
        self.removed = False
        self.terminating = False
        self.interpreted = False
        self.main: trio.CancelScope | None = None
        self.scope = trio.CancelScope()  # everything that runs for this container, until it ends
        self.draining = trio.Event()
        self.serving = False  # it listens, in the loopback network
        self.ended = trio.Event()
        self.logs = LogBook()
        self.used_ns = 0  # of CPU, until used_until
        self.used_until = 0.0
        self.files: dict[str, bytes] = {}
        self.traps: dict[str, str] = {}
        self.trapped: str | None = None  # the trap that a signal set off
        self.stdin: tuple[trio.MemorySendChannel[bytes], trio.MemoryReceiveChannel[bytes]] | None = None

    def view(self) -> Container:
        config = self.config
        return Container(
            id=self.id,
            sandbox_id=self.sandbox.id,
            name=config.name,
            attempt=config.attempt,
            image=config.image,
            image_id=self.image_id,
            state=self.state,
            created_at=self.created_at,
            labels=config.labels,
            annotations=config.annotations,
        )

    def status(self) -> ContainerStatus:
        config = self.config
        return ContainerStatus(
            id=self.id,
            sandbox_id=self.sandbox.id,
            name=config.name,
            attempt=config.attempt,
            image=config.image,
            image_id=self.image_id,
            state=self.state,
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            exit_code=self.exit_code,
            oom_killed=self.oom_killed,
            reason=self.reason,
            message=self.message,
            pid=1 if self.state == "running" else 0,
            tty=config.tty,
            labels=config.labels,
            annotations=config.annotations,
            mounts=config.mounts,
        )

    def finish(self, now: float, exit_code: int, *, oom: bool = False, reason: str = "", message: str = "") -> None:
        """The end of its process. Everything that ran for it is cancelled."""
        assert self.state in ("created", "running"), self.state
        self.state = "exited"
        self.finished_at = now
        self.oom_killed = oom
        self.exit_code = EXIT_KILLED if oom else exit_code
        self.reason = reason or ("OOMKilled" if oom else "Completed" if exit_code == 0 else "Error")
        self.message = message
        self.scope.cancel()
        self.logs.close()
        self.ended.set()

    def surroundings(self) -> Surroundings:
        """Of a command executed in it. Its own environment comes last, so that it wins over what an engine sets."""
        config = self.config
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOSTNAME": self.sandbox.hostname(), "HOME": "/root"}
        environment.update(config.env)
        return Surroundings(
            hostname=self.sandbox.hostname(),
            environment=environment,
            files=self.files,
            mounts=config.mounts,
            directory=config.working_dir or "/",
            user=config.security.user or "root",
        )

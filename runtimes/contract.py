"""What a container engine must do for a node: sandboxes, containers, images, streams, statistics, events.

Owns the vocabulary (frozen values, one protocol, one family of errors). It knows nothing of pods or of any
engine; it never decides a policy: restarting, back-off, host-port conflicts and image policies are the
caller's. Modelled after CRI, with these deliberate differences: everything is async under trio, streams are
objects instead of URLs, and logs are read through the engine (an exited container's logs stay readable until it
is removed).

Rules that every engine keeps, and that `tests/engines/test_runtime_conformance.py` checks:

* Whatever is created carries the caller's labels; `list_*` finds it again from any process (adoption).
* `stop_*`, `kill_container` and `remove_*` may be repeated: what is stopped or gone already is no error.
* Cancelling a call or closing a stream frees what it held and leaves the engine usable.
* `Unavailable` means "try again later": the same runtime object works again once the engine is back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Generic, Literal, Protocol, Self, TypeVar

import msgspec

T = TypeVar("T")

STDOUT = 1
STDERR = 2

SandboxState = Literal["ready", "notready"]
ContainerState = Literal["created", "running", "exited", "unknown"]

# Exit codes by which a caller recognises a death by signal (128 + signal number).
EXIT_KILLED = 137
EXIT_TERMINATED = 143


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all values here: immutable, compared by content."""


# --- errors -------------------------------------------------------------------------------------------------


class RuntimeFault(Exception):
    """Base of everything an engine can answer instead of a result. `str()` is one readable line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(RuntimeFault):
    """No such sandbox or container."""


class AlreadyExists(RuntimeFault):
    """A sandbox or container of this name and attempt exists."""


class WrongState(RuntimeFault):
    """The operation needs another state, for example exec in a container that is not running."""


class InvalidConfig(RuntimeFault):
    """The engine refuses the configuration (bad mount, unknown capability, malformed reference, ...)."""


class ImageNotPresent(RuntimeFault):
    """The image of a container is not on this machine: pull it first."""


class ImagePullFailed(RuntimeFault):
    """The image could not be had; the message is the engine's cause."""


class StartFailed(RuntimeFault):
    """The process could not be started. The exit code is what a shell would give (126, 127, else 128)."""

    def __init__(self, message: str, exit_code: int = 128) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class TimedOut(RuntimeFault):
    """`exec_sync` ran longer than its timeout; the command was killed where the engine can do that."""


class Unavailable(RuntimeFault):
    """The engine does not answer: its socket is missing, or it died while we waited."""


# --- the engine ---------------------------------------------------------------------------------------------


class Version(Value, frozen=True, kw_only=True):
    engine: str  # "docker", "podman", "simulated"
    version: str
    api_version: str


class EngineInfo(Value, frozen=True, kw_only=True):
    engine: str
    version: str
    cpus: int
    memory_bytes: int
    storage_bytes: int  # size of the file system that holds images and containers
    os: str = "linux"
    architecture: str = "amd64"  # Go's names: amd64, arm64, ...
    kernel: str = ""
    os_image: str = ""  # "Debian GNU/Linux 12 (bookworm)"


# --- sandboxes ----------------------------------------------------------------------------------------------


class PortMapping(Value, frozen=True, kw_only=True):
    container_port: int
    host_port: int
    host_ip: str = ""  # empty: all addresses
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class Dns(Value, frozen=True, kw_only=True):
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Resources(Value, frozen=True, kw_only=True):
    """Limits of a container, or of everything in a sandbox. None: the engine's default."""

    cpu_shares: int | None = None
    cpu_quota_us: int | None = None
    cpu_period_us: int | None = None
    cpuset_cpus: str = ""
    memory_limit_bytes: int | None = None
    memory_swap_limit_bytes: int | None = None  # memory plus swap; None: equal to the memory limit (no swap)
    pids_limit: int | None = None
    oom_score_adj: int | None = None


class SandboxConfig(Value, frozen=True, kw_only=True):
    """The namespaces that a group of containers shares; identified by name, namespace, uid and attempt."""

    name: str
    uid: str
    namespace: str
    attempt: int = 0
    hostname: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_pid: bool = False  # containers see each other's processes
    dns: Dns | None = None
    extra_hosts: tuple[tuple[str, str], ...] = ()  # (name, address)
    sysctls: dict[str, str] = {}
    port_mappings: tuple[PortMapping, ...] = ()
    resources: Resources | None = None
    cgroup_parent: str = ""


class Sandbox(Value, frozen=True, kw_only=True):
    """A sandbox as the engine sees it. It is `ready` while its network namespace is held.

    As in CRI, a host_network sandbox has no address of its own: `ip` is empty and the caller fills in the
    node's.
    """

    id: str
    name: str
    uid: str
    namespace: str
    attempt: int
    state: SandboxState
    created_at: float  # unix seconds
    ip: str = ""
    ips: tuple[str, ...] = ()
    host_network: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


# --- containers ---------------------------------------------------------------------------------------------


class Mount(Value, frozen=True, kw_only=True):
    host_path: str
    container_path: str
    read_only: bool = False
    propagation: Literal["private", "rslave", "rshared"] = "private"


class Device(Value, frozen=True, kw_only=True):
    host_path: str
    container_path: str
    permissions: str = "rwm"


class Security(Value, frozen=True, kw_only=True):
    user: str = ""  # "1000", "1000:1000" or a name; empty: the image's
    group: str = ""  # only together with user
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    capabilities_add: tuple[str, ...] = ()  # without the CAP_ prefix; "ALL" for all
    capabilities_drop: tuple[str, ...] = ()
    read_only_rootfs: bool = False
    no_new_privileges: bool = False
    seccomp_unconfined: bool = False


class ContainerConfig(Value, frozen=True, kw_only=True):
    name: str
    image: str  # a reference or an image id, present on this machine
    attempt: int = 0
    command: tuple[str, ...] | None = None  # replaces the image's entrypoint (and then its arguments too)
    args: tuple[str, ...] | None = None  # replaces the image's arguments
    env: tuple[tuple[str, str], ...] = ()  # in order; the last of a name wins; names need not be identifiers
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    resources: Resources = Resources()
    security: Security = Security()


class Container(Value, frozen=True, kw_only=True):
    """What a listing tells about a container; `container_status` tells the rest."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    image: str  # as it was asked for
    image_id: str
    state: ContainerState
    created_at: float
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ContainerStatus(Value, frozen=True, kw_only=True):
    """One container in full. Times are unix seconds, 0.0 while they have not come."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    image: str
    image_id: str
    state: ContainerState
    created_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int | None = None  # only when exited
    oom_killed: bool = False
    reason: str = ""  # when exited: Completed, Error, OOMKilled, StartError
    message: str = ""  # the engine's cause, if it gives one
    pid: int = 0
    tty: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()


class ContainerStats(Value, frozen=True, kw_only=True):
    id: str
    time: float
    cpu_usage_ns: int  # since the container started
    memory_usage_bytes: int
    memory_working_set_bytes: int  # usage without inactive file cache


# --- images -------------------------------------------------------------------------------------------------


class Auth(Value, frozen=True, kw_only=True):
    username: str = ""
    password: str = ""
    server: str = ""
    identity_token: str = ""


class Image(Value, frozen=True, kw_only=True):
    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    user: str = ""
    command: tuple[str, ...] = ()  # entrypoint and arguments


# --- streams ------------------------------------------------------------------------------------------------


class LogLine(Value, frozen=True, kw_only=True):
    """One line (or the last piece of one). `data` is the exact bytes, with the newline if there was one."""

    time_ns: int
    stream: int  # STDOUT or STDERR
    data: bytes


class Event(Value, frozen=True, kw_only=True):
    subject: Literal["sandbox", "container"]
    action: Literal["created", "started", "died", "oom", "removed"]
    id: str
    sandbox_id: str  # equal to id for a sandbox
    time: float
    name: str = ""
    labels: dict[str, str] = {}
    exit_code: int | None = None  # with "died"


class Stream(ABC, Generic[T]):
    """An async iterator that must be closed: `async with await runtime.events() as events: ...`."""

    @abstractmethod
    async def __anext__(self) -> T: ...

    @abstractmethod
    async def aclose(self) -> None: ...

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class ExecSession(ABC):
    """A running command, or an attachment to a container, as a stream in both directions.

    One task may send while another receives. With a TTY all output is STDOUT. Closing a session hangs up; it
    need not end the command.
    """

    @abstractmethod
    async def send_stdin(self, data: bytes) -> None:
        """Give bytes to the command's input. What it no longer reads is dropped without an error."""

    @abstractmethod
    async def close_stdin(self) -> None:
        """End the command's input; output goes on."""

    @abstractmethod
    async def receive(self) -> tuple[int, bytes] | None:
        """The next output as (STDOUT or STDERR, bytes), in order; None once all output has come."""

    @abstractmethod
    async def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters. Without a TTY, nothing."""

    @abstractmethod
    async def exit_code(self) -> int:
        """Wait for the command (of an attachment: the container) to end; called after `receive` gave None."""

    @abstractmethod
    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class ExecResult(Value, frozen=True, kw_only=True):
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


# --- the protocol -------------------------------------------------------------------------------------------


class Runtime(Protocol):
    """One engine, opened and closed by `async with open_docker(...) as runtime` and its siblings."""

    async def version(self) -> Version: ...

    async def info(self) -> EngineInfo: ...

    # Sandboxes. Stopping one stops its containers; removing one removes them.

    async def run_sandbox(self, config: SandboxConfig) -> Sandbox: ...

    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def list_sandboxes(self, labels: Mapping[str, str] = {}) -> tuple[Sandbox, ...]: ...

    async def sandbox_status(self, sandbox_id: str) -> Sandbox: ...

    # Containers.

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """TERM (or the image's stop signal), wait, KILL; returns when the container has ended."""

    async def kill_container(self, container_id: str, signal: str = "KILL") -> None:
        """Send a signal; with KILL, wait for the end."""

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        """Remove it with its logs. A running one is WrongState unless forced."""

    async def list_containers(
        self, labels: Mapping[str, str] = {}, *, sandbox_id: str | None = None
    ) -> tuple[Container, ...]: ...

    async def container_status(self, container_id: str) -> ContainerStatus: ...

    async def update_resources(self, container_id: str, resources: Resources) -> None: ...

    # Images.

    async def pull_image(self, reference: str, auth: Auth | None = None) -> Image:
        """Ask the image's registry; fails with ImagePullFailed and the engine's cause. An image that only exists
        on this machine cannot be pulled: look it up first with `image_status`."""

    async def image_status(self, reference: str) -> Image | None: ...

    async def list_images(self) -> tuple[Image, ...]: ...

    async def remove_image(self, reference: str) -> None: ...

    # Streams and commands in a container.

    async def exec(
        self, container_id: str, command: Sequence[str], *, tty: bool = False, stdin: bool = False
    ) -> ExecSession: ...

    async def exec_sync(
        self, container_id: str, command: Sequence[str], *, timeout_seconds: float | None = None
    ) -> ExecResult: ...

    async def attach(self, container_id: str, *, stdin: bool = False) -> ExecSession: ...

    async def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Stream[LogLine]:
        """Lines from the beginning (or the last `tail` of those since `since`, in unix seconds). Following ends
        when the container has ended and all its lines have come."""

    # Observation.

    async def stats(self, container_ids: Sequence[str]) -> tuple[ContainerStats, ...]:
        """Of those that run; others are left out."""

    async def events(self, labels: Mapping[str, str] = {}) -> Stream[Event]:
        """Everything that happens after this call returns to what carries these labels. Ends with Unavailable
        when the engine dies: open it again and list, since events are lost meanwhile."""

    async def aclose(self) -> None: ...

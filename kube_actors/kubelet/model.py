"""The vocabulary of a pod's life: its state, what can happen to it, and what is to be done about it.

Frozen values only. `machine` decides with them, `pod_actor` brings events and performs effects.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from kube_actors.api.types.core_v1 import Container, EphemeralContainer, Pod

AnyContainer = Container | EphemeralContainer
Role = Literal["init", "sidecar", "app", "ephemeral"]
ProbeKind = Literal["startup", "liveness", "readiness"]
Goal = Literal["", "finish", "delete", "gone"]


class PodStage(Enum):
    PREPARING = auto()  # volumes are being made
    PREPARE_BACKOFF = auto()
    SANDBOXING = auto()  # the sandbox is being made
    SANDBOX_BACKOFF = auto()
    RUNNING = auto()  # containers are started and restarted as the spec says
    STOPPING = auto()  # containers are being stopped for good
    FINISHED = auto()  # all have ended; the object still stands
    CLEANING = auto()  # sandbox and volumes are being removed
    FINALIZING = auto()  # the object is being removed from the API
    DONE = auto()


class Stage(Enum):
    WAITING = auto()  # not its turn yet
    PULLING = auto()
    STARTING = auto()
    HOOKING = auto()  # it runs, its postStart hook too
    RUNNING = auto()
    STOPPING = auto()  # it was told to end
    BACKOFF = auto()  # to be tried again at `until`
    EXITED = auto()  # for good


class Exit(Struct, frozen=True, kw_only=True):
    """How one instance of a container ended."""

    id: str
    code: int
    reason: str
    message: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0


class Record(Struct, frozen=True, kw_only=True):
    """One container of a pod. `attempt` counts the restarts up to the instance that `id` or `exit` speaks of."""

    name: str
    role: Role
    stage: Stage = Stage.WAITING
    attempt: int = 0
    id: str = ""
    image_id: str = ""
    started_at: float = 0.0
    exit: Exit | None = None
    last_exit: Exit | None = None
    waiting_reason: str = ""
    waiting_message: str = ""
    until: float = 0.0
    flips_at: float = 0.0
    """When ErrImagePull becomes ImagePullBackOff; 0: it does not."""
    delay: float = 0.0
    """The last pause between crashes; 0: none yet."""
    image_delay: float = 0.0
    started: bool = False
    ready: bool = False
    early: Exit | None = None
    """An end that was heard of before the start's own answer."""

    @property
    def alive(self) -> bool:
        return self.stage in ALIVE


ALIVE = frozenset((Stage.HOOKING, Stage.RUNNING, Stage.STOPPING))


class PodState(Struct, frozen=True, kw_only=True):
    """Everything the machine knows about one pod. `containers` keeps the order init, app, ephemeral."""

    pod: Pod
    stage: PodStage
    containers: dict[str, Record]
    start_time: float
    goal: Goal = ""
    grace: float = 0.0
    kill_at: float = 0.0
    """When the grace period of the pod ends, while it is stopping."""
    sandbox_id: str = ""
    sandbox_attempt: int = 0
    ips: tuple[str, ...] = ()
    initialized: bool = False
    """All init containers have done their work once (in this sandbox)."""
    until: float = 0.0
    delay: float = 0.0
    phase: str = ""
    """Set when the pod's phase is settled: Succeeded or Failed."""
    reason: str = ""
    message: str = ""


# --- what can happen ----------------------------------------------------------------------------------------


class Event(Struct, frozen=True):
    """Base of all events."""


class PodChanged(Event, frozen=True):
    """The API has a newer version of the pod (its deletion included)."""

    pod: Pod


class PodGone(Event, frozen=True):
    """The API no longer has the pod."""


class Prepared(Event, frozen=True):
    """The volumes are there."""


class PrepareFailed(Event, frozen=True):
    reason: str
    message: str


class SandboxReady(Event, frozen=True):
    id: str
    ips: tuple[str, ...] = ()


class SandboxFailed(Event, frozen=True):
    message: str


class SandboxDied(Event, frozen=True):
    id: str


class Tick(Event, frozen=True):
    """A moment that `wake` named has come."""


class Cleaned(Event, frozen=True):
    """Sandbox, containers and volumes are gone."""


class Finalized(Event, frozen=True):
    """The object is gone from the API, or another pod has its name."""


class ContainerEvent(Event, frozen=True):
    name: str


class ImageReady(ContainerEvent, frozen=True):
    image_id: str


class ImageFailed(ContainerEvent, frozen=True):
    reason: str  # ErrImagePull, ErrImageNeverPull, InvalidImageName
    message: str


class Started(ContainerEvent, frozen=True):
    id: str
    attempt: int
    at: float


class StartFailed(ContainerEvent, frozen=True):
    reason: str  # CreateContainerConfigError, CreateContainerError, RunContainerError
    message: str
    attempt: int
    id: str = ""
    exit_code: int = 128


class HookFailed(ContainerEvent, frozen=True):
    message: str


class HookDone(ContainerEvent, frozen=True):
    pass


class Exited(ContainerEvent, frozen=True):
    exit: Exit


class Probed(ContainerEvent, frozen=True):
    """A probe's verdict changed."""

    id: str
    kind: ProbeKind
    ok: bool
    message: str = ""


# --- what is to be done -------------------------------------------------------------------------------------


class Effect(Struct, frozen=True):
    """Base of all effects."""


class Prepare(Effect, frozen=True):
    """Make the volumes: Prepared or PrepareFailed."""


class RunSandbox(Effect, frozen=True):
    """Make the sandbox, removing an earlier one: SandboxReady or SandboxFailed."""

    attempt: int
    previous: str = ""


class EnsureImage(Effect, frozen=True):
    """Have the image, as the pull policy says: ImageReady or ImageFailed."""

    name: str


class StartContainer(Effect, frozen=True):
    """Create and start: Started or StartFailed."""

    name: str
    attempt: int
    image_id: str


class RunPostStart(Effect, frozen=True):
    """HookDone or HookFailed."""

    name: str
    id: str


class StopContainer(Effect, frozen=True):
    """preStop hook (if asked for), TERM, grace, KILL. Its end comes as Exited. A later one replaces it."""

    name: str
    id: str
    grace: float
    hook: bool = True


class Abort(Effect, frozen=True):
    """Give up what is under way for a container ("" for the pod's own work)."""

    name: str = ""


class StartProbes(Effect, frozen=True):
    name: str
    id: str
    started: bool = False


class StopProbes(Effect, frozen=True):
    name: str


class Report(Effect, frozen=True):
    """Tell users by an Event object."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    container: str = ""


class StopSandbox(Effect, frozen=True):
    id: str


class Clean(Effect, frozen=True):
    """Remove sandbox, containers and volumes: Cleaned."""


class Finalize(Effect, frozen=True):
    """Write the last status, then remove the object from the API: Finalized."""


def containers_of(pod: Pod) -> list[tuple[AnyContainer, Role]]:
    """All containers with their roles, in the order in which they are treated."""
    found: list[tuple[AnyContainer, Role]] = [
        (container, "sidecar" if container.restart_policy == "Always" else "init")
        for container in pod.spec.init_containers
    ]
    found += [(container, "app") for container in pod.spec.containers]
    found += [(container, "ephemeral") for container in pod.spec.ephemeral_containers]
    return found


def container_named(pod: Pod, name: str) -> AnyContainer | None:
    for container, _ in containers_of(pod):
        if container.name == name:
            return container
    return None

"""What a scripted node makes of its pods: a word in an annotation of the pod decides its whole status. Pure.

A scripted node has no engine and runs nothing: it only writes what a node would have written. The words:

    (none), ok, any other   runs and is ready at once
    never-ready             runs and is never ready
    bad-image               waits for an image that cannot be pulled
    pending                 nothing is written at all
    succeed, exit:N, fail   ends with 0, N, 1; where the restart policy says so, again and again
    hang-stop               as ok, but it does not stop while this word stands
    index:0=WORD;*=WORD     a word by the pod's index in its Job or StatefulSet; "*" is the rest
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)

from . import resources
from .draft import pod_text
from .model import AnyContainer

LEASE_STOP = "lease-stop"
"""The word on a Node by which it falls silent: no lease, and nothing happens to its pods."""

JOB_INDEX = "batch.kubernetes.io/job-completion-index"
POD_INDEX = "apps.kubernetes.io/pod-index"
KILLED = 137

Kind = Literal["run", "unready", "image", "silent", "end"]


class ScriptRules(Struct, frozen=True, kw_only=True):
    """How scripted nodes are known and how they behave; times in seconds."""

    selector: str
    annotation: str
    lease_seconds: float = 10.0
    stop_seconds: float = 0.3
    restart_seconds: float = 1.0
    restarts: int = 8
    """How often an ended container is started again at most; it stays in its last pause then."""


class Behaviour(Struct, frozen=True):
    """A word understood."""

    kind: Kind = "run"
    exit_code: int = 0
    stops: bool = True


_WORDS = {
    "never-ready": Behaviour("unready"),
    "bad-image": Behaviour("image"),
    "pending": Behaviour("silent"),
    "succeed": Behaviour("end", 0),
    "fail": Behaviour("end", 1),
    "hang-stop": Behaviour("run", 0, False),
}
_OK = Behaviour()


def behaviour_of(pod: Pod, annotation: str) -> Behaviour:
    """What a pod's annotation asks for."""
    word = pod.metadata.annotations.get(annotation, "")
    if not word:
        return _OK
    if word.startswith("index:"):
        word = _by_index(pod, word.removeprefix("index:"))
    if word.startswith("exit:") and word[5:].isdigit():
        return Behaviour("end", int(word[5:]) & 255)
    return _WORDS.get(word, _OK)


def _by_index(pod: Pod, text: str) -> str:
    metadata = pod.metadata
    index = metadata.annotations.get(JOB_INDEX) or metadata.labels.get(POD_INDEX) or ""
    words = {key.strip(): word.strip() for key, equals, word in (part.partition("=") for part in text.split(";"))}
    return words.get(index, words.get("*", ""))


def face(pod: Pod, annotation: str) -> tuple[Any, ...]:
    """What of a pod a scripted node acts on; whatever else changes is left as it is."""
    images = tuple(container.image for container in pod.spec.containers)
    return pod.metadata.generation, images, behaviour_of(pod, annotation), pod.status.phase


class Played(Struct, frozen=True):
    """The status that a pod gets, and after how many seconds it comes to be looked at again (None: never)."""

    status: PodStatus
    again: float | None = None


def play(pod: Pod, rules: ScriptRules, *, ip: str, host_ip: str, now: float) -> Played | None:
    """The status of a pod that nobody is deleting; None where nothing is to be written."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return None
    behaviour = behaviour_of(pod, rules.annotation)
    scene = _Scene(pod, ip, host_ip, format_time(now))
    policy = pod.spec.restart_policy or "Always"
    match behaviour.kind:
        case "silent":
            return None
        case "run" | "unready":
            ready = behaviour.kind == "run"
            return Played(scene.status("Running", scene.running(ready), ready=ready))
        case "image":
            return Played(scene.status("Pending", scene.waiting_for_image(), ready=False))
    code = behaviour.exit_code
    if policy == "Never" or (policy == "OnFailure" and code == 0):
        return Played(scene.ended(code))
    restarts = min(scene.restarts() + 1, rules.restarts)
    again = rules.restart_seconds if restarts < rules.restarts else None
    return Played(scene.status("Running", scene.crashing(code, restarts), ready=False), again)


def end(pod: Pod, *, ip: str, host_ip: str, now: float) -> PodStatus | None:
    """The last status of a pod that was stopped; None if it has ended before."""
    if pod.status.phase in ("Succeeded", "Failed"):
        return None
    scene = _Scene(pod, ip, host_ip, format_time(now))
    return scene.ended(0 if (pod.spec.restart_policy or "Always") == "Always" else KILLED)


class _Scene:
    """One pod at one moment."""

    def __init__(self, pod: Pod, ip: str, host_ip: str, moment: str) -> None:
        self.pod = pod
        self.moment = moment
        self._host_ip = host_ip
        self._ip = host_ip if pod.spec.host_network else pod.status.pod_ip or ip
        self._known = {status.name: status for status in pod.status.container_statuses}

    def restarts(self) -> int:
        """How often its containers have been started again so far, as its status says."""
        return max((status.restart_count for status in self._known.values()), default=0)

    def status(self, phase: str, containers: tuple[ContainerStatus, ...], *, ready: bool) -> PodStatus:
        pod, moment = self.pod, self.moment
        seen = phase != "Pending"
        return PodStatus(
            phase=phase,
            conditions=self._conditions(phase, ready),
            init_container_statuses=tuple(self._initialized(one) for one in pod.spec.init_containers),
            container_statuses=containers,
            start_time=pod.status.start_time or moment,
            pod_ip=self._ip if seen else pod.status.pod_ip,
            pod_ips=(PodIP(ip=self._ip),) if seen else pod.status.pod_ips,
            host_ip=self._host_ip,
            host_ips=(HostIP(ip=self._host_ip),),
            qos_class=pod.status.qos_class or resources.qos_class(pod),
            observed_generation=pod.metadata.generation or None,
        )

    def ended(self, code: int) -> PodStatus:
        return self.status("Failed" if code else "Succeeded", self._each(_ended(code, self.moment)), ready=False)

    def running(self, ready: bool) -> tuple[ContainerStatus, ...]:
        found = []
        for container in self.pod.spec.containers:
            known = self._known.get(container.name)
            since = known.state.running if known is not None and known.state is not None else None
            state = ContainerState(running=since or ContainerStateRunning(started_at=self.moment))
            found.append(self._container(container, state, ready=ready, started=True))
        return tuple(found)

    def waiting_for_image(self) -> tuple[ContainerStatus, ...]:
        return tuple(
            self._container(
                container,
                ContainerState(
                    waiting=ContainerStateWaiting(
                        reason="ImagePullBackOff", message=f'Back-off pulling image "{container.image}"'
                    )
                ),
            )
            for container in self.pod.spec.containers
        )

    def crashing(self, code: int, restarts: int) -> tuple[ContainerStatus, ...]:
        """Every container waits to be started again after it has ended."""
        found = []
        for container in self.pod.spec.containers:
            text = f"back-off 10s restarting failed container={container.name} pod={pod_text(self.pod)}"
            waiting = ContainerState(waiting=ContainerStateWaiting(reason="CrashLoopBackOff", message=text))
            last = _ended(code, self.moment)
            found.append(self._container(container, waiting, last=last, restarts=restarts))
        return tuple(found)

    def _each(self, state: ContainerState) -> tuple[ContainerStatus, ...]:
        return tuple(self._container(container, state) for container in self.pod.spec.containers)

    def _container(
        self,
        container: AnyContainer,
        state: ContainerState,
        *,
        ready: bool = False,
        started: bool = False,
        last: ContainerState | None = None,
        restarts: int | None = None,
    ) -> ContainerStatus:
        known = self._known.get(container.name)
        if restarts is None:
            restarts = known.restart_count if known is not None else 0
        image = container.image or ""
        pulled = state.waiting is None or restarts > 0
        return ContainerStatus(
            name=container.name,
            image=image,
            image_id=image if pulled else "",
            container_id=f"scripted://{self.pod.metadata.uid}/{container.name}" if pulled else None,
            state=state,
            last_state=last or (known.last_state if known is not None else None) or ContainerState(),
            ready=ready,
            started=started,
            restart_count=restarts,
        )

    def _initialized(self, container: AnyContainer) -> ContainerStatus:
        """Init containers have always done their work; those that go on beside the others run."""
        known = {status.name: status for status in self.pod.status.init_container_statuses}.get(container.name)
        if known is not None:
            return known
        if container.restart_policy == "Always":
            running = ContainerState(running=ContainerStateRunning(started_at=self.moment))
            return self._container(container, running, ready=True, started=True)
        return self._container(container, _ended(0, self.moment), ready=True)

    def _conditions(self, phase: str, ready: bool) -> tuple[PodCondition, ...]:
        known = {condition.type: condition for condition in self.pod.status.conditions}
        over = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
        names = " ".join(container.name for container in self.pod.spec.containers)
        unready = (over, None) if over else ("ContainersNotReady", f"containers with unready status: [{names}]")
        fine: tuple[str | None, str | None] = (None, None)
        wanted = {
            "PodReadyToStartContainers": (over is None, fine),
            "Initialized": (True, ("PodCompleted", None) if phase == "Succeeded" else fine),
            "Ready": (ready, fine if ready else unready),
            "ContainersReady": (ready, fine if ready else unready),
            "PodScheduled": (True, fine),
        }
        found = []
        for kind, (holds, (reason, message)) in wanted.items():
            status = "True" if holds else "False"
            was = known.get(kind)
            since = was.last_transition_time if was is not None and was.status == status else self.moment
            found.append(
                PodCondition(
                    type=kind,
                    status=status,
                    reason=reason,
                    message=message,
                    last_transition_time=since,
                    observed_generation=self.pod.metadata.generation or None,
                )
            )
        return tuple(found)


def _ended(code: int, moment: str) -> ContainerState:
    reason = "Error" if code else "Completed"
    return ContainerState(
        terminated=ContainerStateTerminated(exit_code=code, reason=reason, started_at=moment, finished_at=moment)
    )

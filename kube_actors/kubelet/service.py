"""What a node offers to the API server: logs, exec and attach of the containers that run here, in-process.

Finds the container and answers refusals in the kubelet's words; the streams themselves are `log_stream` and `session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, ByteStream, Session
from kube_actors.api.node_messages import AttachRequest, ExecRequest, LogRequest
from kube_actors.api.time import parse_time
from runtimes.contract import NotFound, RuntimeFault, Unavailable, WrongState

from . import stats
from .log_stream import LogBytes
from .model import PodState, Record, Stage
from .session import RemoteSession

if TYPE_CHECKING:
    from .node_actor import NodeActor


class NodeStreams:
    """Implements `api.node_messages.NodeService` for one node."""

    def __init__(self, node: NodeActor) -> None:
        self._node = node

    async def logs(self, request: LogRequest) -> ByteStream:
        state, record = self._find(request.namespace, request.pod, request.container)
        identity = _log_of(state, record, request)
        since: float | None = None
        clock = self._node.system.clock
        if request.since_seconds is not None:
            since = clock.now() - request.since_seconds
        elif request.since_time:
            since = parse_time(request.since_time)
        try:
            lines = await self._node.runtime.logs(identity, follow=request.follow, tail=request.tail_lines, since=since)
        except RuntimeFault as fault:
            raise _fault(fault, identity) from fault
        return LogBytes(
            lines,
            timestamps=request.timestamps,
            limit=request.limit_bytes,
            follow=request.follow,
            later=self._node.later,
        )

    async def exec(self, request: ExecRequest) -> Session:
        identity = self._running(request.namespace, request.pod, request.container)
        try:
            session = await self._node.runtime.exec(identity, request.command, tty=request.tty, stdin=request.stdin)
        except RuntimeFault as fault:
            raise _fault(fault, identity) from fault
        return RemoteSession(session, stdout=request.stdout, stderr=request.stderr, later=self._node.later)

    async def attach(self, request: AttachRequest) -> Session:
        identity = self._running(request.namespace, request.pod, request.container)
        try:
            session = await self._node.runtime.attach(identity, stdin=request.stdin)
        except RuntimeFault as fault:
            raise _fault(fault, identity) from fault
        return RemoteSession(session, stdout=request.stdout, stderr=request.stderr, later=self._node.later)

    async def document(self, path: str) -> Answer | None:
        """What is to be read of this node at a path of the kubelet's API; None where there is nothing."""
        return await stats.document(self._node, path)

    def _find(self, namespace: str, pod: str, container: str) -> tuple[PodState, Record]:
        actor = self._node.pod_actor(namespace, pod)
        if actor is None or actor.state is None:
            raise errors.not_found("pods", pod)
        record = actor.state.containers.get(container)
        if record is None:
            raise errors.bad_request(f"container {container} is not valid for pod {pod}")
        return actor.state, record

    def _running(self, namespace: str, pod: str, container: str) -> str:
        _, record = self._find(namespace, pod, container)
        if not record.alive:
            if record.id:
                raise errors.internal(f"unable to upgrade connection: container not running ({record.id})")
            raise errors.internal(f'unable to upgrade connection: container not found ("{container}")')
        return record.id


def _log_of(state: PodState, record: Record, request: LogRequest) -> str:
    """The instance whose log is wanted: the current one, else the one that ended last."""
    name, pod = request.container, request.pod
    if request.previous:
        ended = record.exit if record.stage is Stage.BACKOFF and not record.alive else record.last_exit
        if ended is None or not ended.id:
            raise errors.bad_request(f'previous terminated container "{name}" in pod "{pod}" not found')
        return ended.id
    if record.alive:
        return record.id
    if record.exit is not None and record.exit.id:
        return record.exit.id
    reason = record.waiting_reason or ("PodInitializing" if state.pod.spec.init_containers else "ContainerCreating")
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        raise errors.bad_request(
            f'container "{name}" in pod "{pod}" is waiting to start: trying and failing to pull image'
        )
    if reason == "ErrImageNeverPull":
        raise errors.bad_request(f'container "{name}" in pod "{pod}" is waiting to start: image can\'t be pulled')
    raise errors.bad_request(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')


def _fault(fault: RuntimeFault, identity: str) -> ApiError:
    if isinstance(fault, NotFound):
        return errors.internal(f"unable to find container {identity}: {fault}")
    if isinstance(fault, WrongState):
        return errors.internal(f"container not running ({identity})")
    if isinstance(fault, Unavailable):
        return errors.internal(f"container runtime is down: {fault}")
    return errors.internal(f"error executing command in container: {fault}")

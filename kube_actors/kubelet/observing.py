"""What an engine has: found by labels at start, and compared with what is believed after events were lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from runtimes.contract import ContainerStatus, NotFound, Runtime, Sandbox

from . import model, naming
from .adoption import Found, exit_of
from .model import PodState, Stage


async def find_all(runtime: Runtime, node: str) -> dict[str, Found]:
    """Everything of a node's pods, by pod UID."""
    return await _find(runtime, {naming.NODE: node})


async def find_pod(runtime: Runtime, uid: str) -> Found:
    """Everything of one pod."""
    found = await _find(runtime, {naming.POD_UID: uid})
    return found.get(uid, Found())


async def _find(runtime: Runtime, labels: Mapping[str, str]) -> dict[str, Found]:
    sandboxes: dict[str, list[Sandbox]] = defaultdict(list)
    containers: dict[str, list[ContainerStatus]] = defaultdict(list)
    for sandbox in await runtime.list_sandboxes(labels):
        sandboxes[sandbox.uid].append(sandbox)
    for container in await runtime.list_containers(labels):
        try:
            status = await runtime.container_status(container.id)
        except NotFound:
            continue  # removed since it was listed
        containers[container.labels.get(naming.POD_UID, "")].append(status)
    return {
        uid: Found(sandboxes=tuple(sandboxes[uid]), containers=tuple(containers[uid]))
        for uid in sandboxes.keys() | containers.keys()
    }


def missed(state: PodState, found: Found) -> list[model.Event]:
    """What must have happened for the engine to be as it is."""
    events: list[model.Event] = []
    statuses = {status.id: status for status in found.containers}
    for record in state.containers.values():
        if record.stage not in (Stage.RUNNING, Stage.HOOKING, Stage.STOPPING):
            continue
        status = statuses.get(record.id)
        if status is None:
            message = "The container could not be located when the engine came back"
            exit = model.Exit(id=record.id, code=137, reason="ContainerStatusUnknown", message=message)
            events.append(model.Exited(record.name, exit))
        elif status.state == "exited":
            events.append(model.Exited(record.name, exit_of(status)))
    if state.sandbox_id:
        mine = next((sandbox for sandbox in found.sandboxes if sandbox.id == state.sandbox_id), None)
        if mine is None or mine.state != "ready":
            events.append(model.SandboxDied(state.sandbox_id))
    return events

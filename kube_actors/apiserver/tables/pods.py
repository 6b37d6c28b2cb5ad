"""Pods, and what is printed from their templates alone."""

from __future__ import annotations

from kube_actors.apiserver.tables.printer import (
    NONE,
    Cells,
    Column,
    JSONObject,
    Printer,
    age_column,
    age_of,
    at,
    containers_of,
    items,
    labels_text,
    name_column,
    name_of,
    part,
    since,
    wide,
)

_TERMINAL = ("Succeeded", "Failed")


class _Counts:
    """What the containers of a pod add up to."""

    def __init__(self) -> None:
        self.restarts = 0
        self.last = ""
        self.ready = 0

    def add(self, status: JSONObject) -> None:
        self.restarts += status.get("restartCount", 0)
        self.last = max(self.last, at(status, "lastState", "terminated", "finishedAt") or "")


def pod_status(pod: JSONObject) -> tuple[int, int, str, _Counts]:
    """Ready containers, all containers, the word for the pod's state, and its restarts."""
    status = part(pod, "status")
    word = status.get("reason") or status.get("phase", "")
    for condition in items(status, "conditions"):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            word = "SchedulingGated"
    sidecars = {c["name"] for c in items(pod, "spec", "initContainers") if c.get("restartPolicy") == "Always"}
    total = len(items(pod, "spec", "containers")) + len(sidecars)
    everything, of_sidecars = _Counts(), _Counts()
    initializing = _initialization(pod, sidecars, everything, of_sidecars)
    counts = everything
    ready = of_sidecars.ready
    if not initializing or _has_condition(status, "Initialized"):
        counts = of_sidecars
        word, ready = _main_containers(status, initializing or word, counts, ready)
    else:
        word = initializing
    if at(pod, "metadata", "deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            word = "Unknown"
        elif status.get("phase") not in _TERMINAL:
            word = "Terminating"
    return ready, total, word, counts


def _initialization(pod: JSONObject, sidecars: set[str], everything: _Counts, of_sidecars: _Counts) -> str:
    """The word for where initialization stands; empty once it is through."""
    for index, status in enumerate(items(pod, "status", "initContainerStatuses")):
        everything.add(status)
        sidecar = status.get("name") in sidecars
        if sidecar:
            of_sidecars.add(status)
        state = part(status, "state")
        terminated, waiting = state.get("terminated"), state.get("waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and status.get("started"):
            of_sidecars.ready += bool(status.get("ready"))
            continue
        if terminated is not None:
            return "Init:" + _ended(terminated)
        if waiting is not None and waiting.get("reason", "") not in ("", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(items(pod, 'spec', 'initContainers'))}"
    return ""


def _ended(terminated: JSONObject) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _main_containers(status: JSONObject, word: str, counts: _Counts, ready: int) -> tuple[str, int]:
    running = False
    for container in reversed(items(status, "containerStatuses")):
        counts.add(container)
        state = part(container, "state")
        waiting, terminated = state.get("waiting"), state.get("terminated")
        if waiting is not None and waiting.get("reason"):
            word = waiting["reason"]
        elif terminated is not None:
            word = _ended(terminated)
        elif container.get("ready") and state.get("running") is not None:
            running = True
            ready += 1
    if word == "Completed" and running:
        word = "Running" if _has_condition(status, "Ready") else "NotReady"
    return word, ready


def _has_condition(status: JSONObject, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in items(status, "conditions"))


def _pod(pod: JSONObject, now: float) -> Cells:
    ready, total, word, counts = pod_status(pod)
    restarts = str(counts.restarts)
    if counts.restarts and counts.last:
        restarts += f" ({since(counts.last, now)} ago)"
    addresses = items(pod, "status", "podIPs")
    return [
        name_of(pod),
        f"{ready}/{total}",
        word,
        restarts,
        age_of(pod, now),
        addresses[0].get("ip", NONE) if addresses else NONE,
        at(pod, "spec", "nodeName") or NONE,
        at(pod, "status", "nominatedNodeName") or NONE,
        _gates(pod),
    ]


def _gates(pod: JSONObject) -> str:
    gates = items(pod, "spec", "readinessGates")
    if not gates:
        return NONE
    status = part(pod, "status")
    return f"{sum(_has_condition(status, gate.get('conditionType', '')) for gate in gates)}/{len(gates)}"


def _completed(pod: JSONObject) -> list[dict[str, str]] | None:
    """kubectl leaves finished pods out of some views by this condition."""
    phase = at(pod, "status", "phase")
    if phase not in _TERMINAL:
        return None
    message = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


def _template(obj: JSONObject, now: float) -> Cells:
    template = part(obj, "template")
    return [name_of(obj), *containers_of(template), labels_text(at(template, "metadata", "labels"))]


PRINTERS = {
    ("", "Pod"): Printer(
        (
            name_column(),
            Column("Ready", "The aggregate readiness state of this pod for accepting traffic."),
            Column("Status", "The aggregate status of the containers in this pod."),
            Column(
                "Restarts",
                "The number of times the containers in this pod have been restarted and when the last container in "
                "this pod has restarted.",
            ),
            age_column(),
            wide("IP", "=core.v1.PodStatus.podIP"),
            wide("Node", "=core.v1.PodSpec.nodeName"),
            wide("Nominated Node", "=core.v1.PodStatus.nominatedNodeName"),
            wide("Readiness Gates", "=core.v1.PodSpec.readinessGates"),
        ),
        _pod,
        _completed,
    ),
    ("", "PodTemplate"): Printer(
        (
            name_column(),
            Column("Containers", "Names of each container in the template."),
            Column("Images", "Images referenced by each container in the template."),
            Column("Pod Labels", "The labels for the pod template."),
        ),
        _template,
    ),
}

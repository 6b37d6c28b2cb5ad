"""A pod's state while one step is being computed: the mutable copy that handlers work on. Pure.

`Draft.done` gives the frozen state and the effects; nobody outside a step ever sees a draft.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import structs

from kube_actors.api.types.core_v1 import Pod

from . import model
from .model import AnyContainer, Effect, PodState, Record


class Draft:
    """Changes to one state, and the effects that they call for."""

    def __init__(self, state: PodState, now: float) -> None:
        self.state = state
        self.now = now
        self.effects: list[Effect] = []
        self.containers = state.containers
        self._specs: dict[str, AnyContainer] | None = None
        self._copied = False

    @property
    def pod(self) -> Pod:
        return self.state.pod

    def set(self, **changes: Any) -> None:
        """Change fields of the pod."""
        self.state = structs.replace(self.state, **changes)
        if "pod" in changes:
            self._specs = None

    def put(self, record: Record, **changes: Any) -> Record:
        """Change fields of a container."""
        changed = structs.replace(record, **changes) if changes else record
        if not self._copied:
            self.containers = dict(self.containers)
            self._copied = True
        self.containers[record.name] = changed
        return changed

    def spec(self, name: str) -> AnyContainer:
        if self._specs is None:
            self._specs = {container.name: container for container, _ in model.containers_of(self.pod)}
        return self._specs[name]

    def do(self, effect: Effect) -> None:
        self.effects.append(effect)

    def report(self, type: Literal["Normal", "Warning"], reason: str, message: str, container: str = "") -> None:
        self.effects.append(model.Report(type, reason, message, container))

    def done(self) -> tuple[PodState, tuple[Effect, ...]]:
        if self._copied:
            self.state = structs.replace(self.state, containers=self.containers)
        return self.state, tuple(self.effects)


def pod_text(pod: Pod) -> str:
    """A pod in the kubelet's messages: name_namespace(uid)."""
    metadata = pod.metadata
    return f"{metadata.name}_{metadata.namespace}({metadata.uid})"


def grace_of(pod: Pod) -> float:
    """The grace period of a pod that nobody is deleting."""
    seconds = pod.spec.termination_grace_period_seconds
    return float(30 if seconds is None else seconds)

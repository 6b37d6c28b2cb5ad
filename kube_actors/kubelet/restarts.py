"""Whether an ended container runs again, and after which pause. Pure."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import ContainerRestartRule, Pod

from . import limits
from .model import AnyContainer, Exit, Record, Role


def restarts(pod: Pod, container: AnyContainer, role: Role, exit_code: int) -> bool:
    """Whether the spec wants this container again after it ended with this code."""
    if role == "ephemeral":
        return False
    if role == "sidecar":
        return True
    for rule in container.restart_policy_rules:
        if rule.action.startswith("Restart") and _matches(rule, exit_code):
            return True
    policy = container.restart_policy or pod.spec.restart_policy or "Always"
    if policy == "Never":
        return False
    if role == "init" or policy == "OnFailure":
        return exit_code != 0
    return True


def _matches(rule: ContainerRestartRule, exit_code: int) -> bool:
    codes = rule.exit_codes
    if codes is None:
        return False
    return (exit_code in codes.values) == (codes.operator == "In")


def crash_pause(record: Record, exit: Exit) -> tuple[float, float]:
    """(seconds to wait from the end on, the pause to remember): first none, then 10 s doubling to 300 s."""
    ran = exit.finished_at - exit.started_at if exit.started_at else 0.0
    if not record.delay or ran >= limits.CRASH_BACKOFF_RESET:
        return 0.0, limits.CRASH_BACKOFF_INITIAL
    return record.delay, min(record.delay * 2, limits.CRASH_BACKOFF_MAX)


def image_pause(record: Record) -> float:
    """The pause after a failed pull."""
    if not record.image_delay:
        return limits.IMAGE_BACKOFF_INITIAL
    return min(record.image_delay * 2, limits.IMAGE_BACKOFF_MAX)


def duration_text(seconds: float) -> str:
    """A span as Go writes it: 10s, 1m20s, 5m0s, 1.5s, 120ms."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.6g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.9g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text

"""What a Job's policies say: of a failed pod (podFailurePolicy), and of the indexes that succeeded (successPolicy).

Pure. What follows from it for the Job is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.types.batch_v1 import (
    PodFailurePolicy,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyRule,
    SuccessPolicy,
)
from kube_actors.api.types.core_v1 import ContainerStatus, Pod

from . import indexes
from .indexes import Intervals


class Match(Struct, frozen=True):
    """action: of the rule that a pod matches, "" for none. message: why the whole Job fails, "" when it does not."""

    action: str = ""
    message: str = ""

    @property
    def counted(self) -> bool:
        """Whether the failure counts towards the back-off limits."""
        return self.action != "Ignore"


_NONE = Match()


def match_failure(policy: PodFailurePolicy | None, pod: Pod) -> Match:
    """The first rule that a failed pod matches."""
    for position, rule in enumerate(policy.rules if policy is not None else ()):
        why = _why(rule, pod)
        if why:
            failed = rule.action == "FailJob"
            return Match(rule.action, f"{why} matching {rule.action} rule at index {position}" if failed else "")
    return _NONE


def _why(rule: PodFailurePolicyRule, pod: Pod) -> str:
    """What of a pod a rule matches, as the message begins; "" when it does not."""
    where = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if rule.on_exit_codes is not None:
        for statuses in (pod.status.container_statuses, pod.status.init_container_statuses):
            found = _exit_code(statuses, rule.on_exit_codes)
            if found is not None:
                return f"Container {found[0]} for pod {where} failed with exit code {found[1]}"
        return ""
    for condition in pod.status.conditions:
        for pattern in rule.on_pod_conditions:
            if condition.type == pattern.type and condition.status == (pattern.status or "True"):
                return f"Pod {where} has condition {condition.type}"
    return ""


def _exit_code(
    statuses: Iterable[ContainerStatus], wanted: PodFailurePolicyOnExitCodesRequirement
) -> tuple[str, int] | None:
    for status in statuses:
        ended = status.state.terminated if status.state is not None else None
        if ended is None or ended.exit_code == 0 or wanted.container_name not in (None, status.name):
            continue
        if (ended.exit_code in wanted.values) == (wanted.operator == "In"):
            return status.name, ended.exit_code
    return None


def match_success(policy: SuccessPolicy | None, completions: int, succeeded: Intervals) -> str:
    """Which rule of a success policy is met, as its message says it; "" for none."""
    if policy is None or not succeeded:
        return ""
    for position, rule in enumerate(policy.rules):
        count = rule.succeeded_count
        if rule.succeeded_indexes is not None:
            wanted = indexes.parse(rule.succeeded_indexes, completions)
            if not wanted:
                continue
            contained = indexes.overlap(wanted, succeeded)
            met = contained == indexes.total(wanted) or (count is not None and contained >= count)
        else:
            met = count is not None and indexes.total(succeeded) >= count
        if met:
            return f"Matched rules at index {position}"
    return ""

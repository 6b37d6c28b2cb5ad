"""What controllers ask about pods: active, terminal, ready, available, and which of them to delete first.

Pure. It never looks at whose pod it is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from kube_actors.api import conditions
from kube_actors.api.names import SUBDOMAIN_LIMIT
from kube_actors.api.owners import Owner, controller_reference
from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import Pod, PodTemplateSpec
from kube_actors.api.types.meta_v1 import ObjectMeta

from .contract import Delete, Told

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_terminal(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: Pod) -> bool:
    """Neither ended nor being deleted."""
    return pod.metadata.deletion_timestamp is None and not is_terminal(pod)


def is_terminating(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None and not is_terminal(pod)


def is_ready(pod: Pod) -> bool:
    return conditions.is_true(pod.status.conditions, "Ready")


def ready_since(pod: Pod) -> float | None:
    """When the pod became ready; None when it is not or nobody said when."""
    found = conditions.find(pod.status.conditions, "Ready")
    if found is None or found.status != conditions.TRUE or not found.last_transition_time:
        return None
    return parse_time(found.last_transition_time)


def is_available(pod: Pod, min_ready_seconds: int, now: float) -> bool:
    """Ready, and for long enough."""
    if not is_ready(pod):
        return False
    return min_ready_seconds == 0 or available_in(pod, min_ready_seconds, now) == 0.0


def available_in(pod: Pod, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until a ready pod counts as available; None when it is not ready."""
    since = ready_since(pod)
    return None if since is None else max(0.0, since + min_ready_seconds - now)


def name_prefix(owner_name: str) -> str:
    """What the names of an owner's pods begin with."""
    return owner_name + "-" if len(owner_name) < SUBDOMAIN_LIMIT else owner_name


def pod_from_template(template: PodTemplateSpec, owner: Owner) -> Pod:
    """A pod as its template has it, named after and managed by the owner."""
    return Pod(
        metadata=ObjectMeta(
            generate_name=name_prefix(owner.metadata.name),
            namespace=owner.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=(controller_reference(owner),),
        ),
        spec=template.spec,
    )


def creation_told(owner: Owner) -> Told:
    """What is told of the making of an owner's pod."""
    return Told(
        about=owner,
        reason="SuccessfulCreate",
        message="Created pod: {name}",
        failed_reason="FailedCreate",
        failed_message="Error creating: {error}",
    )


def deletion(owner: Owner, pod: Pod) -> Delete:
    """The deletion of an owner's pod, and what is told of it."""
    name = pod.metadata.name
    told = Told(
        about=owner,
        reason="SuccessfulDelete",
        message=f"Deleted pod: {name}",
        failed_reason="FailedDelete",
        failed_message="Error deleting: {error}",
    )
    return Delete(kind=Pod, key=f"{pod.metadata.namespace}/{name}", uid=pod.metadata.uid, told=told)


def deletion_cost(pod: Pod) -> int:
    """What it costs to delete this pod; 0 when nothing or nonsense is said."""
    text = pod.metadata.annotations.get(DELETION_COST, "")
    digits = text.removeprefix("-")
    if not digits.isdigit() or (len(digits) > 1 and digits[0] == "0") or text == "-0":
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of an ordinary container, and of a sidecar."""
    ordinary = max((status.restart_count for status in pod.status.container_statuses), default=0)
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    restarts = (s.restart_count for s in pod.status.init_container_statuses if s.name in sidecars)
    return ordinary, max(restarts, default=0)


class _Ranked(Struct, frozen=True):
    """What of a pod counts when some have to go, read once. rank decides by itself wherever it differs."""

    pod: Pod
    rank: tuple[bool, int, bool, int, int]
    ready_since: float | None
    restarts: tuple[int, int]
    created: float | None


def _ranked(pod: Pod, per_node: Mapping[str, int]) -> _Ranked:
    node = pod.spec.node_name or ""
    phase = _PHASES.get(pod.status.phase or "", 0)
    ready = is_ready(pod)
    rank = (bool(node), phase, ready, deletion_cost(pod), -per_node.get(node, 0))
    return _Ranked(pod, rank, ready_since(pod) if ready else None, _restarts(pod), _created(pod))


def _order(left: float | None, right: float | None, left_uid: str, right_uid: str, now: float) -> int:
    """Younger first, but only by powers of two: ages alike are left to chance, that is, to the uid."""
    if left == right:
        return 0
    if left is None or right is None:
        return -1 if left is None else 1
    difference = _bucket(now - left) - _bucket(now - right)
    if difference == 0:
        return -1 if left_uid < right_uid else 1
    return difference


def _bucket(seconds: float) -> int:
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def deletion_order(pods: Sequence[Pod], per_node: Mapping[str, int], now: float) -> list[Pod]:
    """The pods in the order in which they are to go: those that do least, cost least or crowd a node come first."""

    def compare(left: _Ranked, right: _Ranked) -> int:
        if left.rank != right.rank:
            return -1 if left.rank < right.rank else 1
        uids = left.pod.metadata.uid, right.pod.metadata.uid
        if left.rank[2]:
            order = _order(left.ready_since, right.ready_since, *uids, now)
            if order:
                return order
        if left.restarts != right.restarts:
            return -1 if left.restarts > right.restarts else 1
        return _order(left.created, right.created, *uids, now)

    ranked = [_ranked(pod, per_node) for pod in pods]
    return [entry.pod for entry in sorted(ranked, key=functools.cmp_to_key(compare))]


def _created(pod: Pod) -> float | None:
    return parse_time(pod.metadata.creation_timestamp) if pod.metadata.creation_timestamp else None


def removal_order(pods: Sequence[Pod]) -> list[Pod]:
    """The pods in the order in which a controller goes by that knows neither deletion costs nor crowded nodes."""

    def rank(pod: Pod) -> tuple[float, ...]:
        ready, created = is_ready(pod), _created(pod)
        since = ready_since(pod) if ready else None
        return (
            bool(pod.spec.node_name),
            _PHASES.get(pod.status.phase or "", 0),
            ready,
            -math.inf if since is None else -since,
            *(-count for count in _restarts(pod)),
            -math.inf if created is None else -created,
        )

    return sorted(pods, key=rank)

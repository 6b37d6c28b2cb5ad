"""Taint eviction: pods leave a node whose taints they do not tolerate, or tolerate only for so long. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Node, Pod, Taint

from . import taints
from .contract import NOTHING, Caches, Delete, Emit, Patch, Plan, Source, own_key
from .nodes import BY_NODE, NODE_INDEX
from .taints import NO_EXECUTE

REASON = "TaintManagerEviction"


class Observed(Struct, frozen=True, kw_only=True):
    """A pod, the evicting taints of its node, and since when it has had to live with them.

    cancelled: it was to go, and no longer is.
    """

    pod: Pod
    taints: tuple[Taint, ...] = ()
    since: float = 0.0
    now: float = 0.0
    cancelled: bool = False


def plan(observed: Observed) -> Plan:
    """Delete the pod, wait until it is due, or say that it may stay."""
    pod = observed.pod
    about = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if observed.cancelled:
        text = f"Cancelling deletion of Pod {about}"
        return Plan(actions=(Emit(about=pod, reason=REASON, message=text),))
    patience = taints.seconds_tolerated(pod, observed.taints) if observed.taints else None
    if patience is None:
        return NOTHING
    left = observed.since + patience - observed.now
    if left > 0:
        return Plan(requeue_after=left)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByTaintManager",
        "message": "Taint manager: deleting due to NoExecute taint",
        "lastTransitionTime": format_time(observed.now),
    }
    mark = Patch(
        kind=Pod,
        key=about,
        body={"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}},
        patch_type="strategic",
        subresource="status",
        tolerate=("NotFound",),
    )
    event = Emit(about=pod, reason=REASON, message=f"Marking for deletion Pod {about}")
    return Plan(actions=(event, mark, Delete(kind=Pod, key=about, uid=pod.metadata.uid)))


class TaintEviction:
    """The taint eviction controller. It remembers since when each pod has been due to go."""

    name = "taint-eviction-controller"
    component = "taint-eviction-controller"
    workers = 8

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Pod, change=self._keys_of_pod, indexes=(BY_NODE,)),
            Source(kind=Node, change=_keys_of_node),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        found: list[str] = []
        for node in caches.list(Node):
            if taints.of_effect(node.spec.taints, NO_EXECUTE):
                found += _keys_on(node, caches)
        return found

    def _keys_of_pod(self, old: Pod | None, new: Pod | None, caches: Caches) -> Iterable[str]:
        if new is None:
            if old is not None:
                self._since.pop(old.metadata.uid, None)
            return ()
        same = old is not None and (old.spec.node_name, old.spec.tolerations) == (
            new.spec.node_name,
            new.spec.tolerations,
        )
        if same or not new.spec.node_name:
            return ()
        node = caches.get(Node, new.spec.node_name)
        evicting = node is not None and taints.of_effect(node.spec.taints, NO_EXECUTE)
        return own_key(new, caches) if evicting or new.metadata.uid in self._since else ()

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        pod = caches.get(Pod, key)
        if pod is None or pod.metadata.deletion_timestamp or not pod.spec.node_name:
            return None
        node = caches.get(Node, pod.spec.node_name)
        evicting = () if node is None else taints.of_effect(node.spec.taints, NO_EXECUTE)
        patience = taints.seconds_tolerated(pod, evicting) if evicting else None
        uid = pod.metadata.uid
        if patience is None:
            was_due = self._since.pop(uid, None) is not None
            return Observed(pod=pod, now=now, cancelled=True) if was_due else None
        since = self._since.setdefault(uid, now)
        return Observed(pod=pod, taints=evicting, since=since, now=now)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _keys_on(node: Node, caches: Caches) -> list[str]:
    return [key for pod in caches.by_index(Pod, NODE_INDEX, node.metadata.name) for key in own_key(pod, caches)]


def _keys_of_node(old: Node | None, new: Node | None, caches: Caches) -> Iterable[str]:
    """All pods of a node whose evicting taints are other ones now."""
    before = () if old is None else taints.of_effect(old.spec.taints, NO_EXECUTE)
    after = () if new is None else taints.of_effect(new.spec.taints, NO_EXECUTE)
    if new is None or taints.without_time(before) == taints.without_time(after):
        return ()
    return _keys_on(new, caches)

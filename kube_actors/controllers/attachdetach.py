"""The attach/detach controller: a driver's volume is attached to a node while pods there need it. Pure.

Owns VolumeAttachment objects, which the drivers' own attachers fulfil, and what a node's status lists as attached. A
volume is taken from a node only once the node has stopped using it, or is known never to answer again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from kube_actors.api import conditions
from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import Node, PersistentVolume, PersistentVolumeClaim, Pod
from kube_actors.api.types.storage_v1 import CSIDriver, VolumeAttachment

from . import limits, pods
from .attachments import (
    Wanted,
    attachment_name,
    attachment_of,
    blocked,
    failure,
    success,
    timed_out,
    unattached,
    unique_name,
)
from .contract import NOTHING, Action, Caches, Create, Delete, Emit, Outcome, Patch, Plan, Source
from .nodes import BY_NODE, NODE_INDEX
from .protection import CLAIM_INDEX, claims_of, index_by_claim

MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
KEEP_TERMINATED = "volumes.kubernetes.io/keep-terminated-pod-volumes"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
ATTACHMENT_NODE_INDEX = "attachments by node"
ATTACHMENT_VOLUME_INDEX = "attachments by volume"


class Observed(Struct, frozen=True, kw_only=True):
    """A node (None: it has gone), what its pods need, what is attached to it, and the volumes behind that."""

    name: str
    node: Node | None
    wanted: tuple[Wanted, ...]
    attachments: tuple[VolumeAttachment, ...]
    volumes: dict[str, PersistentVolume]
    now: float


def plan(observed: Observed) -> Plan:
    """First what is to go, so that a volume may come to another node; then what is to come."""
    found = {attachment.metadata.name: attachment for attachment in observed.attachments}
    node = observed.node
    actions: list[Action] = []
    waits: list[float] = []
    gone, busy = _to_detach(observed)
    if busy:
        waits.append(limits.DETACH_WAIT_SECONDS)
    attached: list[str] = []
    done: list[Emit] = []
    listed = [one.name for one in node.status.volumes_attached] if node is not None else []
    for wanted in observed.wanted if node is not None else ():
        attachment = found.get(attachment_name(wanted.volume, observed.name))
        name = unique_name(wanted.volume)
        if attachment is None:
            if wanted.is_blocked:
                actions += [_failed(pod, blocked(wanted, pod)) for pod in wanted.pods]
            else:
                obj = attachment_of(wanted.volume, observed.name)
                actions.append(Create(obj=obj, tolerate=("AlreadyExists",)))
            waits.append(limits.ATTACH_SECONDS)
        elif attachment.status.attached and attachment.metadata.deletion_timestamp is None:
            attached.append(name)
            if name not in listed:
                message = success(wanted.volume)
                done += [Emit(about=p, reason="SuccessfulAttachVolume", message=message) for p in wanted.pods]
        else:
            message = _obstacle(wanted.volume, attachment, observed.now)
            actions += [_failed(pod, message) for pod in wanted.pods if message]
            waits.append(limits.ATTACH_SECONDS)
    attached += [name for name in busy if name in listed]
    report = _report(node, listed, attached)
    return _in_order(actions, report, done, gone, min(waits, default=None))


def _in_order(
    actions: list[Action], report: Patch | None, done: list[Emit], gone: list[Action], again: float | None
) -> Plan:
    """A node's status no longer lists what goes before it goes, and lists what came before that is told."""

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return NOTHING
        return Plan(actions=(*done, *gone), requeue_after=again)

    first = (*actions, *(() if report is None else (report,)))
    if not first and not done and not gone:
        return NOTHING if again is None else Plan(requeue_after=again)
    return Plan(actions=first, then=then)


def _failed(pod: Pod, message: str) -> Emit:
    return Emit(about=pod, type="Warning", reason="FailedAttachVolume", message=message)


def _obstacle(volume: PersistentVolume, attachment: VolumeAttachment, now: float) -> str:
    """Why a volume has not been attached so far; "" while there is nothing to say."""
    if attachment.metadata.deletion_timestamp is not None:
        return failure(volume, "volume attachment is being deleted")
    error = attachment.status.attach_error
    if error is not None:
        return failure(volume, error.message or "")
    made = attachment.metadata.creation_timestamp
    waited = now - parse_time(made) if made else 0.0
    return timed_out(volume) if waited >= limits.ATTACH_SECONDS else ""


def _to_detach(observed: Observed) -> tuple[list[Action], list[str]]:
    """The attachments to delete, and the names of the volumes that the node still uses."""
    gone: list[Action] = []
    busy: list[str] = []
    node = observed.node
    used = set(node.status.volumes_in_use) if node is not None else set()
    forced = node is None or _is_lost(node)
    for attachment in unattached(observed.wanted, observed.attachments, observed.name):
        metadata = attachment.metadata
        volume = observed.volumes.get(attachment.spec.source.persistent_volume_name or "")
        if volume is None or volume.spec.csi is None or metadata.name != attachment_name(volume, observed.name):
            continue  # somebody else's
        if not forced and unique_name(volume) in used:
            busy.append(unique_name(volume))
        elif metadata.deletion_timestamp is None:
            gone.append(Delete(kind=VolumeAttachment, key=metadata.name, uid=metadata.uid))
    return gone, busy


def _is_lost(node: Node) -> bool:
    """A node that is not Ready and of which somebody has said that it will not come back."""
    out = any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)
    return out and not conditions.is_true(node.status.conditions, "Ready")


def _report(node: Node | None, listed: list[str], attached: list[str]) -> Patch | None:
    """What the node's status has to list; other plugins' volumes stay in it."""
    if node is None:
        return None
    ours = [name for name in listed if not name.startswith("kubernetes.io/csi/") or name in attached]
    wanted = ours + [name for name in attached if name not in ours]
    if wanted == listed:
        return None
    known = {one.name: one.device_path for one in node.status.volumes_attached}
    body = [{"name": name, "devicePath": known.get(name, "")} for name in wanted]
    return Patch(
        kind=Node,
        key=node.metadata.name,
        body={"metadata": {"uid": node.metadata.uid}, "status": {"volumesAttached": body or None}},
        subresource="status",
        tolerate=("NotFound",),
    )


# The controller


def _relevant(node: Node) -> tuple[Any, ...]:
    status, metadata = node.status, node.metadata
    lost = _is_lost(node)
    return metadata.uid, metadata.annotations.get(MANAGED), status.volumes_in_use, status.volumes_attached, lost


def _node_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    if old is not None and new is not None and _relevant(old) == _relevant(new):
        return ()
    return ((new or old).metadata.name,)


def _pod_keys(pod: Pod, _: Caches) -> Iterable[str]:
    if not pod.spec.node_name or not pod.spec.volumes or not claims_of(pod):
        return ()
    return (pod.spec.node_name,)


def _nodes_using(key: str, caches: Caches) -> list[str]:
    return [pod.spec.node_name for pod in caches.by_index(Pod, CLAIM_INDEX, key) if pod.spec.node_name]


def _claim_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    if old is not None and new is not None:
        before, after = ((one.spec.volume_name, one.status.phase) for one in (old, new))
        if before == after:
            return ()
    metadata = (new or old).metadata
    return _nodes_using(f"{metadata.namespace}/{metadata.name}", caches)


def _attachment_keys(attachment: VolumeAttachment, caches: Caches) -> Iterable[str]:
    """The node, and those that wait for the volume."""
    keys = [attachment.spec.node_name]
    volume = caches.get(PersistentVolume, attachment.spec.source.persistent_volume_name or "")
    if volume is not None and volume.spec.claim_ref is not None:
        reference = volume.spec.claim_ref
        keys += _nodes_using(f"{reference.namespace}/{reference.name}", caches)
    return keys


def _by_volume(attachment: VolumeAttachment) -> list[str]:
    return [attachment.spec.source.persistent_volume_name or ""]


class AttachDetach:
    """The attach/detach controller; its keys are nodes."""

    name = "persistentvolume-attach-detach-controller"
    component = "attachdetach-controller"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        by_node = (ATTACHMENT_NODE_INDEX, lambda attachment: [attachment.spec.node_name])
        return (
            Source(kind=Node, change=_node_changed),
            Source(kind=Pod, keys=_pod_keys, indexes=(BY_NODE, (CLAIM_INDEX, index_by_claim))),
            Source(kind=PersistentVolumeClaim, change=_claim_changed),
            Source(kind=PersistentVolume),
            Source(kind=CSIDriver),
            Source(
                kind=VolumeAttachment,
                keys=_attachment_keys,
                indexes=(by_node, (ATTACHMENT_VOLUME_INDEX, _by_volume)),
            ),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        nodes = [node.metadata.name for node in caches.list(Node)]
        return {*nodes, *(attachment.spec.node_name for attachment in caches.list(VolumeAttachment))}

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        node = caches.get(Node, key)
        attachments = tuple(caches.by_index(VolumeAttachment, ATTACHMENT_NODE_INDEX, key))
        if node is not None and node.metadata.annotations.get(MANAGED) != "true":
            return None
        wanted = () if node is None else self._wanted(node, caches)
        if not wanted and not attachments and (node is None or not node.status.volumes_attached):
            return None
        names = (attachment.spec.source.persistent_volume_name or "" for attachment in attachments)
        found = ((name, caches.get(PersistentVolume, name)) for name in names)
        volumes = {name: volume for name, volume in found if volume is not None}
        return Observed(name=key, node=node, wanted=wanted, attachments=attachments, volumes=volumes, now=now)

    def _wanted(self, node: Node, caches: Caches) -> tuple[Wanted, ...]:
        name = node.metadata.name
        keeps = node.metadata.annotations.get(KEEP_TERMINATED) == "true"
        users: dict[str, list[Pod]] = {}
        for pod in caches.by_index(Pod, NODE_INDEX, name):
            if pod.spec.volumes and (keeps or not pods.is_terminal(pod)):
                for claim in claims_of(pod):
                    users.setdefault(f"{pod.metadata.namespace}/{claim}", []).append(pod)
        found = []
        for key, needing in sorted(users.items()):
            volume = _volume_of(key, caches)
            if volume is None:
                continue
            around = caches.by_index(VolumeAttachment, ATTACHMENT_VOLUME_INDEX, volume.metadata.name)
            others = [pod for pod in caches.by_index(Pod, CLAIM_INDEX, key) if pod.spec.node_name not in ("", name)]
            found.append(
                Wanted(
                    volume=volume,
                    pods=tuple(needing),
                    elsewhere=any(one.spec.node_name != name for one in around),
                    others=tuple(pod for pod in others if pod.spec.node_name and not pods.is_terminal(pod)),
                )
            )
        return tuple(found)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _volume_of(key: str, caches: Caches) -> PersistentVolume | None:
    """The volume of a claim, if it is bound and its driver wants volumes attached."""
    claim = caches.get(PersistentVolumeClaim, key)
    if claim is None or claim.status.phase != "Bound" or not claim.spec.volume_name:
        return None
    volume = caches.get(PersistentVolume, claim.spec.volume_name)
    if volume is None or volume.spec.csi is None or volume.spec.claim_ref is None:
        return None
    if volume.spec.claim_ref.uid != claim.metadata.uid:
        return None
    driver = caches.get(CSIDriver, volume.spec.csi.driver)
    return None if driver is not None and driver.spec.attach_required is False else volume

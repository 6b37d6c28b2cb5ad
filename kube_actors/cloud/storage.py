"""A provisioner of volumes that are directories of this host: an ordinary external one, as anybody might run it.

Owns one storage class, the volumes made for it and the directories behind them. Which claim wants a volume it learns
from the annotations that the binder and the scheduler write; binding is theirs. Without a directory nothing is touched
on disk: for nodes that mount nothing.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import trio
from msgspec import structs

from kube_actors.actors import System
from kube_actors.api import storage
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import (
    HostPathVolumeSource,
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.api.types.storage_v1 import StorageClass
from kube_actors.client import Client, EventRecorder, InformerFactory, ItemBackoff, TransportError, WorkQueue

from . import limits

PROVISIONER = "kube-actors.io/local-path"
FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
HOSTNAME = "kubernetes.io/hostname"
NOWHERE = "/var/lib/kube-actors/volumes"
"""Where volumes would be, on nodes that have no disk."""


class ProvisionError(Exception):
    """A claim cannot have a volume of this kind."""


def storage_class(name: str, *, default: bool) -> StorageClass:
    """The class whose volumes are made here."""
    marks = {storage.DEFAULT_CLASS: "true"} if default else {}
    return StorageClass(
        metadata=ObjectMeta(name=name, annotations=marks),
        provisioner=PROVISIONER,
        reclaim_policy="Delete",
        volume_binding_mode=storage.WAIT_FOR_CONSUMER,
    )


def wants_volume(claim: PersistentVolumeClaim, found: StorageClass | None) -> bool:
    """Whether this claim waits for a volume from here; a delayed one only once it is known for which node."""
    annotations = claim.metadata.annotations
    asked = annotations.get(storage.PROVISIONER, annotations.get(storage.PROVISIONER_BETA))
    if claim.spec.volume_name or asked != PROVISIONER or claim.metadata.deletion_timestamp is not None:
        return False
    if found is None or found.provisioner != PROVISIONER:
        return False
    return found.volume_binding_mode != storage.WAIT_FOR_CONSUMER or bool(annotations.get(storage.SELECTED_NODE))


def wants_deletion(volume: PersistentVolume) -> bool:
    """Whether a volume that was made here is not needed any more."""
    made_here = volume.metadata.annotations.get(storage.PROVISIONED_BY) == PROVISIONER
    going = volume.metadata.deletion_timestamp is None or FINALIZER in volume.metadata.finalizers
    released = volume.status.phase == "Released" and volume.spec.persistent_volume_reclaim_policy == "Delete"
    return made_here and going and released


def volume_for(
    claim: PersistentVolumeClaim, found: StorageClass, node: Node | None, directory: str
) -> PersistentVolume:
    """The volume that a claim gets. Raises ProvisionError."""
    if storage.mode_of(claim) == "Block":
        raise ProvisionError("a directory cannot be a block device")
    if claim.spec.selector is not None:
        raise ProvisionError("claim.Spec.Selector is not supported")
    metadata, name = claim.metadata, f"pvc-{claim.metadata.uid}"
    path = os.path.join(directory or NOWHERE, f"{name}_{metadata.namespace}_{metadata.name}")
    policy = found.reclaim_policy or "Delete"
    return PersistentVolume(
        metadata=ObjectMeta(
            name=name,
            annotations={storage.PROVISIONED_BY: PROVISIONER},
            finalizers=(FINALIZER,) if policy == "Delete" else (),
        ),
        spec=PersistentVolumeSpec(
            access_modes=claim.spec.access_modes,
            capacity={storage.STORAGE: storage.requested(claim)},
            claim_ref=ObjectReference(
                api_version="v1",
                kind="PersistentVolumeClaim",
                namespace=metadata.namespace,
                name=metadata.name,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
            ),
            host_path=HostPathVolumeSource(path=path, type="DirectoryOrCreate"),
            node_affinity=None if node is None else _only_on(node),
            persistent_volume_reclaim_policy=policy,
            storage_class_name=found.metadata.name,
            volume_mode="Filesystem",
        ),
    )


def _only_on(node: Node) -> VolumeNodeAffinity:
    here = node.metadata.labels.get(HOSTNAME, node.metadata.name)
    term = NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key=HOSTNAME, operator="In", values=(here,)),))
    return VolumeNodeAffinity(required=NodeSelector(node_selector_terms=(term,)))


def path_within(volume: PersistentVolume, directory: str) -> str:
    """The directory behind a volume, if it is one that was made here; "" for anything else. Nothing else is removed."""
    source = volume.spec.host_path
    if not directory or source is None:
        return ""
    path = os.path.normpath(source.path)
    return path if os.path.dirname(path) == os.path.normpath(directory) else ""


class LocalStorage:
    """The provisioner as an actor; restartable at any moment: names follow from the claims."""

    def __init__(self, client: Client, system: System, *, directory: str, class_name: str, default: bool) -> None:
        self.name = "storage"
        self.handled = 0
        self._client = client
        self._story = system.story
        self._directory = directory
        self._class = storage_class(class_name, default=default)
        self._informers = InformerFactory(client, system)
        self._recorder = EventRecorder(client, system, PROVISIONER)
        backoff: ItemBackoff[str] = ItemBackoff(limits.STORAGE_RETRY_SECONDS, limits.RETRY_MAX_SECONDS)
        self._queue: WorkQueue[str] = WorkQueue(self.name, backoff)
        self._claims = self._informers.informer(PersistentVolumeClaim)
        self._volumes = self._informers.informer(PersistentVolume)
        self._classes = self._informers.informer(StorageClass)
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)

    def _on_claim(self, old: PersistentVolumeClaim | None, new: PersistentVolumeClaim | None) -> None:
        if new is not None and not new.spec.volume_name:
            self._queue.add(f"{new.metadata.namespace}/{new.metadata.name}")

    def _on_volume(self, old: PersistentVolume | None, new: PersistentVolume | None) -> None:
        if new is not None and wants_deletion(new):
            self._queue.add(new.metadata.name)

    async def run(self) -> None:
        """Work until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._recorder.run, name=f"{self.name}/events")
            await nursery.start(self._informers.run)
            await self._informers.synced()
            await self._offer()
            while True:
                key = await self._queue.get()
                try:
                    await self._sync(key)
                finally:
                    self._queue.done(key)

    async def _offer(self) -> None:
        """Have the class be there; what somebody has made of it since stays."""
        try:
            await self._client.create(self._class)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def _sync(self, key: str) -> None:
        self.handled += 1
        about: Any = self._claims.get(key) if "/" in key else self._volumes.get(key)
        try:
            if isinstance(about, PersistentVolumeClaim):
                await self._provision(about)
            elif isinstance(about, PersistentVolume) and wants_deletion(about):
                await self._delete(about)
            self._queue.forget(key)
        except (ApiError, TransportError, ProvisionError, OSError) as error:
            self._tell(about, error)
            self._queue.add_rate_limited(key)

    async def _provision(self, claim: PersistentVolumeClaim) -> None:
        found = self._classes.get(storage.class_name(claim))
        if found is None or not wants_volume(claim, found):
            return
        if self._volumes.get(f"pvc-{claim.metadata.uid}") is not None:
            return
        whole = f"{claim.metadata.namespace}/{claim.metadata.name}"
        message = f'External provisioner is provisioning volume for claim "{whole}"'
        self._recorder.event(claim, "Normal", "Provisioning", message)
        chosen = claim.metadata.annotations.get(storage.SELECTED_NODE)
        node = await self._client.get(Node, chosen) if chosen else None
        volume = volume_for(claim, found, node, self._directory)
        path = path_within(volume, self._directory)
        if path:
            await trio.to_thread.run_sync(_make, path)
        try:
            await self._client.create(volume)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        name = volume.metadata.name
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    async def _delete(self, volume: PersistentVolume) -> None:
        name, path = volume.metadata.name, path_within(volume, self._directory)
        if path:
            await trio.to_thread.run_sync(_remove, path)
        try:
            if volume.metadata.deletion_timestamp is None:
                await self._client.delete(PersistentVolume, name, uid=volume.metadata.uid)
            await self._client.modify(PersistentVolume, name, _unheld)
        except ApiError as error:
            if not error.is_not_found:
                raise

    def _tell(self, about: Any, error: Exception) -> None:
        text = error.message if isinstance(error, ApiError) else str(error)
        if isinstance(about, PersistentVolumeClaim):
            text = f'failed to provision volume with StorageClass "{storage.class_name(about)}": {text}'
            self._recorder.event(about, "Warning", "ProvisioningFailed", text)
        else:
            self._recorder.event(about, "Warning", "VolumeFailedDelete", text)
        self._story.tell(self.name, "failed", uid=about.metadata.uid, key=about.metadata.name, detail=text)


def _unheld(volume: PersistentVolume) -> PersistentVolume | None:
    left = tuple(name for name in volume.metadata.finalizers if name != FINALIZER)
    if left == volume.metadata.finalizers:
        return None
    return structs.replace(volume, metadata=structs.replace(volume.metadata, finalizers=left))


def _make(path: str) -> None:
    """A directory that containers of any user may write to."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, 0o777)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)

"""Generic ephemeral volumes: a pod that brings a claim's template with it gets the claim. Pure.

Owns the claim's making, by its pod's name and that of the volume, and its owner reference: the claim goes when the pod
does, and that is the garbage collector's work. A claim of that name that is not the pod's is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from kube_actors.api.owners import controller_of, controller_reference
from kube_actors.api.types.core_v1 import PersistentVolumeClaim, Pod, Volume
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import limits
from .contract import NOTHING, Caches, Create, Emit, Plan, Source, Told
from .protection import CLAIM_INDEX, index_by_claim


class Observed(Struct, frozen=True, kw_only=True):
    """A pod, and of each of its ephemeral volumes the claim that there is by that name."""

    pod: Pod
    claims: tuple[tuple[Volume, PersistentVolumeClaim | None], ...]


def claim_name(pod: Pod, volume: Volume) -> str:
    return f"{pod.metadata.name}-{volume.name}"


def claim_of(pod: Pod, volume: Volume) -> PersistentVolumeClaim:
    """The claim that a volume of this pod is to have."""
    assert volume.ephemeral is not None, "only ephemeral volumes have templates"
    template = volume.ephemeral.volume_claim_template
    assert template is not None, "the server refuses an ephemeral volume without template"
    metadata = ObjectMeta(
        name=claim_name(pod, volume),
        namespace=pod.metadata.namespace,
        annotations=template.metadata.annotations,
        labels=template.metadata.labels,
        owner_references=(controller_reference(pod),),
    )
    return PersistentVolumeClaim(metadata=metadata, spec=template.spec)


def plan(observed: Observed) -> Plan:
    """The first volume in whose way something stands ends it, as upstream's does."""
    pod, made = observed.pod, []
    for volume, claim in observed.claims:
        if claim is None:
            name = claim_name(pod, volume)
            refusal = f"ephemeral volume {volume.name}: create PVC {name}: {{error}}"
            told = Told(about=pod, failed_reason="FailedBinding", failed_message=refusal)
            made.append(Create(obj=claim_of(pod, volume), told=told))
            continue
        owner = controller_of(claim)
        if owner is None or owner.uid != pod.metadata.uid:
            whole = f"{pod.metadata.namespace}/{pod.metadata.name}"
            about = f"PVC {claim.metadata.namespace}/{claim.metadata.name} was not created for pod {whole}"
            message = f"ephemeral volume {volume.name}: {about} (pod is not owner)"
            event = Emit(about=pod, type="Warning", reason="FailedBinding", message=message)
            return Plan(actions=(*made, event), requeue_after=limits.EPHEMERAL_RETRY_SECONDS)
    return Plan(actions=tuple(made)) if made else NOTHING


def _has_any(pod: Pod) -> bool:
    return any(volume.ephemeral is not None for volume in pod.spec.volumes)


def _pod_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    """A pod's volumes never change, so it matters only that there is one."""
    if old is not None or new is None or not new.spec.volumes or not _has_any(new):
        return ()
    return (f"{new.metadata.namespace}/{new.metadata.name}",)


def _claim_changed(old: Any, new: Any, caches: Caches) -> Iterable[str]:
    """A claim that has gone concerns the pods that may need another one."""
    if new is not None:
        return ()
    key = f"{old.metadata.namespace}/{old.metadata.name}"
    users = caches.by_index(Pod, CLAIM_INDEX, key)
    return [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in users if _has_any(pod)]


class EphemeralVolumes:
    """The ephemeral volume controller; its keys are pods."""

    name = "ephemeral-volume-controller"
    component = "ephemeral_volume"
    workers = 5

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Pod, change=_pod_changed, indexes=((CLAIM_INDEX, index_by_claim),)),
            Source(kind=PersistentVolumeClaim, change=_claim_changed),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in caches.list(Pod) if _has_any(pod)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        pod = caches.get(Pod, key)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return None
        namespace = pod.metadata.namespace
        found = [
            (volume, caches.get(PersistentVolumeClaim, f"{namespace}/{claim_name(pod, volume)}"))
            for volume in pod.spec.volumes
            if volume.ephemeral is not None
        ]
        return Observed(pod=pod, claims=tuple(found)) if found else None

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

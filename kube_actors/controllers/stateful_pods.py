"""What makes a StatefulSet's pods and claims its own: ordinal, names, labels, volumes, and who owns the claims.

Pure. When a pod or claim is made, changed or deleted, the plan in `statefulset` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types.apps_v1 import StatefulSet
from kube_actors.api.types.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodTemplateSpec,
    Volume,
)
from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference

from . import pods
from .history import REVISION_LABEL

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_ORDINAL_LIMIT = 2**31

Claims = Mapping[str, PersistentVolumeClaim]


def replicas_of(owner: StatefulSet) -> int:
    return 1 if owner.spec.replicas is None else owner.spec.replicas


def parent_and_ordinal(name: str) -> tuple[str, int]:
    """The name before the last dash and the number behind it; -1 where there is none."""
    parent, dash, digits = name.rpartition("-")
    if not dash or not (digits.isascii() and digits.isdigit()):
        return "", -1
    ordinal = int(digits)
    return parent, ordinal if ordinal < _ORDINAL_LIMIT else -1


def ordinal_of(pod: Pod) -> int:
    return parent_and_ordinal(pod.metadata.name)[1]


def start_of(owner: StatefulSet) -> int:
    ordinals = owner.spec.ordinals
    return 0 if ordinals is None else ordinals.start or 0


def in_range(owner: StatefulSet, ordinal: int) -> bool:
    start = start_of(owner)
    return start <= ordinal < start + replicas_of(owner)


def revision_of(pod: Pod) -> str:
    return pod.metadata.labels.get(REVISION_LABEL, "")


def new_pod(owner: StatefulSet, template: PodTemplateSpec, revision: str, ordinal: int) -> Pod:
    """The pod of an ordinal, as it is to be created."""
    pod = pods.pod_from_template(template, owner)
    name = f"{owner.metadata.name}-{ordinal}"
    spec = structs.replace(pod.spec, hostname=name, subdomain=owner.spec.service_name or None)
    metadata = structs.replace(pod.metadata, name=name)
    made = with_identity(owner, with_storage(owner, structs.replace(pod, metadata=metadata, spec=spec), ordinal))
    labels = {**made.metadata.labels, REVISION_LABEL: revision}
    return structs.replace(made, metadata=structs.replace(made.metadata, labels=labels))


def has_identity(owner: StatefulSet, pod: Pod) -> bool:
    metadata = pod.metadata
    parent, ordinal = parent_and_ordinal(metadata.name)
    labels = metadata.labels
    return (
        ordinal >= 0
        and parent == owner.metadata.name
        and metadata.name == f"{parent}-{ordinal}"
        and labels.get(POD_NAME_LABEL) == metadata.name
        and labels.get(POD_INDEX_LABEL) == str(ordinal)
    )


def with_identity(owner: StatefulSet, pod: Pod) -> Pod:
    ordinal = ordinal_of(pod)
    name = f"{owner.metadata.name}-{ordinal}"
    labels = {**pod.metadata.labels, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    metadata = structs.replace(pod.metadata, name=name, namespace=owner.metadata.namespace, labels=labels)
    return structs.replace(pod, metadata=metadata)


def claim_name(owner: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> str:
    return f"{template.metadata.name}-{owner.metadata.name}-{ordinal}"


def has_storage(owner: StatefulSet, pod: Pod) -> bool:
    """Whether the pod's volumes are the claims that it should have."""
    ordinal = ordinal_of(pod)
    if ordinal < 0:
        return False
    mounted = {volume.name: volume.persistent_volume_claim for volume in pod.spec.volumes}
    for template in owner.spec.volume_claim_templates:
        source = mounted.get(template.metadata.name)
        if source is None or source.claim_name != claim_name(owner, template, ordinal):
            return False
    return True


def with_storage(owner: StatefulSet, pod: Pod, ordinal: int) -> Pod:
    """The pod with a volume for each claim, in place of volumes of the same name."""
    templates = owner.spec.volume_claim_templates
    if not templates:
        return pod
    volumes = [
        Volume(
            name=template.metadata.name,
            persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=claim_name(owner, template, ordinal)),
        )
        for template in templates
    ]
    names = {template.metadata.name for template in templates}
    volumes += [volume for volume in pod.spec.volumes if volume.name not in names]
    return structs.replace(pod, spec=structs.replace(pod.spec, volumes=tuple(volumes)))


def new_claim(owner: StatefulSet, template: PersistentVolumeClaim, ordinal: int) -> PersistentVolumeClaim:
    """The claim of an ordinal, as it is to be created."""
    metadata = structs.replace(
        template.metadata,
        name=claim_name(owner, template, ordinal),
        namespace=owner.metadata.namespace,
        labels={**template.metadata.labels, **owner.spec.selector.match_labels},
    )
    return structs.replace(template, metadata=metadata)


# Who owns a claim, by the retention policy


def _policy(owner: StatefulSet) -> tuple[bool, bool]:
    """Whether claims go with the set, and whether they go with a pod that is scaled away."""
    policy = owner.spec.persistent_volume_claim_retention_policy
    if policy is None:
        return False, False
    return policy.when_deleted == "Delete", policy.when_scaled == "Delete"


def _is_of(reference: OwnerReference, owner: StatefulSet | Pod) -> bool:
    """A reference to something of this kind and name, whatever its uid."""
    return (reference.api_version, reference.kind, reference.name) == (
        owner.api_version,
        owner.kind,
        owner.metadata.name,
    )


def _has(claim: PersistentVolumeClaim, uid: str) -> bool:
    return any(reference.uid == uid for reference in claim.metadata.owner_references)


def _is_stale(claim: PersistentVolumeClaim, owner: StatefulSet | Pod) -> bool:
    """The claim names an earlier bearer of the name as its owner."""
    for reference in claim.metadata.owner_references:
        if _is_of(reference, owner):
            return reference.uid != owner.metadata.uid
    return False


def has_stale_claim(owner: StatefulSet, pod: Pod, claims: Claims) -> bool:
    """A claim that goes with an earlier pod of this name: it must be gone before the pod is made again."""
    if not _policy(owner)[1]:
        return False
    return any(_is_stale(claim, pod) for claim in claims_of(owner, pod, claims))


def claims_of(owner: StatefulSet, pod: Pod, claims: Claims) -> list[PersistentVolumeClaim]:
    """The claims of a pod that are there."""
    ordinal = ordinal_of(pod)
    names = (claim_name(owner, template, ordinal) for template in owner.spec.volume_claim_templates)
    return [claims[name] for name in names if name in claims]


def conflicts(owner: StatefulSet, pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Somebody else manages a claim that the policy would have us manage."""
    if not any(_policy(owner)):
        return False
    for reference in claim.metadata.owner_references:
        mine = next((one for one in (owner, pod) if _is_of(reference, one)), None)
        if mine is not None and reference.uid != mine.metadata.uid:
            return True
        if mine is None and reference.controller:
            return True
    return False


def _wanted(owner: StatefulSet, pod: Pod) -> tuple[bool, bool]:
    """Whether the set, and whether the pod, is to own the claims."""
    with_set, with_pod = _policy(owner)
    scaled_away = not in_range(owner, ordinal_of(pod))
    return with_set and not (with_pod and scaled_away), with_pod and scaled_away


def is_owned_right(owner: StatefulSet, pod: Pod, claim: PersistentVolumeClaim) -> bool:
    if _is_stale(claim, owner) or _is_stale(claim, pod):
        return True  # an earlier bearer's claim is left to the garbage collector
    mine = [r for r in claim.metadata.owner_references if r.uid in (owner.metadata.uid, pod.metadata.uid)]
    if conflicts(owner, pod, claim):
        return not mine
    if any(not reference.controller for reference in mine):
        return False
    return (_has(claim, owner.metadata.uid), _has(claim, pod.metadata.uid)) == _wanted(owner, pod)


def with_right_owner(owner: StatefulSet, pod: Pod, claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    """The claim with the references that the policy asks for."""
    kept = [
        reference
        for reference in claim.metadata.owner_references
        if not _is_of(reference, owner) and not _is_of(reference, pod)
    ]
    if not conflicts(owner, pod, claim):
        by_set, by_pod = _wanted(owner, pod)
        known = {reference.uid for reference in kept}
        bearers: list[Any] = [one for one, wanted in ((owner, by_set), (pod, by_pod)) if wanted]
        kept += [controller_reference(one) for one in bearers if one.metadata.uid not in known]
    metadata: ObjectMeta = structs.replace(claim.metadata, owner_references=tuple(kept))
    return structs.replace(claim, metadata=metadata)

"""Which ReplicaSet is a Deployment's newest, and the annotations by which revisions are told apart.

Pure. Revision numbers only grow; a template that comes back takes the highest number and remembers its old ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from kube_actors.api.owners import controller_reference
from kube_actors.api.types.apps_v1 import Deployment, ReplicaSet, ReplicaSetSpec
from kube_actors.api.types.core_v1 import PodTemplateSpec
from kube_actors.api.types.meta_v1 import LabelSelector, ObjectMeta

from . import limits, rollout
from .rollout import DESIRED, MAXIMUM
from .template_hash import pod_template_hash

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.revision",
        "deprecated.daemonset.template.generation",
    }
)
_NAME_LIMIT = 253


def revision_of(rs: ReplicaSet) -> int:
    return rollout.number(rs, REVISION) or 0


def same_template(left: PodTemplateSpec | None, right: PodTemplateSpec) -> bool:
    """Whether two templates say the same, but for the hash label."""
    return left is not None and _without_hash(left) == _without_hash(right)


def _without_hash(template: PodTemplateSpec) -> PodTemplateSpec:
    if HASH_LABEL not in template.metadata.labels:
        return template
    labels = {key: value for key, value in template.metadata.labels.items() if key != HASH_LABEL}
    return structs.replace(template, metadata=structs.replace(template.metadata, labels=labels))


def find_new(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The oldest set that has the Deployment's template."""
    matching = [rs for rs in sets if same_template(rs.spec.template, deployment.spec.template)]
    return min(matching, key=rollout.created, default=None)


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """What a set notes of the Deployment's size, so that a later scaling knows its share."""
    wanted = rollout.replicas_of(deployment)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + rollout.max_surge(deployment))}


def new_annotations(deployment: Deployment, known: dict[str, str], revision: int, *, exists: bool) -> dict[str, str]:
    """The annotations that the newest set is to have."""
    annotations = dict(known)
    for key, value in deployment.metadata.annotations.items():
        if key not in _NOT_COPIED:
            annotations[key] = value
    old = known.get(REVISION, "")
    try:
        old_number = int(old) if old else 0
    except ValueError:
        return annotations  # somebody else's idea of a revision is left alone
    if old_number < revision:
        annotations[REVISION] = str(revision)
        if REVISION in known:
            annotations[HISTORY] = _history(known.get(HISTORY, ""), old)
    if not exists:
        annotations |= size_annotations(deployment)
    return annotations


def _history(known: str, added: str) -> str:
    """The old revisions, the oldest dropped when they get too long."""
    entries = known.split(",") if known else []
    size = len(known) + len(added) + 1
    while size > limits.REVISION_HISTORY_CHARACTERS and entries:
        size -= len(entries.pop(0)) + 1
    return ",".join((*entries, added))


def make_new(deployment: Deployment, olds: Sequence[ReplicaSet], revision: int) -> ReplicaSet:
    """The ReplicaSet of the Deployment's template, as it is to be created."""
    digest = pod_template_hash(deployment.spec.template, deployment.status.collision_count)
    template = deployment.spec.template
    labels = {**template.metadata.labels, HASH_LABEL: digest}
    selector = deployment.spec.selector
    spec = ReplicaSetSpec(
        replicas=0,
        min_ready_seconds=deployment.spec.min_ready_seconds or None,
        selector=LabelSelector(
            match_labels={**selector.match_labels, HASH_LABEL: digest},
            match_expressions=selector.match_expressions,
        ),
        template=structs.replace(template, metadata=structs.replace(template.metadata, labels=labels)),
    )
    metadata = ObjectMeta(
        name=f"{deployment.metadata.name[: _NAME_LIMIT - len(digest) - 1]}-{digest}",
        namespace=deployment.metadata.namespace,
        labels=labels,
        annotations=new_annotations(deployment, {}, revision, exists=False),
        owner_references=(controller_reference(deployment),),
    )
    empty = ReplicaSet(metadata=metadata, spec=spec)
    count = rollout.new_set_replicas(deployment, (*olds, empty), empty)
    return structs.replace(empty, spec=structs.replace(spec, replicas=count))

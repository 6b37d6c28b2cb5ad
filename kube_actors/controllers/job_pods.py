"""The pods of a Job: what each is made like, which finished ones are new, and which active ones are to go. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from kube_actors.api.names import DNS_LABEL_LIMIT
from kube_actors.api.types.batch_v1 import Job
from kube_actors.api.types.core_v1 import Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod

from . import pods
from .contract import Create, Delete, Patch, Told
from .indexes import INDEX, Intervals, count_of, has, index_of
from .job_backoff import finished_at
from .job_policies import match_failure

FINALIZER = "batch.kubernetes.io/job-tracking"
"""Keeps a pod until its Job has counted it."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
_VARIABLE = "JOB_COMPLETION_INDEX"
_RANDOM_LETTERS = 5


def is_indexed(job: Job) -> bool:
    return job.spec.completion_mode == "Indexed"


def is_tracked(pod: Pod) -> bool:
    """Whether the Job still has to count the pod."""
    return FINALIZER in pod.metadata.finalizers


def only_replaces_failed(job: Job) -> bool:
    """Whether a pod that is going is replaced only once it is gone."""
    return job.spec.pod_replacement_policy == "Failed" or job.spec.pod_failure_policy is not None


def is_failed(pod: Pod, job: Job) -> bool:
    """A pod that is being deleted may never come to fail by itself, so it mostly counts at once."""
    if pod.status.phase == "Failed":
        return True
    going = pod.metadata.deletion_timestamp is not None and pod.status.phase != "Succeeded"
    return going and not only_replaces_failed(job)


def has_valid_index(pod: Pod, job: Job) -> bool:
    """Whether the pod stands for an index that the Job wants; every pod does of a Job without indexes."""
    if not is_indexed(job):
        return True
    index = index_of(pod)
    return index is not None and index < (job.spec.completions or 0)


def by_index(found: Iterable[Pod]) -> list[Pod]:
    """Pods in the order of their indexes, those without one first."""
    return sorted(found, key=lambda pod: -1 if (index := index_of(pod)) is None else index)


def absolute_failures(pod: Pod) -> int:
    """How often the pod's index failed before, ignored failures counted in."""
    return count_of(pod, FAILURES) + count_of(pod, IGNORED_FAILURES)


# Making


def creation(job: Job, index: int | None, replaced: Pod | None) -> Create:
    """The making of one pod; an index of an Indexed Job, and the failed pod in whose place it comes."""
    template = job.spec.template
    made = pods.pod_from_template(template, job)
    finalizers = made.metadata.finalizers
    changes: dict[str, Any] = {"finalizers": finalizers if FINALIZER in finalizers else (*finalizers, FINALIZER)}
    spec = made.spec
    if index is not None:
        number = str(index)
        changes["annotations"] = {**made.metadata.annotations, INDEX: number} | _failures(job, replaced)
        changes["labels"] = {**made.metadata.labels, INDEX: number}
        changes["generate_name"] = name_prefix(job.metadata.name, number)
        spec = structs.replace(
            spec,
            hostname=f"{job.metadata.name}-{number}",
            containers=_with_variable(spec.containers),
            init_containers=_with_variable(spec.init_containers),
        )
    pod = structs.replace(made, metadata=structs.replace(made.metadata, **changes), spec=spec)
    told = Told(
        about=job,
        reason="SuccessfulCreate",
        message="Created pod: {name}",
        failed_reason="FailedCreate",
        failed_message="Error creating: {error}",
    )
    return Create(obj=pod, told=told)


def name_prefix(job: str, index: str) -> str:
    """What the names of an index's pods begin with; short enough for the random end."""
    suffix = f"-{index}-"
    return job[: DNS_LABEL_LIMIT - _RANDOM_LETTERS - len(suffix)] + suffix


def _failures(job: Job, replaced: Pod | None) -> dict[str, str]:
    """The annotations that tell how often an index has failed by now."""
    if job.spec.backoff_limit_per_index is None:
        return {}
    if replaced is None:
        return {FAILURES: "0"}
    counted = match_failure(job.spec.pod_failure_policy, replaced).counted
    ignored = count_of(replaced, IGNORED_FAILURES) + (not counted)
    found = {FAILURES: str(count_of(replaced, FAILURES) + counted)}
    return found | ({IGNORED_FAILURES: str(ignored)} if ignored else {})


def _with_variable(containers: tuple[Container, ...]) -> tuple[Container, ...]:
    """The containers, each knowing its pod's index."""
    source = EnvVarSource(field_ref=ObjectFieldSelector(field_path=f"metadata.labels['{INDEX}']"))
    variable = EnvVar(name=_VARIABLE, value_from=source)
    return tuple(
        container
        if any(known.name == _VARIABLE for known in container.env)
        else structs.replace(container, env=(*container.env, variable))
        for container in containers
    )


# Removing


def surplus(job: Job, active: Sequence[Pod], at_least: int) -> list[Pod]:
    """The active pods to delete: of one index all but the one that does most, those of no use, then the least."""
    doomed: list[Pod] = []
    left = list(active)
    if is_indexed(job):
        left = []
        groups: defaultdict[int, list[Pod]] = defaultdict(list)
        for pod in by_index(active):
            index = index_of(pod)
            if index is None or index >= (job.spec.completions or 0):
                doomed.append(pod)
            else:
                groups[index].append(pod)
        for group in groups.values():
            ranked = pods.removal_order(group)
            doomed += ranked[:-1]
            left.append(ranked[-1])
    missing = at_least - len(doomed)
    return doomed + (pods.removal_order(left)[:missing] if missing > 0 else [])


def deletion(job: Job, pod: Pod) -> Delete:
    name = pod.metadata.name
    told = Told(
        about=job,
        reason="SuccessfulDelete",
        message=f"Deleted pod: {name}",
        failed_reason="FailedDelete",
        failed_message="Error deleting: {error}",
    )
    return Delete(kind=Pod, key=key_of(pod), uid=pod.metadata.uid, told=told)


def untracking(pod: Pod, *, as_seen: bool = False) -> Patch:
    """Take the finalizer off: the pod is counted, or nobody will count it any more.

    as_seen: only if the pod has not changed since, for nobody else to have adopted it.
    """
    metadata: dict[str, Any] = {"$deleteFromPrimitiveList/finalizers": [FINALIZER], "uid": pod.metadata.uid}
    if as_seen:
        metadata["resourceVersion"] = pod.metadata.resource_version
    body = {"metadata": metadata}
    return Patch(kind=Pod, key=key_of(pod), body=body, patch_type="strategic", tolerate=("NotFound", "Conflict"))


def key_of(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def delayed_deletions(job: Job, tracked: Iterable[Pod], settled: Intervals, active: frozenset[int]) -> dict[int, Pod]:
    """By index, the failed pod that has to stay until its successor is made, which takes over its count."""
    kept: dict[int, Pod] = {}
    for pod in tracked:
        index = index_of(pod)
        if index is None or not is_failed(pod, job) or index in active or has(settled, index):
            continue
        known = kept.get(index)
        if known is None or (
            absolute_failures(known) <= absolute_failures(pod) and finished_at(known) <= finished_at(pod)
        ):
            kept[index] = pod
    return kept

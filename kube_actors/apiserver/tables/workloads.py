"""Workloads: what makes pods."""

from __future__ import annotations

from kube_actors.api.time import parse_time
from kube_actors.apiserver.tables.printer import (
    NONE,
    UNKNOWN,
    Cells,
    Column,
    JSONObject,
    Printer,
    age_column,
    age_of,
    at,
    containers_of,
    human_duration,
    items,
    labels_text,
    name_column,
    name_of,
    part,
    selector_text,
    since,
    wide,
)

CONTAINERS = wide("Containers", "Names of each container in the template.")
IMAGES = wide("Images", "Images referenced by each container in the template.")


def _count(obj: JSONObject, field: str) -> int:
    return int(part(obj, "status").get(field) or 0)


def _desired(obj: JSONObject) -> int:
    replicas = at(obj, "spec", "replicas")
    return 0 if replicas is None else int(replicas)


def _pods_of(obj: JSONObject) -> Cells:
    """Containers, images and selector of a workload with a template."""
    return [*containers_of(part(obj, "spec", "template")), selector_text(at(obj, "spec", "selector"))]


def _deployment(obj: JSONObject, now: float) -> Cells:
    ready = f"{_count(obj, 'readyReplicas')}/{_desired(obj)}"
    counts = [_count(obj, "updatedReplicas"), _count(obj, "availableReplicas")]
    return [name_of(obj), ready, *counts, age_of(obj, now), *_pods_of(obj)]


def _replica_set(obj: JSONObject, now: float) -> Cells:
    counts = [_desired(obj), _count(obj, "replicas"), _count(obj, "readyReplicas")]
    return [name_of(obj), *counts, age_of(obj, now), *_pods_of(obj)]


def _replication_controller(obj: JSONObject, now: float) -> Cells:
    counts = [_desired(obj), _count(obj, "replicas"), _count(obj, "readyReplicas")]
    template = containers_of(part(obj, "spec", "template"))
    return [name_of(obj), *counts, age_of(obj, now), *template, labels_text(at(obj, "spec", "selector"))]


def _stateful_set(obj: JSONObject, now: float) -> Cells:
    ready = f"{_count(obj, 'readyReplicas')}/{_desired(obj)}"
    return [name_of(obj), ready, age_of(obj, now), *containers_of(part(obj, "spec", "template"))]


def _daemon_set(obj: JSONObject, now: float) -> Cells:
    counts = [
        _count(obj, field)
        for field in (
            "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled",
            "numberAvailable",
        )
    ]  # fmt: skip
    nodes = labels_text(at(obj, "spec", "template", "spec", "nodeSelector"))
    return [name_of(obj), *counts, nodes, age_of(obj, now), *_pods_of(obj)]


def _controller_revision(obj: JSONObject, now: float) -> Cells:
    owner = next((o for o in items(obj, "metadata", "ownerReferences") if o.get("controller")), None)
    name = NONE
    if owner is not None:
        group = owner.get("apiVersion", "").rpartition("/")[0]
        kind = owner.get("kind", "").lower()
        name = f"{kind}.{group}/{owner.get('name', '')}" if group else f"{kind}/{owner.get('name', '')}"
    return [name_of(obj), name, obj.get("revision", 0), age_of(obj, now)]


def _job(obj: JSONObject, now: float) -> Cells:
    completions, parallelism = at(obj, "spec", "completions"), at(obj, "spec", "parallelism")
    succeeded = _count(obj, "succeeded")
    if completions is not None:
        done = f"{succeeded}/{completions}"
    elif (parallelism or 0) > 1:
        done = f"{succeeded}/1 of {parallelism}"
    else:
        done = f"{succeeded}/1"
    return [name_of(obj), _job_status(obj), done, _job_duration(obj, now), age_of(obj, now), *_pods_of(obj)]


def _job_status(obj: JSONObject) -> str:
    true = {c.get("type"): c for c in items(obj, "status", "conditions") if c.get("status") == "True"}
    for condition, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition in true:
            return word
    if at(obj, "metadata", "deletionTimestamp"):
        return "Terminating"
    if "Suspended" in true:
        return "Suspended"
    if "FailureTarget" in true:
        return "FailureTarget"
    return "SuccessCriteriaMet" if "SuccessCriteriaMet" in true else "Running"


def _job_duration(obj: JSONObject, now: float) -> str:
    started, ended = at(obj, "status", "startTime"), at(obj, "status", "completionTime")
    if not started:
        return ""
    for condition in items(obj, "status", "conditions"):
        if not ended and condition.get("type") == "Failed" and condition.get("status") == "True":
            ended = condition.get("lastTransitionTime")
    return human_duration((parse_time(ended) if ended else now) - parse_time(started))


def _cron_job(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    last = at(obj, "status", "lastScheduleTime")
    template = part(obj, "spec", "jobTemplate", "spec")
    return [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        str(bool(spec["suspend"])) if spec.get("suspend") is not None else "<unset>",
        len(items(obj, "status", "active")),
        since(last, now) if last else NONE,
        age_of(obj, now),
        *containers_of(part(template, "template")),
        selector_text(template.get("selector")),
    ]


def _autoscaler(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    target = part(spec, "scaleTargetRef")
    least = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(obj),
        UNKNOWN if least is None else str(least),
        spec.get("maxReplicas", 0),
        _count(obj, "currentReplicas"),
        age_of(obj, now),
    ]


def _metrics(obj: JSONObject) -> str:
    """The wanted values beside the measured ones, two of them at most."""
    wanted = items(obj, "spec", "metrics")
    if not wanted:
        return NONE
    measured = items(obj, "status", "currentMetrics")
    words = [_metric(metric, measured[i] if i < len(measured) else {}) for i, metric in enumerate(wanted)]
    text = ", ".join(words[:2])
    return f"{text} + {len(words) - 2} more..." if len(words) > 2 else text


def _metric(metric: JSONObject, measured: JSONObject) -> str:
    kind = metric.get("type", "")
    field = kind[:1].lower() + kind[1:]
    target, current = part(metric, field, "target"), part(measured, field, "current")
    name = f"{at(metric, field, 'name')}: " if kind in ("Resource", "ContainerResource") else ""
    if target.get("averageUtilization") is not None:
        now = current.get("averageUtilization")
        return f"{name}{UNKNOWN if now is None else f'{now}%'}/{target['averageUtilization']}%"
    if target.get("averageValue") is not None:
        average = " (avg)" if kind in ("External", "Object") else ""
        return f"{name}{current.get('averageValue') or UNKNOWN}/{target['averageValue']}{average}"
    return f"{name}{current.get('value') or UNKNOWN}/{target.get('value', UNKNOWN)}"


def _selector(doc: str) -> Column:
    return wide("Selector", doc)


PRINTERS = {
    ("apps", "Deployment"): Printer(
        (
            name_column(),
            Column("Ready", "Number of the pod with ready state"),
            Column("Up-to-date", "=apps.v1.DeploymentStatus.updatedReplicas"),
            Column("Available", "=apps.v1.DeploymentStatus.availableReplicas"),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=apps.v1.DeploymentSpec.selector"),
        ),
        _deployment,
    ),
    ("apps", "ReplicaSet"): Printer(
        (
            name_column(),
            Column("Desired", "=apps.v1.ReplicaSetSpec.replicas", "integer"),
            Column("Current", "=apps.v1.ReplicaSetStatus.replicas", "integer"),
            Column("Ready", "=apps.v1.ReplicaSetStatus.readyReplicas", "integer"),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=apps.v1.ReplicaSetSpec.selector"),
        ),
        _replica_set,
    ),
    ("", "ReplicationController"): Printer(
        (
            name_column(),
            Column("Desired", "=core.v1.ReplicationControllerSpec.replicas", "integer"),
            Column("Current", "=core.v1.ReplicationControllerStatus.replicas", "integer"),
            Column("Ready", "=core.v1.ReplicationControllerStatus.readyReplicas", "integer"),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=core.v1.ReplicationControllerSpec.selector"),
        ),
        _replication_controller,
    ),
    ("apps", "StatefulSet"): Printer(
        (name_column(), Column("Ready", "Number of the pod with ready state"), age_column(), CONTAINERS, IMAGES),
        _stateful_set,
    ),
    ("apps", "DaemonSet"): Printer(
        (
            name_column(),
            Column("Desired", "=apps.v1.DaemonSetStatus.desiredNumberScheduled", "integer"),
            Column("Current", "=apps.v1.DaemonSetStatus.currentNumberScheduled", "integer"),
            Column("Ready", "=apps.v1.DaemonSetStatus.numberReady", "integer"),
            Column("Up-to-date", "=apps.v1.DaemonSetStatus.updatedNumberScheduled", "integer"),
            Column("Available", "=apps.v1.DaemonSetStatus.numberAvailable", "integer"),
            Column("Node Selector", "=core.v1.PodSpec.nodeSelector"),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=apps.v1.DaemonSetSpec.selector"),
        ),
        _daemon_set,
    ),
    ("apps", "ControllerRevision"): Printer(
        (
            name_column(),
            Column("Controller", "Controller of the object"),
            Column("Revision", "=apps.v1.ControllerRevision.revision"),
            age_column(),
        ),
        _controller_revision,
    ),
    ("batch", "Job"): Printer(
        (
            name_column(),
            Column("Status", "Status of the job."),
            Column("Completions", "=batch.v1.JobStatus.succeeded"),
            Column("Duration", "Time required to complete the job."),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=batch.v1.JobSpec.selector"),
        ),
        _job,
    ),
    ("batch", "CronJob"): Printer(
        (
            name_column(),
            Column("Schedule", "=batch.v1.CronJobSpec.schedule"),
            Column("Timezone", "=batch.v1.CronJobSpec.timeZone"),
            Column("Suspend", "=batch.v1.CronJobSpec.suspend", "boolean"),
            Column("Active", "=batch.v1.CronJobStatus.active", "integer"),
            Column("Last Schedule", "=batch.v1.CronJobStatus.lastScheduleTime"),
            age_column(),
            CONTAINERS,
            IMAGES,
            _selector("=batch.v1.JobSpec.selector"),
        ),
        _cron_job,
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): Printer(
        (
            name_column(),
            Column("Reference", "=autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef"),
            Column("Targets", "=autoscaling.v2.HorizontalPodAutoscalerSpec.metrics"),
            Column("MinPods", "=autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas"),
            Column("MaxPods", "=autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas"),
            Column("Replicas", "=autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas"),
            age_column(),
        ),
        _autoscaler,
    ),
}

"""Job and CronJob: defaults, and the selector and labels by which a Job knows its pods."""

from __future__ import annotations

from kube_actors.api import names
from kube_actors.apiserver.strategies import job_status, pod_defaults, pod_warnings
from kube_actors.apiserver.strategies import job_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_LEGACY = {"controller-uid": CONTROLLER_UID, "job-name": JOB_NAME}
_MANY = 2**31 - 1
_MANY_COMPLETIONS, _MUCH_PARALLELISM = 100_000, 10_000
_NAME_WARNING = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; "
    "a DNS label is recommended: "
)
_INDEXES_WARNING = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
    "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
)


def default_job_spec(spec: JSONObject) -> None:
    """A Job's spec, in a Job and in a CronJob's template (which is not labelled)."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    per_index = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _MANY if per_index else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    policy = spec.get("podFailurePolicy")
    for rule in (policy or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern.setdefault("status", "True")
    spec.setdefault("podReplacementPolicy", "Failed" if policy is not None else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)


class JobStrategy(Strategy):
    """Job."""

    generation = True
    field_complaint = 'field label "{field}" not supported for {kind}'
    selectable: Selectable = {
        "status.successful": lambda obj: str((obj.get("status") or {}).get("succeeded", 0)),
    }

    def default(self, obj: JSONObject) -> None:
        pod_defaults.default_template(obj["spec"]["template"])
        default_job_spec(obj["spec"])
        if not obj["metadata"].get("labels"):
            labels = obj["spec"]["template"]["metadata"].get("labels")
            if labels:
                obj["metadata"]["labels"] = labels  # one and the same, so that it gets the generated ones too

    def prepare_create(self, obj: JSONObject) -> None:
        """Give the job a selector of its own, unless its author brings one."""
        obj["status"] = {}
        spec, metadata = obj["spec"], obj["metadata"]
        if spec.get("manualSelector"):
            return
        labels = {CONTROLLER_UID: metadata["uid"], JOB_NAME: metadata.get("name", "")}
        labels |= {old: labels[new] for old, new in _LEGACY.items()}
        template = spec["template"].setdefault("metadata", {})
        known = template.get("labels") or {}
        inherited = not metadata.get("labels") or metadata["labels"] is template.get("labels")
        template["labels"] = labels | known
        selector = spec.get("selector") or {}
        spec["selector"] = selector | {
            "matchLabels": {CONTROLLER_UID: metadata["uid"]} | selector.get("matchLabels", {})
        }
        if inherited:
            metadata["labels"] = dict(template["labels"])

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        new["spec"].setdefault("selector", old["spec"].get("selector"))

    def validate_create(self, obj: JSONObject) -> Problems:
        return rules.job(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.job_update(new, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return job_status.problems(new, old)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        if old is not None and obj["metadata"].get("generation") == old["metadata"].get("generation"):
            return []
        found: list[str] = []
        texts = names.dns_label(obj["metadata"].get("name", "")) if old is None else ()
        if texts:
            found.append(f"{_NAME_WARNING}[{' '.join(texts)}]")
        spec = obj["spec"]
        many = (spec.get("completions") or 0) > _MANY_COMPLETIONS and (spec.get("parallelism") or 0) > _MUCH_PARALLELISM
        if many and spec.get("completionMode") == "Indexed":
            found.append(_INDEXES_WARNING)
        return found + pod_warnings.template_warnings(spec["template"], "spec.template.")


class CronJobStrategy(Strategy):
    """CronJob."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        spec.setdefault("concurrencyPolicy", "Allow")
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        template = spec["jobTemplate"]["spec"].get("template")
        if template is not None:
            pod_defaults.default_template(template)

    def validate_create(self, obj: JSONObject) -> Problems:
        return rules.cron_job(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.cron_job(new, old)

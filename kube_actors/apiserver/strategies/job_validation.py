"""What is wrong with a Job or a CronJob. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api import cron
from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import checks, go_diff, pod_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems
from kube_actors.apiserver.strategies.job_status import index_problem

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_INDEXED = "requires indexed completion mode"


def job(obj: JSONObject) -> Problems:
    """As ValidateJob."""
    found = _generated_selector(obj)
    return found + job_spec(obj["spec"], "spec")


def _generated_selector(obj: JSONObject) -> Problems:
    """A selector that nobody brought along is the one that the server made, and so are the labels that it finds."""
    spec, metadata = obj["spec"], obj["metadata"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return []
    uid, name = metadata.get("uid", ""), metadata.get("name", "")
    found: Problems = [] if uid else [fields.required("metadata.uid")]
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels") or {}
    for key, wanted in (("controller-uid", uid), ("job-name", name), (CONTROLLER_UID, uid), (JOB_NAME, name)):
        path, text = f"spec.template.metadata.labels[{key}]", f"must be '{wanted}'"
        if key not in labels:
            found.append(fields.required(path, text))
        elif labels[key] != wanted:
            found.append(fields.invalid(path, labels, text))
    if not checks.label_selector(selector, "") and not checks.selector_matches(selector, {CONTROLLER_UID: uid}):
        found.append(fields.invalid("spec.selector", selector, "`selector` not auto-generated"))
    return found


def job_spec(spec: JSONObject, path: str, *, selector: bool = True) -> Problems:
    """As ValidateJobSpec."""
    found: Problems = []
    for key in _COUNTS:
        found += checks.not_negative(spec.get(key), f"{path}.{key}")
    indexed = spec.get("completionMode") == "Indexed"
    if spec.get("completionMode") not in (None, "Indexed", "NonIndexed"):
        found.append(fields.not_supported(f"{path}.completionMode", spec["completionMode"], ["Indexed", "NonIndexed"]))
    if indexed and spec.get("completions") is None:
        text = "when completion mode is Indexed"
        found.append(fields.required(f"{path}.completions", text))
    for key in ("backoffLimitPerIndex", "maxFailedIndexes"):
        value = spec.get(key)
        if value is not None:
            found += checks.not_negative(value, f"{path}.{key}")
            if not indexed:
                found.append(fields.invalid(f"{path}.{key}", value, _INDEXED))
    found += _managed_by(spec, path)
    found += _failure_policy(spec, path)
    found += _success_policy(spec, path, indexed)
    found += _template(spec, path)
    if selector:
        found += _selector(spec, path)
    return found


def _managed_by(spec: JSONObject, path: str) -> Problems:
    name = spec.get("managedBy")
    if name is not None and "/" not in name:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [fields.invalid(f"{path}.managedBy", name, text)]
    return []


def _template(spec: JSONObject, path: str) -> Problems:
    template = spec.get("template") or {}
    found = pod_validation.template_problems(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy", "")
    at = f"{path}.template.spec.restartPolicy"
    if policy in ("Always", ""):
        found.append(fields.required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        found.append(fields.not_supported(at, policy, ["OnFailure", "Never"]))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        found.append(fields.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return found


def _selector(spec: JSONObject, path: str) -> Problems:
    selector = spec.get("selector")
    if selector is None:
        return [fields.required(f"{path}.selector")]
    found = checks.label_selector(selector, f"{path}.selector")
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels") or {}
    if not found and not checks.selector_matches(selector, labels):
        text = "`selector` does not match template `labels`"
        found.append(fields.invalid(f"{path}.template.metadata.labels", labels, text))
    return found


def _failure_policy(spec: JSONObject, path: str) -> Problems:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {c.get("name") for key in ("containers", "initContainers") for c in pod.get(key) or ()}
    found: Problems = []
    for index, rule in enumerate(policy.get("rules") or ()):
        found += _failure_rule(rule, f"{path}.podFailurePolicy.rules[{index}]", known)
    return found


def _failure_rule(rule: JSONObject, path: str, known: set[Any]) -> Problems:
    found: Problems = []
    action = rule.get("action", "")
    if not action:
        found.append(fields.required(f"{path}.action", f"valid values: {', '.join(map(fields.quote, _ACTIONS))}"))
    elif action not in _ACTIONS:
        found.append(fields.not_supported(f"{path}.action", action, _ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        found += _exit_codes(codes, f"{path}.onExitCodes", known)
    for position, pattern in enumerate(conditions):
        if pattern.get("status") not in ("True", "False", "Unknown"):
            at = f"{path}.onPodConditions[{position}].status"
            found.append(fields.not_supported(at, pattern.get("status", ""), ["False", "True", "Unknown"]))
    if codes is not None and conditions:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        found.append(fields.invalid(path, fields.OMITTED, text))
    elif codes is None and not conditions:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        found.append(fields.invalid(path, fields.OMITTED, text))
    return found


def _exit_codes(codes: JSONObject, path: str, known: set[Any]) -> Problems:
    found: Problems = []
    operator, values = codes.get("operator", ""), codes.get("values") or []
    if not operator:
        found.append(fields.required(f"{path}.operator", 'valid values: "In", "NotIn"'))
    elif operator not in ("In", "NotIn"):
        found.append(fields.not_supported(f"{path}.operator", operator, ["In", "NotIn"]))
    name = codes.get("containerName")
    if name is not None and name not in known:
        text = "must be one of the container or initContainer names in the pod template"
        found.append(fields.invalid(f"{path}.containerName", name, text))
    if not values:
        found.append(fields.invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > 255:
        found.append(fields.too_many(f"{path}.values", len(values), 255))
    seen: set[int] = set()
    for position, value in enumerate(values):
        if operator == "In" and value == 0:
            found.append(fields.invalid(f"{path}.values[{position}]", value, "must not be 0 for the In operator"))
        if value in seen:
            found.append(fields.duplicate(f"{path}.values[{position}]", value))
        seen.add(value)
    if values != sorted(values):
        found.append(fields.invalid(f"{path}.values", values, "must be ordered"))
    return found


def _success_policy(spec: JSONObject, path: str, indexed: bool) -> Problems:
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    rules = policy.get("rules") or []
    at = f"{path}.successPolicy"
    if not indexed:
        return [fields.invalid(at, checks.go_value({"Rules": rules}), _INDEXED)]
    found: Problems = []
    if not rules:
        found.append(
            fields.required(f"{at}.rules", "at least one rules must be specified when the successPolicy is specified")
        )
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        where = f"{at}.rules[{index}]"
        indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if indexes is None and count is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            found.append(fields.required(where, text))
        if indexes is not None:
            problem = index_problem(indexes, completions)
            if problem:
                text = f"error parsing succeededIndexes: {problem}"
                found.append(fields.invalid(f"{where}.succeededIndexes", indexes, text))
        if count is not None:
            found += checks.not_negative(count, f"{where}.succeededCount")
    return found


_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def job_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateJobUpdate: what may not change while the job lives."""
    spec, before = new["spec"], old["spec"]
    found = _generated_selector(new) + job_spec(spec, "spec")
    wanted, had = spec.get("completions"), before.get("completions")
    if spec.get("completionMode") != "Indexed":
        found += checks.immutable(wanted, had, "spec.completions")
    elif wanted != had and wanted is not None and wanted != spec.get("parallelism"):
        found.append(fields.invalid("spec.completions", wanted, "can only be modified in tandem with spec.parallelism"))
    found += checks.immutable(spec.get("selector"), before.get("selector"), "spec.selector")
    found += _template_update(new, old)
    for key in _FIXED:
        found += checks.immutable(spec.get(key), before.get(key), f"spec.{key}")
    return found


_DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")


def _template_update(new: JSONObject, old: JSONObject) -> Problems:
    """The template stays; where pods are to run and what they ask for may change while the job is at rest."""
    template, had = new["spec"].get("template") or {}, old["spec"].get("template") or {}
    if template == had:
        return []
    if old["spec"].get("suspend") and not (old.get("status") or {}).get("active"):
        had = _with_directives(had, template)
    if template == had:
        return []
    known = template.get("metadata") or {}
    metadata = {key: dict(sorted(known[key].items())) for key in ("labels", "annotations") if known.get(key)}
    shown = metadata | {"Spec": go_diff.internal("PodSpec", template.get("spec") or {})}
    return [fields.invalid("spec.template", checks.go_value(shown), checks.IMMUTABLE)]


def _with_directives(had: JSONObject, template: JSONObject) -> JSONObject:
    """The old template with what may change as the new one has it."""
    spec, wanted = dict(had.get("spec") or {}), template.get("spec") or {}
    _copy(spec, wanted, _DIRECTIVES)
    affinity, other = dict(spec.get("affinity") or {}), wanted.get("affinity")
    _copy(affinity, other or {}, ("nodeAffinity",))
    if affinity or other is not None:
        spec["affinity"] = affinity
    else:
        spec.pop("affinity", None)
    for key in ("containers", "initContainers"):
        pairs = zip(spec.get(key) or (), wanted.get(key) or (), strict=False)
        if len(spec.get(key) or ()) == len(wanted.get(key) or ()) and key in spec:
            spec[key] = [_copy(dict(one), other, ("resources",)) for one, other in pairs]
    metadata = _copy(dict(had.get("metadata") or {}), template.get("metadata") or {}, ("labels", "annotations"))
    return had | {"spec": spec, "metadata": metadata}


def _copy(target: JSONObject, source: JSONObject, keys: Sequence[str]) -> JSONObject:
    for key in keys:
        if key in source:
            target[key] = source[key]
        else:
            target.pop(key, None)
    return target


_CRON_NAME = 52
"""A job's name adds eleven letters to its cron job's."""


def cron_job(obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """As ValidateCronJobCreate and ValidateCronJobUpdate: what an old one has already it may keep."""
    spec = obj["spec"]
    before: JSONObject = old["spec"] if old is not None else {}
    found: Problems = []
    name = obj["metadata"].get("name", "")
    if old is None and len(name) > _CRON_NAME:
        found.append(fields.invalid("metadata.name", name, f"must be no more than {_CRON_NAME} characters"))
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        found.append(fields.required("spec.schedule"))
    else:
        problem = cron.problem(schedule)
        if problem:
            found.append(fields.invalid("spec.schedule", schedule, problem))
        if "TZ" in before.get("schedule", ""):
            if "TZ" in schedule and zone is not None:
                text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
                found.append(fields.invalid("spec.schedule", schedule, text))
        elif "TZ" in schedule:
            text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            found.append(fields.invalid("spec.schedule", schedule, text))
    found += checks.not_negative(spec.get("startingDeadlineSeconds"), "spec.startingDeadlineSeconds")
    policy = spec.get("concurrencyPolicy", "")
    found += checks.one_of(policy, ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy", required=True)
    for key in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found += checks.not_negative(spec.get(key), f"spec.{key}")
    if zone is not None and zone != before.get("timeZone"):
        problem = cron.zone_problem(zone)
        if problem:
            found.append(fields.invalid("spec.timeZone", zone, problem))
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    if inner.get("manualSelector"):
        at = "spec.jobTemplate.spec.manualSelector"
        found.append(fields.not_supported(at, True, ["nil", "false"]))
    return found + job_spec(inner, "spec.jobTemplate.spec", selector=False)

"""What is wrong with a Job or a CronJob. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.api import cron, names
from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import checks, go_diff, pod_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems
from kube_actors.apiserver.strategies.job_policy_validation import INDEXED, failure_policy, success_policy

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
_COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
_MANY, _FEW = 100_000, 10_000
"""Completions, pods at a time and failed indexes of an Indexed Job; fewer where indexes have limits of their own."""
_MANAGED_BY_LETTERS = 63


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
    for key in ("backoffLimitPerIndex", "maxFailedIndexes"):
        found += checks.not_negative(spec.get(key), f"{path}.{key}")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(fields.required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    found += _managed_by(spec, path) + _mode(spec, path)
    found += failure_policy(spec, path) + success_policy(spec, path) + _replacement(spec, path)
    found += _template(spec, path)
    if selector:
        found += _selector(spec, path)
    return found


def _managed_by(spec: JSONObject, path: str) -> Problems:
    name: str | None = spec.get("managedBy")
    if name is None:
        return []
    at = f"{path}.managedBy"
    found: Problems = []
    host, _, rest = name.partition("/")
    if not name:
        found.append(fields.required(at))
    elif not host or not rest:
        found.append(fields.invalid(at, name, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    else:
        found += checks.named(names.dns_subdomain(host), host, at)
    if len(name) > _MANAGED_BY_LETTERS:
        found.append(fields.too_long(at, _MANAGED_BY_LETTERS))
    return found


def _mode(spec: JSONObject, path: str) -> Problems:
    """What goes with the completion mode."""
    mode, completions, parallelism = spec.get("completionMode"), spec.get("completions"), spec.get("parallelism") or 0
    per_index, most = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    at, failed_at = f"{path}.parallelism", f"{path}.maxFailedIndexes"
    found: Problems = []
    if mode not in (None, "Indexed", "NonIndexed"):
        return [fields.not_supported(f"{path}.completionMode", mode, ["Indexed", "NonIndexed"])]
    if mode != "Indexed":
        given = ((key, spec.get(key)) for key in ("backoffLimitPerIndex", "maxFailedIndexes"))
        return [fields.invalid(f"{path}.{key}", value, INDEXED) for key, value in given if value is not None]
    if completions is None:
        found.append(fields.required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism > _MANY:
        text = f"must be less than or equal to {_MANY} when completion mode is Indexed"
        found.append(fields.invalid(at, parallelism, text))
    if completions is not None and most is not None and most > completions:
        found.append(fields.invalid(failed_at, most, "must be less than or equal to completions"))
    if most is not None and most > _MANY:
        found.append(fields.invalid(failed_at, most, f"must be less than or equal to {_MANY}"))
    if completions is None or completions <= _MANY or per_index is None:
        return found
    text = (
        f"must be less than or equal to {_FEW} when completions are above {_MANY} and used with backoff limit per index"
    )
    if most is None:
        found.append(fields.required(failed_at, f"must be specified when completions is above {_MANY}"))
    if parallelism > _FEW:
        found.append(fields.invalid(at, parallelism, text))
    if most is not None and most > _FEW:
        found.append(fields.invalid(failed_at, most, text))
    return found


def _replacement(spec: JSONObject, path: str) -> Problems:
    policy = spec.get("podReplacementPolicy")
    known = ["Failed"] if spec.get("podFailurePolicy") is not None else ["Failed", "TerminatingOrFailed"]
    if policy is None or policy in known:
        return []
    return [fields.not_supported(f"{path}.podReplacementPolicy", policy, known)]


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

"""What a Job's status may say and how it may change, whoever writes it: an end, once reached, is final. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems

_CONDITIONS = "status.conditions"


_ENDS = frozenset({"Complete", "Failed"})


def _true(status: JSONObject) -> frozenset[str]:
    """The types of the conditions that are true."""
    return frozenset(c.get("type", "") for c in status.get("conditions") or () if c.get("status") == "True")


class _Change:
    """Two forms of a Job, and which parts of the status differ; most rules hold only for what changes."""

    def __init__(self, new: JSONObject, old: JSONObject) -> None:
        self.spec: JSONObject = new.get("spec") or {}
        self.status: JSONObject = new.get("status") or {}
        self.before: JSONObject = old.get("status") or {}
        self.true, self.was_true = _true(self.status), _true(self.before)
        self.finished = bool(self.true & _ENDS)
        self.finish_turned = self.finished != bool(self.was_true & _ENDS)

    def differs(self, *keys: str) -> bool:
        return any((self.status.get(key) or None) != (self.before.get(key) or None) for key in keys)

    def turned(self, *kinds: str) -> bool:
        return any((kind in self.true) != (kind in self.was_true) for kind in kinds)

    def number(self, key: str) -> int:
        return int(self.status.get(key) or 0)


def problems(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateJobStatusUpdate."""
    change = _Change(new, old)
    found = _numbers(change) + _uncounted(change) + _ends(change) + _pods(change) + _indexes(change)
    return found + _criteria(change) + _never_back(change)


def _numbers(change: _Change) -> Problems:
    found: Problems = []
    for key in ("active", "succeeded", "failed", "ready", "terminating"):
        found += checks.not_negative(change.status.get(key), f"status.{key}")
    return found


def _uncounted(change: _Change) -> Problems:
    found: Problems = []
    seen: set[Any] = set()
    noted = change.status.get("uncountedTerminatedPods") or {}
    for key in ("succeeded", "failed"):
        for position, uid in enumerate(noted.get(key) or ()):
            path = f"status.uncountedTerminatedPods.{key}[{position}]"
            if not uid:
                found.append(fields.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                found.append(fields.duplicate(path, uid))
            seen.add(uid)
    return found


def _condition(text: str) -> fields.FieldError:
    return fields.invalid(_CONDITIONS, fields.OMITTED, text)


def _ends(change: _Change) -> Problems:
    """Complete and Failed: what must come with them, and what cannot."""
    true, status = change.true, change.status
    complete, failed = "Complete" in true, "Failed" in true
    target, met = "FailureTarget" in true, "SuccessCriteriaMet" in true
    began, ended = status.get("startTime"), status.get("completionTime")
    found: Problems = []
    if change.turned("Complete", "Failed") and complete and failed:
        found.append(_condition("cannot set Complete=True and Failed=true conditions"))
    if change.turned("Complete", "FailureTarget") and complete and target:
        found.append(_condition("cannot set Complete=True and FailureTarget=true conditions"))
    if change.turned("Complete") or change.differs("completionTime"):
        if ended and not complete:
            text = "cannot set completionTime when there is no Complete=True condition"
            found.append(fields.invalid("status.completionTime", ended, text))
        if complete and not ended:
            found.append(fields.required("status.completionTime", "completionTime is required for Complete jobs"))
    if change.differs("startTime", "completionTime") and began and ended and ended < began:
        text = "completionTime cannot be set before startTime"
        found.append(fields.invalid("status.completionTime", ended, text))
    if change.turned("Failed", "FailureTarget") and failed and not target:
        found.append(_condition("cannot set Failed=True condition without the FailureTarget=true condition"))
    if change.turned("Complete", "SuccessCriteriaMet") and complete and not met:
        found.append(_condition("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
    return found


def _pods(change: _Change) -> Problems:
    """A finished Job has no pods left that matter."""
    finished, turned = change.finished, change.finish_turned
    found: Problems = []
    if (turned or change.differs("active")) and finished and change.number("active") > 0:
        found.append(fields.invalid("status.active", change.number("active"), "active>0 is invalid for finished job"))
    if (turned or change.differs("startTime")) and finished and not change.status.get("startTime"):
        found.append(fields.required("status.startTime", "startTime is required for finished job"))
    noted = change.status.get("uncountedTerminatedPods") or {}
    if (turned or change.differs("uncountedTerminatedPods")) and finished and any(noted.values()):
        text = "uncountedTerminatedPods needs to be empty for finished job"
        shown = checks.go_value({"Succeeded": noted.get("succeeded"), "Failed": noted.get("failed")})
        found.append(fields.invalid("status.uncountedTerminatedPods", shown, text))
    return found


def _indexes(change: _Change) -> Problems:
    """The texts of completed and failed indexes."""
    spec, status = change.spec, change.status
    completions, per_index = spec.get("completions"), spec.get("backoffLimitPerIndex")
    completed, failed = status.get("completedIndexes") or "", status.get("failedIndexes")
    new_completed = change.differs("completedIndexes")
    new_failed = failed != change.before.get("failedIndexes")
    found: Problems = []
    if new_completed and completions is not None:
        problem = index_problem(completed, completions)
        if problem:
            text = f"error parsing completedIndexes: {problem}"
            found.append(fields.invalid("status.completedIndexes", completed, text))
    if new_failed and completions is not None and per_index is not None and failed is not None:
        problem = index_problem(failed, completions)
        if problem:
            text = f"error parsing failedIndexes: {problem}"
            found.append(fields.invalid("status.failedIndexes", failed, text))
    if new_completed and completed and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        found.append(fields.invalid("status.completedIndexes", completed, text))
    if new_failed and per_index is None and failed is not None:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        found.append(fields.invalid("status.failedIndexes", failed, text))
    if (new_failed or new_completed) and completions is not None and failed is not None:
        problem = _overlap(completed, failed, completions)
        if problem:
            found.append(fields.invalid("status.failedIndexes", failed, problem))
    finished, turned = change.finished, change.finish_turned
    if (turned or change.differs("terminating")) and finished and change.number("terminating") > 0:
        text = "terminating>0 is invalid for finished job"
        found.append(fields.invalid("status.terminating", change.number("terminating"), text))
    if change.differs("ready", "active") and change.number("ready") > change.number("active"):
        text = "cannot set more ready pods than active"
        found.append(fields.invalid("status.ready", change.number("ready"), text))
    return found


def _overlap(completed: str, failed: str, completions: int) -> str:
    """What two valid texts have in common, as its message; "" when nothing or one of them is not valid."""
    if index_problem(completed, completions) or index_problem(failed, completions):
        return ""
    done = _intervals(completed)
    for first, last in _intervals(failed):
        for begin, end in done:
            if begin <= last and first <= end:
                return f"failedIndexes and completedIndexes overlap at index: {max(begin, first)}"
    return ""


def _intervals(text: str) -> list[tuple[int, int]]:
    ends = [part.split("-") for part in text.split(",")] if text else []
    return [(int(pair[0]), int(pair[-1])) for pair in ends]


def index_problem(text: str, completions: int) -> str:
    """What is wrong with "1,3-5,7"; "" when nothing is."""
    last = -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            return f'the fragment "{part}" violates the requirement that an index interval can have at most two parts'
        numbers = []
        for end in ends:
            if not end.isdigit():
                return f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return f'too large index: "{end}"'
            numbers.append(int(end))
        if len(numbers) == 2 and numbers[0] >= numbers[1]:
            return f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}"
        if numbers[0] <= last:
            return f"non-increasing order, previous: {last}, current: {numbers[0]}"
        last = numbers[-1]
    return ""


def index_total(text: str) -> int:
    """How many indexes a valid text names."""
    return sum(last - first + 1 for first, last in _intervals(text))


def _criteria(change: _Change) -> Problems:
    true = change.true
    found: Problems = []
    if "SuccessCriteriaMet" in true:
        if "Failed" in true:
            found.append(_condition("cannot set SuccessCriteriaMet=True and Failed=true conditions"))
        if "FailureTarget" in true:
            found.append(_condition("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"))
    elif change.spec.get("successPolicy") is not None and "Complete" in true:
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        found.append(_condition(text))
    return found


def _never_back(change: _Change) -> Problems:
    """Ends stay, counters only grow, times stay."""
    true, was_true = change.true, change.was_true
    spec, status, before = change.spec, change.status, change.before
    found: Problems = []
    for kind in ("Failed", "Complete", "FailureTarget"):
        if kind in was_true and kind not in true:
            found.append(_condition(f"cannot disable the terminal {kind}=True condition"))
    if change.number("failed") < int(before.get("failed") or 0):
        text = "cannot decrease the failed counter"
        found.append(fields.invalid("status.failed", change.number("failed"), text))
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if not elastic and change.number("succeeded") < int(before.get("succeeded") or 0):
        text = "cannot decrease the succeeded counter"
        found.append(fields.invalid("status.succeeded", change.number("succeeded"), text))
    ended = status.get("completionTime")
    if ended and before.get("completionTime") and ended != before["completionTime"]:
        found.append(fields.invalid("status.completionTime", ended, "completionTime cannot be mutated"))
    if before.get("startTime") and change.differs("startTime") and not spec.get("suspend"):
        found.append(fields.required("status.startTime", "startTime cannot be removed for unsuspended job"))
    if "SuccessCriteriaMet" in was_true and "SuccessCriteriaMet" not in true:
        found.append(_condition("cannot disable the SuccessCriteriaMet=True condition"))
    if "Complete" in was_true and "SuccessCriteriaMet" not in was_true and "SuccessCriteriaMet" in true:
        found.append(_condition("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"))
    return found

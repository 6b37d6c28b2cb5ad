"""What is wrong with a Job's policies: for pods that fail, and for indexes that suffice. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems
from kube_actors.apiserver.strategies.job_status import index_problem, index_total

INDEXED = "requires indexed completion mode"
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MOST_RULES = 20
"""Rules of a policy, and patterns of one rule."""
_INDEXES_LETTERS = 64 * 1024


def failure_policy(spec: JSONObject, path: str) -> Problems:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    pod = (spec.get("template") or {}).get("spec") or {}
    known = {c.get("name") for key in ("containers", "initContainers") for c in pod.get(key) or ()}
    found: Problems = []
    rules = policy.get("rules") or ()
    if len(rules) > _MOST_RULES:
        found.append(fields.too_many(f"{path}.podFailurePolicy.rules", len(rules), _MOST_RULES))
    per_index = spec.get("backoffLimitPerIndex") is not None
    for index, rule in enumerate(rules):
        found += _failure_rule(rule, f"{path}.podFailurePolicy.rules[{index}]", known, per_index)
    return found


def _failure_rule(rule: JSONObject, path: str, known: set[Any], per_index: bool) -> Problems:
    found: Problems = []
    action = rule.get("action", "")
    if not action:
        found.append(fields.required(f"{path}.action", f"valid values: {', '.join(map(fields.quote, _ACTIONS))}"))
    elif action == "FailIndex" and not per_index:
        found.append(fields.invalid(f"{path}.action", action, "requires the backoffLimitPerIndex to be set"))
    elif action not in _ACTIONS:
        found.append(fields.not_supported(f"{path}.action", action, _ACTIONS))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        found += _exit_codes(codes, f"{path}.onExitCodes", known)
    if len(conditions) > _MOST_RULES:
        found.append(fields.too_many(f"{path}.onPodConditions", len(conditions), _MOST_RULES))
    for position, pattern in enumerate(conditions):
        kind = pattern.get("type", "")
        found += checks.named(names.qualified_name(kind), kind, f"{path}.onPodConditions[{position}].type")
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


def success_policy(spec: JSONObject, path: str) -> Problems:
    policy = spec.get("successPolicy")
    if policy is None:
        return []
    rules = policy.get("rules") or []
    at = f"{path}.successPolicy"
    if spec.get("completionMode") != "Indexed":
        return [fields.invalid(at, checks.go_value({"Rules": rules}), INDEXED)]
    found: Problems = []
    if not rules:
        found.append(
            fields.required(f"{at}.rules", "at least one rules must be specified when the successPolicy is specified")
        )
    if len(rules) > _MOST_RULES:
        found.append(fields.too_many(f"{at}.rules", len(rules), _MOST_RULES))
    completions = spec.get("completions") or 0
    for index, rule in enumerate(rules):
        where = f"{at}.rules[{index}]"
        indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if indexes is None and count is None:
            text = "at least one of succeededCount or succeededIndexes must be specified"
            found.append(fields.required(where, text))
        if indexes is not None:
            if len(indexes) > _INDEXES_LETTERS:
                found.append(fields.too_long(f"{where}.succeededIndexes", _INDEXES_LETTERS))
            problem = index_problem(indexes, completions)
            if problem:
                text = f"error parsing succeededIndexes: {problem}"
                found.append(fields.invalid(f"{where}.succeededIndexes", indexes, text))
        if count is not None:
            found += _count(count, completions, indexes, f"{where}.succeededCount")
    return found


def _count(count: int, completions: int, indexes: str | None, path: str) -> Problems:
    found = checks.not_negative(count, path)
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        found.append(fields.invalid(path, count, text))
    if indexes is not None:
        total = 0 if index_problem(indexes, completions) else index_total(indexes)
        if count > total:
            text = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            found.append(fields.invalid(path, count, text))
    return found

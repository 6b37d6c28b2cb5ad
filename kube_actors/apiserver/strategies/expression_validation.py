"""What is wrong with the expressions of admission policies and of webhooks' match conditions.

Owns compiling them at the time of writing and where their problems stand among the others. An expression that an
update leaves as it was is not judged again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import FieldError

JSONObject = dict[str, Any]
Problems = list[FieldError]

_ORDER = (
    "spec.failurePolicy", "spec.paramKind", "spec.matchConstraints", "spec.matchConditions", "spec.variables",
    "spec.validations", "spec.auditAnnotations", "spec.mutations", "spec.reinvocationPolicy",
)  # fmt: skip
"""In which Kubernetes speaks of a policy's parts."""
_PLACE = re.compile(r"([A-Za-z.]+)(?:\[(\d+)\])?")


def with_expressions(problems: Problems, obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """The problems of a policy or of webhooks together with those of their expressions, in Kubernetes' order."""
    if old is not None and _expressions(old) == _expressions(obj):
        return problems
    found = list(_of_policy(obj)) if "spec" in obj else list(_of_webhooks(obj))
    return sorted([*problems, *found], key=_place) if found else problems


def _place(problem: FieldError) -> tuple[int, int]:
    match = _PLACE.match(problem.field)
    if match is None:
        return len(_ORDER), 0
    known = next((at for at, name in enumerate(_ORDER) if match.group(1).startswith(name)), len(_ORDER))
    return known, int(match.group(2) or 0)


def _expressions(obj: JSONObject) -> Any:
    if "spec" in obj:
        keys = ("matchConditions", "variables", "validations", "auditAnnotations", "mutations", "paramKind")
        return [obj["spec"].get(key) for key in keys]
    return [hook.get("matchConditions") for hook in obj.get("webhooks") or ()]


def _of_webhooks(obj: JSONObject) -> Iterator[FieldError]:
    for index, hook in enumerate(obj.get("webhooks") or ()):
        if hook.get("matchConditions"):
            yield from _conditions(hook["matchConditions"], f"webhooks[{index}].matchConditions", params=False)


def _conditions(conditions: list[JSONObject], path: str, *, params: bool) -> Iterator[FieldError]:
    from kube_actors.cel import admission as expressions  # lazy: brings CEL

    env = expressions.environment(params=params)
    for index, condition in enumerate(conditions):
        yield from _problem(env, condition.get("expression", ""), f"{path}[{index}].expression", expressions.BOOL)


def _of_policy(obj: JSONObject) -> Iterator[FieldError]:
    from kube_actors.cel import admission as expressions  # lazy: brings CEL

    spec = obj["spec"]
    params = spec.get("paramKind") is not None
    if spec.get("matchConditions"):
        yield from _conditions(spec["matchConditions"], "spec.matchConditions", params=params)
    base = expressions.environment(params=params, literals=obj.get("kind") == "MutatingAdmissionPolicy")
    known: dict[str, Any] = {}
    for index, variable in enumerate(spec.get("variables") or ()):
        env = expressions.with_variables(base, known)
        source = variable.get("expression", "")
        problems = list(_problem(env, source, f"spec.variables[{index}].expression", ()))
        yield from problems
        if not problems and source.strip() and variable.get("name"):
            known[variable["name"]] = expressions.compiled(env, source).result_type
    env = expressions.with_variables(base, known)
    for index, item in enumerate(spec.get("validations") or ()):
        path = f"spec.validations[{index}]"
        yield from _problem(env, item.get("expression", ""), f"{path}.expression", expressions.BOOL)
        yield from _problem(env, item.get("messageExpression", ""), f"{path}.messageExpression", expressions.STRING)
    for index, item in enumerate(spec.get("auditAnnotations") or ()):
        path = f"spec.auditAnnotations[{index}].valueExpression"
        yield from _problem(env, item.get("valueExpression", ""), path, expressions.STRING_OR_NULL)
    for index, item in enumerate(spec.get("mutations") or ()):
        for key, wanted in (("applyConfiguration", expressions.APPLIED), ("jsonPatch", expressions.PATCHES)):
            source = (item.get(key) or {}).get("expression", "")
            yield from _problem(env, source, f"spec.mutations[{index}].{key}.expression", wanted)


def _problem(env: Any, source: str, path: str, wanted: tuple[Any, ...]) -> Iterator[FieldError]:
    from kube_actors.cel import admission as expressions  # lazy: brings CEL

    if not source.strip():
        return
    try:
        expressions.compiled(env, source, *wanted)
    except expressions.Faulty as error:
        yield fields.invalid(path, source, str(error))

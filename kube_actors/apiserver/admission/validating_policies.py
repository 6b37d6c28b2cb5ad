"""ValidatingAdmissionPolicy: expressions that must hold, bound to resources, with parameters.

Owns decisions, their messages, and what a binding does with them (deny, warn, audit).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from kube_actors.api.errors import ApiError, Cause
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Step
from kube_actors.apiserver.admission.evaluation import Failed, Scene
from kube_actors.apiserver.admission.policies import (
    Binding,
    Book,
    Misconfigured,
    Policy,
    Scenes,
    matching_bindings,
    params_of,
)

MESSAGE_BYTES = 5 * 1024
"""The longest message that an expression may give."""
ANNOTATION_BYTES = 10 * 1024
FAILURES = "validation.policy.admission.k8s.io/validation_failure"
CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}


class Decision(NamedTuple):
    """One no of a policy."""

    message: str
    reason: str = "Invalid"
    number: int = 0
    """Which validation, from 0."""
    of_binding: bool = True


class ValidatingPolicy(Policy):
    """A policy with its validations and audit annotations."""

    def _compile(self, env: Any) -> None:
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        self._validations = [
            (
                item,
                expressions.compiled(env, item["expression"], *expressions.BOOL),
                expressions.compiled(env, item["messageExpression"], *expressions.STRING)
                if item.get("messageExpression")
                else None,
            )
            for item in self.spec.get("validations") or ()
        ]
        self._annotations = [
            (item["key"], expressions.compiled(env, item["valueExpression"], *expressions.STRING_OR_NULL))
            for item in self.spec.get("auditAnnotations") or ()
        ]

    async def decide(self, scene: Scene, annotations: dict[str, list[str]]) -> list[Decision]:
        """Every no; values for the audit log go to annotations."""
        try:
            if self.conditions and not await self.conditions.hold(scene):
                return []
        except Failed as error:
            return [Decision(str(error))]
        found: list[Decision] = []
        for index, (item, program, message) in enumerate(self._validations):
            try:
                if await scene.value(program) is True:
                    continue
            except Failed as error:
                if self.strict:
                    found.append(Decision(str(error), number=index))
                continue
            found.append(Decision(await _message(scene, item, message), item.get("reason") or "Invalid", index))
        for key, program in self._annotations:
            try:
                value = await scene.value(program)
            except Failed as error:
                if self.strict:
                    found.append(Decision(str(error)))
                continue
            if isinstance(value, str) and value.strip():
                annotations.setdefault(key, []).append(value[:ANNOTATION_BYTES])
        return found


async def _message(scene: Scene, item: JSONObject, program: Any) -> str:
    """What is told: the message expression's text where it has a good one, else the message, else the expression."""
    if program is not None:
        try:
            value = await scene.value(program)
        except Failed:
            value = None
        if isinstance(value, str):
            text = value.strip()
            if text and "\n" not in text and len(text.encode()) <= MESSAGE_BYTES:
                return text
    return item.get("message", "").strip() or f"failed expression: {item['expression'].strip()}"


class ValidatingAdmissionPolicy(Step):
    """See the module."""

    name = "ValidatingAdmissionPolicy"

    def __init__(self) -> None:
        self._book = Book("validatingadmissionpolicies", "validatingadmissionpolicybindings", ValidatingPolicy)

    async def check(self, attempt: Attempt) -> None:
        known = await self._book.read(attempt)
        if not known:
            return
        scenes = Scenes(attempt)
        denied: list[ApiError] = []
        failures: list[JSONObject] = []
        for policy, bindings in known:
            version = await policy.criteria.match(attempt)
            if version is None:
                continue
            annotations: dict[str, list[str]] = {}
            for binding in await matching_bindings(attempt, bindings):
                decisions = await self._decide(attempt, policy, binding, await scenes.of(version), annotations)
                denied += _act(attempt, policy, binding, decisions, failures)
            for key, values in annotations.items():
                attempt.annotate(f"{policy.name}/{key}", ", ".join(dict.fromkeys(values)))
        if failures:
            attempt.annotate(FAILURES, msgspec.json.encode(failures).decode())
        if denied:
            raise denied[0]

    async def _decide(
        self,
        attempt: Attempt,
        policy: ValidatingPolicy,
        binding: Binding,
        scene: Scene,
        annotations: dict[str, list[str]],
    ) -> list[tuple[Decision, bool]]:
        """Every no, and whether it is one by an expression and not by the configuration."""
        try:
            policy.ready()
            params = await params_of(attempt, policy, binding)
        except Misconfigured as error:
            decision = Decision(str(error), of_binding=error.by_binding)
            return [(decision, False)] if policy.strict else []
        found: list[tuple[Decision, bool]] = []
        for one in params:
            decisions = await policy.decide(scene.with_params(one, policy.variables), annotations)
            found += [(decision, True) for decision in decisions]
        return found


def _act(
    attempt: Attempt,
    policy: Policy,
    binding: Binding,
    decisions: list[tuple[Decision, bool]],
    failures: list[JSONObject],
) -> list[ApiError]:
    """Do what the binding wants done; the refusals among it."""
    denied: list[ApiError] = []
    actions = binding.spec.get("validationActions") or ()
    for decision, by_expression in decisions:
        if "Deny" in actions or not by_expression:
            denied.append(refusal(attempt, policy.name, binding.name, decision))
        if "Audit" in actions and by_expression:
            failures.append(
                {
                    "message": decision.message,
                    "policy": policy.name,
                    "binding": binding.name,
                    "expressionIndex": decision.number,
                    "validationActions": list(actions),
                }
            )
        if "Warn" in actions and by_expression:
            attempt.call.warnings.append(
                f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with binding '{binding.name}': "
                f"{decision.message}"
            )
    return denied


def refusal(attempt: Attempt, policy: str, binding: str, decision: Decision) -> ApiError:
    """The refusal by a policy, with the reason that it gave."""
    by = f" with binding '{binding}'" if decision.of_binding else ""
    message = f"ValidatingAdmissionPolicy '{policy}'{by} denied request: {decision.message}"
    status = attempt.forbidden(message, [Cause(message=message)]).status
    code = CODES.get(decision.reason, 422)
    return ApiError(msgspec.structs.replace(status, reason=decision.reason, code=code))

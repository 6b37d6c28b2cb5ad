"""MutatingAdmissionPolicy: expressions that give a patch, bound to resources, with parameters.

Owns the order of mutations and the second round for those that ask for it. How an apply configuration is merged is
`applying`'s.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api import patches
from kube_actors.api.errors import ApiError, Cause
from kube_actors.api.resources import Resource
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission import applying, review
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Rounds, Step
from kube_actors.apiserver.admission.evaluation import Failed, scene
from kube_actors.apiserver.admission.policies import (
    Binding,
    Book,
    Misconfigured,
    Policy,
    matching_bindings,
    params_of,
)


class MutatingPolicy(Policy):
    """A policy with its mutations."""

    def _environment(self) -> dict[str, bool]:
        return {**super()._environment(), "literals": True}

    def _compile(self, env: Any) -> None:
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        self._mutations = [
            (
                mutation["patchType"] == "JSONPatch",
                expressions.compiled(env, source_of(mutation), *wanted_of(mutation)),
            )
            for mutation in self.spec.get("mutations") or ()
        ]

    async def mutate(self, attempt: Attempt, version: Resource, params: JSONObject | None) -> bool:
        """Change the attempt's object; whether it changed. Raises Failed."""
        from kube_actors.cel import admission as expressions  # lazy: brings CEL

        before = await scene(attempt, version)
        seen = before.with_params(params, self.variables)
        if self.conditions and not await self.conditions.hold(seen):
            return False
        original = obj = review.shown(attempt, attempt.obj, version)
        assert obj is not None
        kind = review.kind_in(attempt, version)
        for is_patch, program in self._mutations:
            value = expressions.plain(await seen.with_object(obj, self.variables).value(program))
            obj = _patched(obj, value) if is_patch else applying.apply(kind, obj, _applied(program.source, value))
        if obj == original:
            return False
        try:
            review.take(attempt, obj, version)
        except ApiError as error:
            raise Failed(error.message.removeprefix("Internal error occurred: ")) from None
        return True


def _refusal(attempt: Attempt, policy: Policy, binding: Binding, error: Failed | Misconfigured) -> ApiError:
    """A mutation that cannot be done: forbidden by its code, invalid by its reason, unless the policy itself is bad."""
    by_binding = not isinstance(error, Misconfigured) or error.by_binding
    by = f" with binding '{binding.name}'" if by_binding else ""
    message = f"policy '{policy.name}'{by} denied request: {error}"
    status = attempt.forbidden("", [Cause(message=message)]).status
    reason = "Forbidden" if isinstance(error, Misconfigured) else "Invalid"
    return ApiError(msgspec.structs.replace(status, message=message, reason=reason))


def source_of(mutation: JSONObject) -> str:
    key = "jsonPatch" if mutation.get("patchType") == "JSONPatch" else "applyConfiguration"
    return str((mutation.get(key) or {}).get("expression", ""))


def wanted_of(mutation: JSONObject) -> tuple[Any, ...]:
    """The types that a mutation's expression may give."""
    from kube_actors.cel import admission as expressions  # lazy: brings CEL

    return expressions.PATCHES if mutation.get("patchType") == "JSONPatch" else expressions.APPLIED


def _applied(source: str, value: Any) -> JSONObject:
    if not isinstance(value, dict):
        raise Failed(f"expression '{source.strip()}' resulted in error: no apply configuration")
    return value


def _patched(obj: JSONObject, operations: Any) -> JSONObject:
    try:
        found = patches.apply_json_patch(obj, [_operation(one) for one in operations])
    except ApiError as error:
        raise Failed(f"JSON Patch: {error.message}") from None
    if not isinstance(found, dict):
        raise Failed("JSON Patch: the patched object is no object any more")
    return found


def _operation(given: JSONObject) -> JSONObject:
    return {key: value for key, value in given.items() if key == "value" or value != ""}


class MutatingAdmissionPolicy(Step):
    """See the module."""

    name = "MutatingAdmissionPolicy"

    def __init__(self) -> None:
        self._book = Book("mutatingadmissionpolicies", "mutatingadmissionpolicybindings", MutatingPolicy)

    async def complete(self, attempt: Attempt) -> None:
        known = await self._book.read(attempt)
        if not known or attempt.obj is None or attempt.operation not in ("CREATE", "UPDATE"):
            return
        rounds = attempt.rounds(self.name)
        if attempt.is_again and rounds.last is not None and rounds.last != encoding.encode(attempt.obj):
            rounds.changed()
        for policy, bindings in known:
            version = await policy.criteria.match(attempt)
            if version is None:
                continue
            for binding in await matching_bindings(attempt, bindings):
                await self._apply(attempt, version, policy, binding, rounds)
        rounds.last = encoding.encode(attempt.obj)

    async def _apply(
        self, attempt: Attempt, version: Resource, policy: MutatingPolicy, binding: Binding, rounds: Rounds
    ) -> None:
        key = f"{policy.name}/{binding.name}"
        if attempt.is_again and key not in rounds.due:
            return
        rounds.due.discard(key)
        try:
            policy.ready()
            changed = False
            for params in await params_of(attempt, policy, binding):
                changed |= await policy.mutate(attempt, version, params)
        except (Failed, Misconfigured) as error:
            if policy.strict:
                raise _refusal(attempt, policy, binding, error) from None
            return
        if changed:
            rounds.changed()
            attempt.again = True
        if policy.spec.get("reinvocationPolicy") == "IfNeeded":
            rounds.seen.add(key)

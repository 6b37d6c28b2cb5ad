"""Type checking of ValidatingAdmissionPolicies: expressions compared with the schemas of what they will meet. Pure.

Owns the warnings in a policy's status. An expression that fits no schema is still evaluated; the warning is all that
comes of it. Only kinds that rules name in full are looked at, and of those only built-in ones, whose schemas are known
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from kube_actors.api import resources
from kube_actors.api.types.admissionregistration_v1 import (
    ExpressionWarning,
    TypeChecking,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyStatus,
)

from .contract import NOTHING, Caches, Plan, Source, Update, own_key

if TYPE_CHECKING:
    from kube_actors.cel import Environment

MOST_KINDS = 10
"""Kinds that one policy is checked against."""


class Observed(Struct, frozen=True, kw_only=True):
    policy: ValidatingAdmissionPolicy


def kinds_of(policy: ValidatingAdmissionPolicy) -> list[tuple[str, str, str]]:
    """Group, version and kind of what the policy's rules name in full."""
    constraints = policy.spec.match_constraints
    found: set[tuple[str, str, str]] = set()
    for rule in constraints.resource_rules if constraints is not None else ():
        for group, version, plural in product(rule.api_groups, rule.api_versions, rule.resources):
            if "*" in (group, version) or "*" in plural or "/" in plural:
                continue
            resource = _builtin(group, version, plural)
            if resource is not None:
                found.add(resource.gvk)
    return sorted(found)[:MOST_KINDS]


def _builtin(group: str, version: str, plural: str) -> resources.Resource | None:
    wanted = (group, version, plural)
    return next((one for one in resources.builtin() if (one.group, one.version, one.plural) == wanted), None)


def warnings_of(policy: ValidatingAdmissionPolicy) -> tuple[ExpressionWarning, ...]:
    """What is wrong with the policy's validations, by the types of the kinds that it is about."""
    kinds = kinds_of(policy)
    if not kinds:
        return ()
    environments = [(kind, _environment(policy, kind)) for kind in kinds]
    found = []
    for path, source in _expressions(policy):
        problems = [text for kind, env in environments if (text := _problem(env, kind, source))]
        if problems:
            found.append(ExpressionWarning(field_ref=path, warning="".join(problems)))
    return tuple(found)


def _expressions(policy: ValidatingAdmissionPolicy) -> Iterator[tuple[str, str]]:
    for index, item in enumerate(policy.spec.validations):
        yield f"spec.validations[{index}].expression", item.expression
        if item.message_expression:
            yield f"spec.validations[{index}].messageExpression", item.message_expression


def _environment(policy: ValidatingAdmissionPolicy, kind: tuple[str, str, str]) -> Environment:
    """What the policy's expressions may speak of, the object having this kind's type."""
    from kube_actors.cel import admission, schemas, types  # lazy: brings CEL, and few clusters have policies

    params = policy.spec.param_kind
    env = admission.typed_environment(schemas.of_kind(*kind), admission.environment(params=params is not None))
    if params is not None:
        group, _, version = (params.api_version or "").rpartition("/")
        env = env.extended({"params": schemas.of_kind(group, version, params.kind or "")})
    known: dict[str, types.Type] = {}
    for variable in policy.spec.variables:
        try:
            program = admission.compiled(admission.with_variables(env, known), variable.expression)
        except admission.Faulty:
            known[variable.name] = types.DYN
        else:
            known[variable.name] = program.result_type
    return admission.with_variables(env, known)


def _problem(env: Environment, kind: tuple[str, str, str], source: str) -> str:
    from kube_actors.cel import admission  # lazy: as above

    try:
        admission.compiled(env, source)
    except admission.Faulty as error:
        group, version, name = kind
        return f"{group}/{version}, Kind={name}: {str(error).removeprefix('compilation failed: ')}\n"
    return ""


def plan(observed: Observed) -> Plan:
    policy = observed.policy
    if policy.status.observed_generation == policy.metadata.generation:
        return NOTHING
    checking = TypeChecking(expression_warnings=warnings_of(policy))
    status = ValidatingAdmissionPolicyStatus(
        observed_generation=policy.metadata.generation, type_checking=checking, conditions=policy.status.conditions
    )
    return Plan(
        actions=(
            Update(obj=structs.replace(policy, status=status), subresource="status", tolerate=("NotFound", "Conflict")),
        )
    )


class PolicyTypes:
    """The ValidatingAdmissionPolicy status controller."""

    name = "validatingadmissionpolicy-status-controller"
    component = "validatingadmissionpolicy-status"
    workers = 1

    def sources(self) -> tuple[Source, ...]:
        return (Source(kind=ValidatingAdmissionPolicy, keys=own_key),)

    def initial(self, caches: Caches) -> Iterable[str]:
        return [policy.metadata.name for policy in caches.list(ValidatingAdmissionPolicy)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        policy = caches.get(ValidatingAdmissionPolicy, key)
        return None if policy is None else Observed(policy=policy)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)

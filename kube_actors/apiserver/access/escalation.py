"""Nobody grants what he does not have: the checks on roles and bindings before they are stored.

Runs as the last step that completes an object, since what webhooks made of it counts too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api import errors
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.rbac import GROUP, RoleMissing, RoleRef
from kube_actors.apiserver.access.rules import EVERYTHING, Rule, missing, quoted
from kube_actors.apiserver.admission.chain import Attempt, Step
from kube_actors.apiserver.authz import MASTERS

JSONObject = dict[str, Any]
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})


class Escalation(Step):
    """See the module."""

    name = "RBACEscalation"
    only = frozenset((GROUP, plural) for plural in _ROLES | _BINDINGS)

    async def complete(self, attempt: Attempt) -> None:
        resource = attempt.call.kind.resource
        if resource.group != GROUP or attempt.obj is None:
            return
        if MASTERS in attempt.call.request.user.groups:
            return
        if attempt.old is not None and _same_but_ownership(attempt.obj, attempt.old):
            return
        if resource.plural in _ROLES:
            await _check_role(attempt, attempt.obj)
        elif resource.plural in _BINDINGS:
            await _check_binding(attempt, attempt.obj)


async def _check_role(attempt: Attempt, role: JSONObject) -> None:
    call = attempt.call
    asked = Attributes(
        user=call.request.user,
        verb="escalate",
        group=GROUP,
        version="*",
        resource=call.kind.resource.plural,
        namespace=call.namespace,
        name=call.request.name,
    )
    if (await call.core.access.authorizer.decide(asked)).allowed:
        return
    await _confirm(attempt, _rules(role.get("rules")))
    if role.get("aggregationRule") and await _lacking(attempt, list(EVERYTHING)):
        raise _forbidden(attempt, "must have cluster-admin privileges to use the aggregationRule")


async def _check_binding(attempt: Attempt, binding: JSONObject) -> None:
    call = attempt.call
    reference = RoleRef(binding["roleRef"].get("kind", ""), binding["roleRef"].get("name", ""))
    plurals = {"Role": "roles", "ClusterRole": "clusterroles"}
    asked = Attributes(
        user=call.request.user,
        verb="bind",
        group=GROUP,
        version="*",
        resource=plurals.get(reference.kind, ""),
        namespace=call.namespace,
        name=reference.name,
    )
    if asked.resource and (await call.core.access.authorizer.decide(asked)).allowed:
        return
    try:
        rules = (await call.core.access.rbac.policy()).rules_of(reference, call.namespace)
    except RoleMissing as gone:
        raise errors.not_found(f"{gone.resource}s.{GROUP}", gone.name) from None
    await _confirm(attempt, list(rules))


async def _confirm(attempt: Attempt, wanted: list[Rule]) -> None:
    lacking = await _lacking(attempt, wanted)
    if not lacking:
        return
    user = attempt.call.request.user
    texts = "\n".join(sorted({rule.written() for rule in lacking}))
    raise _forbidden(
        attempt,
        f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not currently '
        f"held:\n{texts}",
    )


async def _lacking(attempt: Attempt, wanted: list[Rule]) -> list[Rule]:
    call = attempt.call
    owned, _ = await call.core.access.rbac.rules_for(call.request.user, call.namespace)
    return missing(owned, wanted)


def _forbidden(attempt: Attempt, message: str) -> errors.ApiError:
    resource = attempt.call.kind.resource
    name = (attempt.obj or {}).get("metadata", {}).get("name", "")
    return errors.forbidden(f"{resource.plural}.{resource.group}", name, message)


def _rules(rules: list[JSONObject] | None) -> list[Rule]:
    return [
        msgspec.convert({key: value for key, value in rule.items() if value is not None}, Rule) for rule in rules or ()
    ]


def _same_but_ownership(new: JSONObject, old: JSONObject) -> bool:
    """Whether only what the garbage collector writes has changed."""

    def rest(obj: JSONObject) -> JSONObject:
        left_out = ("ownerReferences", "finalizers", "managedFields", "resourceVersion")
        return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key not in left_out}}

    return rest(new) == rest(old)

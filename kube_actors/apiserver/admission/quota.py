"""ResourceQuota: what a write adds to a namespace's use is charged to every quota that watches over it, or refused.

Owns the charge: it is stored into the quota's status by compare-and-swap before the object is, so that two writes
cannot both take the last of something. Too much charged (a write that fails later) is put right by the quota
controller, which counts what is there; the other way round cannot happen.
"""

from __future__ import annotations

from collections.abc import Mapping

from kube_actors.api import quantity, quota_usage
from kube_actors.api.quantity import Quantity
from kube_actors.api.quota_usage import Usage
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import Attempt, JSONObject, Step
from kube_actors.store.contract import RevisionConflict

PREFIX = "/registry/core/resourcequotas/"
ATTEMPTS = 50
"""Times that a charge is tried again because another write charged the same quota in between."""

_CHARGED_ON_UPDATE = frozenset({("", "pods"), ("", "services"), ("", "persistentvolumeclaims")})


class ResourceQuota(Step):
    """See the module."""

    name = "ResourceQuota"

    async def check(self, attempt: Attempt) -> None:
        obj = attempt.obj
        if obj is None or not attempt.namespace or not _is_charged(attempt):
            return
        mirror = attempt.call.core.mirrors.of(PREFIX)
        known = await mirror.read()
        if not known:
            return
        resource = attempt.call.kind.resource
        group = resource.stored_group
        if (group, resource.plural) in quota_usage.IGNORED or attempt.call.kind.resource.plural == "namespaces":
            return
        place = attempt.namespace + "/"
        waiting = sorted(key for key in known if key.startswith(place))
        for _ in range(ATTEMPTS):
            known = await mirror.read()
            charged = charges(attempt, group, [known[key] for key in waiting if key in known])
            if attempt.call.dry_run:
                return
            waiting = [key for key, quota in charged if not await _store(attempt, key, quota)]
            if not waiting:
                return
        raise attempt.forbidden(f"unable to charge quota: {', '.join(waiting)} changed all the time")


def _is_charged(attempt: Attempt) -> bool:
    resource = attempt.call.kind.resource
    if attempt.operation == "CREATE":
        return not attempt.subresource
    if attempt.operation != "UPDATE" or (resource.group, resource.plural) not in _CHARGED_ON_UPDATE:
        return False
    return attempt.subresource == ("resize" if resource.plural == "pods" else "")


async def _store(attempt: Attempt, key: str, quota: JSONObject) -> bool:
    """Whether the quota was still as it was when the charge was made up."""
    core = attempt.call.core
    kind = core.kinds.get("", "v1", "resourcequotas")
    try:
        draft = encoding.draft(kind.store_head, quota)
        await core.store.put(PREFIX + key, draft, expect=int(quota["metadata"]["resourceVersion"]))
    except RevisionConflict:
        return False
    return True


def charges(attempt: Attempt, group: str, quotas: list[JSONObject]) -> list[tuple[str, JSONObject]]:
    """The quotas that change, as they are with the write charged; raises the refusal."""
    obj = attempt.obj
    assert obj is not None
    watching = [quota for quota in quotas if _watches(attempt, group, quota, obj)]
    if not watching:
        return []
    delta = _delta(attempt, group, obj)
    if not delta:
        return []
    found = []
    for quota in watching:
        status = quota["status"]
        hard = {name: quantity.parse(text) for name, text in status["hard"].items()}
        used = {name: quantity.parse(text) for name, text in (status.get("used") or {}).items()}
        requested = {name: amount for name, amount in delta.items() if name in hard}
        after = quantity.total(used, requested)
        exceeded = [name for name in requested if after[name] > hard[name] and requested[name] > quantity.ZERO]
        if exceeded:
            raise attempt.forbidden(
                f"exceeded quota: {quota['metadata']['name']}, requested: {_pretty(requested, exceeded)}, "
                f"used: {_pretty(used, exceeded)}, limited: {_pretty(hard, exceeded)}"
            )
        if requested:
            texts = {name: str(amount) for name, amount in after.items()}
            key = f"{attempt.namespace}/{quota['metadata']['name']}"
            found.append((key, {**quota, "status": {**status, "used": texts}}))
    return found


def _watches(attempt: Attempt, group: str, quota: JSONObject, obj: JSONObject) -> bool:
    """Whether the quota is about this object; raises the refusal when the object says too little for it."""
    plural = attempt.call.kind.resource.plural
    status = quota.get("status") or {}
    names = quota_usage.matching(group, plural, status.get("hard") or ())
    if not names or not quota_usage.in_scopes(quota["spec"], group, plural, obj):
        return False
    name = quota["metadata"]["name"]
    if (group, plural) == ("", "pods"):
        demand = quota_usage.demands(names, obj)
        if demand:
            raise attempt.forbidden(f"failed quota: {name}: {demand}")
    unknown = sorted(names - (status.get("used") or {}).keys())
    if unknown:
        raise attempt.forbidden(f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    return True


def _delta(attempt: Attempt, group: str, obj: JSONObject) -> Usage:
    plural, now = attempt.call.kind.resource.plural, attempt.call.core.system.clock.now()
    usage = quota_usage.usage(group, plural, obj, now)
    negative = sorted(name for name, amount in usage.items() if amount.sign < 0)
    if negative:
        raise attempt.forbidden(f"quota usage is negative for resource(s): {','.join(negative)}")
    if attempt.operation == "UPDATE" and attempt.old is not None:
        before = quota_usage.usage(group, plural, attempt.old, now)
        for name, amount in before.items():
            usage[name] = usage.get(name, quantity.ZERO) - amount
    return {name: amount for name, amount in usage.items() if amount}


def _pretty(amounts: Mapping[str, Quantity], names: list[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, quantity.ZERO)}" for name in sorted(names))

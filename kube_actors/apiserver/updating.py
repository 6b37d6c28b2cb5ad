"""update and patch: a new state in place of an old one, under compare-and-swap.

Owns the loop that reads, builds, prepares, validates and stores; whatever builds the new state (a PUT's body, a
patch, a sub-resource) is handed in. A write that changes nothing is not written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kube_actors.api import errors
from kube_actors.api.messages import Answer
from kube_actors.apiserver import bodies, creating, encoding, limits, managing, meta, reading, revisions
from kube_actors.apiserver.admission.chain import Attempt
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.store.contract import Entry, RevisionConflict

JSONObject = dict[str, Any]
Change = Callable[[JSONObject], None]
Build = Callable[[JSONObject], JSONObject]
"""Makes the new state from the old one, both the request's own."""


async def update(call: Call) -> Answer:
    """PUT."""
    bodies.check_write_options(call, "UpdateOptions")
    submitted = bodies.read(call)
    creating.check_addressed(call, submitted)
    kind = call.kind
    may_create = kind.strategy.create_on_update and not call.request.subresource
    if may_create and await call.core.store.get(call.key) is None:
        submitted["metadata"].pop("resourceVersion", None)
        return await creating.create_object(call, submitted)
    kind.strategy.default(submitted)
    if submitted["metadata"].get("resourceVersion", "") not in ("", "0"):
        return await write(call, lambda old: submitted, attempts=1, shares=True)
    kept = encoding.encode(submitted)
    return await write(call, lambda old: encoding.decode(kept), attempts=limits.UPDATE_RETRIES, shares=True)


async def write(call: Call, build: Build, *, attempts: int, shares: bool = False) -> Answer:
    """Store what build makes of the stored object, and answer with it."""
    return call.answer(call.kind.load(await store(call, build, attempts=attempts, shares=shares)))


async def store(call: Call, build: Build, *, attempts: int, shares: bool = False) -> bytes:
    """Read, build, store; again when the object has changed under an unconditional write. Gives what is stored.

    A build that shares changes nothing of what it is given but its metadata's own keys, and may keep parts of it.
    """
    known = list(call.warnings)
    for attempt in range(attempts):
        entry = await reading.find(call)
        try:
            return await _once(call, entry, build, shares)
        except RevisionConflict as lost:
            if lost.current is None:
                raise errors.not_found(call.kind.resource, call.name) from None
            if attempt == attempts - 1:
                raise errors.conflict(call.kind.resource, call.name) from None
            call.warnings[:] = known
    raise AssertionError("a write ends stored or refused")


async def amend(call: Call, kind: Kind, key: str, change: Change) -> bytes:
    """Change a stored object past its strategy and admission: for what the server itself does to it.

    change alters the dict it is given and may refuse by raising ApiError; it runs again when the object has changed
    meanwhile. dryRun stores nothing.
    """
    core = call.core
    while True:
        entry = await core.store.get(key)
        if entry is None:
            raise errors.not_found(kind.resource, key.rsplit("/", 1)[-1])
        obj = encoding.decode(entry.value)
        change(obj)
        draft = encoding.draft(kind.store_head, obj)
        if call.dry_run or encoding.same(entry, draft):
            return draft.stamp(entry.modified)
        try:
            if finished(obj):
                return draft.stamp((await core.store.delete(key, expect=entry.modified)).modified)
            return (await core.store.put(key, draft, expect=entry.modified)).value
        except RevisionConflict:
            continue


async def _once(call: Call, entry: Entry, build: Build, shares: bool) -> bytes:
    """One attempt against one stored state; raises RevisionConflict when that state is not the newest."""
    core, kind = call.core, call.kind
    old = encoding.decode(entry.value)
    new = build({**old, "metadata": {**old["metadata"]}} if shares else encoding.decode(entry.value))
    check_revision(call, new["metadata"], old["metadata"], entry)
    if not managing.is_apply(call):
        managing.changed(call, new, old)
    subresource = call.request.subresource
    attempt = Attempt(call, "UPDATE", new, old, subresource)
    await core.admission.complete(attempt)
    prepare(call, new, old)
    validate(call, new, old)
    await core.admission.check(attempt)
    managing.settle(new, old)
    draft = encoding.draft(kind.store_head, new)
    if encoding.same(entry, draft) or (encoding.as_long(entry, draft) and same_object(new, old)):
        return entry.value
    if call.dry_run:
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        async with core.allocators.claim(call, new, old):
            return encoding.whole(kind.store_head, new)
    if finished(new):
        gone = await core.store.delete(call.key, expect=entry.modified)
        await core.allocators.removed(call, old)
        return draft.stamp(gone.modified)
    async with core.allocators.claim(call, new, old) as claim:
        if claim.changed:
            draft = encoding.draft(kind.store_head, new)
        stored = await core.store.put(call.key, draft, expect=entry.modified)
        claim.keep()
    return stored.value


def same_object(new: JSONObject, old: JSONObject) -> bool:
    """Equal but for the order of keys and the resourceVersion."""
    if {k: v for k, v in new.items() if k != "metadata"} != {k: v for k, v in old.items() if k != "metadata"}:
        return False
    before, after = dict(old["metadata"]), dict(new["metadata"])
    before.pop("resourceVersion", None)
    after.pop("resourceVersion", None)
    return before == after


def check_revision(call: Call, metadata: JSONObject, old: JSONObject, entry: Entry) -> None:
    """The optimistic lock, and the uid that a client may name as a precondition."""
    resource = call.kind.resource
    text = metadata.get("resourceVersion", "")
    if text not in ("", "0"):
        revision = revisions.parse(text)
        if revision is None:
            raise errors.invalid(resource, call.name, [revisions.bad_revision_in_body(text)])
        if revision != entry.modified:
            raise errors.conflict(resource, call.name)
    elif not call.kind.strategy.unconditional_update and call.request.verb == "update":
        raise errors.invalid(resource.name, call.name, [revisions.revision_required(text)])  # Go names the plural here
    uid = metadata.get("uid", "")
    if call.request.verb == "update" and uid and uid != old.get("uid", ""):
        raise errors.conflict(
            resource,
            call.name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.get('uid', '')}",
        )


def prepare(call: Call, new: JSONObject, old: JSONObject) -> None:
    """Carry over what this write may not change, and count generations."""
    kind = call.kind
    strategy = kind.strategy
    meta.prepare_update(new["metadata"], old["metadata"])
    if call.request.subresource == "status" and kind.has_status:
        status = new.get("status")
        for key in [key for key in new if key not in _ALWAYS]:
            del new[key]
        new.update({key: value for key, value in old.items() if key not in _ALWAYS and key != "status"})
        if status is None:
            new.pop("status", None)
        else:
            new["status"] = status
        if "ownerReferences" in old["metadata"]:
            new["metadata"]["ownerReferences"] = old["metadata"]["ownerReferences"]
        else:
            new["metadata"].pop("ownerReferences", None)
        strategy.prepare_status(new, old)
        return
    if kind.has_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    strategy.prepare_update(new, old)
    if strategy.generation and strategy.desired(new) != strategy.desired(old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


_ALWAYS = frozenset({"kind", "apiVersion", "metadata"})


_CHECKED_WHOLE = frozenset(
    {
        "configmaps",
        "secrets",
        "services",
        "serviceaccounts",
        "persistentvolumes",
        "roles",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
    }
)


def validate(call: Call, new: JSONObject, old: JSONObject) -> None:
    """Raises a 422 when the new state is not valid or may not follow the old one."""
    kind, strategy = call.kind, call.kind.strategy
    problems = meta.validate_update(
        new["metadata"],
        old["metadata"],
        strategy,
        namespaced=kind.namespaced,
        whole=kind.resource.plural in _CHECKED_WHOLE,
    )
    if call.request.subresource == "status" and kind.has_status:
        problems += strategy.validate_status(new, old)
    else:
        problems += strategy.validate_update(new, old)
        call.warnings.extend(strategy.warnings(new, old))
    if problems:
        raise errors.invalid(strategy.errors_of or kind.resource, call.name, problems)


def finished(obj: JSONObject) -> bool:
    """Whether a deleted object has nothing left to wait for."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if metadata.get("deletionGracePeriodSeconds"):
        return False
    return not (obj["kind"] == "Namespace" and obj.get("spec", {}).get("finalizers"))

"""delete and deletecollection.

Owns preconditions, grace, finalizers by propagation policy, and what is answered. The garbage collector and the
kubelet finish what is only begun here.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from kube_actors.api import errors, time
from kube_actors.api.messages import Answer
from kube_actors.apiserver import encoding, limits, reading
from kube_actors.apiserver.admission.chain import Attempt
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.delete_options import DeleteOptions, delete_options
from kube_actors.apiserver.selection import selection_of
from kube_actors.store.contract import Entry, RevisionConflict

JSONObject = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


async def delete(call: Call) -> Answer:
    """Delete one object, or begin to."""
    options = delete_options(call)
    value, gone = await delete_object(call, options)
    if gone and not call.kind.strategy.returns_deleted:
        metadata = encoding.decode(value)["metadata"]
        return call.answer(errors.success(call.kind.resource, call.name, metadata["uid"]).encode())
    return call.answer(call.kind.load(value))


async def delete_object(call: Call, options: DeleteOptions, *, shown_name: str | None = None) -> tuple[bytes, bool]:
    """The last or the newest state, and whether the object is gone. shown_name is what admission calls it."""
    for _ in range(limits.UPDATE_RETRIES):
        entry = await reading.find(call)
        obj = encoding.decode(entry.value)
        check_preconditions(call, options, obj, entry)
        attempt = Attempt(call, "DELETE", None, obj, name=shown_name)
        await call.core.admission.complete(attempt)
        await call.core.admission.check(attempt)
        try:
            return await _once(call, options, obj, entry)
        except RevisionConflict as lost:
            if lost.current is None:
                raise errors.not_found(call.kind.resource, call.name) from None
    raise errors.conflict(call.kind.resource, call.name)


def check_preconditions(call: Call, options: DeleteOptions, obj: JSONObject, entry: Entry) -> None:
    uid = obj["metadata"].get("uid", "")
    resource = call.kind.resource
    kind = f"{resource.kind}.{resource.group}".rstrip(".")  # the refusal names the kind, where others name the plural
    if options.uid and options.uid != uid:
        raise errors.conflict(
            kind,
            call.name,
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated",
        )
    if options.resource_version and options.resource_version != str(entry.modified):
        raise errors.conflict(
            kind,
            call.name,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
            f"ResourceVersion in record ({entry.modified}). The object might have been modified",
        )


async def _once(call: Call, options: DeleteOptions, obj: JSONObject, entry: Entry) -> tuple[bytes, bool]:
    core, kind = call.core, call.kind
    metadata = obj["metadata"]
    if kind.strategy.begins_deletion(obj, core.now_text()):
        draft = encoding.draft(kind.store_head, obj)
        if call.dry_run or encoding.same(entry, draft):
            return draft.stamp(entry.modified), False
        return (await core.store.put(call.key, draft, expect=entry.modified)).value, False
    before = encoding.decode(entry.value)
    finalizers = settle_finalizers(call, options, metadata.get("finalizers", []))
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    held = bool(finalizers) or _held_by_namespace(obj)
    grace = kind.strategy.grace_seconds(obj, options.grace_seconds)
    if not held and not grace:
        return await _remove(call, obj, entry), True
    _mark(call, obj, grace or 0)
    if before == obj:
        return entry.value, False
    draft = encoding.draft(kind.store_head, obj)
    if call.dry_run:
        return draft.stamp(entry.modified), False
    return (await core.store.put(call.key, draft, expect=entry.modified)).value, False


def settle_finalizers(call: Call, options: DeleteOptions, finalizers: list[str]) -> list[str]:
    """The finalizers as the propagation policy wants them."""
    policy = options.propagation_policy
    wants_orphan, wants_foreground = policy == "Orphan", policy == "Foreground"
    if not policy:
        if options.orphan_dependents is not None:
            wants_orphan = options.orphan_dependents
        else:
            wants_orphan = ORPHAN in finalizers or call.kind.strategy.orphans_by_default
            wants_foreground = FOREGROUND in finalizers and not wants_orphan
    found = [name for name in finalizers if name not in (FOREGROUND, ORPHAN)]
    if wants_orphan:
        found.append(ORPHAN)
    elif wants_foreground:
        found.append(FOREGROUND)
    return finalizers if sorted(found) == sorted(finalizers) else found


def _held_by_namespace(obj: JSONObject) -> bool:
    """A namespace goes only once its own spec.finalizers are gone."""
    return obj["kind"] == "Namespace" and bool(obj.get("spec", {}).get("finalizers"))


def _mark(call: Call, obj: JSONObject, grace: int) -> None:
    """Set or shorten the time of deletion."""
    metadata = obj["metadata"]
    now = call.core.system.clock.now()
    if metadata.get("deletionTimestamp"):
        known = metadata.get("deletionGracePeriodSeconds", 0)
        if grace >= known:
            return
        first = time.parse_time(metadata["deletionTimestamp"]) - known
        metadata["deletionTimestamp"] = time.format_time(first + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        return
    metadata["deletionTimestamp"] = time.format_time(now + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation"):
        metadata["generation"] += 1
    if obj["kind"] == "Namespace":
        metadata.pop("deletionGracePeriodSeconds")
        obj.setdefault("status", {})["phase"] = "Terminating"


async def _remove(call: Call, obj: JSONObject, entry: Entry) -> bytes:
    core = call.core
    if call.dry_run:
        return entry.value
    removed = await core.store.delete(call.key, expect=entry.modified)
    await core.allocators.removed(call, obj)
    return removed.value


async def delete_collection(call: Call) -> Answer:
    """Delete everything that a list with the same selectors shows; the answer is that list."""
    options = delete_options(call)
    if options.uid:
        raise errors.bad_request("preconditions.uid is not allowed for deletecollection")
    selection = selection_of(call)
    prefix = call.kind.list_prefix(selection.namespace or call.namespace)
    after, limit = "", max(call.options.limit, 0)
    page = await reading.read_page(call, prefix, 0, after, limit, selection)
    values: list[bytes] = []
    for entry in page.entries:
        one = Call(call.core, call.kind, structs.replace(call.request, **_place(call, prefix, entry)))
        try:
            value, _ = await delete_object(one, options, shown_name="")
        except errors.ApiError as error:
            if not error.is_not_found:
                raise
            continue
        values.append(call.kind.load(value))
    resource = call.kind.resource
    metadata = {"resourceVersion": str(page.revision)}
    if resource.custom:
        metadata["continue"] = ""
    return call.answer(
        encoding.listing(resource.list_kind, resource.api_version, metadata, call.kind.item_head, values)
    )


def _place(call: Call, prefix: str, entry: Entry) -> dict[str, str]:
    rest = entry.key[len(call.kind.prefix) :]
    if not call.kind.namespaced:
        return {"name": rest}
    namespace, _, name = rest.partition("/")
    return {"namespace": namespace, "name": name}

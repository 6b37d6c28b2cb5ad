"""What becomes of a definition after it was written: its names are accepted or not, it is established, it is ended.

Owns the conditions NamesAccepted, Established, Terminating and KubernetesAPIApprovalPolicyConformant, acceptedNames,
and the end of all instances before a definition goes. An actor of the server's own; level-triggered, so several
servers may do the same and a restart goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import trio

from kube_actors.api import errors
from kube_actors.api.messages import NO_OPTIONS, Request, UserInfo
from kube_actors.apiserver import encoding
from kube_actors.apiserver.core import Call, Core
from kube_actors.apiserver.custom.book import GROUP, PLURAL, is_true
from kube_actors.apiserver.custom.conditions import approval, established, set_condition, settle_names
from kube_actors.store.contract import Entry, RevisionConflict, StoreClosed, StoreError

JSONObject = dict[str, Any]

FINALIZER: Final = "customresourcecleanup.apiextensions.k8s.io"
IDENTITY: Final = UserInfo(name="system:apiserver", groups=("system:masters",))
WATCH_EVENTS: Final = 1024
RETRY_SECONDS: Final = 5.0


async def run(core: Core) -> None:
    """Keep every definition's status right, until cancelled."""
    kind = core.kinds.get(GROUP, "v1", PLURAL)
    ending: set[str] = set()
    async with trio.open_nursery() as nursery:
        while True:
            try:
                stream = core.store.watch(kind.prefix, after=core.store.revision, capacity=WATCH_EVENTS)
            except StoreClosed:
                return
            try:
                while True:
                    await _settle(core, nursery, ending)
                    await core.custom.refresh()
                    if not await stream.receive_batch():
                        return
            except StoreClosed:
                return
            except StoreError:
                continue  # overrun: all is looked at again
            finally:
                stream.close()


async def _settle(core: Core, nursery: trio.Nursery, ending: set[str]) -> None:
    kind = core.kinds.get(GROUP, "v1", PLURAL)
    page = await core.store.list(kind.prefix)
    if not page.entries:
        return
    known = {entry.key: encoding.decode(entry.value) for entry in page.entries}
    for entry in page.entries:
        crd = known[entry.key]
        if crd["metadata"].get("deletionTimestamp"):
            if FINALIZER in crd["metadata"].get("finalizers", ()) and entry.key not in ending:
                ending.add(entry.key)
                nursery.start_soon(_end, core, entry.key, ending)
            continue
        if await _name(core, entry, crd, known):
            known[entry.key] = crd


async def _name(core: Core, entry: Entry, crd: JSONObject, known: Mapping[str, JSONObject]) -> bool:
    """Write what the definition's names come to; whether anything changed."""
    kind = core.kinds.get(GROUP, "v1", PLURAL)
    before = encoding.encode(crd.get("status"))
    now = core.now_text()
    others = [other for key, other in known.items() if key != entry.key]
    settle_names(crd, others, now)
    established(crd, now)
    approval(crd, now)
    if encoding.encode(crd.get("status")) == before:
        return False
    try:
        await core.store.put(entry.key, encoding.draft(kind.store_head, crd), expect=entry.modified)
    except RevisionConflict:
        return False  # the change brings us back
    return True


async def _end(core: Core, key: str, ending: set[str]) -> None:
    """Delete every instance, wait until none is left, then let the definition go."""
    try:
        while not await _ended(core, key):  # noqa: ASYNC110 - a pause between tries
            await trio.sleep(RETRY_SECONDS)
    except StoreClosed:
        return
    finally:
        ending.discard(key)


async def _ended(core: Core, key: str) -> bool:
    entry = await core.store.get(key)
    if entry is None:
        return True
    crd = encoding.decode(entry.value)
    if not crd["metadata"].get("deletionTimestamp"):
        return True
    await core.custom.refresh()
    group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
    prefix = f"/registry/{group}/{plural}/"
    stream = core.store.watch(prefix, after=core.store.revision, capacity=WATCH_EVENTS)
    try:
        if is_true(crd, "Established"):
            await _delete_instances(core, crd, prefix)
        with trio.move_on_after(RETRY_SECONDS):
            while (await core.store.list(prefix, limit=1)).entries:
                await stream.receive_batch()
        if (await core.store.list(prefix, limit=1)).entries:
            await _amend(core, key, _still_there(core))
            return False
    except StoreClosed:
        raise
    except StoreError:
        return False
    finally:
        stream.close()
    await _amend(core, key, _let_go)
    return True


def _still_there(core: Core) -> Any:
    def change(crd: JSONObject) -> None:
        text = "CustomResource deletion is in progress"
        set_condition(crd, "Terminating", "True", "InstanceDeletionInProgress", text, core.now_text())

    return change


def _let_go(crd: JSONObject) -> None:
    metadata = crd["metadata"]
    metadata["finalizers"] = [name for name in metadata.get("finalizers", ()) if name != FINALIZER]
    if not metadata["finalizers"]:
        del metadata["finalizers"]


async def _amend(core: Core, key: str, change: Any) -> None:
    kind = core.kinds.get(GROUP, "v1", PLURAL)
    while True:
        entry = await core.store.get(key)
        if entry is None:
            return
        crd = encoding.decode(entry.value)
        change(crd)
        try:
            if crd["metadata"].get("deletionTimestamp") and not crd["metadata"].get("finalizers"):
                await core.store.delete(key, expect=entry.modified)
            elif not encoding.same(entry, draft := encoding.draft(kind.store_head, crd)):
                await core.store.put(key, draft, expect=entry.modified)
            return
        except RevisionConflict:
            continue


async def _delete_instances(core: Core, crd: JSONObject, prefix: str) -> None:
    from kube_actors.apiserver import deleting  # lazy: deleting imports what imports this module's siblings
    from kube_actors.apiserver.delete_options import DeleteOptions  # lazy: as above

    spec = crd["spec"]
    served = next((v["name"] for v in spec["versions"] if v.get("served")), "")
    kind = core.kinds.find(spec["group"], served, spec["names"]["plural"])
    if kind is None:
        return
    for entry in (await core.store.list(prefix)).entries:
        namespace, _, name = entry.key[len(prefix) :].rpartition("/")
        request = Request(
            verb="delete",
            group=spec["group"],
            version=served,
            resource=spec["names"]["plural"],
            namespace=namespace,
            name=name,
            options=NO_OPTIONS,
            user=IDENTITY,
        )
        try:
            await deleting.delete_object(Call(core, kind, request), DeleteOptions())
        except errors.ApiError as refused:
            if not refused.is_not_found:
                return  # tried again after a while

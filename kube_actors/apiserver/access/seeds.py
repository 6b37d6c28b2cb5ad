"""The objects of access that every cluster has: RBAC's bootstrap policy and the objects of priority and fairness.

Owns when they are made and how they are kept: they are written straight to the store, some time after the start or at
the first request that could see them, so that starting a cluster does not pay for what it may never need. On a store
that has been used before, what is missing is added again, unless an object asks to be left alone.
"""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from kube_actors.actors import System
from kube_actors.api import time
from kube_actors.apiserver import encoding
from kube_actors.apiserver.access import flow_policy, flow_status, policy
from kube_actors.apiserver.access.rules import Rule, missing
from kube_actors.store.contract import Entry, RevisionConflict, Store, StoreError

JSONObject = dict[str, Any]

GROUPS = frozenset({policy.GROUP, flow_policy.GROUP})
"""Requests on these groups wait until the objects are there."""

QUIET_SECONDS = 1.0
"""After this time they are made even if nobody asks."""

_AT_ONCE = 32
"""Writes under way at a time, so that a durable store commits them in groups."""


class Seeds:
    """Makes the objects once."""

    def __init__(self, system: System, store: Store) -> None:
        self.done = False
        self._store = store
        self._system = system
        self._entropy = system.entropy.split("access/seeds")
        self._lock = trio.Lock()

    async def run(self) -> None:
        """Make them when the start is over, then look after what the server itself says of them."""
        await trio.sleep(QUIET_SECONDS)
        try:
            await self.ensure()
        except StoreError as error:  # a full or closed store: whoever asks for them next tries again
            self._system.story.tell("apiserver", "could not make the bootstrap policy", detail=str(error))
        await flow_status.run(self._system, self._store)

    async def ensure(self) -> None:
        """Return when all are there; raises StoreError."""
        if self.done:
            return
        async with self._lock:
            if self.done:
                return
            await self._make()
            self.done = True

    async def _make(self) -> None:
        now = time.format_time(self._system.clock.now())
        for group, objects in ((policy.GROUP, policy.bootstrap()), (flow_policy.GROUP, flow_policy.bootstrap())):
            page = await self._store.list(f"/registry/{group}/")
            there = {entry.key: entry for entry in page.entries}
            for plural, wanted in objects.items():
                for start in range(0, len(wanted), _AT_ONCE):
                    async with trio.open_nursery() as nursery:
                        for obj in wanted[start : start + _AT_ONCE]:
                            key = _key(group, plural, obj["metadata"])
                            nursery.start_soon(self._one, key, obj, there.get(key), now)

    async def _one(self, key: str, wanted: JSONObject, entry: Entry | None, now: str) -> None:
        head = encoding.head_of(wanted["kind"], wanted["apiVersion"])
        if entry is None:
            obj, expect = self._fresh(wanted, now), 0
        else:
            mended = _mended(encoding.decode(entry.value), wanted)
            if mended is None:
                return
            obj, expect = mended, entry.modified
        try:
            await self._store.put(key, encoding.draft(head, obj), expect=expect)
        except RevisionConflict:
            return  # somebody else made or changed it meanwhile: that is newer than what we know

    def _fresh(self, wanted: JSONObject, now: str) -> JSONObject:
        meta = wanted["metadata"]
        first = {key: meta[key] for key in ("name", "namespace") if key in meta}
        rest = {key: value for key, value in meta.items() if key not in first}
        if "generation" in rest:
            first["uid"], first["generation"] = self._entropy.uuid(), rest.pop("generation")
        else:
            first["uid"] = self._entropy.uuid()
        obj = {**wanted, "metadata": {**first, "creationTimestamp": now, **rest}}
        conditions = (wanted.get("status") or {}).get("conditions")
        if conditions:
            obj["status"] = {"conditions": [{**each, "lastTransitionTime": now} for each in conditions]}
        return obj


def _key(group: str, plural: str, meta: JSONObject) -> str:
    namespace = meta.get("namespace")
    place = f"{namespace}/{meta['name']}" if namespace else meta["name"]
    return f"/registry/{group}/{plural}/{place}"


def _mended(there: JSONObject, wanted: JSONObject) -> JSONObject | None:
    """The object with what it lacks; None when it lacks nothing or does not want to be touched."""
    annotations = there["metadata"].get("annotations") or {}
    if wanted["apiVersion"] != policy.VERSION or annotations.get(policy.AUTOUPDATE) != "true":
        return None
    changes: JSONObject = {}
    lacking = missing(_rules(there), _rules(wanted))
    if lacking:
        changes["rules"] = [*(there.get("rules") or ()), *map(_bare, lacking)]
    subjects = there.get("subjects") or []
    absent = [each for each in wanted.get("subjects") or () if each not in subjects]
    if absent:
        changes["subjects"] = [*subjects, *absent]
    return {**there, **changes} if changes else None


def _rules(obj: JSONObject) -> list[Rule]:
    return [msgspec.convert(rule, Rule) for rule in obj.get("rules") or ()]


def _bare(rule: Rule) -> JSONObject:
    return {key: value for key, value in msgspec.to_builtins(rule).items() if value}

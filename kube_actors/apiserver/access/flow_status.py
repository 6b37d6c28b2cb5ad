"""The condition Dangling of FlowSchemas: whether the level that a schema names is there.

Runs beside the server and writes nothing but that condition.
"""

from __future__ import annotations

from typing import Any

from kube_actors.actors import System
from kube_actors.api import time
from kube_actors.apiserver import encoding
from kube_actors.apiserver.access import flow_policy
from kube_actors.store.contract import Compacted, RevisionConflict, Store, StoreClosed, StoreFull, WatchOverrun

JSONObject = dict[str, Any]
PREFIX = f"/registry/{flow_policy.GROUP}/"
_SCHEMAS = f"{PREFIX}flowschemas/"
_LEVELS = f"{PREFIX}prioritylevelconfigurations/"
_HEAD = encoding.head_of("FlowSchema", flow_policy.VERSION)


async def run(system: System, store: Store) -> None:
    """Keep the condition right until the store is closed."""
    while True:
        try:
            await _follow(system, store)
        except (WatchOverrun, Compacted):
            continue
        except StoreClosed:
            return


async def _follow(system: System, store: Store) -> None:
    page = await store.list(PREFIX)
    keys = {entry.key for entry in page.entries}
    with store.watch(PREFIX, after=page.revision) as stream:
        await _settle(system, store, keys)
        while True:
            for event in await stream.receive_batch():
                if event.deleted:
                    keys.discard(event.key)
                else:
                    keys.add(event.key)
            await _settle(system, store, keys)


async def _settle(system: System, store: Store, keys: set[str]) -> None:
    now = time.format_time(system.clock.now())
    for key in sorted(keys):
        if not key.startswith(_SCHEMAS):
            continue
        entry = await store.get(key)
        if entry is None:
            continue
        schema = encoding.decode(entry.value)
        wanted = condition(schema, keys)
        before = (schema.get("status") or {}).get("conditions") or []
        known: JSONObject = next((each for each in before if each.get("type") == "Dangling"), {})
        if all(known.get(field) == wanted[field] for field in ("status", "reason", "message")):
            continue
        moment = known.get("lastTransitionTime") if known.get("status") == wanted["status"] else None
        wanted["lastTransitionTime"] = moment or now
        others = [each for each in before if each.get("type") != "Dangling"]
        schema["status"] = {**(schema.get("status") or {}), "conditions": [*others, wanted]}
        try:
            await store.put(key, encoding.draft(_HEAD, schema), expect=entry.modified)
        except (RevisionConflict, StoreFull):
            continue  # the newer write comes as an event; a full store has other worries


def condition(schema: JSONObject, keys: set[str]) -> JSONObject:
    """What Dangling says of a schema, without its time."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    found = flow_policy.found_condition(level)
    if f"{_LEVELS}{level}" in keys:
        return found
    lead = "This FlowSchema references the PriorityLevelConfiguration object named"
    message = f'{lead} "{level}" but there is no such object'
    return {**found, "status": "True", "reason": "NotFound", "message": message}

"""Who owns which fields of an object: managedFields, and what a write or an apply does to them.

Owns the entries, both ways, the rules by which ownership moves, and conflicts. An object is looked at through a
`Versions`: every manager speaks of the fields of the version in which it wrote. Pure; time is an argument.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from kube_actors.api import errors, fieldsets
from kube_actors.api.fieldsets import FieldSet, FieldSetError
from kube_actors.api.merge_types import MergeType
from kube_actors.api.merging import ABSENT, merge, remove, with_named

JSONObject = dict[str, Any]

UPDATE, APPLY = "Update", "Apply"
MAX_UPDATE_MANAGERS = 10
OLD_MANAGERS = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"
UNKNOWN = "unknown"

META_FIELDS = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
)  # fmt: skip
STRIPPED = fieldsets.of_paths(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(("f:metadata", f"f:{name}") for name in META_FIELDS),
    ]
)
"""What nobody owns."""


class Manager(NamedTuple):
    """Who: an applier is the same in every version, a writer is not."""

    name: str
    operation: str
    version: str
    subresource: str

    @property
    def identifier(self) -> str:
        """What Kubernetes sorts managers by."""
        parts = {"manager": self.name, "operation": self.operation}
        if self.version:
            parts["apiVersion"] = self.version
        if self.subresource:
            parts["subresource"] = self.subresource
        return msgspec.json.encode(parts).decode()

    def text(self) -> str:
        shown = f'"{self.name}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return f"{shown} using {self.version}" if self.operation == UPDATE else shown


class Owned(Struct, frozen=True):
    """What a manager owns, in which version, and when it last took something."""

    fields: FieldSet
    version: str
    time: str | None


Managers = dict[Manager, Owned]


class Versions(Protocol):
    """An object and its type in the versions that managers speak of. None for a version that is served no more."""

    def typed(self, obj: JSONObject, version: str) -> tuple[MergeType, JSONObject] | None: ...

    def back(self, obj: JSONObject, version: str) -> JSONObject:
        """An object of that version in the version of the request."""
        ...


def manager_for(name: str, operation: str, version: str, subresource: str) -> Manager:
    return Manager(name or UNKNOWN, operation, "" if operation == APPLY else version, subresource)


class BadEntries(ValueError):
    """These are no managedFields."""


def decode(entries: Any, *, trusted: bool) -> Managers:
    """The managers of a list of entries; what the server itself has stored is trusted. Raises BadEntries."""
    found: Managers = {}
    for entry in entries or ():
        try:
            operation, version = entry["operation"], entry["apiVersion"]
            fields = entry.get("fieldsV1") or {}
            if not trusted:
                if operation not in (UPDATE, APPLY) or not version or entry["fieldsType"] != "FieldsV1":
                    raise BadEntries("operation must be `Apply` or `Update`, apiVersion set and fieldsType FieldsV1")
                fields = fieldsets.checked(fields)
        except (KeyError, TypeError, FieldSetError) as error:
            raise BadEntries(str(error)) from error
        manager = manager_for(entry.get("manager", ""), operation, version, entry.get("subresource", ""))
        found[manager] = Owned(fields, version, entry.get("time"))
    return found


def encode(managers: Managers) -> list[JSONObject]:
    """Entries in Kubernetes' order: appliers first, then by time and name."""
    ordered = sorted(
        managers.items(),
        key=lambda item: (item[0].operation, item[1].time or "", item[0].name, item[1].version, item[0].subresource),
    )
    entries = []
    for manager, owned in ordered:
        entry: JSONObject = {"manager": manager.name, "operation": manager.operation, "apiVersion": owned.version}
        if owned.time is not None:
            entry["time"] = owned.time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = owned.fields
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


class Reset(Struct, frozen=True):
    """The fields that a writer cannot change here: all of `ignored`, or all but `included`."""

    ignored: FieldSet = {}
    included: FieldSet | None = None

    def keep(self, fields: FieldSet) -> FieldSet:
        if self.included is not None:
            return fieldsets.within(fields, self.included)
        return fieldsets.without(fields, self.ignored) if self.ignored else fields


NOTHING_RESET = Reset()


def compare(kind: MergeType, old: JSONObject, new: JSONObject, reset: Reset) -> tuple[FieldSet, FieldSet]:
    """What is added or modified, and what is removed, of what can be changed here."""
    if old == new:
        return {}, {}
    changed, removed = kind.diff(old, new)
    return reset.keep(changed or {}), reset.keep(removed or {})


def _take(
    versions: Versions,
    version: str,
    old: JSONObject,
    new: JSONObject,
    managers: Managers,
    reset: Reset,
    writer: Manager | None = None,
) -> tuple[Managers, dict[Manager, FieldSet], FieldSet]:
    """What others lose by a change: who is left with what, who is in conflict about what, and what has changed."""
    known: dict[str, tuple[FieldSet, FieldSet] | None] = {}

    def comparison(wanted: str) -> tuple[FieldSet, FieldSet] | None:
        if wanted not in known:
            before, after = versions.typed(old, wanted), versions.typed(new, wanted)
            known[wanted] = None if before is None or after is None else compare(before[0], before[1], after[1], reset)
        return known[wanted]

    left: Managers = {}
    conflicts: dict[Manager, FieldSet] = {}
    for manager, owned in managers.items():
        found = comparison(owned.version)
        if found is None:
            continue
        changed, removed = found
        fields = owned.fields
        # What a writer loses of its own it takes back at once.
        if changed and manager != writer:
            lost = fieldsets.intersection(fields, changed)
            if lost:
                conflicts[manager] = lost
                fields = fieldsets.difference(fields, lost)
        if removed:
            fields = fieldsets.difference(fields, removed)
        if fields:
            left[manager] = owned if fields is owned.fields else Owned(fields, owned.version, owned.time)
    own = comparison(version)
    return left, conflicts, own[0] if own is not None else {}


def updated(
    versions: Versions,
    version: str,
    old: JSONObject,
    new: JSONObject,
    managers: Managers,
    manager: Manager,
    *,
    now: str,
    reset: Reset = NOTHING_RESET,
) -> Managers:
    """The managers after an ordinary write: it takes what it changes from everybody."""
    left, _, changed = _take(versions, version, old, new, managers, reset, manager)
    taken = fieldsets.difference(changed, STRIPPED) if changed else changed
    if taken:
        before = left.get(manager)
        fields = taken if before is None else fieldsets.union(before.fields, taken)
        left[manager] = Owned(fields, version, now)
    if len(left) > MAX_UPDATE_MANAGERS:
        _cap(left)
    return left


def _cap(managers: Managers) -> None:
    """Fold the oldest writers into one entry a version until there are few enough."""
    writers = [manager for manager in managers if manager.operation == UPDATE]
    count = len(writers)
    if count <= MAX_UPDATE_MANAGERS:
        return
    writers.sort(key=lambda manager: (managers[manager].time or "", manager.identifier))
    first: dict[str, Manager] = {}
    for manager in writers:
        if count <= MAX_UPDATE_MANAGERS:
            return
        owned = managers[manager]
        bucket = manager_for(OLD_MANAGERS, UPDATE, owned.version, "")
        if owned.version not in first:
            first[owned.version] = manager
            continue
        if bucket not in managers:
            managers[bucket] = managers.pop(first[owned.version])
        if bucket != manager:
            merged = fieldsets.union(managers[bucket].fields, owned.fields)
            del managers[manager]
            managers[bucket] = Owned(merged, owned.version, owned.time)
        count -= 1


class Conflicts(Exception):
    """Others own fields that an apply would change."""

    def __init__(self, found: dict[Manager, FieldSet]) -> None:
        super().__init__("conflicts")
        self.found = found

    def fields(self) -> FieldSet:
        out: FieldSet = {}
        for fields in self.found.values():
            out = fieldsets.union(out, fields)
        return out

    def without(self, allowed: FieldSet) -> Conflicts:
        rest = {manager: fieldsets.difference(fields, allowed) for manager, fields in self.found.items()}
        return Conflicts({manager: fields for manager, fields in rest.items() if fields})

    def error(self) -> errors.ApiError:
        """As Kubernetes reports it."""
        causes = []
        lines = []
        for manager, fields in sorted(self.found.items(), key=lambda item: item[0].identifier):
            lines.append(f"conflicts with {manager.text()}:")
            for path in fieldsets.paths(fields):
                where = fieldsets.path_text(path)
                lines.append(f"- {where}")
                causes.append(errors.Cause("FieldManagerConflict", f"conflict with {manager.text()}", where))
        if len(causes) == 1:
            message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
        else:
            message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
        return errors.apply_conflict(causes, message)


def applied(
    versions: Versions,
    version: str,
    live: JSONObject,
    config: JSONObject,
    managers: Managers,
    manager: Manager,
    *,
    force: bool,
    reset: Reset = NOTHING_RESET,
) -> tuple[JSONObject, Managers]:
    """The live object with a configuration applied, and its managers. Raises Conflicts.

    live and config are of the request's version; the result is live itself when nothing has changed. Times are left to
    the caller.
    """
    typed = versions.typed(live, version)
    assert typed is not None, "the request's own version is served"
    kind = typed[0]
    merged = merge(kind, live, config)
    new: JSONObject = merged if merged is not ABSENT else {}
    last = managers.get(manager)
    fields = reset.keep(kind.field_set(config) or {})
    now_owned = {**managers, manager: Owned(fields, version, last.time if last is not None else None)}
    if last is not None and last.fields:
        new = _pruned(versions, new, now_owned, last)
    others = {key: owned for key, owned in now_owned.items() if key != manager}
    left, conflicts, _ = _take(versions, version, live, new, others, reset)
    if conflicts and not force:
        raise Conflicts(conflicts)
    mine = fieldsets.difference(fields, STRIPPED)
    if mine:
        left[manager] = Owned(mine, version, last.time if last is not None else None)
    return (live if new == live else new), left


def _pruned(versions: Versions, merged: JSONObject, managers: Managers, last: Owned) -> JSONObject:
    """Without what this manager applied last time, has not applied now, and nobody else owns."""
    typed = versions.typed(merged, last.version)
    if typed is None:
        return merged
    kind, whole = typed
    pruned = _object(remove(kind, whole, with_named(kind, last.fields)))
    owned_by_version: dict[str, FieldSet] = {}
    for owned in managers.values():
        owned_by_version[owned.version] = fieldsets.union(owned_by_version.get(owned.version, {}), owned.fields)
    at = last.version
    for wanted in sorted(owned_by_version, key=lambda name: name != last.version):
        there = _convert(versions, whole, at, wanted)
        pruned_there = _convert(versions, pruned, at, wanted)
        if there is None or pruned_there is None:
            continue
        kind_there, whole = there
        kept = fieldsets.union(
            with_named(kind_there, kind_there.field_set(pruned_there[1]) or {}),
            with_named(kind_there, owned_by_version[wanted]),
        )
        everything = with_named(kind_there, kind_there.field_set(whole) or {})
        pruned = _object(remove(kind_there, whole, fieldsets.difference(everything, kept)))
        at = wanted
    back_whole, back_pruned = _convert(versions, whole, at, last.version), _convert(versions, pruned, at, last.version)
    if back_whole is None or back_pruned is None:
        return merged
    gone = fieldsets.difference(
        with_named(kind, kind.field_set(back_whole[1]) or {}), with_named(kind, kind.field_set(back_pruned[1]) or {})
    )
    doomed = fieldsets.intersection(gone, with_named(kind, last.fields))
    result = _object(remove(kind, back_whole[1], doomed)) if doomed else back_whole[1]
    return versions.back(result, last.version)


def _object(value: Any) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _convert(versions: Versions, obj: JSONObject, at: str, wanted: str) -> tuple[MergeType, JSONObject] | None:
    if at == wanted:
        typed = versions.typed({}, wanted)
        return None if typed is None else (typed[0], obj)
    return versions.typed(versions.back(obj, at), wanted)

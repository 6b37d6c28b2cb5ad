"""managedFields on the request path: what a create, an update or a patch makes of them.

Owns who the manager of a request is, which fields a writer of a kind or sub-resource cannot change, and when entries
that a client sends count. The rules of ownership are `api.ownership`'s; server-side apply is served by `applying`.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import fieldsets, messages, ownership
from kube_actors.api.codec import encode
from kube_actors.api.fieldsets import FieldSet
from kube_actors.api.merge_types import MapType, MergeType, Untypable
from kube_actors.api.ownership import Managers, Reset
from kube_actors.apiserver import limits, scale_owners
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind

JSONObject = dict[str, Any]

KEY = "managedFields"


class KindVersions:
    """An object of a request's kind in the versions that managers speak of; objects come in the request's version."""

    def __init__(self, call: Call) -> None:
        self._kind = call.kind
        self._kinds = call.core.kinds

    def _other(self, version: str) -> Kind | None:
        group, _, name = version.rpartition("/")
        return self._kinds.find(group, name, self._kind.resource.plural)

    def typed(self, obj: JSONObject, version: str) -> tuple[MergeType, JSONObject] | None:
        kind = self._kind
        if version == kind.resource.api_version:
            return kind.merge_type, obj
        other = self._other(version)
        if other is None:
            return None
        return other.merge_type, other.outward(kind.inward(obj)) if obj else obj

    def back(self, obj: JSONObject, version: str) -> JSONObject:
        kind = self._kind
        if version == kind.resource.api_version:
            return obj
        other = self._other(version)
        return obj if other is None else kind.outward(other.inward(obj))


def manager_name(call: Call) -> str:
    """What the request says, or the part of the user agent before the slash."""
    if call.options.field_manager:
        return call.options.field_manager
    head = call.request.user_agent.partition("/")[0]
    if head.isascii() and head.isprintable() and len(head) <= limits.FIELD_MANAGER_BYTES:
        return head
    found = ""
    for char in head:
        if char.isprintable():
            if len((found + char).encode()) > limits.FIELD_MANAGER_BYTES:
                break
            found += char
    return found


def is_apply(call: Call) -> bool:
    request = call.request
    return request.verb == "patch" and request.content_type.startswith(messages.APPLY_PATCH)


_STATUS: FieldSet = {"f:status": {}}
_MAIN = Reset(_STATUS)
_STATUS_RESET = Reset({"f:spec": {}})
# Where a sub-resource keeps more from its writers than the spec.
_RESETS: dict[tuple[str, str, str], Reset] = {
    ("", "pods", "status"): Reset(
        {"f:spec": {}, "f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}},
    ),
    ("apps", "deployments", "status"): Reset({"f:spec": {}, "f:metadata": {"f:labels": {}}}),
    ("", "pods", "ephemeralcontainers"): Reset(included={"f:spec": {"f:ephemeralContainers": {}}}),
    ("", "pods", "resize"): Reset(
        included={
            "f:spec": {
                name: {"*": {"f:resources": {}, "f:resizePolicy": {}}} for name in ("f:containers", "f:initContainers")
            }
        }
    ),
    ("", "namespaces", "finalize"): Reset(_STATUS),
    ("apiextensions.k8s.io", "customresourcedefinitions", "status"): Reset({"f:spec": {}, "f:metadata": {}}),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "status"): Reset({"f:spec": {}, "f:metadata": {}}),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status"): Reset({"f:spec": {}, "f:metadata": {}}),
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): Reset({"f:spec": {}}),
}
_CUSTOM_STATUS = Reset({"f:spec": {}, "f:metadata": {}})


def reset_of(kind: Kind, subresource: str) -> Reset:
    """What a writer here cannot change."""
    resource = kind.resource
    found = _RESETS.get((resource.group, resource.plural, subresource))
    if found is not None:
        return found
    if subresource == scale_owners.SUBRESOURCE:
        return ownership.NOTHING_RESET
    if subresource == "status":
        return _CUSTOM_STATUS if resource.custom else _STATUS_RESET
    return _MAIN if kind.has_status else ownership.NOTHING_RESET


def put(metadata: JSONObject, managers: Managers) -> None:
    """Write the entries into an object's metadata."""
    entries = ownership.encode(managers)
    if entries:
        metadata[KEY] = entries
    else:
        metadata.pop(KEY, None)


def created(call: Call, obj: JSONObject) -> None:
    """Track a new object, read and defaulted, before admission has seen it."""
    kind, metadata = call.kind, obj["metadata"]
    sent = metadata.pop(KEY, None)
    version, now = kind.resource.api_version, call.core.now_text()
    manager = ownership.manager_for(manager_name(call), ownership.UPDATE, version, call.request.subresource)
    reset = reset_of(kind, "")
    shown = kind.outward(obj)
    try:
        if not sent:
            fields = _fields_of_new(kind, shown, reset)
            managers = {manager: ownership.Owned(fields, version, now)} if fields else {}
        else:
            managers = ownership.updated(
                KindVersions(call), version, kind.zero(), shown, _sent(sent), manager, now=now, reset=reset
            )
    except Untypable:
        return
    put(metadata, managers)


def _sent(entries: Any) -> Managers:
    """The managers that a request names; none when it does not know how."""
    try:
        return ownership.decode(entries, trusted=False)
    except ownership.BadEntries:
        return {}


def _fields_of_new(kind: Kind, obj: JSONObject, reset: Reset) -> FieldSet:
    """What the writer of a new object owns: all but what nobody owns, and but zero values.

    Field by field, since this is on the way of every create.
    """
    root, zero = kind.merge_type, kind.zero()
    assert isinstance(root, MapType), "an object has fields"
    fields = root.fields
    out: FieldSet = {}
    for key, value in obj.items():
        element = "f:" + key
        if key in _HEAD or element in reset.ignored:
            continue
        part = fields[key]
        if part.atomic and key not in zero:
            out[element] = {}
            continue
        node = _known_spec(kind, value) if key == "spec" else _added(part, zero, key, value)
        if node is not None:
            out[element] = node
    meta = {key: value for key, value in obj["metadata"].items() if key not in ownership.META_FIELDS}
    if meta:
        node = fields["metadata"].whole(meta)
        out["f:metadata"] = {key: value for key, value in node.items() if key != fieldsets.MEMBER}
    return out


_HEAD = frozenset({"kind", "apiVersion", "metadata"})


def _added(part: MergeType, zero: JSONObject, key: str, value: Any) -> FieldSet | None:
    if key not in zero:
        return part.whole(value)
    before = zero[key]
    return None if before == value else part.diff(before, value)[0]


def _known_spec(kind: Kind, spec: Any) -> FieldSet | None:
    """The fields of a new spec. One that many objects have, made from one template, is walked once."""
    root, zero, known = kind.merge_type, kind.zero(), kind.known_fields
    assert isinstance(root, MapType), "an object has fields"
    encoded = encode(spec)
    shortest, longest = limits.KNOWN_SPEC_BYTES
    if not shortest <= len(encoded) <= longest:
        return _added(root.fields["spec"], zero, "spec", spec)
    found = known.get(encoded)
    if found is None:
        found = _added(root.fields["spec"], zero, "spec", spec)
        if found is None:
            return None
        if len(known) >= limits.KNOWN_SPECS:
            known.clear()
        known[encoded] = found
    return found


def changed(call: Call, new: JSONObject, old: JSONObject) -> None:
    """Track a write over a stored object, before admission has seen it."""
    metadata, before = new["metadata"], old["metadata"].get(KEY)
    if call.request.subresource == scale_owners.SUBRESOURCE:
        _scaled(call, new, old)
        return
    managers = _managers(call, metadata.pop(KEY, None), before)
    if not managers:
        return
    kind = call.kind
    version = kind.resource.api_version
    subresource = call.request.subresource
    manager = ownership.manager_for(manager_name(call), ownership.UPDATE, version, subresource)
    try:
        managers = ownership.updated(
            KindVersions(call),
            version,
            kind.outward(old),
            kind.outward(new),
            managers,
            manager,
            now=call.core.now_text(),
            reset=reset_of(kind, subresource),
        )
    except Untypable:
        if before is not None:
            metadata[KEY] = before
        return
    put(metadata, managers)


def _scaled(call: Call, new: JSONObject, old: JSONObject) -> None:
    """Track a write of the Scale."""
    kind = call.kind
    manager = ownership.manager_for(
        manager_name(call), ownership.UPDATE, scale_owners.VERSION, scale_owners.SUBRESOURCE
    )
    path = replicas_path(kind)
    managers = ownership.decode(old["metadata"].get(KEY), trusted=True)
    before, after = scale_owners.shown(kind.outward(old), path), scale_owners.shown(kind.outward(new), path)
    version = kind.resource.api_version
    put(
        new["metadata"],
        scale_owners.written(managers, manager, before, after, version, call.core.now_text(), path),
    )


def replicas_path(kind: Kind) -> tuple[str, ...]:
    """Where a kind keeps its number of replicas; a custom resource says where."""
    paths = getattr(kind, "scale_paths", None)
    text = paths.get("specReplicasPath", "") if isinstance(paths, dict) else ""
    return tuple(f"f:{name}" for name in text.strip(".").split(".")) if text else scale_owners.PATH


def _managers(call: Call, sent: Any, before: Any) -> Managers:
    """Those that the request names, when it may and names any; otherwise those of the stored object."""
    if not call.request.subresource and sent is not None and sent != before:
        if not sent or sent == [{}]:
            return {}
        found = _sent(sent)
        if found:
            return found
    return ownership.decode(before, trusted=True)


def settle(new: JSONObject, old: JSONObject) -> None:
    """Take the old entries back where nothing but their times is new: a write that changes nothing is not written."""
    mine, before = new["metadata"].get(KEY), old["metadata"].get(KEY)
    if mine is None or before is None or len(mine) != len(before) or mine == before:
        return
    if all(_timeless(left) == _timeless(right) for left, right in zip(mine, before, strict=True)) and _same(new, old):
        new["metadata"][KEY] = before


def _timeless(entry: JSONObject) -> JSONObject:
    return {key: value for key, value in entry.items() if key != "time"}


def _same(new: JSONObject, old: JSONObject) -> bool:
    """Equal but for managedFields and the revision."""
    for key in new.keys() | old.keys():
        if key != "metadata" and new.get(key) != old.get(key):
            return False
    left, right = new["metadata"], old["metadata"]
    return all(
        left.get(key) == right.get(key) for key in left.keys() | right.keys() if key not in (KEY, "resourceVersion")
    )

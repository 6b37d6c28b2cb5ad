"""Server-side apply: PATCH with an apply configuration.

Owns reading the configuration, creating what is not there, and kubectl's way over from client-side apply. Merging and
ownership are `api.ownership`'s; defaulting, admission, validation and storing are those of every write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import structs

from kube_actors.api import errors, fieldsets, merging, ownership
from kube_actors.api.codec import CodecError, copy_plain, decode_plain, encode
from kube_actors.api.fieldsets import FieldSet
from kube_actors.api.merge_types import Untypable
from kube_actors.api.messages import Answer
from kube_actors.api.ownership import Conflicts, Manager, Managers
from kube_actors.apiserver import bodies, creating, limits, managing, patching, updating
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.store.contract import RevisionConflict

JSONObject = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
"""The one manager whose applies keep client-side apply's annotation true, and may take over what it recorded."""


async def patch(call: Call) -> Answer:
    """PATCH, of every media type."""
    return await (apply(call) if managing.is_apply(call) else patching.patch(call))


async def apply(call: Call) -> Answer:
    """Apply to an object or one of its sub-resources; 201 when there was none."""
    bodies.check_write_options(call, "PatchOptions")
    config = read(call)
    kind = call.kind
    known = list(call.warnings)

    def build(old: JSONObject) -> JSONObject:
        call.warnings[:] = known
        return onto(call, config, old)

    for attempt in range(limits.PATCH_RETRIES):
        if await call.core.store.get(call.key) is not None:
            return await updating.write(call, build, attempts=limits.PATCH_RETRIES)
        if call.request.subresource:
            raise errors.not_found(kind.resource, call.name)
        try:
            return await _create(call, config)
        except errors.ApiError as refused:
            # Somebody else was first: then it is there, and can be applied to.
            if refused.reason != "AlreadyExists" or attempt == limits.PATCH_RETRIES - 1:
                raise
    raise AssertionError("an apply ends stored or refused")


def read(call: Call) -> JSONObject:
    """The configuration in the body. Raises a 400."""
    body = call.request.body
    bodies.check_size(body)
    problems: list[str] = []
    try:
        config = _plain_json(body)
        if config is None:
            config = bodies.parse_yaml(body, problems)
    except bodies.Unparsable as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise errors.bad_request(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{_json_kind(config)} into Go value of type map[string]interface {{}}"
        )
    if problems:
        if bodies.strictness(call) == "Strict":
            raise errors.bad_request(
                f"error strict decoding YAML: error converting YAML to JSON: {', '.join(problems)}"
            )
        bodies.treat(call, call.kind, problems)
    return config


def _plain_json(body: bytes) -> Any:
    """A body that is JSON and repeats no key, as programs send it; None sends it on to the far slower YAML."""
    if not body.startswith(b"{"):
        return None
    try:
        value = decode_plain(body)
    except CodecError:
        return None
    return bodies.parse_json(body, mark=True) if encode(value) == body else None


def _json_kind(value: Any) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


async def _create(call: Call, config: JSONObject) -> Answer:
    kind = call.kind
    obj = onto(call, config, None)
    if obj["metadata"].get("uid"):
        uid = obj["metadata"]["uid"]
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(kind.resource, call.name, why)
    creating.check_addressed(call, obj)
    await call.core.access.authorizer.authorize(structs.replace(call.request, verb="create"))
    obj["metadata"].pop("resourceVersion", None)
    try:
        return await creating.create_object(call, obj)
    except RevisionConflict:
        raise errors.already_exists(kind.resource, call.name) from None


def onto(call: Call, config: JSONObject, old: JSONObject | None) -> JSONObject:
    """The object to store: the configuration applied to the stored one, canonical, defaulted, with its managers."""
    kind = call.kind
    live = kind.outward(old) if old is not None else kind.zero()
    before = live.get("metadata", {}).get(managing.KEY)
    live = {**live, "metadata": {k: v for k, v in live.get("metadata", {}).items() if k != managing.KEY}}
    new, managers = merged(call, kind, config, live, ownership.decode(before, trusted=True), versions_of(call))
    if new is live:
        assert old is not None or not config, "a configuration names itself, so it changes a new object"
        found = old if old is not None else copy_plain(kind.zero())
    else:
        found = patching.settled(call, kind, copy_plain(new))
    managing.put(found["metadata"], managers)
    return found


def versions_of(call: Call) -> managing.KindVersions:
    return managing.KindVersions(call)


def merged(
    call: Call, kind: Kind, config: JSONObject, live: JSONObject, managers: Managers, versions: ownership.Versions
) -> tuple[JSONObject, Managers]:
    """The live object after the apply, and who owns what; raises ApiError. The object is live itself when unchanged."""
    resource = kind.resource
    version = resource.api_version
    _check_head(kind, config)
    problems = merging.check(kind.merge_type, config)
    if problems:
        raise errors.server_failure(
            f"failed to create typed patch object ({_where(config)}): {merging.check_text(problems)}"
        )
    reset = managing.reset_of(call.kind, call.request.subresource)
    manager = ownership.manager_for(managing.manager_name(call), ownership.APPLY, version, call.request.subresource)
    now = call.core.now_text()
    if not managers and live.get("metadata", {}).get("uid"):
        first = ownership.manager_for(ownership.BEFORE_FIRST_APPLY, ownership.UPDATE, version, call.request.subresource)
        managers = ownership.updated(versions, version, kind.zero(), live, {}, first, now=now, reset=reset)

    def attempt(force: bool) -> tuple[JSONObject, Managers]:
        return ownership.applied(versions, version, live, config, managers, manager, force=force, reset=reset)

    try:
        new, found = _taking_over(kind, live, manager, attempt, bool(call.options.force))
    except Conflicts as conflicts:
        raise conflicts.error() from None
    except Untypable as error:
        raise errors.server_failure(f"failed to merge config: {error}") from None
    if new is not live:
        if manager in found:
            found[manager] = ownership.Owned(found[manager].fields, version, now)
        if manager.name == KUBECTL and _last_applied(new):
            new = _with_last_applied(new, config)
    return new, found


def _check_head(kind: Kind, config: JSONObject) -> None:
    version, name = config.get("apiVersion", ""), config.get("kind", "")
    if version != kind.resource.api_version or name != kind.resource.kind:
        group, _, short = str(version).rpartition("/")
        raise errors.bad_request(f"invalid object type: {group}/{short}, Kind={name}")
    metadata = config.get("metadata")
    if isinstance(metadata, dict) and metadata.get(managing.KEY) is not None:
        raise errors.bad_request("metadata.managedFields must be nil")


def _where(config: JSONObject) -> str:
    """As messages name an object: namespace/name; group/version, Kind=kind."""
    metadata = config.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    group, _, version = str(config.get("apiVersion", "")).rpartition("/")
    place = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    return f"{place}; {group}/{version}, Kind={config.get('kind', '')}"


def _taking_over(
    kind: Kind,
    live: JSONObject,
    manager: Manager,
    attempt: Callable[[bool], tuple[JSONObject, Managers]],
    force: bool,
) -> tuple[JSONObject, Managers]:
    """kubectl's applies do not conflict over what its client-side apply had recorded and nobody has changed since."""
    try:
        return attempt(force)
    except Conflicts as conflicts:
        allowed = _recorded(kind, live) if manager.name == KUBECTL else None
        if allowed is None:
            raise
        rest = conflicts.without(allowed)
        if rest.found:
            raise rest from None
    return attempt(True)


def _last_applied(obj: JSONObject) -> str:
    annotations = (obj.get("metadata") or {}).get("annotations")
    found = annotations.get(LAST_APPLIED) if isinstance(annotations, dict) else None
    return found if isinstance(found, str) else ""


def _recorded(kind: Kind, live: JSONObject) -> FieldSet | None:
    """What client-side apply had recorded and is still so; None when there is no record that counts."""
    text = _last_applied(live)
    if not text:
        return None
    try:
        record = decode_plain(text.encode())
        if not isinstance(record, dict) or record.get("apiVersion") != kind.resource.api_version:
            return None
        if merging.check(kind.merge_type, record):
            return None
        fields = kind.merge_type.field_set(record) or {}
        changed, removed = kind.merge_type.diff(record, live)
    except (ValueError, Untypable):
        return None
    return fieldsets.difference(fieldsets.difference(fields, changed or {}), removed or {})


def _with_last_applied(obj: JSONObject, config: JSONObject) -> JSONObject:
    """The object with the annotation saying what has been applied now."""
    metadata = dict(config.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    if annotations or "annotations" in metadata:
        metadata["annotations"] = annotations
    text = msgspec.json.encode({**config, "metadata": metadata}, order="sorted").decode() + "\n"
    kept = obj["metadata"]
    return {**obj, "metadata": {**kept, "annotations": {**kept["annotations"], LAST_APPLIED: text}}}

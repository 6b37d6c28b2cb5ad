"""patch: JSON patch, JSON merge patch and strategic merge patch.

Owns which patch types are taken and how a patched object is read again. The patch languages are `api.patches` and
`api.strategic`; storing is `updating.write`. Server-side apply is `applying`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kube_actors.api import errors, gotext, messages, patches, strategic
from kube_actors.api import field_errors as fields
from kube_actors.api.errors import ApiError, Details, Status
from kube_actors.api.messages import Answer
from kube_actors.apiserver import bodies, encoding, limits, managing, updating
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.shape import Duplicates, WrongType

JSONObject = dict[str, Any]

_MANAGED = managing.KEY.encode()
_OPERATION_FIELDS = ("op", "path", "from", "value")


class Apply:
    """A patch as a function on objects; touched are the top-level keys that it may change, None for any."""

    __slots__ = ("_change", "touched")

    def __init__(self, change: Callable[[JSONObject], JSONObject], touched: frozenset[str] | None = None) -> None:
        self._change = change
        self.touched = touched

    def __call__(self, old: JSONObject) -> JSONObject:
        return self._change(old)


async def patch(call: Call) -> Answer:
    """PATCH of an object or its status."""
    bodies.check_write_options(call, "PatchOptions")
    apply = applier(call, call.kind)
    known = list(call.warnings)

    def build(old: JSONObject) -> JSONObject:
        call.warnings[:] = known
        return patched(call, call.kind, apply, old)

    shares = _is_of_status(call, apply)
    return await updating.write(call, build, attempts=limits.PATCH_RETRIES, shares=shares)


def _is_of_status(call: Call, apply: Apply) -> bool:
    """Whether nothing but the status of a built-in object is patched: all else of it stays, and need not be its own."""
    kind, touched = call.kind, apply.touched
    if call.request.subresource != "status" or not kind.has_status or kind.resource.custom or kind.converts:
        return False
    return touched is not None and "status" in touched and touched <= _STATUS


_STATUS = frozenset({"status", "metadata"})


def applier(call: Call, kind: Kind) -> Apply:
    """The body as a function on objects of a kind; refuses media types and bodies that cannot be."""
    body = call.request.body
    bodies.check_size(body)
    media = bodies.media_type(call.request.content_type)
    if media == messages.JSON_PATCH:
        operations = patches.decode_json_patch(body)
        if len(operations) > limits.PATCH_OPERATIONS:
            most = f"The allowed maximum operations in a JSON patch is {limits.PATCH_OPERATIONS}"
            raise errors.request_entity_too_large(f"{most}, got {len(operations)}")
        _check_depth(operations)
        return Apply(lambda old: _nested(_object(patches.apply_json_patch(old, operations)), len(operations)))
    if media not in (messages.MERGE_PATCH, messages.STRATEGIC_PATCH):
        raise _unsupported()
    if kind.resource.custom and media == messages.STRATEGIC_PATCH:
        raise errors.unsupported_media_type((messages.JSON_PATCH, messages.MERGE_PATCH, messages.APPLY_PATCH))
    change = patches.decode_merge_patch(body)
    if body.count(b"{") + body.count(b"[") > limits.BODY_DEPTH:
        _check_depth(change)
    touched = None if any(key.startswith("$") for key in change) else frozenset(change)
    if media == messages.MERGE_PATCH:
        return Apply(lambda old: _object(patches.apply_merge_patch(old, change, owned=True)), touched)
    definition = kind.definition
    return Apply(lambda old: strategic.apply_strategic_patch(old, change, definition), touched)


def _check_depth(value: Any) -> None:
    """What is merged level by level must have few enough of them."""
    try:
        bodies.check_depth(value)
    except bodies.Unparsable as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def _nested(found: JSONObject, operations: int) -> JSONObject:
    """Operations that move things into each other can nest an object deeper than any body may be."""
    if operations > limits.BODY_DEPTH // 4:
        _check_depth(found)
    return found


def _marked(body: bytes) -> Any:
    """The body again, with its repeated keys."""
    try:
        return bodies.parse_json(body, mark=True)
    except bodies.Unparsable as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


def _unsupported() -> ApiError:
    message = "415: Unsupported Media Type"
    return ApiError(Status(message=message, reason="UnsupportedMediaType", details=Details(), code=415))


def _object(value: Any) -> JSONObject:
    """A JSON patch may leave anything at the root."""
    return value if isinstance(value, dict) else {}


def patched(call: Call, kind: Kind, apply: Apply, old: JSONObject) -> JSONObject:
    """The object after the patch, in canonical shape and defaulted. Raises ApiError."""
    kept = None
    if _MANAGED not in call.request.body:
        kept = old["metadata"].pop(managing.KEY, None)  # not for the patch, and the larger half of many an object
    raw = apply(kind.outward(old))
    _check_type(call, kind, raw)
    problems: list[str] = []
    try:
        found = _conform(call, kind, raw, apply.touched, problems)
    except WrongType as error:
        raise _unreadable(raw, str(error)) from None
    problems = [*_duplicates(call), *sorted(problems)]
    if problems:
        if bodies.strictness(call) == "Strict":
            raise _unreadable(raw, f"strict decoding error: {', '.join(problems)}", _shown(call))
        bodies.treat(call, kind, problems)
    check_identity(call, raw)
    if _is_of_status(call, apply):
        kind.strategy.default_status(found)
    else:
        kind.strategy.default(found)
    if kept is not None:
        found["metadata"][managing.KEY] = kept
    return found


def _conform(
    call: Call, kind: Kind, raw: JSONObject, touched: frozenset[str] | None, problems: list[str]
) -> JSONObject:
    """A patched object in canonical shape. What the patch left as it was stored has that shape already, so that a
    status patch does not read the spec again."""
    if touched is None or kind is not call.kind or kind.resource.custom or kind.converts:
        return kind.conform(raw, problems)
    left = raw.keys() - touched - _TYPE
    return kind.conform_rest(raw, left, problems)


_TYPE = frozenset({"kind", "apiVersion"})


def _check_type(call: Call, kind: Kind, raw: JSONObject) -> None:
    """A patch may not make another kind of an object: what it became is read as that, and then cannot be converted."""
    resource = kind.resource
    version, name = raw.get("apiVersion", resource.api_version), raw.get("kind", resource.kind)
    if (version, name) == (resource.api_version, resource.kind):
        return
    kinds = call.core.kinds
    said = isinstance(version, str) and isinstance(name, str)
    other = kinds.resources.by_api_version(version, name) if said else None
    if other is None or other.custom or resource.custom:
        where = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'
        raise _unreadable(raw, f'no kind "{name}" is registered for version "{version}" {where}')
    try:
        kinds.get(other.group, other.version, other.plural).conform(raw, [])
    except WrongType as error:
        raise _unreadable(raw, str(error)) from None
    group = resource.group.split(".")[0] or "core"
    text = f"converting ({other.version}.{name}) to ({group}.{resource.kind}): unknown conversion"
    raise _unreadable(raw, text)


def settled(call: Call, kind: Kind, raw: JSONObject) -> JSONObject:
    """A merged object, which the caller gives up, in canonical shape and defaulted. Raises ApiError."""
    try:
        found = kind.conform(raw, [])
    except WrongType as error:
        raise errors.server_failure(f"failed to convert new object to proper version: {error}") from None
    check_identity(call, raw)
    kind.strategy.default(found)
    return found


def _unreadable(raw: JSONObject, why: str, shown: str = "") -> ApiError:
    text = shown or encoding.encode(raw).decode()
    return errors.invalid("", "", [fields.invalid("patch", text, why)])


def _shown(call: Call) -> str:
    """A strategic patch is quoted as Go prints the map that it is; "" where the patched object is quoted instead."""
    if bodies.media_type(call.request.content_type) != messages.STRATEGIC_PATCH:
        return ""
    return gotext.value_text(patches.decode_merge_patch(call.request.body))


def check_identity(call: Call, raw: JSONObject) -> None:
    """A patch may not move an object."""
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name")
    if not name:
        raise errors.bad_request(
            f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({call.name})")
    if call.kind.namespaced and metadata.get("namespace", call.namespace) != call.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _duplicates(call: Call) -> list[str]:
    """Repeated keys in a merge patch, and what is wrong with the operations of a JSON patch."""
    problems: list[str] = []
    if bodies.strictness(call) == "Ignore":
        return problems
    if bodies.media_type(call.request.content_type) == messages.JSON_PATCH:
        _note_operations(call.request.body, problems)
    elif not bodies.is_exact(call.request.body):
        _collect(_marked(call.request.body), "", problems)
    return problems


def _collect(value: Any, path: str, problems: list[str]) -> None:
    if isinstance(value, dict):
        if type(value) is Duplicates:
            problems.extend(f'duplicate field "{fields.child(path, key)}"' for key in value.repeated)
        for key, item in value.items():
            _collect(item, fields.child(path, key), problems)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", problems)


def _note_operations(body: bytes, problems: list[str]) -> None:
    """Unknown and repeated keys of JSON patch operations."""
    for index, operation in enumerate(_marked(body)):
        if not isinstance(operation, dict):
            continue
        if type(operation) is Duplicates:
            problems.extend(f'json patch duplicate field "[{index}].{key}"' for key in operation.repeated)
        for key in operation:
            if key not in _OPERATION_FIELDS:
                problems.append(f'json patch unknown field "[{index}].{key}"')

"""AdmissionReview: a write as a webhook is shown it, and what it may answer.

Owns the shape of request and response in admission.k8s.io/v1, the object in the version that the webhook asked for, and
the way back of a patched object. Pure but for the errors that it raises.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from kube_actors.api import errors, patches
from kube_actors.api.errors import ApiError, Cause, Details, Status
from kube_actors.api.field_errors import quote
from kube_actors.api.resources import Resource
from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import Attempt, JSONObject
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.scales import scale_of
from kube_actors.apiserver.shape import WrongType

API_VERSION = "admission.k8s.io/v1"


class BadResponse(Exception):
    """The webhook's answer is none; the message says why."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook said."""

    allowed: bool
    status: Status | None
    patch: list[Any]
    warnings: tuple[str, ...]
    annotations: dict[str, str]


# -- request -----------------------------------------------------------------------------------------------------------


def kind_in(attempt: Attempt, version: Resource) -> Kind:
    """The attempt's kind in one of its versions."""
    own = attempt.call.kind
    if version is own.resource or version == own.resource:
        return own
    return attempt.call.core.kinds.get(version.group, version.version, version.plural)


def shown(attempt: Attempt, obj: JSONObject | None, version: Resource) -> JSONObject | None:
    """The object as a webhook or a policy sees it, in this version: a dict of the caller's own."""
    if obj is None:
        return None
    if attempt.operation == "CONNECT" or attempt.subresource.partition("/")[0] in ("binding", "eviction", "token"):
        return _copy(obj)
    if attempt.subresource == "scale":
        return _copy(scale_of(obj))
    kind = kind_in(attempt, version)
    found = kind.outward(_copy(obj))
    rest = {key: value for key, value in found.items() if key not in ("kind", "apiVersion")}
    return {"kind": version.kind, "apiVersion": version.api_version, **rest}


def _copy(obj: JSONObject) -> JSONObject:
    return encoding.decode(encoding.encode(obj))


def request(attempt: Attempt, version: Resource, uid: str) -> bytes:
    """The encoded AdmissionReview."""
    rest = attributes(attempt, version)
    dry_run, options_ = rest.pop("dryRun"), rest.pop("options", None)
    body = {
        "uid": uid,
        **rest,
        "object": shown(attempt, attempt.obj, version),
        "oldObject": shown(attempt, attempt.old, version),
        "dryRun": dry_run,
        "options": options_,
    }
    return encoding.encode({"kind": "AdmissionReview", "apiVersion": API_VERSION, "request": body})


def attributes(attempt: Attempt, version: Resource) -> JSONObject:
    """Everything about the write but the objects, what is empty left out."""
    call = attempt.call
    own = call.kind.resource
    group, at, kind = attempt.shown_kind
    asked_kind = {"group": group, "version": at, "kind": kind}
    shown_kind = (
        asked_kind if attempt.subresource else dict(zip(("group", "version", "kind"), version.gvk, strict=True))
    )
    name = attempt.name or ((attempt.obj or {}).get("metadata") or {}).get("name", "")
    found: JSONObject = {
        "kind": shown_kind,
        "resource": {"group": version.group, "version": version.version, "resource": version.plural},
        "subResource": attempt.subresource,
        "requestKind": asked_kind,
        "requestResource": {"group": own.group, "version": own.version, "resource": own.plural},
        "requestSubResource": attempt.subresource,
        "name": name,
        "namespace": attempt.namespace,
        "operation": attempt.operation,
        "userInfo": user_info(attempt),
        "dryRun": call.dry_run,
        "options": options(attempt),
    }
    return {key: value for key, value in found.items() if value not in ("", None)}


def user_info(attempt: Attempt) -> JSONObject:
    user = attempt.call.request.user
    found: JSONObject = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}


def options(attempt: Attempt) -> JSONObject | None:
    """The write's options object; a connection has none."""
    name = _OPTIONS.get(attempt.operation)
    if name is None:
        return None
    given = attempt.call.options
    found: JSONObject = {"kind": name, "apiVersion": "meta.k8s.io/v1"}
    if attempt.operation == "DELETE":
        if given.grace_seconds is not None:
            found["gracePeriodSeconds"] = given.grace_seconds
        if given.propagation_policy:
            found["propagationPolicy"] = given.propagation_policy
    elif given.field_manager:
        found["fieldManager"] = given.field_manager
    if given.dry_run:
        found["dryRun"] = list(given.dry_run)
    if given.field_validation and attempt.operation != "DELETE":
        found["fieldValidation"] = given.field_validation
    return found


# -- response ----------------------------------------------------------------------------------------------------------


def response(body: bytes, uid: str, *, mutating: bool) -> Response:
    """Read and check a webhook's answer. Raises BadResponse."""
    try:
        review = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadResponse(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(review, dict):
        raise BadResponse("couldn't get version/kind; json parse error: the answer is no object")
    api_version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    if (api_version, kind) != (API_VERSION, "AdmissionReview"):
        raise BadResponse(
            f"expected webhook response of {API_VERSION}, Kind=AdmissionReview, got {api_version}, Kind={kind}"
        )
    found = review.get("response")
    if not isinstance(found, dict):
        raise BadResponse("webhook response was absent")
    if found.get("uid") != uid:
        raise BadResponse(f"expected response.uid={quote(uid)}, got {quote(str(found.get('uid') or ''))}")
    patch = _patch(found, mutating=mutating)
    annotations, warnings = found.get("auditAnnotations"), found.get("warnings")
    return Response(
        allowed=found.get("allowed") is True,
        status=_status(found.get("status")),
        patch=patch,
        warnings=tuple(str(text) for text in warnings) if isinstance(warnings, list) else (),
        annotations={str(k): str(v) for k, v in annotations.items()} if isinstance(annotations, dict) else {},
    )


def _patch(found: JSONObject, *, mutating: bool) -> list[Any]:
    text, kind = found.get("patch"), found.get("patchType")
    if not mutating:
        if text:
            raise BadResponse("response.patch may not be set by a validating webhook")
        if kind is not None:
            raise BadResponse("response.patchType may not be set by a validating webhook")
        return []
    if text and kind is None:
        raise BadResponse("webhook returned response.patch but not response.patchType")
    if not text and kind is not None:
        raise BadResponse("webhook returned response.patchType but not response.patch")
    if not text:
        return []
    if kind != "JSONPatch":
        raise BadResponse(f"webhook returned invalid response.patchType of {quote(str(kind))}")
    try:
        operations = msgspec.json.decode(base64.b64decode(str(text), validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError) as error:
        raise BadResponse(f"webhook returned an unreadable response.patch: {error}") from None
    if operations is None:
        return []
    if not isinstance(operations, list):
        raise errors.internal("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    return operations


def _status(value: Any) -> Status | None:
    try:
        return msgspec.convert(value, Status) if value is not None else None
    except msgspec.ValidationError:
        return None


def denial(webhook: str, status: Status | None) -> ApiError:
    """A webhook's no, with its own code and reason where they make sense."""
    lead = f'admission webhook "{webhook}" denied the request'
    status = status or Status()
    if status.message:
        message = f"{lead}: {status.message}"
    elif status.reason:
        message = f"{lead}: {status.reason}"
    else:
        message = f"{lead} without explanation"
    changes: dict[str, Any] = {"message": message, "kind": "Status", "api_version": "v1"}
    if status.code < 400:
        changes["code"] = 400
    if status.status in ("", "Success"):
        changes["status"] = "Failure"
    return ApiError(msgspec.structs.replace(status, **changes))


def patched(attempt: Attempt, operations: list[Any], version: Resource) -> bool:
    """Apply a webhook's JSON patch to the attempt's object, in place; whether that changed it. Raises ApiError."""
    if not operations or attempt.obj is None:
        return False
    before = shown(attempt, attempt.obj, version)
    try:
        after = patches.apply_json_patch(before, operations)
    except ApiError as error:
        raise errors.internal(f"jsonpatch: {error.message}") from None
    if after == before:
        return False
    if not isinstance(after, dict):
        raise errors.internal("a patched object is no object any more")
    take(attempt, after, version)
    return True


def take(attempt: Attempt, after: JSONObject, version: Resource) -> None:
    """Make the object, as a webhook or policy left it, the attempt's: read and defaulted anew. Raises ApiError."""
    obj = attempt.obj
    assert obj is not None
    if attempt.subresource == "scale":
        replicas = (after.get("spec") or {}).get("replicas", 0)
        obj["spec"] = {**obj["spec"], "replicas": replicas if isinstance(replicas, int) else 0}
        return
    if attempt.operation == "CONNECT" or attempt.subresource.partition("/")[0] in ("binding", "eviction", "token"):
        found = after
    else:
        kind = kind_in(attempt, version)
        if after.get("kind") != version.kind or after.get("apiVersion") != version.api_version:
            raise errors.internal(
                f"the patched object is a {after.get('kind')} in {after.get('apiVersion')}, where a {version.kind} in "
                f"{version.api_version} was sent"
            )
        try:
            found = kind.conform(after, [])  # what the kind does not know is dropped without a word
        except WrongType as error:
            raise errors.internal(str(error)) from None
        kind.strategy.default(found)
        found["kind"], found["apiVersion"] = obj.get("kind", ""), obj.get("apiVersion", "")
    obj.clear()
    obj.update(found)


def failed(webhook: str, why: str) -> ApiError:
    """The webhook could not be asked."""
    message = f'failed calling webhook "{webhook}": {why}'
    details = Details(causes=(Cause(message=message),))
    return ApiError(
        Status(message=f"Internal error occurred: {message}", reason="InternalError", details=details, code=500)
    )

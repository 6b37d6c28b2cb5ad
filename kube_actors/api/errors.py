"""Every no that the API can say, as the Status object that Kubernetes sends.

Owns ApiError and its constructors, whose wording, reasons and codes are those of Kubernetes. A component raises
what it got from a constructor, or asks an error it caught what kind of no it was. Nothing here decides that a
request is to be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from kube_actors.api.field_errors import FieldError, join, quote

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
NO_METHOD = "the server does not allow this method on the requested resource"
NO_RESOURCE = "the server could not find the requested resource"
BAD_REQUEST = "the server rejected our request due to an error in our request"

REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    406: "NotAcceptable", 409: "Conflict", 410: "Gone", 413: "RequestEntityTooLarge", 415: "UnsupportedMediaType",
    422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip
"""The reason that goes with a code when the server gave none."""


class Cause(Struct, frozen=True, omit_defaults=True):
    """One of several causes, most often one field's."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whom the answer is about. `kind` is a resource's plural or a kind, as Kubernetes mixes them."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = msgspec.field(default=0, name="retryAfterSeconds")


class StatusMetadata(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """List metadata; an expired list carries a token to go on with."""

    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_: str = msgspec.field(default="", name="continue")


class Status(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The Status object. Its first four fields are always on the wire, hence the factories."""

    kind: str = msgspec.field(default_factory=lambda: "Status")
    api_version: str = msgspec.field(default_factory=lambda: "v1", name="apiVersion")
    metadata: StatusMetadata = msgspec.field(default_factory=StatusMetadata)
    status: str = msgspec.field(default_factory=lambda: "Failure")
    message: str = ""
    reason: str = ""
    details: Details | None = None
    code: int = 0

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


class ApiError(Exception):
    """The API refused. `status` is what the server sent or is going to send."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status

    @property
    def code(self) -> int:
        return self.status.code

    @property
    def reason(self) -> str:
        return self.status.reason

    @property
    def message(self) -> str:
        return self.status.message

    @property
    def details(self) -> Details:
        return self.status.details or _NO_DETAILS

    @property
    def retry_after(self) -> int:
        """Seconds after which the server wants to be asked again; 0 when it did not say."""
        return self.details.retry_after_seconds

    @property
    def is_not_found(self) -> bool:
        return self.reason == "NotFound"

    @property
    def is_already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        return self.reason == "Conflict"

    @property
    def is_expired(self) -> bool:
        """The revision or token asked for is gone: list again."""
        return self.reason in ("Expired", "Gone")

    @property
    def is_invalid(self) -> bool:
        return self.reason == "Invalid"

    @property
    def is_forbidden(self) -> bool:
        return self.reason == "Forbidden"

    @property
    def is_too_many_requests(self) -> bool:
        return self.reason == "TooManyRequests"

    @property
    def is_retriable(self) -> bool:
        """Asking the same again later may succeed."""
        return self.code in (429, 500, 503, 504)

    def has_cause(self, reason: str) -> bool:
        """Whether one of the causes is this one, e.g. "NamespaceTerminating"."""
        return any(cause.reason == reason for cause in self.details.causes)


_NO_DETAILS = Details()


class Named(Protocol):
    """A resource, as far as errors look at it (`resources.Resource`)."""

    @property
    def plural(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def group(self) -> str: ...


Target = Named | str
"""A resource, or its text: "deployments.apps" (a kind where a kind is wanted: "Deployment.apps")."""


def decode(code: int, body: bytes) -> ApiError:
    """The error in an answer; a body that is no Status becomes the message of one, as in Kubernetes' client."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        return _error(code, REASONS.get(code, ""), body.decode(errors="replace").strip() or BAD_REQUEST)
    if status.kind != "Status":
        return _error(code, REASONS.get(code, ""), BAD_REQUEST)
    if not status.code:
        status = msgspec.structs.replace(status, code=code)
    return ApiError(status)


def success(target: Target, name: str, uid: str = "") -> Status:
    """The Status that answers a finished deletion."""
    plural, group = _resource(target)
    return Status(status="Success", details=Details(name=name, group=group, kind=plural, uid=uid))


def _error(code: int, reason: str, message: str, details: Details | None = None) -> ApiError:
    return ApiError(Status(message=message, reason=reason, details=details, code=code))


def _split(text: str) -> tuple[str, str]:
    head, _, group = text.partition(".")
    return head, group


def _resource(target: Target) -> tuple[str, str]:
    return _split(target) if isinstance(target, str) else (target.plural, target.group)


def _kind(target: Target) -> tuple[str, str]:
    return _split(target) if isinstance(target, str) else (target.kind, target.group)


def _join(name: str, group: str) -> str:
    return f"{name}.{group}" if group else name


def _about(target: Target, name: str, **more: object) -> tuple[str, Details]:
    plural, group = _resource(target)
    details = Details(name=name, group=group, kind=plural)
    return _join(plural, group), msgspec.structs.replace(details, **more) if more else details


def not_found(target: Target, name: str) -> ApiError:
    what, details = _about(target, name)
    return _error(404, "NotFound", f"{what} {quote(name)} not found", details)


def no_such_resource() -> ApiError:
    """The group version has no such resource (the answer to an unknown path below a known group version)."""
    return _error(404, "NotFound", NO_RESOURCE, Details())


def already_exists(target: Target, name: str) -> ApiError:
    what, details = _about(target, name)
    return _error(409, "AlreadyExists", f"{what} {quote(name)} already exists", details)


def being_deleted(target: Target, name: str) -> ApiError:
    """A create met an object of that name which waits for its finalizers."""
    what, details = _about(target, name)
    return _error(409, "AlreadyExists", f"object is being deleted: {what} {quote(name)} already exists", details)


def generate_name_conflict(target: Target, name: str) -> ApiError:
    what, details = _about(target, name, retry_after_seconds=1)
    tail = "already exists, the server was not able to generate a unique name for the object"
    return _error(409, "AlreadyExists", f"{what} {quote(name)} {tail}", details)


def conflict(target: Target, name: str, message: str = MODIFIED) -> ApiError:
    what, details = _about(target, name)
    return _error(409, "Conflict", f"Operation cannot be fulfilled on {what} {quote(name)}: {message}", details)


def apply_conflict(causes: Sequence[Cause], message: str) -> ApiError:
    """Server-side apply met fields of other managers; the causes have reason "FieldManagerConflict"."""
    return _error(409, "Conflict", message, Details(causes=tuple(causes)))


def invalid(target: Target, name: str, causes: Sequence[FieldError]) -> ApiError:
    kind, group = _kind(target)
    message = f"{_join(kind, group)} {quote(name)} is invalid"
    if causes:
        message += ": " + join(causes)
    listed = tuple(Cause(cause.reason, cause.body, cause.field) for cause in causes)
    return _error(422, "Invalid", message, Details(name=name, group=group, kind=kind, causes=listed))


def unprocessable(message: str = BAD_REQUEST) -> ApiError:
    """422 without causes: a JSON patch that cannot be applied."""
    return _error(422, "Invalid", message, Details())


def bad_request(message: str) -> ApiError:
    return _error(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    return _error(401, "Unauthorized", message)


def forbidden(target: Target, name: str, message: str, causes: Sequence[Cause] = ()) -> ApiError:
    if not target:
        return _error(403, "Forbidden", f"forbidden: {message}", Details(name=name, causes=tuple(causes)))
    what, details = _about(target, name, causes=tuple(causes))
    subject = f"{what} {quote(name)}" if name else what
    return _error(403, "Forbidden", f"{subject} is forbidden: {message}", details)


def gone(message: str) -> ApiError:
    return _error(410, "Gone", message)


def expired(message: str, continue_: str = "") -> ApiError:
    """A revision or continue token is too old; `continue_` lets the client go on with an inconsistent list."""
    status = Status(message=message, reason="Expired", code=410, metadata=StatusMetadata(continue_=continue_))
    return ApiError(status)


def too_old(wanted: int, oldest: int) -> ApiError:
    return expired(f"too old resource version: {wanted} ({oldest})")


def too_large(wanted: int, current: int, retry_after: int = 1) -> ApiError:
    """The client asks for a revision that is still to come."""
    cause = Cause("ResourceVersionTooLarge", "Too large resource version")
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return _error(504, "Timeout", message, Details(causes=(cause,), retry_after_seconds=retry_after))


def too_many_requests(message: str, retry_after: int = 0, causes: Sequence[Cause] = ()) -> ApiError:
    details = Details(causes=tuple(causes), retry_after_seconds=retry_after)
    return _error(429, "TooManyRequests", message, details)


def service_unavailable(message: str) -> ApiError:
    return _error(503, "ServiceUnavailable", message)


def method_not_allowed(target: Target = "", action: str = "") -> ApiError:
    if not target:
        return _error(405, "MethodNotAllowed", NO_METHOD, Details())
    plural, group = _resource(target)
    message = f"{action} is not supported on resources of kind {quote(_join(plural, group))}"
    return _error(405, "MethodNotAllowed", message, Details(group=group, kind=plural))


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    lead = "the body of the request was in an unknown format - accepted media types include: "
    return _error(415, "UnsupportedMediaType", lead + ", ".join(accepted))


def not_acceptable(accepted: Sequence[str]) -> ApiError:
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return _error(406, "NotAcceptable", message)


def request_entity_too_large(message: str) -> ApiError:
    return _error(413, "RequestEntityTooLarge", f"Request entity too large: {message}")


def internal(message: str) -> ApiError:
    details = Details(causes=(Cause(message=message),))
    return _error(500, "InternalError", f"Internal error occurred: {message}", details)


def server_failure(message: str) -> ApiError:
    """500 without a reason: a plain Go error that nobody gave a status."""
    return _error(500, "", message)


def timeout(message: str, retry_after: int = 0) -> ApiError:
    return _error(504, "Timeout", f"Timeout: {message}", Details(retry_after_seconds=retry_after))


def server_timeout(target: Target, operation: str, retry_after: int = 0) -> ApiError:
    what, details = _about(target, operation, retry_after_seconds=retry_after)
    tail = "could not be completed at this time, please try again."
    return _error(500, "ServerTimeout", f"The {operation} operation against {what} {tail}", details)

"""What an answer says: a Status that is an error, how long to wait, what a list holds.

Pure reading of answers; nothing here sends anything.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.errors import Status
from kube_actors.api.messages import Answer
from kube_actors.api.types.meta_v1 import ListMeta

from . import limits

T = TypeVar("T")


class ObjectList(Struct, Generic[T], frozen=True, kw_only=True):
    """Objects of one kind as a list request gave them, at one revision."""

    items: tuple[T, ...] = ()
    metadata: ListMeta = ListMeta()

    @property
    def resource_version(self) -> str:
        return self.metadata.resource_version

    @property
    def continue_(self) -> str:
        """The token for the next page; "" when this is the last."""
        return self.metadata.continue_

    @property
    def remaining(self) -> int | None:
        return self.metadata.remaining_item_count


class ObjectEvent(Struct, Generic[T], frozen=True):
    """One event of a typed watch: "ADDED", "MODIFIED" or "DELETED", and the object as it is or last was."""

    type: str
    object: T


class ExecResult(Struct, frozen=True, kw_only=True):
    """How a remote command ended. exit_code is None when it never ran; message is the Status' text."""

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    message: str = ""


class _Meta(Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    annotations: dict[str, str] | None = None


class _Head(Struct):
    kind: str = ""
    api_version: str = msgspec.field(default="", name="apiVersion")
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_head_decoder = msgspec.json.Decoder(_Head)
_status_decoder = msgspec.json.Decoder(Status)

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Head(Struct, frozen=True, kw_only=True):
    """What can be said of any object without decoding the rest of it."""

    kind: str
    api_version: str
    resource_version: str
    ends_initial_events: bool


def read_head(data: bytes) -> Head:
    """The kind and revision of an encoded object."""
    head = _head_decoder.decode(data)
    annotations = head.metadata.annotations or {}
    return Head(
        kind=head.kind,
        api_version=head.api_version,
        resource_version=head.metadata.resource_version,
        ends_initial_events=annotations.get(INITIAL_EVENTS_END) == "true",
    )


def raise_for_status(answer: Answer) -> Answer:
    """The answer itself if it says yes; otherwise its ApiError is raised."""
    if answer.status >= 400:
        raise errors.decode(answer.status, answer.body)
    return answer


def retry_after(answer: Answer) -> float | None:
    """Seconds after which the server wants the request again; None when it does not say, or says nonsense."""
    for name, value in answer.headers:
        if name.lower() == "retry-after":
            try:
                seconds = float(value)
            except ValueError:
                return None
            return max(0.0, min(seconds, limits.RETRY_AFTER_MAX_SECONDS))
    return None


def exec_result(stdout: bytes, stderr: bytes, error: bytes) -> ExecResult:
    """Read the final Status of a remote command."""
    try:
        status = _status_decoder.decode(error)
    except msgspec.DecodeError:
        text = error.decode(errors="replace") or "the session ended without a status"
        return ExecResult(stdout=stdout, stderr=stderr, exit_code=None, message=text)
    code: int | None = 0 if status.status == "Success" else None
    for cause in status.details.causes if status.details is not None else ():
        if cause.reason == "ExitCode" and cause.message.isdigit():
            code = int(cause.message)
    return ExecResult(stdout=stdout, stderr=stderr, exit_code=code, message=status.message)

"""resourceVersion, resourceVersionMatch and continue tokens: what a client's words mean. Pure.

The rules and texts are those of Kubernetes' list options. Nothing here reads the store.
"""

from __future__ import annotations

import base64
import binascii

from msgspec import DecodeError as JSONDecodeError
from msgspec import Struct, ValidationError, json

from kube_actors.api import errors, field_errors
from kube_actors.api.field_errors import FieldError
from kube_actors.api.messages import Options

_TOKEN_VERSION = "meta.k8s.io/v1"
_NOT_OLDER = "NotOlderThan"
_MATCH = "resourceVersionMatch"


class Token(Struct, frozen=True):
    """Where a list goes on: the revision of its first page (-1: the newest) and the last key."""

    v: str
    rv: int
    start: str


def parse(text: str) -> int | None:
    """A revision as a client wrote it; "" is 0, None is not a number."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def bad_revision(text: str) -> FieldError:
    return field_errors.invalid("resourceVersion", text, f'strconv.ParseUint: parsing "{text}": invalid syntax')


def check_options(options: Options, *, watch: bool) -> None:
    """Refuse combinations that Kubernetes refuses, with a 422 of ListOptions."""
    problems = _watch_problems(options) if watch else _list_problems(options)
    if problems:
        raise errors.invalid("ListOptions.meta.k8s.io", "", problems)


def _list_problems(options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    match = options.resource_version_match
    if match:
        if not options.resource_version:
            found.append(_forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided"))
        if options.continue_:
            found.append(_forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
        if match not in ("Exact", _NOT_OLDER):
            found.append(field_errors.not_supported(_MATCH, match, ["Exact", _NOT_OLDER, ""]))
        if match == "Exact" and options.resource_version == "0":
            found.append(_forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        found.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return found


def _watch_problems(options: Options) -> list[FieldError]:
    found: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is not None:
        if match != _NOT_OLDER:
            found.append(_forbidden(_MATCH, f"sendInitialEvents requires setting {_MATCH} to {_NOT_OLDER}"))
            if match:
                found.append(field_errors.not_supported(_MATCH, match, [_NOT_OLDER]))
    elif match:
        found.append(_forbidden(_MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"))
    return found


def _forbidden(path: str, detail: str) -> FieldError:
    return field_errors.forbidden(path, detail)


def encode_token(revision: int, after: str) -> str:
    """The continue token that starts behind the key `after` (relative to the list's prefix)."""
    raw = json.encode(Token(_TOKEN_VERSION, revision, after + "\x00"))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_token(text: str) -> Token:
    """Raises a 400 in Kubernetes' words."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise errors.bad_request(
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"
        ) from None
    try:
        token = json.decode(raw, type=Token)
    except (JSONDecodeError, ValidationError, UnicodeDecodeError):
        first = raw[:1]
        shown = first.decode() if first.isascii() else f"\\u{first[0]:04x}"
        raise errors.bad_request(
            f"invalid continue token: continue key is not valid: invalid character '{shown}' "
            "looking for beginning of value"
        ) from None
    if token.v != _TOKEN_VERSION:
        raise errors.bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this encoded version "
            f'"{token.v}"'
        )
    if token.rv == 0:
        raise errors.bad_request(
            "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion "
            f"(version {token.v})"
        )
    if not token.start:
        raise errors.bad_request(
            f"invalid continue token: continue key is not valid: encoded start key empty (version {token.v})"
        )
    return token


def bad_revision_in_body(text: str) -> FieldError:
    """An object's own resourceVersion that is no number."""
    return field_errors.invalid(
        "metadata.resourceVersion", text, f'strconv.ParseUint: parsing "{text}": invalid syntax'
    )


def revision_required(text: str) -> FieldError:
    """A kind that may not be updated unconditionally."""
    return field_errors.invalid("metadata.resourceVersion", text or 0, "must be specified for an update")

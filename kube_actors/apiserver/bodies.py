"""Request bodies: from bytes to a canonical object of the right kind, or a 400 in Kubernetes' words.

Owns size, depth, media types, duplicate and unknown fields. Never defaults or validates what the object says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from kube_actors.api import errors, manifests, messages
from kube_actors.api import field_errors as fields
from kube_actors.api.codec import CodecError
from kube_actors.apiserver import limits
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.shape import Duplicates, WrongType

JSONObject = dict[str, Any]

ACCEPTED = ("application/json", "application/yaml")
_YAML_LINE = re.compile(r"line \d+: key .* already set in map")
VALIDATIONS = ("", "Ignore", "Strict", "Warn")


class Unparsable(Exception):
    """The bytes are no JSON or YAML; the message says where, as Go would."""


def media_type(content_type: str) -> str:
    return content_type.split(";", 1)[0].strip().lower()


def check_write_options(call: Call, kind: str) -> None:
    """Refuse values of the query that cannot be; kind is the options kind that errors name."""
    found = _manager_problems(call, kind) if kind != "DeleteOptions" else []
    for value in call.options.dry_run:
        if value != "All":
            found.append(fields.not_supported("dryRun", list(call.options.dry_run), ["All"]))
            break
    if call.options.field_validation not in VALIDATIONS and kind != "DeleteOptions":
        found.append(fields.not_supported("fieldValidation", call.options.field_validation, VALIDATIONS))
    if found:
        raise errors.invalid(f"{kind}.meta.k8s.io", "", found)


def _manager_problems(call: Call, kind: str) -> list[fields.FieldError]:
    """An apply must say who applies; force is for applies alone."""
    found = []
    name = call.options.field_manager
    if kind == "PatchOptions":
        if media_type(call.request.content_type) == messages.APPLY_PATCH:
            if not name:
                found.append(fields.required("fieldManager", "is required for apply patch"))
        elif call.options.force is not None:
            found.append(fields.forbidden("force", "may not be specified for non-apply patch"))
    if not name or (name.isascii() and name.isprintable() and len(name) <= limits.FIELD_MANAGER_BYTES):
        return found
    if len(name.encode()) > limits.FIELD_MANAGER_BYTES:
        found.append(fields.too_long("fieldManager", limits.FIELD_MANAGER_BYTES))
    position = 0
    for char in name:
        if not char.isprintable():
            shown = f"U+{ord(char):04X}"
            found.append(fields.invalid("fieldManager", name, f"invalid character {shown} (at position {position})"))
        position += len(char.encode())
    return found


def strictness(call: Call) -> str:
    """Ignore, Warn or Strict; the server's default is Warn."""
    return call.options.field_validation or "Warn"


class Marks:
    """Whether a body was looked at pair by pair, so that its objects may be `Duplicates`."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = False


def parse(call: Call, problems: list[str], marks: Marks | None = None) -> Any:
    """The body as plain JSON values. Objects with repeated keys are `Duplicates` unless they are to be ignored;
    YAML's repeated keys go to problems. Raises Unparsable."""
    body = call.request.body
    check_size(body)
    kind = media_type(call.request.content_type) or messages.JSON
    if kind == messages.JSON:
        return parse_json(body, mark=strictness(call) != "Ignore", marks=marks)
    if kind == messages.YAML:
        return parse_yaml(body, problems)
    raise errors.unsupported_media_type(ACCEPTED)


def check_size(body: bytes) -> None:
    if len(body) > limits.BODY_BYTES:
        raise errors.request_entity_too_large(f"limit is {limits.BODY_BYTES}")


def is_exact(body: bytes) -> bool:
    """Whether a JSON body is just as it would be written, so that no key comes twice. Looks at what has been decoded
    once before."""
    return msgspec.json.encode(msgspec.json.decode(body)) == body


def parse_json(body: bytes, *, mark: bool, marks: Marks | None = None) -> Any:
    """Raises Unparsable."""
    try:
        value = msgspec.json.decode(body)
        # What comes back the very same when written has no key twice. Nearly every body of our own components is
        # such, and this takes a quarter of the time that looking at all pairs takes.
        if mark and msgspec.json.encode(value) != body:
            value = json.loads(body, object_pairs_hook=_pairs)
            if marks is not None:
                marks.seen = True
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise Unparsable(_go_json_error(body, error)) from None
    # An empty object or list holds nothing, and sets of fields are mostly made of those.
    holders = body.count(b"{") - body.count(b"{}") + body.count(b"[") - body.count(b"[]")
    check_depth(value, holders + 1)
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> JSONObject:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    marked = Duplicates(found)
    marked.before = {}
    seen: set[str] = set()
    waiting: list[str] = []
    repeated: dict[str, None] = {}
    for key, _ in pairs:
        if key in seen:
            if key not in repeated:
                waiting.append(key)
            repeated[key] = None
        elif waiting:
            marked.before[key] = tuple(waiting)
            waiting.clear()
        seen.add(key)
    if waiting:
        marked.before[""] = tuple(waiting)
    marked.repeated = tuple(repeated)
    return marked


def _go_json_error(body: bytes, error: Exception) -> str:
    """The commonest errors in the words of Go's decoder."""
    if isinstance(error, RecursionError):
        return "exceeded max depth"
    text = body.decode(errors="replace").strip()
    try:
        json.loads(text)
    except RecursionError:
        return "exceeded max depth"
    except json.JSONDecodeError as found:
        if found.pos >= len(text) or "Unterminated" in found.msg:
            return "unexpected end of JSON input"
        char = text[found.pos]
        if found.msg.startswith("Extra data"):
            return f"invalid character '{char}' after top-level value"
        if found.msg.startswith("Expecting property name"):
            return f"invalid character '{char}' looking for beginning of object key string"
        if "',' delimiter" in found.msg:
            return f"invalid character '{char}' after object key:value pair"
        if "':' delimiter" in found.msg:
            return f"invalid character '{char}' after object key"
        return f"invalid character '{char}' looking for beginning of value"
    except ValueError as huge:
        return str(huge)
    return str(error)


def check_depth(value: Any, brackets: int = limits.BODY_DEPTH + 1) -> None:
    """An explicit stack, since the point is not to trust the body's depth."""
    if brackets <= limits.BODY_DEPTH:
        return
    level = [value]
    for _ in range(limits.BODY_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(inner for inner in item.values() if isinstance(inner, (dict, list)))
            elif isinstance(item, list):
                below.extend(inner for inner in item if isinstance(inner, (dict, list)))
        if not below:
            return
        level = below
    raise Unparsable("exceeded max depth")


def parse_yaml(body: bytes, problems: list[str]) -> Any:
    """The one document of a YAML body. Raises Unparsable."""
    try:
        try:
            documents = manifests.load_documents(body, strict=True)
        except manifests.DuplicateKeys as repeated:
            problems.append(str(repeated))
            documents = manifests.load_documents(body)
    except (CodecError, RecursionError) as error:
        raise Unparsable(str(error) or "exceeded max depth") from None
    value = documents[0] if documents else None
    check_depth(value)
    return value


def read(call: Call) -> JSONObject:
    """The request's body as an object of the call's kind."""
    return read_as(call, call.kind)


def read_as(call: Call, kind: Kind) -> JSONObject:
    """The request's body as an object of a kind (a Binding, an Eviction, a Scale)."""
    problems: list[str] = []
    marks = Marks()
    try:
        value = parse(call, problems, marks)
    except Unparsable as error:
        raise _unrecognised(kind, f"json parse error: {error}", call.request.body) from None
    _check_kind(kind, value, call.request.body)
    return conformed(call, value, kind, problems, plain=not marks.seen)


def _unrecognised(kind: Kind, why: str, raw: bytes) -> errors.ApiError:
    shown = raw.decode(errors="replace") or "<empty>"
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind.resource.kind}): "
        f"couldn't get version/kind; {why} ({shown[:2048]})"
    )


def _check_kind(kind: Kind, value: Any, raw: bytes) -> None:
    resource = kind.resource
    if not isinstance(value, dict):
        raise _unrecognised(
            kind,
            f"json parse error: json: cannot unmarshal {_kind_word(value)} into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
            raw[:1024].hex().encode(),
        )
    api_version, name = value.get("apiVersion") or resource.api_version, value.get("kind") or resource.kind
    if not isinstance(api_version, str) or not isinstance(name, str):
        raise _unrecognised(kind, "json parse error: json: cannot unmarshal into Go value of type string", raw)
    if name != resource.kind:
        _, _, version = api_version.rpartition("/")
        raise errors.bad_request(
            f'{name} in version "{version}" cannot be handled as a {resource.kind}: converting ({version}.{name}) to '
            f"({resource.group.split('.')[0] or 'core'}.{resource.kind}): unknown conversion"
        )
    if api_version != resource.api_version:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )


def _kind_word(value: Any) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


def conformed(
    call: Call, value: JSONObject, kind: Kind | None = None, known: Sequence[str] = (), *, plain: bool = False
) -> JSONObject:
    """Canonical shape, with unknown and repeated fields treated as fieldValidation asks; known are problems found
    before, and in a plain value no key comes twice. Raises ApiError."""
    kind = kind or call.kind
    problems = list(known)
    try:
        found = kind.conform_plain(value, problems) if plain else kind.conform(value, problems)
    except WrongType as error:
        raise cannot_be_handled(kind, str(error)) from None
    if problems:
        treat(call, kind, problems)
    return found


def treat(call: Call, kind: Kind, problems: list[str]) -> None:
    """Strict refuses, Warn warns, Ignore does nothing."""
    mode = strictness(call)
    if mode == "Strict":
        raise cannot_be_handled(kind, f"strict decoding error: {', '.join(problems)}")
    if mode == "Warn":
        for problem in problems:
            call.warnings.extend(_YAML_LINE.findall(problem) or [problem])


def cannot_be_handled(kind: Kind, why: str) -> errors.ApiError:
    resource = kind.resource
    return errors.bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}'
    )

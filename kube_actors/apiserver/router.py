"""From method, path and query to a request, as Kubernetes reads its URLs. Pure; the inverse of the client's `rest`.

Owns the grammar of paths, which verb a method means, and the parsing of query parameters. What Kubernetes would only
refuse after authorization (a wrong method, a limit that is no number) is handed back beside the request, so that who
may not ask at all is told that first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from urllib.parse import unquote

from msgspec import Struct, structs

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.field_errors import quote
from kube_actors.api.messages import (
    ANONYMOUS,
    JSON,
    NO_OPTIONS,
    AnyRequest,
    HttpCall,
    Options,
    RawRequest,
    Request,
    UserInfo,
    Verb,
)

Pairs = Sequence[tuple[str, str]]

CONNECTS = frozenset({"exec", "attach", "portforward", "proxy"})
"""Sub-resources that open something instead of answering."""
RAW_PARAMETERS = CONNECTS | {"log"}
"""Sub-resources that read the query parameters themselves."""
_OF_NAMESPACES = frozenset({"status", "finalize"})
_METHODS: dict[str, Verb] = {
    "GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete",
}  # fmt: skip

_LIST = (
    "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "limit", "continue", "timeoutSeconds",
    "allowWatchBookmarks", "sendInitialEvents",
)  # fmt: skip
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents")
_READ_BY: dict[str, tuple[str, ...]] = {
    "get": ("resourceVersion",),
    "list": _LIST,
    "watch": _LIST,
    "create": _WRITE,
    "update": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _DELETE,
    "deletecollection": (*_LIST, *_DELETE),
}
_ATTRIBUTES = {
    "labelSelector": "label_selector",
    "fieldSelector": "field_selector",
    "resourceVersion": "resource_version",
    "resourceVersionMatch": "resource_version_match",
    "limit": "limit",
    "continue": "continue_",
    "timeoutSeconds": "timeout_seconds",
    "allowWatchBookmarks": "allow_watch_bookmarks",
    "sendInitialEvents": "send_initial_events",
    "dryRun": "dry_run",
    "fieldManager": "field_manager",
    "fieldValidation": "field_validation",
    "force": "force",
    "gracePeriodSeconds": "grace_seconds",
    "propagationPolicy": "propagation_policy",
    "orphanDependents": "orphan_dependents",
}
PLACES = 1024
"""Paths of collections whose meaning is remembered."""
_NUMBERS = frozenset({"limit", "timeoutSeconds", "gracePeriodSeconds"})
_FLAGS = frozenset({"allowWatchBookmarks", "sendInitialEvents", "force", "orphanDependents"})
_INTEGER = re.compile(r"[+-]?[0-9]+")


class Route(Struct, frozen=True):
    """A request, and why it is to be refused once it is known to be allowed."""

    request: AnyRequest
    refusal: ApiError | None = None


class Place(Struct, frozen=True, kw_only=True):
    """What a path names."""

    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watched: bool = False


def route(
    method: str,
    path: str,
    query: Pairs = (),
    *,
    body: bytes = b"",
    content_type: str = "",
    accept: str = "",
    if_none_match: str = "",
    user: UserInfo = ANONYMOUS,
    user_agent: str = "",
    http: HttpCall | None = None,
) -> Route:
    """The request. path is as it came, percent-encoded; query pairs are decoded. http is for what is passed on."""
    place = _place(path)
    if place is None:
        raw = RawRequest(path=unquote(path), params=tuple(query), accept=accept, if_none_match=if_none_match, user=user)
        return Route(raw, None if method in ("GET", "HEAD") else errors.method_not_allowed())
    verb, refusal = _verb(method, place, query)
    options = NO_OPTIONS
    params: tuple[tuple[str, str], ...] = ()
    try:
        if place.subresource and place.subresource.partition("/")[0] in RAW_PARAMETERS:
            params = tuple(query)
        elif query or place.watched:
            options = parse_options(verb, query)
    except ApiError as error:
        refusal = refusal or error
    if place.watched and place.name:
        options = structs.replace(options, field_selector=f"metadata.name={place.name}")
    request = Request(
        verb=verb,
        group=place.group,
        version=place.version,
        resource=place.resource,
        namespace=place.namespace,
        name="" if place.watched else place.name,
        subresource=place.subresource,
        body=body,
        content_type=content_type or JSON,
        accept=accept or JSON,
        options=options,
        params=params,
        user=user,
        user_agent=user_agent,
        http=http,
    )
    return Route(request, refusal)


def _place(path: str) -> Place | None:
    """None for a path that is no resource."""
    parts = path.strip("/").split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watched = rest[0] == "watch" and len(rest) > 1
    if watched:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if not all(rest[:2]):
        return None
    return Place(
        group=group,
        version=version,
        resource=rest[0],
        namespace=namespace,
        name=rest[1] if len(rest) > 1 else "",
        subresource="/".join(rest[2:]),
        watched=watched,
    )


@functools.lru_cache(maxsize=PLACES)
def collection(path: str) -> Place | None:
    """What stands one below a path, if it is an object of a kind whatever its name: where to find /pods/a and /pods/b.
    The path is what stands before an object's last slash, without percent signs."""
    place = _place(f"{path}/x")
    return place if place is not None and place.name == "x" and not (place.subresource or place.watched) else None


def _verb(method: str, place: Place, query: Pairs) -> tuple[Verb, ApiError | None]:
    head = place.subresource.partition("/")[0] if place.subresource else ""
    verb = _METHODS.get(method)
    if head == "proxy":  # what it does there is the back end's business; here it counts as what the method says
        return verb or "get", None
    if head in CONNECTS:
        return "connect", None
    if verb is None:
        return "get", errors.method_not_allowed()
    if place.watched:
        return "watch", None if verb == "get" else errors.method_not_allowed()
    if not place.name:
        if verb == "get":
            return ("watch" if _flag(_first(query, "watch")) else "list"), None
        if verb == "delete":
            return "deletecollection", None
        return verb, None if verb == "create" else errors.method_not_allowed()
    if verb == "create" and not place.subresource:
        return verb, errors.method_not_allowed()
    return verb, None


def parse_options(verb: Verb, query: Pairs) -> Options:
    """The options that the verb reads; raises a 400 in Go's words for what is no number."""
    found: dict[str, object] = {}
    for key in _READ_BY.get(verb, ()):
        values = [value for name, value in query if name == key]
        if not values:
            continue
        value: object = values[0]
        if key in _NUMBERS:
            value = _integer(values[0])
        elif key in _FLAGS:
            value = _flag(values[0])
        elif key == "dryRun":
            value = tuple(values)
        found[_ATTRIBUTES[key]] = value
    return structs.replace(NO_OPTIONS, **found) if found else NO_OPTIONS


def _first(query: Pairs, name: str) -> str | None:
    return next((value for key, value in query if key == name), None)


def _flag(value: str | None) -> bool:
    """Only absence, "false" and "0" are false, as Kubernetes converts them."""
    return value is not None and value.lower() not in ("false", "0")


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise errors.bad_request(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise errors.bad_request(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return number

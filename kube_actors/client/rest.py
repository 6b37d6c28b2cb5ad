"""A request as the ordinary Kubernetes REST call: method, path, query, headers. Pure.

The API server's router is the inverse. Parameters that are at their defaults are left out, as client-go does.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from msgspec import Struct

from kube_actors.api.messages import JSON, NO_OPTIONS, AnyRequest, Options, RawRequest, Request

METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    # Remote commands and proxies open with a GET that asks for an upgrade.
    "connect": "GET",
}

_TEXTS = {
    "label_selector": "labelSelector",
    "field_selector": "fieldSelector",
    "resource_version": "resourceVersion",
    "resource_version_match": "resourceVersionMatch",
    "continue_": "continue",
    "field_manager": "fieldManager",
    "field_validation": "fieldValidation",
    "propagation_policy": "propagationPolicy",
}
_NUMBERS = {"timeout_seconds": "timeoutSeconds", "grace_seconds": "gracePeriodSeconds"}
_FLAGS = {"send_initial_events": "sendInitialEvents", "force": "force", "orphan_dependents": "orphanDependents"}


class Rendered(Struct, frozen=True, kw_only=True):
    """An HTTP request, not yet on any connection. path is percent-encoded; query pairs are not."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def render(request: AnyRequest) -> Rendered:
    """The REST call of a request. Who asks is not part of it: the connection's credentials say that."""
    if isinstance(request, RawRequest):
        match = (("If-None-Match", request.if_none_match),) if request.if_none_match else ()
        return Rendered(
            method="GET", path=request.path, query=request.params, headers=(("Accept", request.accept), *match)
        )
    query = list(_options(request.options))
    if request.verb == "watch":
        query.insert(0, ("watch", "true"))
    query.extend(request.params)
    headers = [("Accept", request.accept)]
    if request.body:
        headers.append(("Content-Type", request.content_type or JSON))
    return Rendered(
        method=METHODS[request.verb],
        path=path_of(request),
        query=tuple(query),
        headers=tuple(headers),
        body=request.body,
    )


def path_of(request: Request) -> str:
    """Where a resource stands: /api/v1/namespaces/default/pods/web/log."""
    parts = ["apis", request.group, request.version] if request.group else ["api", request.version]
    if request.namespace:
        parts += ["namespaces", request.namespace]
    parts.append(request.resource)
    if request.name:
        parts.append(request.name)
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    # The tail of a proxied path keeps its own slashes.
    return f"{path}/{quote(request.subresource, safe='/')}" if request.subresource else path


def _options(options: Options) -> Iterator[tuple[str, str]]:
    if options is NO_OPTIONS:
        return
    for name, wire in _TEXTS.items():
        text = getattr(options, name)
        if text:
            yield wire, text
    if options.limit:
        yield "limit", str(options.limit)
    for name, wire in _NUMBERS.items():
        number = getattr(options, name)
        if number is not None:
            yield wire, str(number)
    if options.allow_watch_bookmarks:
        yield "allowWatchBookmarks", "true"
    for name, wire in _FLAGS.items():
        flag = getattr(options, name)
        if flag is not None:
            yield wire, "true" if flag else "false"
    for value in options.dry_run:
        yield "dryRun", value

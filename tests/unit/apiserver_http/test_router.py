"""Paths and queries: the router reads what the client writes, and everything else as Kubernetes does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.messages import Options, RawRequest, Request
from kube_actors.apiserver.router import Route, route
from kube_actors.client.rest import render

NAMES = st.from_regex(r"[a-z]([a-z0-9.:-]{0,10}[a-z0-9])?", fullmatch=True)
RESOURCES = st.sampled_from(["pods", "configmaps", "deployments", "nodes", "foos"])
GROUPS = st.sampled_from(["", "apps", "example.com"])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
SMALL = st.integers(0, 10**9)
READ = {
    "label_selector": TEXT,
    "field_selector": TEXT,
    "resource_version": TEXT,
    "resource_version_match": TEXT,
    "limit": SMALL,
    "continue_": TEXT,
    "timeout_seconds": st.none() | SMALL,
    "allow_watch_bookmarks": st.booleans(),
    "send_initial_events": st.none() | st.booleans(),
}
WRITE = {"dry_run": st.lists(TEXT, max_size=2).map(tuple), "field_manager": TEXT, "field_validation": TEXT}
DELETE = {
    "dry_run": st.lists(TEXT, max_size=2).map(tuple),
    "grace_seconds": st.none() | SMALL,
    "propagation_policy": TEXT,
    "orphan_dependents": st.none() | st.booleans(),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "get": {"resource_version": TEXT},
    "list": READ,
    "watch": READ,
    "create": WRITE,
    "update": WRITE,
    "patch": {**WRITE, "force": st.none() | st.booleans()},
    "delete": DELETE,
    "deletecollection": {**READ, **DELETE},
    "connect": {},
}
ON_COLLECTIONS = ("list", "watch", "create", "deletecollection")


@st.composite
def requests(draw: st.DrawFn) -> Request:
    verb = draw(st.sampled_from(sorted(OPTIONS)))
    subresource, params, options = "", (), OPTIONS[verb]
    if verb == "connect":
        subresource = draw(st.sampled_from(["exec", "attach", "proxy", "proxy/some/path"]))
        params = tuple(draw(st.lists(st.tuples(NAMES, TEXT), max_size=3)))
    elif verb not in ON_COLLECTIONS:
        subresource = draw(st.sampled_from(["", "", "status", "scale"]))
    if subresource.startswith("proxy"):  # counts as what its method says
        verb = draw(st.sampled_from(["get", "create", "update", "patch", "delete"]))
    return Request(
        verb=verb,
        group=draw(GROUPS),
        version=draw(st.sampled_from(["v1", "v1beta1"])),
        resource=draw(RESOURCES),
        namespace=draw(st.just("") | NAMES),
        name="" if verb in ON_COLLECTIONS and not subresource else draw(NAMES),
        subresource=subresource,
        params=params,
        options=Options(**{name: draw(values) for name, values in options.items()}),
        body=draw(st.sampled_from([b"", b"{}"])),
    )


@given(requests())
def test_the_router_reads_what_the_client_writes(request: Request) -> None:
    call = render(request)
    headers = dict(call.headers)
    found = route(
        call.method,
        call.path,
        call.query,
        body=call.body,
        content_type=headers.get("Content-Type", ""),
        accept=headers["Accept"],
    )
    assert found == Route(request)


def read(method: str, target: str) -> Route:
    parts = urlsplit(target)
    pairs = [tuple((*pair.split("=", 1), "")[:2]) for pair in parts.query.split("&") if pair]
    return route(method, parts.path, pairs)  # type: ignore[arg-type]


def summary(found: Route) -> tuple[Any, ...]:
    request = found.request
    assert isinstance(request, Request)
    return request.verb, request.group, request.resource, request.namespace, request.name, request.subresource


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods/", ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=maybe", ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=false", ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "namespaces", "", "a", "")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "namespaces", "", "a", "finalize")),
        ("GET", "/api/v1/namespaces/a/pods/b", ("get", "", "pods", "a", "b", "")),
        ("GET", "/api/v1/namespaces/a/pods/b?watch=true", ("get", "", "pods", "a", "b", "")),
        ("DELETE", "/api/v1/namespaces/a/pods", ("deletecollection", "", "pods", "a", "", "")),
        ("POST", "/api/v1/namespaces/a/pods/b/exec?command=ls", ("connect", "", "pods", "a", "b", "exec")),
        ("GET", "/api/v1/namespaces/a/pods/b/log?follow=true", ("get", "", "pods", "a", "b", "log")),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/a/deployments/b/scale",
            ("patch", "apps", "deployments", "a", "b", "scale"),
        ),
        ("GET", "/api/v1/watch/namespaces/a/pods", ("watch", "", "pods", "a", "", "")),
        ("GET", "/api/v1/watch/namespaces/a/pods/b", ("watch", "", "pods", "a", "", "")),
        ("GET", "/apis/x.io/v1/foos/a%2Fb", ("get", "x.io", "foos", "", "a/b", "")),
    ],
)
def test_what_a_path_means(method: str, target: str, expected: tuple[str, ...]) -> None:
    found = read(method, target)
    assert summary(found) == expected
    assert found.refusal is None


def test_the_old_way_to_watch_one_object_selects_it() -> None:
    request = read("GET", "/api/v1/watch/namespaces/a/pods/b").request
    assert isinstance(request, Request)
    assert request.options.field_selector == "metadata.name=b"


def test_log_parameters_stay_as_they_are() -> None:
    request = read("GET", "/api/v1/namespaces/a/pods/b/log?follow=true&limitBytes=x").request
    assert isinstance(request, Request)
    assert request.params == (("follow", "true"), ("limitBytes", "x"))
    assert request.options == Options()


@pytest.mark.parametrize("target", ["/", "/api", "/apis/apps", "/apis/apps/v1", "/version", "/nope/x", "/api/v1//x"])
def test_everything_else_is_raw(target: str) -> None:
    assert isinstance(read("GET", target).request, RawRequest)


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("POST", "/api/v1/namespaces/a/pods/b", 405),
        ("PUT", "/api/v1/namespaces/a/pods", 405),
        ("PATCH", "/api/v1/namespaces/a/pods", 405),
        ("OPTIONS", "/api/v1/pods", 405),
        ("POST", "/api/v1/watch/pods", 405),
        ("POST", "/version", 405),
        ("GET", "/api/v1/pods?limit=x", 400),
        ("GET", "/api/v1/pods?timeoutSeconds=1.5", 400),
        ("GET", "/api/v1/pods?limit=9223372036854775808", 400),
        ("DELETE", "/api/v1/namespaces/a/pods/b?gracePeriodSeconds=soon", 400),
    ],
)
def test_what_is_refused_once_the_user_is_known_to_be_allowed(method: str, target: str, code: int) -> None:
    refusal = read(method, target).refusal
    assert refusal is not None
    assert refusal.code == code


def test_numbers_are_refused_in_the_words_of_go() -> None:
    refusal = read("GET", "/api/v1/pods?limit=x").refusal
    assert refusal is not None
    assert refusal.message == 'strconv.ParseInt: parsing "x": invalid syntax'


def test_a_get_ignores_options_that_are_not_its_own() -> None:
    assert read("GET", "/api/v1/namespaces/a/pods/b?limit=x&dryRun=All").refusal is None


@given(st.text(max_size=60), st.text(max_size=12))
def test_no_path_breaks_the_router(path: str, method: str) -> None:
    found = route(method, path)
    assert found.request is not None
    assert structs.asdict(found)

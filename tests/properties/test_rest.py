"""A rendered request says everything that the message says: it can be read back."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from kube_actors.api.messages import Options, RawRequest, Request
from kube_actors.apiserver.router import RAW_PARAMETERS, route
from kube_actors.client.rest import METHODS, render

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
FLAGS = st.none() | st.booleans()
OPTIONS = st.builds(
    Options,
    label_selector=TEXTS,
    field_selector=TEXTS,
    resource_version=TEXTS,
    resource_version_match=TEXTS,
    limit=st.integers(0, 10**6),
    continue_=TEXTS,
    timeout_seconds=st.none() | st.integers(0, 10**6),
    allow_watch_bookmarks=st.booleans(),
    send_initial_events=FLAGS,
    dry_run=st.lists(st.just("All"), max_size=2).map(tuple),
    field_manager=TEXTS,
    field_validation=TEXTS,
    force=FLAGS,
    grace_seconds=st.none() | st.integers(0, 10**6),
    propagation_policy=TEXTS,
    orphan_dependents=FLAGS,
)
REQUESTS = st.builds(
    Request,
    verb=st.sampled_from(sorted(METHODS)),
    group=st.just("") | NAMES,
    version=NAMES,
    resource=NAMES,
    namespace=st.just("") | NAMES,
    # Names of some kinds (RBAC) may hold anything but a slash and a percent sign, colons among it.
    name=st.just("") | NAMES | st.from_regex(r"[a-z:]{1,8}", fullmatch=True),
    subresource=st.just("") | NAMES,
    body=st.binary(max_size=5),
    options=OPTIONS,
)


@given(REQUESTS)
def test_the_path_names_the_resource(request: Request) -> None:
    parts = [unquote(part) for part in render(request).path.split("/")[1:]]
    assert parts.pop(0) == ("apis" if request.group else "api")
    if request.group:
        assert parts.pop(0) == request.group
    assert parts.pop(0) == request.version
    if request.namespace:
        assert (parts.pop(0), parts.pop(0)) == ("namespaces", request.namespace)
    expected = [request.resource, request.name, request.subresource]
    assert parts == [part for part in expected if part]


@given(REQUESTS)
def test_the_query_holds_every_option(request: Request) -> None:
    query = render(request).query
    single = dict(query)
    options = request.options
    assert (single.get("watch") == "true") == (request.verb == "watch")
    assert single.get("labelSelector", "") == options.label_selector
    assert single.get("continue", "") == options.continue_
    assert int(single.get("limit", "0")) == options.limit
    seconds = single.get("timeoutSeconds")
    assert (None if seconds is None else int(seconds)) == options.timeout_seconds
    flags = {None: None, "true": True, "false": False}
    assert flags[single.get("sendInitialEvents")] == options.send_initial_events
    assert flags[single.get("force")] == options.force
    assert tuple(value for name, value in query if name == "dryRun") == options.dry_run
    assert [name for name, _ in query if name != "dryRun"] == [name for name in single if name != "dryRun"]


@given(REQUESTS)
def test_a_body_has_its_type(request: Request) -> None:
    rendered = render(request)
    assert ("Content-Type" in dict(rendered.headers)) == bool(request.body)
    assert rendered.method == METHODS[request.verb]


LISTED = [
    "label_selector",
    "field_selector",
    "resource_version",
    "resource_version_match",
    "limit",
    "continue_",
    "timeout_seconds",
    "allow_watch_bookmarks",
    "send_initial_events",
]
WRITTEN = ["dry_run", "field_manager", "field_validation"]
DELETED = ["dry_run", "grace_seconds", "propagation_policy", "orphan_dependents"]
READ_BY = {
    "get": ["resource_version"],
    "list": LISTED,
    "watch": LISTED,
    "create": WRITTEN,
    "update": WRITTEN,
    "patch": [*WRITTEN, "force"],
    "delete": DELETED,
    "deletecollection": [*LISTED, *DELETED],
}


@st.composite
def meaningful(draw: st.DrawFn) -> Request:
    """A request as a client makes it: a name where the verb wants one, and only options that it reads."""
    request = draw(REQUESTS)
    verb = draw(st.sampled_from(sorted(READ_BY)))
    collection = verb in ("list", "watch", "create", "deletecollection")
    options = Options(**{name: getattr(request.options, name) for name in READ_BY[verb]})
    return structs.replace(
        request,
        verb=verb,
        name="" if collection else request.name or "x",
        subresource="" if collection else request.subresource,
        options=options,
    )


@given(meaningful())
def test_the_servers_router_reads_it_back(request: Request) -> None:
    assume(request.subresource not in RAW_PARAMETERS and request.resource not in ("watch", "namespaces"))
    rendered = render(request)
    headers = dict(rendered.headers)
    found = route(
        rendered.method,
        rendered.path,
        rendered.query,
        body=rendered.body,
        content_type=headers.get("Content-Type", ""),
        accept=headers["Accept"],
    )
    assert found.refusal is None
    assert found.request == request


@given(REQUESTS, st.sampled_from(["exec", "attach", "log"]), st.lists(st.tuples(NAMES, TEXTS), max_size=4))
def test_parameters_of_remote_commands_keep_their_order(
    request: Request, subresource: str, params: list[tuple[str, str]]
) -> None:
    asked = Request(
        verb="get" if subresource == "log" else "connect",
        version="v1",
        resource="pods",
        namespace=request.namespace or "default",
        name=request.name or "x",
        subresource=subresource,
        params=tuple(params),
    )
    rendered = render(asked)
    assert route(rendered.method, rendered.path, rendered.query).request == asked


def test_a_raw_path_is_taken_as_it_is() -> None:
    rendered = render(RawRequest(path="/openapi/v3/apis/apps/v1", params=(("hash", "x"),), if_none_match='"tag"'))
    assert (rendered.method, rendered.path, rendered.query) == ("GET", "/openapi/v3/apis/apps/v1", (("hash", "x"),))
    assert dict(rendered.headers)["If-None-Match"] == '"tag"'

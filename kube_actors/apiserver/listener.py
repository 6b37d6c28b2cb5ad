"""The HTTP face: one request in, one answer out.

Owns the order in which a request meets its parts: who asks, what is asked, in which form, the server's answer, and its
rendering. Authorization and everything after it are the server's (`handle`), whichever way a request comes; what the
face itself refuses, it refuses only to those who are allowed to ask.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import trio
from msgspec import structs

from kube_actors.actors import System
from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import (
    Answer,
    AnyAnswer,
    AnyRequest,
    ForwardAnswer,
    HttpCall,
    RawRequest,
    Request,
    StreamAnswer,
    TunnelAnswer,
    UserInfo,
    WatchAnswer,
)
from kube_actors.api.resources import builtin
from kube_actors.apiserver import limits, metrics, negotiation, protobuf, router, views, wire
from kube_actors.apiserver.access import attributes, impersonation
from kube_actors.apiserver.access.access import Access
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.audit import Record
from kube_actors.apiserver.at_once import Reads
from kube_actors.apiserver.authn import WEBSOCKET_TOKEN
from kube_actors.apiserver.core import NOTES
from kube_actors.apiserver.express import Express
from kube_actors.apiserver.metrics import Metrics
from kube_actors.apiserver.negotiation import View
from kube_actors.wire import Answer as HttpAnswer
from kube_actors.wire import HttpRequest, HttpResponse, HttpServer, Limits, StreamResponse, listen_tcp, wants_websocket

Handle = Callable[[AnyRequest], Awaitable[AnyAnswer]]
_OURSELVES = UserInfo(name="system:apiserver", groups=("system:masters",))
_INDENTED_FOR = ("curl", "Wget", "Mozilla/5.0")


class HttpFace:
    """The handler of an `HttpServer`. `handle` may go to another server every time: it survives restarts beneath."""

    def __init__(
        self,
        handle: Handle,
        access: Access,
        system: System,
        reads: Reads | None = None,
    ) -> None:
        self.metrics = Metrics()
        self._handle = handle
        self._access = access
        self._clock = system.clock
        self._entropy = system.entropy.split("http")
        self.at_once = reads and Express(reads, access, self.metrics, system, self._entropy, _looks_human)

    async def __call__(self, http: HttpRequest) -> HttpAnswer:
        """Answer one HTTP request."""
        audit_id = http.headers.get("audit-id") or self._entropy.uuid()
        started = self._clock.monotonic()
        asked: AnyRequest | None = None
        record: Record | None = None
        try:
            real = await self._user(http)
            user = await self._impersonated(http, real)
            found = self._route(http, user)
            asked = found.request
            question = attributes.of(asked)
            if self._access.audit is not None:
                record = self._begun(http, asked, question, audit_id, real)
            await self._refuse(http, found)
            ticket = await self._access.flow.admit(question, seated=not _lasts(asked))
            self.metrics.began(asked)
            try:
                answer = await self._handle(self._in_pieces(http, asked))
            finally:
                self.metrics.ended(asked)
                if ticket is not None:
                    ticket.leave()
            rendered = self._render(http, asked, answer, audit_id)
            if ticket is not None and isinstance(rendered, HttpResponse | StreamResponse):
                rendered = structs.replace(rendered, headers=rendered.headers + ticket.headers)
        except ApiError as error:
            rendered = wire.refusal(error, audit_id)
        status = getattr(rendered, "status", 101)
        if record is not None and self._access.audit is not None:
            body = rendered.body if isinstance(rendered, HttpResponse) else b""
            self._access.audit.complete(record, status, body, starts=not isinstance(rendered, HttpResponse))
        self.metrics.observe(asked, http.method, status, self._clock.monotonic() - started)
        return rendered

    def _begun(
        self, http: HttpRequest, asked: AnyRequest, question: Attributes, audit_id: str, real: UserInfo
    ) -> Record | None:
        assert self._access.audit is not None
        record = self._access.audit.begin(
            question,
            asked,
            audit_id=audit_id,
            uri=http.target,
            source=http.peer[0],
            agent=http.headers.get("user-agent") or "",
            real=real,
        )
        NOTES.set(record.notes if record is not None else None)
        return record

    async def _user(self, http: HttpRequest) -> UserInfo:
        authorization = http.headers.get("authorization")
        if authorization is None and wants_websocket(http):
            authorization = _socket_token(http)
        return await self._access.authenticate(http.certificate, authorization)

    async def _impersonated(self, http: HttpRequest, user: UserInfo) -> UserInfo:
        """The user as whom the request is served."""
        asked = http.headers.starting("impersonate-")
        target = impersonation.wanted(asked) if asked else None
        if target is None:
            return user
        await impersonation.check(user, target, self._access.authorizer.decide)
        return impersonation.complete(target)

    def _route(self, http: HttpRequest, user: UserInfo) -> router.Route:
        headers = http.headers
        body, content_type = http.content or b"", headers.get("content-type") or ""
        unreadable: ApiError | None = None
        if content_type.startswith(protobuf.MEDIA_TYPE) and body:
            try:
                body, content_type = protobuf.to_json(body), "application/json"
            except ApiError as error:
                unreadable = error
        found = router.route(
            http.method,
            http.path,
            http.query_pairs(),
            body=body,
            content_type=content_type,
            accept=", ".join(headers.get_all("accept")),
            if_none_match=headers.get("if-none-match") or "",
            user=user,
            user_agent=headers.get("user-agent") or "",
            http=_as_it_came(http) if _may_be_passed_on(http.path) else None,
        )
        return found if unreadable is None else router.Route(found.request, found.refusal or unreadable)

    async def _refuse(self, http: HttpRequest, found: router.Route) -> None:
        """What the face refuses by itself, after asking whether the user may ask at all."""
        refusal = found.refusal or _unfit(http, found.request)
        if refusal is None:
            return
        await self._access.authorizer.authorize(found.request)
        asked = found.request
        if isinstance(asked, Request) and asked.resource == "pods" and asked.subresource in ("exec", "attach"):
            await self._check_host(asked)
        raise refusal

    async def _check_host(self, asked: Request) -> None:
        """What is wrong with the pod is told before what is wrong with the way to it, as kube-apiserver does."""
        pod = structs.replace(asked, verb="get", subresource="", params=(), user=_OURSELVES)
        answer = await self._handle(pod)
        assert isinstance(answer, Answer)
        if answer.status >= 400:
            raise errors.decode(answer.status, answer.body)
        if not msgspec.json.decode(answer.body)["spec"].get("nodeName"):
            raise errors.bad_request(f"pod {asked.name} does not have a host assigned")

    def _in_pieces(self, http: HttpRequest, asked: AnyRequest) -> AnyRequest:
        """A list that goes out as it is need not be joined."""
        if not isinstance(asked, Request) or asked.verb != "list" or self._access.audit is not None:
            return asked
        as_it_is = negotiation.view_for(asked) == negotiation.PLAIN and not _indented(http)
        return structs.replace(asked, pieces=True) if as_it_is else asked

    def _render(self, http: HttpRequest, asked: AnyRequest, answer: AnyAnswer, audit_id: str) -> HttpAnswer:
        if isinstance(answer, Answer):
            return wire.complete(self._in_form(http, asked, answer), audit_id)
        if http.method == "HEAD":  # nobody would read, so nobody would close it
            wire.release(answer)
            raise errors.method_not_allowed()
        ended = self.metrics.opened(asked)
        if isinstance(answer, WatchAnswer):
            assert isinstance(asked, Request)
            include = views.include_of(_param(http, "includeObject"))
            view = views.EventView(negotiation.view_for(asked), include, self._clock.now, self._access.printer_for)
            return wire.watching(http, answer, view, audit_id, ended)
        if isinstance(answer, StreamAnswer):
            return wire.streaming(http, answer, audit_id, ended)
        if isinstance(answer, ForwardAnswer):
            return wire.forward(http, answer, ended)
        if isinstance(answer, TunnelAnswer):
            return wire.tunnel(answer, audit_id, ended)
        return wire.session(http, answer, ended)

    def _in_form(self, http: HttpRequest, asked: AnyRequest, answer: Answer) -> Answer:
        """The answer with its body as the client wants it."""
        if isinstance(asked, RawRequest) and asked.path == "/metrics" and answer.status == 200:
            # Whoever answers on HTTP counts it: these figures stand beside the server's own.
            return structs.replace(answer, body=answer.body + metrics.render(self.metrics.families()))
        if not answer.content_type.startswith("application/json") or _is_passed_on(asked):
            return answer
        body, content_type = answer.body, answer.content_type
        if isinstance(asked, Request):
            view = negotiation.PLAIN if _is_raw(asked) else negotiation.view_for(asked)
            if answer.status >= 400:
                view = View(view.media_type)
            if view != negotiation.PLAIN:
                include = views.include_of(_param(http, "includeObject"))
                body = views.shown(body, view, self._clock.now(), include, self._access.printer_for)
                content_type = view.media_type
        if content_type.startswith("application/json") and _indented(http):
            body = views.pretty(body)
        if body is answer.body:
            return answer
        return structs.replace(answer, body=body, content_type=content_type)


def _lasts(asked: AnyRequest) -> bool:
    """Whether the answer goes on for as long as somebody reads."""
    return isinstance(asked, Request) and (asked.verb in ("watch", "connect") or asked.subresource == "log")


def _unfit(http: HttpRequest, asked: AnyRequest) -> ApiError | None:
    """Why this request cannot be served whatever the server says."""
    if http.content is None:
        return errors.request_entity_too_large(f"limit is {http.body_limit or limits.BODY_BYTES}")
    if isinstance(asked, RawRequest):
        return None
    try:
        if asked.verb == "connect":
            if asked.subresource in ("exec", "attach"):
                wire.check_upgrade(http)
            elif asked.subresource == "portforward":
                wire.check_upgrade(http, wire.FORWARD_PROTOCOLS)
        elif not _is_raw(asked):
            if http.query:
                views.include_of(_param(http, "includeObject"))
            view = negotiation.view_for(asked)
            views.check_listed(view, asked.verb)
            if asked.verb == "watch" and view.media_type != "application/json":
                return errors.not_acceptable(("application/json;stream=watch",))
    except ApiError as error:
        return error
    return None


def _is_raw(asked: Request) -> bool:
    """Whether what is read is no object: its form is its own."""
    return asked.subresource == "log" or asked.verb == "connect" or _is_passed_on(asked)


def _is_passed_on(asked: AnyRequest) -> bool:
    """Whether a back end answers: what it says goes to the client as it is."""
    return isinstance(asked, Request) and asked.subresource.startswith("proxy")


def _may_be_passed_on(path: str) -> bool:
    """Proxies, and groups that are not built in, which another server may serve."""
    return "/proxy" in path or (path.startswith("/apis/") and path.split("/", 3)[2] not in _groups())


@functools.cache
def _groups() -> frozenset[str]:
    return frozenset(resource.group for resource in builtin())


def _as_it_came(http: HttpRequest) -> HttpCall:
    return HttpCall(
        method=http.method, path=http.path, query=http.query, headers=tuple(http.headers), peer=http.peer[0]
    )


def _param(http: HttpRequest, name: str) -> str:
    return next((value for key, value in http.query_pairs() if key == name), "") if http.query else ""


def _indented(http: HttpRequest) -> bool:
    """As kube-apiserver: when asked to, or when the client looks like a person."""
    wanted = _param(http, "pretty")
    if wanted:
        return wanted not in ("0", "false")
    return _looks_human(http.headers.get("user-agent") or "")


def _looks_human(agent: str) -> bool:
    return agent.startswith(_INDENTED_FOR)


def _socket_token(http: HttpRequest) -> str | None:
    """A browser cannot set headers on a WebSocket; its token comes as a subprotocol."""
    for offer in http.headers.tokens("sec-websocket-protocol"):
        if offer.startswith(WEBSOCKET_TOKEN):
            text = offer.removeprefix(WEBSOCKET_TOKEN)
            with contextlib.suppress(binascii.Error, UnicodeDecodeError):
                return "Bearer " + base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            return "Bearer "
    return None


@contextlib.asynccontextmanager
async def serve(
    face: HttpFace,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    wire_limits: Limits | None = None,
    now: Callable[[], float] | None = None,
) -> AsyncIterator[HttpServer]:
    """Serve the face for the block, on every address of the host. Raises ListenError, which names the address."""
    sockets: list[socket.socket] = await listen_tcp(host, port)
    server = HttpServer(face, sockets, tls=tls, limits=wire_limits, now=now, at_once=face.at_once)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server
        server.shutdown()

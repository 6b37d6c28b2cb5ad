"""Passing a request on to a back end: what kube-apiserver's proxies add, take away and rewrite.

Owns headers, redirects, links in HTML and the words for a back end that is not there. Who the back end is, the caller
has found out; what it answers is never looked at beyond that.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.messages import Answer, AnyAnswer, HttpCall, StreamAnswer, TunnelAnswer
from kube_actors.apiserver import limits, links
from kube_actors.wire import Unreachable, WireError

if TYPE_CHECKING:
    from kube_actors.wire.client import Reply

Headers = tuple[tuple[str, str], ...]

_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_OURS = frozenset({"authorization", "content-length", "audit-id", "x-forwarded-for", "x-forwarded-uri", "expect"})
"""Ours to set, or meant for us alone."""


class Backend(Struct, frozen=True, kw_only=True):
    """Where a request goes. path is percent-encoded; prefix is the part of the request's own path before it."""

    host: str
    port: int
    path: str
    prefix: str = ""
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    headers: Headers = ()
    host_header: str = ""


async def forward(call: HttpCall, body: bytes, backend: Backend) -> AnyAnswer:
    """Ask the back end; its answer as it comes. Raises a 503 when it cannot be asked."""
    from kube_actors.wire.client import call as send  # lazy: only proxies need an HTTP client of their own

    if call.method in ("GET", "HEAD") and not backend.path:
        where = f"{call.path}/" + (f"?{call.query}" if call.query else "")
        return Answer(status=301, content_type="", headers=(("Location", where),))
    upgrade = _wants_upgrade(call)
    try:
        reply = await send(
            backend.host,
            backend.port,
            method=call.method,
            target=(backend.path or "/") + (f"?{call.query}" if call.query else ""),
            headers=_onward(call, backend, upgrade),
            body=body,
            tls=backend.tls,
            server_hostname=backend.server_name or None,
        )
    except WireError as error:
        raise errors.service_unavailable(f"error trying to reach service: {_in_go(error, backend)}") from None
    if reply.upgraded:
        return TunnelAnswer(pipe=reply, headers=reply.headers)
    if upgrade and reply.status < 400:
        reply.close()
        raise errors.server_failure(f"invalid upgrade response: status code {reply.status}")
    return await _answer(call, backend, reply)


def _onward(call: HttpCall, backend: Backend, upgrade: bool) -> Headers:
    """The request's headers for the back end."""
    named = {
        token.strip().lower() for name, value in call.headers if name == "connection" for token in value.split(",")
    }
    kept: list[tuple[str, str]] = []
    before = ""
    for name, value in call.headers:
        if name == "x-forwarded-for":
            before = f"{before}{value}, "
        if name in _OURS or name.startswith(("impersonate-", "x-remote-")):
            continue
        if name in _HOP or name in named or (name == "host" and backend.host_header):
            continue
        kept.append((name, value))
    if backend.host_header:
        kept.insert(0, ("host", backend.host_header))
    elif not any(name == "host" for name, _ in kept):
        kept.insert(0, ("host", f"{backend.host}:{backend.port}"))
    if upgrade:
        kept += [(name, value) for name, value in call.headers if name in ("connection", "upgrade")]
    else:
        kept.append(("connection", "close"))
    if call.peer:
        kept.append(("x-forwarded-for", before + call.peer))
    if backend.prefix:
        kept.append(("x-forwarded-uri", backend.prefix + backend.path))
    return (*kept, *backend.headers)


def _wants_upgrade(call: HttpCall) -> bool:
    return any(name == "connection" and "upgrade" in value.lower() for name, value in call.headers)


async def _answer(call: HttpCall, backend: Backend, reply: Reply) -> AnyAnswer:
    content_type, length = "", -1
    kept: list[tuple[str, str]] = []
    for name, value in reply.headers:
        low = name.lower()
        if low == "content-type":
            content_type = value
        elif low == "content-length":
            length = int(value) if value.isdigit() else -1
        elif low == "location":
            kept.append((name, links.rewritten(value, backend.prefix, _hosts(call, backend))))
        elif low not in _HOP and low not in ("audit-id", "date"):
            kept.append((name, value))
    headers = tuple(kept)
    html = content_type.partition(";")[0].strip().lower() == "text/html" and backend.prefix
    encoded = any(name.lower() == "content-encoding" for name, _ in headers)
    if call.method == "HEAD" or reply.status in (204, 304):
        reply.close()
        return Answer(status=reply.status, content_type=content_type, headers=headers)
    if 0 <= length <= limits.PROXY_WHOLE_BYTES or (html and not encoded):
        whole = await _whole(reply, backend)
        if whole is not None:
            if html and not encoded:
                whole = links.rewrite(whole, backend.prefix, _hosts(call, backend))
            return Answer(status=reply.status, body=whole, content_type=content_type, headers=headers)
    return StreamAnswer(stream=ReplyBody(reply), status=reply.status, content_type=content_type, headers=headers)


async def _whole(reply: Reply, backend: Backend) -> bytes | None:
    """The body, if it is short enough to be held."""
    parts: list[bytes] = []
    size = 0
    try:
        while data := await reply.receive_some():
            parts.append(data)
            size += len(data)
            if size > limits.PROXY_WHOLE_BYTES:
                reply.put_back(parts)
                return None
    except WireError as error:
        reply.close()
        raise errors.service_unavailable(f"error trying to reach service: {_in_go(error, backend)}") from None
    except BaseException:
        reply.close()
        raise
    reply.close()
    return b"".join(parts)


def _hosts(call: HttpCall, backend: Backend) -> tuple[str, ...]:
    """The names under which a page may mean the back end itself."""
    asked = next((value for name, value in call.headers if name == "host"), "")
    return ("", f"{backend.host}:{backend.port}", asked)


class ReplyBody:
    """The body of an answer that goes on, as a `ByteStream`."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def receive_some(self) -> bytes:
        try:
            return await self._reply.receive_some()
        except trio.ClosedResourceError:
            return b""

    def close(self) -> None:
        self._reply.close()


def _in_go(error: WireError, backend: Backend) -> str:
    """What went wrong, as Go's dialer says it."""
    where = f"[{backend.host}]:{backend.port}" if ":" in backend.host else f"{backend.host}:{backend.port}"
    if isinstance(error, Unreachable):
        return f"dial tcp {where}: {error.reason if error.timed_out else f'connect: {error.reason.lower()}'}"
    return str(error)

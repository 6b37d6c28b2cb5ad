"""Requests to another API server: found by its Service, told who the user is.

The server behind an APIService trusts the headers that name the user, since they come with this server's own client
certificate. Owns TLS contexts and these headers; the passing on is `forwarding`'s.
"""

from __future__ import annotations

import base64
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import (
    Answer,
    AnyAnswer,
    ByteStream,
    HttpCall,
    RawRequest,
    Request,
    StreamAnswer,
    UserInfo,
    WatchAnswer,
    WatchEvent,
)
from kube_actors.apiserver import backends, forwarding, limits
from kube_actors.apiserver.aggregation.book import FrontProxy, available
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.forwarding import Backend
from kube_actors.client.lines import Lines, parse_event
from kube_actors.client.rest import render
from kube_actors.wire import client_context

JSONObject = dict[str, Any]


async def resource(core: Core, service: JSONObject, request: Request) -> AnyAnswer:
    """A request on a resource that another server serves."""
    ours = await backends.extension(core, service)
    if ours is not None:
        return await ours.resource(request)
    if not available(service):
        raise errors.service_unavailable("service unavailable")
    call = request.http or _as_http(request)
    answer = await forwarding.forward(call, request.body, await _backend(core, service, call, request.user))
    if request.verb == "watch" and request.http is None and isinstance(answer, StreamAnswer) and answer.status == 200:
        return WatchAnswer(Events(answer.stream))  # a component of this process reads events, not lines
    return answer


async def get(core: Core, service: JSONObject, path: str, request: RawRequest) -> Answer:
    """GET of a document; a 503 when the server takes too long. The caller's Accept goes along."""
    ours = await backends.extension(core, service)
    if ours is not None:
        return await ours.document(request)
    headers: list[tuple[str, str]] = [("accept", request.accept)]
    if request.if_none_match:
        headers.append(("if-none-match", request.if_none_match))
    call = HttpCall(method="GET", path=path, query=urlencode(request.params), headers=tuple(headers))
    answer = await forwarding.forward(call, b"", await _backend(core, service, call, request.user))
    if isinstance(answer, StreamAnswer):
        parts: list[bytes] = []
        try:
            while data := await answer.stream.receive_some():
                parts.append(data)
                if sum(map(len, parts)) > limits.DOCUMENT_BYTES:
                    raise errors.service_unavailable("the document of an extension server is too long")
        finally:
            answer.stream.close()
        return Answer(
            status=answer.status, body=b"".join(parts), content_type=answer.content_type, headers=answer.headers
        )
    if not isinstance(answer, Answer):
        raise errors.service_unavailable("service unavailable")
    return answer


def _as_http(request: Request) -> HttpCall:
    rendered = render(request)
    headers = tuple((name.lower(), value) for name, value in rendered.headers)
    return HttpCall(method=rendered.method, path=rendered.path, query=urlencode(rendered.query), headers=headers)


async def _backend(core: Core, service: JSONObject, call: HttpCall, user: UserInfo) -> Backend:
    where = service["spec"]["service"]
    name = f"{where['name']}.{where['namespace']}.svc"
    try:
        host, port = await backends.choose(core, where["namespace"], where["name"], str(where.get("port") or 443))
    except ApiError:
        raise errors.service_unavailable("service unavailable") from None
    return Backend(
        host=host,
        port=port,
        path=call.path,
        tls=_context(core, service),
        server_name=name,
        headers=identity(user),
        host_header=name,
    )


def _context(core: Core, service: JSONObject) -> ssl.SSLContext:
    """Made once a revision of the APIService."""
    metadata, spec = service["metadata"], service["spec"]
    key = f"{metadata['name']}/{metadata.get('resourceVersion', '')}"
    found: ssl.SSLContext | None = core.aggregator.contexts.get(metadata["name"] + "/" + _trust(spec))
    if found is None:
        proxy: FrontProxy | None = core.aggregator.front_proxy() if core.aggregator.front_proxy is not None else None
        try:
            found = client_context(
                ca=base64.b64decode(spec["caBundle"]) if spec.get("caBundle") else None,
                certificate=proxy.certificate if proxy is not None else None,
                key=proxy.key if proxy is not None else None,
                verify=not spec.get("insecureSkipTLSVerify"),
            )
        except (ValueError, ssl.SSLError) as error:
            raise errors.service_unavailable(f"the caBundle of APIService {key} is no certificate: {error}") from None
        core.aggregator.contexts[metadata["name"] + "/" + _trust(spec)] = found
    return found


def _trust(spec: JSONObject) -> str:
    return f"{bool(spec.get('insecureSkipTLSVerify'))}{spec.get('caBundle') or ''}"


def identity(user: UserInfo) -> tuple[tuple[str, str], ...]:
    """Who asks, for a server that trusts us to know."""
    headers = [("X-Remote-User", user.name)]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    headers += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        headers += [(f"X-Remote-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)


class Events:
    """Lines of a watch as events."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._lines = Lines()
        self._waiting: deque[WatchEvent] = deque()

    async def receive_batch(self) -> Sequence[WatchEvent]:
        while data := await self._stream.receive_some():
            found = [parse_event(line) for line in self._lines.feed(data)]
            if found:
                return found
        return ()

    def close(self) -> None:
        self._stream.close()

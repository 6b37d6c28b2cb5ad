"""The way to an API server over HTTPS, ours or anybody's.

Requests go through one pool of connections; a watch holds one until it ends. A lost connection is `Unavailable`,
silence a `TransportTimeout`. Proxies named in the environment are not used: an API server is reached directly.
Nothing is opened before the first request.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import trio

from kube_actors.actors import Entropy
from kube_actors.api import errors
from kube_actors.api.messages import (
    Answer,
    AnyRequest,
    ByteStream,
    EventStream,
    Request,
    Session,
    WatchEvent,
)
from kube_actors.wire import Distrust, Limits, PeerGone, WireError, client_context

from . import limits
from .config import HTTPConfig
from .errors import KubeconfigError, ProtocolError, TransportError, TransportTimeout, Unavailable
from .lines import Lines, parse_event
from .rest import Rendered, render
from .transport import describe

if TYPE_CHECKING:
    from kube_actors.wire.dialing import Dial
    from kube_actors.wire.pool import Pool, PooledReply

_LOOPBACK = ("127.", "localhost", "::1")
_PORTS = {"http": 80, "https": 443}
_UNESCAPED = "/%:@!$&'()*+,;=~"


class HTTPTransport:
    """Asks an API server over HTTP(S). Close it with `aclose`, or use it as an async context manager.

    `dial` opens its connections; without one they are TCP.
    """

    def __init__(
        self,
        config: HTTPConfig,
        entropy: Entropy,
        *,
        timeout: float = limits.REQUEST_TIMEOUT_SECONDS,
        dial: Dial | None = None,
    ) -> None:
        self.config = config
        self._entropy = entropy
        self._timeout = timeout
        self._dial = dial
        self._connections: Pool | None = None
        self._tls: ssl.SSLContext | None = None
        self._token = config.token
        self._token_read_at = float("-inf")
        self._where = urlsplit(config.server)
        self._compressed = not (self._where.hostname or "").startswith(_LOOPBACK)

    async def __aenter__(self) -> HTTPTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; running watches end."""
        if self._connections is not None:
            self._connections.close()
        await trio.lowlevel.checkpoint()

    async def send(self, request: AnyRequest) -> Answer:
        rendered = render(request)
        with _named_errors(request), self._in_time(request, self._timeout):
            reply = await self._open(rendered, stream=False)
            return Answer(
                status=reply.status,
                body=await _whole(reply),
                content_type=_header(reply, "content-type"),
                headers=reply.headers,
            )
        raise AssertionError("unreachable: _in_time raises")

    async def open_watch(self, request: Request) -> EventStream:
        asked = request.options.timeout_seconds
        body = await self._open_body(request)
        deadline = float("inf") if asked is None else trio.current_time() + asked + limits.WATCH_GRACE_SECONDS
        return HTTPWatch(body, deadline)

    async def open_stream(self, request: AnyRequest) -> ByteStream:
        return await self._open_body(request)

    async def open_session(self, request: Request) -> Session:
        from .sessions import open_session  # lazy: heavy import (wsproto)

        rendered = render(request)
        key = self._entropy.integer(0, 2**128 - 1).to_bytes(16, "big")
        return await open_session(
            self._url(rendered),
            key=key,
            tls=self._tls_context(),
            server_hostname=self.config.server_name or None,
            headers=self._headers(rendered),
            what=describe(request),
            dial=self._dial,
        )

    async def _open_body(self, request: AnyRequest) -> _Body:
        """A response whose body is still to come, or the ApiError that its status is."""
        with _named_errors(request), self._in_time(request, self._timeout):
            reply = await self._open(render(request), stream=True)
            if reply.status < 400:
                return _Body(reply, describe(request))
            raise errors.decode(reply.status, await _whole(reply))
        raise AssertionError("unreachable: _in_time raises")

    async def _open(self, rendered: Rendered, *, stream: bool) -> PooledReply:
        coding = "gzip" if self._compressed and not stream else "identity"
        headers = (
            ("Host", self._where.netloc.rpartition("@")[2]),
            *self._headers(rendered),
            ("Accept-Encoding", coding),
        )
        return await self._pool().call(rendered.method, self._target(rendered), headers, rendered.body)

    def _target(self, rendered: Rendered) -> str:
        query = f"?{urlencode(rendered.query)}" if rendered.query else ""
        return f"{self._where.path.rstrip('/')}{quote(rendered.path, safe=_UNESCAPED)}{query}"

    def _url(self, rendered: Rendered) -> str:
        return f"{self._where.scheme}://{self._where.netloc}{self._target(rendered)}"

    def _headers(self, rendered: Rendered) -> Sequence[tuple[str, str]]:
        headers = [*rendered.headers, ("User-Agent", self.config.user_agent)]
        token = self._current_token()
        if token:
            headers.append(("Authorization", f"Bearer {token}"))
        if self.config.impersonate:
            headers.append(("Impersonate-User", self.config.impersonate))
            headers.extend(("Impersonate-Group", group) for group in self.config.impersonate_groups)
        return headers

    def _current_token(self) -> str:
        path, now = self.config.token_file, trio.current_time()
        if path and now - self._token_read_at > limits.TOKEN_REFRESH_SECONDS:
            try:
                self._token = Path(path).read_text().strip()
            except OSError as error:
                # A token read before may still do; without one nothing can.
                if not self._token:
                    raise KubeconfigError(f"{path}: cannot read the token: {error.strerror}") from error
            self._token_read_at = now
        return self._token

    def _tls_context(self) -> ssl.SSLContext | None:
        if not self.config.server.startswith("https:"):
            return None
        if self._tls is None:
            config = self.config
            try:
                self._tls = client_context(
                    ca=config.ca or None,
                    certificate=config.client_certificate or None,
                    key=config.client_key or None,
                    verify=not config.insecure,
                )
            except (ssl.SSLError, ValueError) as error:
                raise KubeconfigError(f"certificates for {config.server} cannot be used: {error}") from error
        return self._tls

    def _pool(self) -> Pool:
        if self._connections is None:
            from kube_actors.wire.pool import Pool  # lazy: heavy import (httptools)

            where = self._where
            if where.scheme not in _PORTS or not where.hostname:
                raise ValueError(f"{self.config.server!r} is no URL of a server")
            self._connections = Pool(
                where.hostname,
                where.port or _PORTS[where.scheme],
                connections=limits.CONNECTIONS,
                idle=limits.IDLE_CONNECTIONS,
                idle_seconds=limits.IDLE_CONNECTION_SECONDS,
                tls=self._tls_context(),
                server_hostname=self.config.server_name or None,
                limits=Limits(handshake_seconds=limits.CONNECT_TIMEOUT_SECONDS),
                dial=self._dial,
            )
        return self._connections

    @contextmanager
    def _in_time(self, request: AnyRequest, seconds: float) -> Iterator[None]:
        with trio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise TransportTimeout(f"{describe(request)}: no answer from {self.config.server} in {seconds:g} s")


@contextmanager
def _named_errors(request: AnyRequest | str) -> Iterator[None]:
    """The wire's exceptions as ours."""
    try:
        yield
    except Distrust as error:
        raise ProtocolError(f"{_words(request)}: {error}") from error
    except PeerGone as error:
        raise Unavailable(f"{_words(request)}: {error}") from error
    except (WireError, ValueError, zlib.error) as error:
        raise ProtocolError(f"{_words(request)}: {error}") from error
    except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
        raise Unavailable(f"{_words(request)}: the connection is closed") from error


def _words(request: AnyRequest | str) -> str:
    return request if isinstance(request, str) else describe(request)


def _header(reply: PooledReply, name: str) -> str:
    return next((value for key, value in reply.headers if key.lower() == name), "")


async def _whole(reply: PooledReply) -> bytes:
    """The body, as it was before it was packed for the way."""
    body = await reply.read()
    return zlib.decompress(body, 31) if body and _header(reply, "content-encoding") == "gzip" else body


class _Body:
    """A body being read."""

    def __init__(self, reply: PooledReply, what: str) -> None:
        self._reply = reply
        self._what = what
        self._closed = False

    async def receive_some(self) -> bytes:
        """The next chunk; b"" at the end and once closed. Unavailable when the connection breaks."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return b""
        try:
            with _named_errors(self._what):
                return await self._reply.receive_some()
        except TransportError:
            if not self._closed:
                self._reply.close()
                raise
            return b""  # closed while it was read

    def close(self) -> None:
        """Give the connection up; whoever reads is told the end."""
        if not self._closed:
            self._closed = True
            self._reply.close()


class HTTPWatch:
    """The `EventStream` of a watch over HTTP."""

    def __init__(self, body: _Body, deadline: float) -> None:
        self._body = body
        self._deadline = deadline
        self._lines = Lines()

    async def receive_batch(self) -> Sequence[WatchEvent]:
        while True:
            with trio.CancelScope(deadline=self._deadline) as scope:
                chunk = await self._body.receive_some()
            if scope.cancelled_caught:
                self.close()
                raise Unavailable("the watch went silent")
            if not chunk:
                if self._lines.unfinished:
                    raise Unavailable("the watch broke off within an event")
                return []
            lines = self._lines.feed(chunk)
            if lines:
                return [parse_event(line) for line in lines]

    def close(self) -> None:
        self._body.close()

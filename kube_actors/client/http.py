"""The way to an API server over HTTPS, ours or anybody's.

Requests go through one pool of connections; a watch holds one until it ends. A lost connection is `Unavailable`,
silence a `TransportTimeout`. Proxies named in the environment are not used: an API server is reached directly.
Nothing is opened before the first request.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

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
from kube_actors.wire.tls import client_context

from . import limits
from .config import HTTPConfig
from .errors import KubeconfigError, ProtocolError, TransportError, TransportTimeout, Unavailable
from .lines import Lines, parse_event
from .rest import Rendered, render
from .transport import describe

if TYPE_CHECKING:
    import httpx

_LOOPBACK = ("127.", "localhost", "::1")


class HTTPTransport:
    """Asks an API server over HTTP(S). Close it with `aclose`, or use it as an async context manager."""

    def __init__(
        self, config: HTTPConfig, entropy: Entropy, *, timeout: float = limits.REQUEST_TIMEOUT_SECONDS
    ) -> None:
        self.config = config
        self._entropy = entropy
        self._timeout = timeout
        self._client: httpx.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None
        self._token = config.token
        self._token_read_at = float("-inf")
        self._compressed = not (urlsplit(config.server).hostname or "").startswith(_LOOPBACK)

    async def __aenter__(self) -> HTTPTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; running watches end."""
        if self._client is not None:
            with trio.CancelScope(shield=True), trio.move_on_after(limits.CONNECT_TIMEOUT_SECONDS):
                await self._client.aclose()

    async def send(self, request: AnyRequest) -> Answer:
        rendered = render(request)
        with _named_errors(request), self._in_time(request, self._timeout):
            response = await self._open(request, rendered, stream=False)
            return Answer(
                status=response.status_code,
                body=response.content,
                content_type=response.headers.get("content-type", ""),
                headers=tuple(response.headers.multi_items()),
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
        )

    async def _open_body(self, request: AnyRequest) -> _Body:
        """A response whose body is still to come, or the ApiError that its status is."""
        with _named_errors(request), self._in_time(request, self._timeout):
            response = await self._open(request, render(request), stream=True)
            if response.status_code < 400:
                return _Body(response, describe(request))
            raise errors.decode(response.status_code, await response.aread())
        raise AssertionError("unreachable: _in_time raises")

    async def _open(self, request: AnyRequest, rendered: Rendered, *, stream: bool) -> httpx.Response:
        client = self._pool()
        headers = dict(self._headers(rendered))
        if stream or not self._compressed:
            headers["Accept-Encoding"] = "identity"
        extensions = {"sni_hostname": self.config.server_name} if self.config.server_name else None
        built = client.build_request(
            rendered.method, self._url(rendered), content=rendered.body or None, headers=headers, extensions=extensions
        )
        return await client.send(built, stream=stream)

    def _url(self, rendered: Rendered) -> str:
        query = f"?{urlencode(rendered.query)}" if rendered.query else ""
        return f"{self.config.server}{rendered.path}{query}"

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

    def _pool(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx  # lazy: heavy import

            self._client = httpx.AsyncClient(
                verify=self._tls_context() or False,
                trust_env=False,
                timeout=httpx.Timeout(None, connect=limits.CONNECT_TIMEOUT_SECONDS),
                limits=httpx.Limits(
                    max_connections=limits.CONNECTIONS,
                    max_keepalive_connections=limits.IDLE_CONNECTIONS,
                    keepalive_expiry=limits.IDLE_CONNECTION_SECONDS,
                ),
            )
        return self._client

    @contextmanager
    def _in_time(self, request: AnyRequest, seconds: float) -> Iterator[None]:
        with trio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            raise TransportTimeout(f"{describe(request)}: no answer from {self.config.server} in {seconds:g} s")


@contextmanager
def _named_errors(request: AnyRequest | str) -> Iterator[None]:
    """httpx's exceptions as ours."""
    import httpx  # lazy: heavy import

    what = request if isinstance(request, str) else describe(request)
    try:
        yield
    except (httpx.ConnectTimeout, httpx.NetworkError, httpx.RemoteProtocolError) as error:
        causes = list(_causes(error))
        kind = ProtocolError if any(map(_is_distrust, causes)) else Unavailable
        raise kind(f"{what}: {next(filter(None, map(str, causes)), type(error).__name__)}") from error
    except httpx.TimeoutException as error:
        raise TransportTimeout(f"{what}: {type(error).__name__}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise ProtocolError(f"{what}: {error}") from error
    except (trio.ClosedResourceError, trio.BrokenResourceError) as error:
        raise Unavailable(f"{what}: the connection is closed") from error


def _is_distrust(error: BaseException) -> bool:
    """One side does not trust the other's certificate: no passing trouble. (A lost connection is an SSLError too.)"""
    return isinstance(error, ssl.SSLCertVerificationError) or (
        isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it; httpx leaves its own message empty when trio's was."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class _Body:
    """A body being read. A read that is cancelled ends it, since its connection cannot be used any more."""

    def __init__(self, response: httpx.Response, what: str) -> None:
        self._what = what
        self._chunks: AsyncIterator[bytes] = response.aiter_raw()
        self._closed = False
        self._reading: trio.CancelScope | None = None

    async def receive_some(self) -> bytes:
        """The next chunk; b"" at the end and once closed. Unavailable when the connection breaks."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return b""
        chunk = b""
        with _named_errors(self._what), trio.CancelScope() as self._reading:
            try:
                chunk = await anext(self._chunks, b"")
            finally:
                self._reading = None
                # The end, an error and a cancellation all finish the response and give up its connection.
                self._closed = self._closed or not chunk
        return chunk

    def close(self) -> None:
        """Give the connection up. Closing takes a moment, which nobody has to wait for."""
        if self._closed:
            return
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
        else:
            trio.lowlevel.spawn_system_task(self._abandon)

    async def _abandon(self) -> None:
        """Read on, cancelled: the only way that closes all of httpx's nested generators."""
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                with _named_errors(self._what):
                    async for _ in self._chunks:
                        pass
            except TransportError:
                pass  # the connection is gone, which is what we want


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

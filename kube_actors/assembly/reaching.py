"""How a process of its own finds its API server: it waits for it, and says when it is away and when it is back.

Owns the first contact and what is told of the way since. A server that is away is waited for without end; one that
does not take our credentials, or a URL that can be none, is an error that names the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import trio

from kube_actors.actors import System
from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, AnyRequest, ByteStream, EventStream, Request, Session
from kube_actors.client import Client, HTTPTransport, TransportError, Unavailable

from .config import ConfigError

Tell = Callable[[str], None]

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
"""Pause between two tries of the first contact; it doubles from the one to the other."""

REFUSED = 401
FORBIDDEN = 403
REFUSED_TEXT = "it does not accept our credentials (401 Unauthorized)"


class Told:
    """A transport that tells, once for each change, that its server is away, refuses our credentials, or is back.

    So is what we are not allowed to do: whoever asks goes on asking, and nobody else would ever hear of it. Of several
    kinds of request that are forbidden at a time the first is told, and all stand in the story.
    """

    def __init__(self, inner: HTTPTransport, server: str, tell: Tell, record: Tell) -> None:
        self._inner = inner
        self._server = server
        self._tell = tell
        self._record = record
        self._trouble = ""
        self._met = False
        self._forbidden: set[tuple[str, ...]] = set()

    async def send(self, request: AnyRequest) -> Answer:
        with self._noted(request):
            answer = await self._inner.send(request)
        self._note(REFUSED_TEXT if answer.status == REFUSED else "")
        if answer.status == FORBIDDEN:
            self._note_forbidden(request, errors.decode(answer.status, answer.body).message)
        elif self._forbidden and isinstance(request, Request):
            self._forbidden.discard(_kind_of(request))
        return answer

    async def open_watch(self, request: Request) -> EventStream:
        with self._noted(request):
            opened = await self._inner.open_watch(request)
        self._note("")
        self._forbidden.discard(_kind_of(request))
        return opened

    async def open_stream(self, request: AnyRequest) -> ByteStream:
        with self._noted(request):
            opened = await self._inner.open_stream(request)
        self._note("")
        return opened

    async def open_session(self, request: Request) -> Session:
        with self._noted(request):
            opened = await self._inner.open_session(request)
        self._note("")
        return opened

    @contextmanager
    def _noted(self, request: AnyRequest) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            self._note(f"it cannot be reached ({_cause(error)})")
            raise
        except ApiError as error:
            self._note(REFUSED_TEXT if error.code == REFUSED else "")
            if error.code == FORBIDDEN:
                self._note_forbidden(request, error.message)
            raise

    def _note_forbidden(self, request: AnyRequest, message: str) -> None:
        # Admission says 403 too, of objects; that is for whoever made them. The first contact asks for a path, and
        # raises what it is told.
        if not isinstance(request, Request) or 'User "' not in message or '" cannot ' not in message:
            return
        kind = _kind_of(request)
        if kind in self._forbidden:
            return
        if self._forbidden:
            self._record(f"403 {message}")
        else:
            self._say(f"403 {message}; trying again")
        self._forbidden.add(kind)

    def _note(self, trouble: str) -> None:
        self._met = self._met or not trouble
        if trouble == REFUSED_TEXT and not self._met:
            return  # the first contact raises it
        if bool(trouble) == bool(self._trouble):
            return
        self._trouble = trouble
        self._say(f"{trouble}; trying again" if trouble else "it answers again")

    def _say(self, line: str) -> None:
        self._record(line)
        self._tell(f"{self._server}: {line}")


async def first_contact(client: Client, server: str, credentials: str) -> None:
    """Return once the server has answered us. `credentials` names where ours are from.

    Raises ConfigError when the server refuses them, or when it cannot be such a server.
    """
    check_url(server)
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await client.get_raw("/api")
            return
        except ApiError as error:
            if error.code in (401, 403):
                said = error.message or "Unauthorized"
                raise ConfigError(f"{server} refuses {credentials}: {error.code} {said}") from None
            if error.code not in (429, 500, 502, 503, 504):
                raise ConfigError(f"{server} does not answer as an API server: {error.code} {error.message}") from None
        except Unavailable:
            pass  # told by the transport; it may come
        except TransportError as error:
            raise ConfigError(f"{server}: {error}") from None
        await trio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def client_of(transport: HTTPTransport, server: str, tell: Tell, system: System) -> Client:
    """A client whose troubles on the way are told, and stand in the story."""

    def record(line: str) -> None:
        system.story.tell("transport", server, detail=line)

    return Client(Told(transport, server, tell, record))


def _kind_of(request: Request) -> tuple[str, ...]:
    """What a permission is about; requests that differ in names alone are one kind."""
    return (request.verb, request.group, request.resource, request.subresource)


def check_url(server: str) -> None:
    """Raises ConfigError unless it is http(s)://HOST[:PORT]."""
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"server: {server!r} is not https://HOST:PORT")


def _cause(error: BaseException) -> str:
    """What stands behind the named request: the system's own words where there are some."""
    cause: BaseException | None = error
    said = str(error).partition(": ")[2] or str(error)
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(said.split())

"""The one vocabulary in which components talk: requests, answers, watch events and streams.

The same values travel over an in-process channel and, rendered as ordinary REST calls, over HTTP. Bodies are
bytes in both cases: nobody shares a mutable object with anybody, and an object is encoded once.

This module owns shapes only. It never sends, parses HTTP or interprets a body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "connect"]

JSON = "application/json"
YAML = "application/yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class UserInfo(Struct, frozen=True, kw_only=True):
    """Who asks, as authentication found out (authentication.k8s.io UserInfo)."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


ANONYMOUS = UserInfo(name="system:anonymous", groups=("system:unauthenticated",))


class Options(Struct, frozen=True, kw_only=True):
    """The query parameters of all verbs, parsed; a verb ignores those that are not its own.

    resource_version is kept as the client wrote it: whether it is a number is the server's to say.
    A delete's grace_seconds, propagation and preconditions may instead come in a DeleteOptions body.
    """

    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    limit: int = 0
    continue_: str = ""
    timeout_seconds: int | None = None
    allow_watch_bookmarks: bool = False
    send_initial_events: bool | None = None
    dry_run: tuple[str, ...] = ()
    field_manager: str = ""
    field_validation: str = ""
    force: bool | None = None
    grace_seconds: int | None = None
    propagation_policy: str = ""
    orphan_dependents: bool | None = None


NO_OPTIONS = Options()


class HttpCall(Struct, frozen=True, kw_only=True):
    """A request as it stood on the wire, for what is passed on to a back end (proxies).

    path is percent-encoded, query without the question mark; headers in order, names in lower case; peer is the
    client's address.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    peer: str = ""


class Request(Struct, frozen=True, kw_only=True):
    """One API request on a resource.

    group is "" for core; resource is the plural; name is "" for collections; subresource may have a tail for
    proxies ("proxy/some/path"). params are the raw query parameters that only a connect sub-resource reads
    (log, exec, attach, proxy), in order, repeated names kept.
    user is who asks: the channel's transport sets the component's identity, the HTTP face what
    authentication found.
    """

    verb: Verb
    group: str = ""
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: bytes = b""
    content_type: str = JSON
    accept: str = JSON
    options: Options = NO_OPTIONS
    params: tuple[tuple[str, str], ...] = ()
    user: UserInfo = ANONYMOUS
    user_agent: str = ""
    http: HttpCall | None = None
    pieces: bool = False
    """Whether the asker takes a long body in pieces."""


class RawRequest(Struct, frozen=True, kw_only=True):
    """A GET of a path that is no resource: discovery, OpenAPI, version, health, metrics."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    accept: str = JSON
    if_none_match: str = ""
    user: UserInfo = ANONYMOUS


class Answer(Struct, frozen=True, kw_only=True):
    """A finished answer. With status >= 400 the body is a Kubernetes Status."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    pieces: tuple[bytes, ...] = ()
    """The body in pieces, for those who take it so; `body` is then empty."""


EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]


class WatchEvent(Struct, frozen=True):
    """One watch event. object is the encoded object (ERROR: an encoded Status); many watchers share it."""

    type: EventType
    object: bytes
    revision: int

    def line(self) -> bytes:
        """The event as one line of a watch response body."""
        return b'{"type":"%s","object":%s}\n' % (self.type.encode(), self.object)


class EventStream(Protocol):
    """A watch that runs. Bounded: a reader too slow for its limit gets an ERROR event with 410 and the end."""

    async def receive_batch(self) -> Sequence[WatchEvent]:
        """Wait for events; give all that are there, in order. An empty batch is the end."""
        ...

    def close(self) -> None:
        """Free what the server holds for this watch; safe to call twice."""
        ...


class ByteStream(Protocol):
    """A body that goes on: a log being followed, a proxied answer."""

    async def receive_some(self) -> bytes:
        """Wait for bytes; b"" is the end."""
        ...

    def close(self) -> None: ...


# Channels of a remote command session, as in Kubernetes' channel.k8s.io WebSocket protocols.
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


class Session(Protocol):
    """A remote command (exec, attach): frames of (channel, bytes) both ways.

    Towards the container: STDIN bytes, RESIZE with {"Width":w,"Height":h} JSON, CLOSE with the one byte
    naming the channel that has ended (0: stdin). From it: STDOUT, STDERR, and last one ERROR frame with a Status:
    Success, or Failure with reason NonZeroExitCode and a cause of type ExitCode.
    """

    async def send(self, channel: int, data: bytes) -> None: ...

    async def receive(self) -> tuple[int, bytes] | None:
        """Wait for a frame; None is the end."""
        ...

    def close(self) -> None: ...


class WatchAnswer(Struct, frozen=True):
    """The answer to a watch."""

    stream: EventStream
    content_type: str = JSON


class StreamAnswer(Struct, frozen=True, kw_only=True):
    """The answer whose body is still being made."""

    stream: ByteStream
    status: int = 200
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


class SessionAnswer(Struct, frozen=True):
    """The answer to exec and attach."""

    session: Session


class Pipe(Protocol):
    """Bytes both ways, of a protocol that is nobody's business here."""

    async def send(self, data: bytes) -> None: ...

    async def receive_some(self) -> bytes:
        """Wait for bytes; b"" is the end."""
        ...

    def close(self) -> None: ...


class TunnelAnswer(Struct, frozen=True, kw_only=True):
    """The answer of a back end that has switched protocols: 101 with these headers, then bytes."""

    pipe: Pipe
    headers: tuple[tuple[str, str], ...] = ()


class ForwardAnswer(Struct, frozen=True, kw_only=True):
    """The answer to portforward: where the pod is, and the ports that were asked for at once."""

    address: str
    ports: tuple[int, ...] = ()


AnyAnswer = ForwardAnswer | Answer | WatchAnswer | StreamAnswer | SessionAnswer | TunnelAnswer
AnyRequest = Request | RawRequest

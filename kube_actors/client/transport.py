"""The way to an API server: the interface, and the in-process channel.

A transport carries requests and brings answers; it never looks into a body and never tries again. What goes wrong
on the way is a TransportError. An answer that says no is a value for `send` and an ApiError for the three that open
something, since there is nothing to open then.
"""

from __future__ import annotations

from typing import Protocol

import trio
from msgspec import structs

from kube_actors.actors import ActorStopped, Ask, Mailbox, MailboxClosed, MailboxFull
from kube_actors.api.messages import (
    Answer,
    AnyAnswer,
    AnyRequest,
    ByteStream,
    EventStream,
    RawRequest,
    Request,
    Session,
    SessionAnswer,
    StreamAnswer,
    TunnelAnswer,
    UserInfo,
    WatchAnswer,
)

from . import limits
from .answers import raise_for_status
from .errors import ProtocolError, TransportTimeout, Unavailable

APIMailbox = Mailbox[Ask[AnyRequest, AnyAnswer]]


class Transport(Protocol):
    """Carries requests to an API server."""

    async def send(self, request: AnyRequest) -> Answer:
        """The whole answer, whatever its status."""
        ...

    async def open_watch(self, request: Request) -> EventStream: ...

    async def open_stream(self, request: AnyRequest) -> ByteStream: ...

    async def open_session(self, request: Request) -> Session: ...


def release(answer: AnyAnswer) -> None:
    """Free what an answer holds that nobody is going to read."""
    match answer:
        case WatchAnswer(stream=stream):
            stream.close()
        case StreamAnswer(stream=body):
            body.close()
        case SessionAnswer(session=session):
            session.close()
        case TunnelAnswer(pipe=pipe):
            pipe.close()
        case _:
            pass


class _Question(Ask[AnyRequest, AnyAnswer]):
    """An ask that frees its answer when the asker has gone: an unread watch would be kept for ever."""

    __slots__ = ()

    def answer(self, value: AnyAnswer) -> None:
        if self.abandoned:
            release(value)
        super().answer(value)


class ChannelTransport:
    """Asks an API server in this process, as one user."""

    def __init__(
        self,
        mailbox: APIMailbox,
        user: UserInfo,
        user_agent: str = "",
        *,
        timeout: float = limits.REQUEST_TIMEOUT_SECONDS,
    ) -> None:
        self.user = user
        self.user_agent = user_agent
        self._mailbox = mailbox
        self._timeout = timeout

    async def send(self, request: AnyRequest) -> Answer:
        answer = await self._ask(request)
        if isinstance(answer, StreamAnswer):
            return await self._collect(answer)
        if not isinstance(answer, Answer):
            release(answer)
            raise ProtocolError(f"{type(answer).__name__} in answer to {describe(request)}")
        return answer

    async def open_watch(self, request: Request) -> EventStream:
        answer = await self._open(request)
        if isinstance(answer, WatchAnswer):
            return answer.stream
        release(answer)
        raise ProtocolError(f"{type(answer).__name__} in answer to {describe(request)}")

    async def open_stream(self, request: AnyRequest) -> ByteStream:
        answer = await self._open(request)
        if isinstance(answer, StreamAnswer):
            return answer.stream
        if isinstance(answer, Answer):
            return WholeBody(answer.body)
        release(answer)
        raise ProtocolError(f"{type(answer).__name__} in answer to {describe(request)}")

    async def open_session(self, request: Request) -> Session:
        answer = await self._open(request)
        if isinstance(answer, SessionAnswer):
            return answer.session
        release(answer)
        raise ProtocolError(f"{type(answer).__name__} in answer to {describe(request)}")

    async def _open(self, request: AnyRequest) -> AnyAnswer:
        answer = await self._ask(request)
        if isinstance(answer, Answer):
            raise_for_status(answer)
        return answer

    async def _ask(self, request: AnyRequest) -> AnyAnswer:
        at_once = self._mailbox.at_once
        if at_once is not None:
            answer: Answer | None = at_once(self.user, request)
            if answer is not None:
                await trio.lowlevel.checkpoint()
                return answer
        if isinstance(request, Request):
            question = _Question(structs.replace(request, user=self.user, user_agent=self.user_agent))
        else:
            question = _Question(structs.replace(request, user=self.user))
        try:
            with trio.move_on_after(self._timeout):
                try:
                    self._mailbox.post(question)
                except MailboxFull:
                    await self._mailbox.put(question)
                return await question.wait()
        except (ActorStopped, MailboxClosed) as error:
            raise Unavailable(f"{describe(request)}: {error}") from error
        raise TransportTimeout(f"{describe(request)}: no answer from {self._mailbox.name!r} in {self._timeout:g} s")

    async def _collect(self, answer: StreamAnswer) -> Answer:
        chunks: list[bytes] = []
        try:
            with trio.move_on_after(self._timeout):
                while chunk := await answer.stream.receive_some():
                    chunks.append(chunk)
                return Answer(
                    status=answer.status,
                    body=b"".join(chunks),
                    content_type=answer.content_type,
                    headers=answer.headers,
                )
        finally:
            answer.stream.close()
        raise TransportTimeout(f"the answer's body did not end within {self._timeout:g} s")


class WholeBody:
    """A finished body, read as a stream."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        body, self._body = self._body, b""
        return body

    def close(self) -> None:
        self._body = b""


def describe(request: AnyRequest) -> str:
    """A request in a few words, for messages."""
    if isinstance(request, RawRequest):
        return f"get {request.path}"
    parts = [request.resource + (f"/{request.subresource}" if request.subresource else "")]
    where = "/".join(part for part in (request.namespace, request.name) if part)
    return " ".join([request.verb, *parts, *([where] if where else [])])

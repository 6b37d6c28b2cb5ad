"""Keeping up with one collection: list it, watch it from there, list again when the thread is lost.

`Reflector` is the pure machine: `step(event, now, jitter)` says what to do next. `reflect` performs it over a client
and hands every change to a sink. The machine knows nothing of objects, only of revisions and of what went wrong.

    start -> List -> Watch -> (events) -> Watch again from the last revision when a watch ends
                 \\-> Wait -> List                     410 or a lost thread -> List without a revision
    stream mode: Watch(initial) takes the place of List, where the server can send initial events
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import trio
from msgspec import Struct

from kube_actors.actors import Entropy, System
from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import EventStream, WatchEvent

from . import limits
from .answers import ObjectList, read_head
from .client import Client
from .errors import TransportError

# Events


class Started(Struct, frozen=True):
    """The reflector begins."""


class Listed(Struct, frozen=True):
    """A list arrived and was handed to the sink."""

    resource_version: str


class Synced(Struct, frozen=True):
    """A watch has sent all initial events."""

    resource_version: str


class Received(Struct, frozen=True):
    """Watch events (or a bookmark) were handed to the sink, up to this revision."""

    resource_version: str


class WatchEnded(Struct, frozen=True):
    """A watch ended without an error, `lasted` seconds after it was opened."""

    lasted: float


class Failed(Struct, frozen=True):
    """A list or watch failed. expired: the revision asked for is gone, or not there yet."""

    expired: bool = False
    unsupported: bool = False


class Waited(Struct, frozen=True):
    """The pause is over."""


Event = Started | Listed | Synced | Received | WatchEnded | Failed | Waited

# Effects


class List(Struct, frozen=True):
    """List the collection; "" asks for the newest state, "0" for any, a number for one not older."""

    resource_version: str


class Watch(Struct, frozen=True):
    """Watch from a revision; with initial, have the present state sent first."""

    resource_version: str
    initial: bool = False


class Wait(Struct, frozen=True):
    seconds: float


class Go(Struct, frozen=True):
    """Carry on with the watch that is open."""


Effect = List | Watch | Wait | Go


class Reflector:
    """The pure machine. jitter is a number in [0, 1) and only read when a pause is computed."""

    def __init__(self, mode: Literal["list", "stream"] = "list") -> None:
        self.mode = mode
        self.state: Literal["new", "listing", "streaming", "watching", "waiting"] = "new"
        self.resource_version = ""
        self.relists = 0
        self._lost = False
        self._relisting = False
        self._received = False
        self._pause = limits.REFLECTOR_BACKOFF_INITIAL_SECONDS
        self._failed_at: float | None = None

    def step(self, event: Event, now: float, jitter: float = 0.0) -> Effect:
        """What to do after something happened."""
        match event:
            case Started() | Waited():
                return self._resume()
            case Listed(resource_version=version) | Synced(resource_version=version):
                return self._synced(version)
            case Received(resource_version=version):
                self._received = True
                self._relisting = False
                if self.state == "watching" and version:
                    self.resource_version = version
                return Go()
            case WatchEnded(lasted=lasted):
                # Ended at once and empty: a server on its way down; asking again at once would be a hot loop.
                if not self._received and lasted < limits.SHORT_WATCH_SECONDS:
                    return self._wait(now, jitter)
                self._relisting = False
                return self._resume()
            case Failed(expired=expired, unsupported=unsupported):
                if unsupported and self.state == "streaming":
                    self.mode = "list"
                    return self._resume()
                if expired and self.state in ("watching", "listing"):
                    # Expiry is part of the protocol, not a fault: list anew at once, from the newest state.
                    # But not if a list has just brought nothing but the next expiry.
                    first = not self._relisting
                    self._lost = self._relisting = True
                    if first:
                        self.state = "listing"
                        return self._resume()
                return self._wait(now, jitter)

    def _synced(self, version: str) -> Effect:
        self.relists += 1
        self._lost = False
        streaming = self.state == "streaming"
        self.state = "watching"
        self.resource_version = version
        if streaming:
            return Go()
        self._received = False
        return Watch(version)

    def _resume(self) -> Effect:
        """Watch from where we are if the thread is not lost; otherwise get the whole state."""
        self._received = False
        if self.resource_version and not self._lost and self.state in ("waiting", "watching"):
            self.state = "watching"
            return Watch(self.resource_version)
        if self.mode == "stream":
            self.state = "streaming"
            return Watch("", initial=True)
        self.state = "listing"
        return List("" if self._lost else self.resource_version or "0")

    def _wait(self, now: float, jitter: float) -> Effect:
        if self._failed_at is not None and now - self._failed_at > limits.REFLECTOR_BACKOFF_RESET_SECONDS:
            self._pause = limits.REFLECTOR_BACKOFF_INITIAL_SECONDS
        self._failed_at = now
        seconds = self._pause * (1.0 + limits.REFLECTOR_BACKOFF_JITTER * jitter)
        self._pause = min(self._pause * 2.0, limits.REFLECTOR_BACKOFF_MAX_SECONDS)
        self.state = "waiting"
        return Wait(seconds)


class Sink(Protocol):
    """Where a reflector puts what it learns. Synchronous: it must not block."""

    def replace(self, listed: ObjectList[Any]) -> None:
        """This is the whole state now."""
        ...

    def begin(self) -> None:
        """Initial events follow; collect them until `end`."""
        ...

    def apply(self, events: Sequence[WatchEvent]) -> None:
        """These changes happened, in order. Bookmarks and errors are not among them."""
        ...

    def end(self) -> None:
        """The initial events are complete: what was collected is the whole state."""
        ...


class Selection(Struct, frozen=True, kw_only=True):
    """Which objects of a kind are meant."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class _Shell:
    """Performs the machine's effects over a client."""

    def __init__(
        self, client: Client, system: System, entropy: Entropy, kind: type[Any] | str, selection: Selection, sink: Sink
    ) -> None:
        self._client = client
        self._clock = system.clock
        self._entropy = entropy
        self._kind = kind
        self._selected = {
            "namespace": selection.namespace,
            "label_selector": selection.label_selector,
            "field_selector": selection.field_selector,
        }
        self._sink = sink
        self._stream: EventStream | None = None
        self._opened_at = 0.0
        self.trouble = ""

    async def perform(self, effect: Effect) -> Event:
        try:
            match effect:
                case List(resource_version=version):
                    return await self._list(version)
                case Watch(resource_version=version, initial=initial):
                    await self._open(version, initial)
                    return await self._receive()
                case Wait(seconds=seconds):
                    await trio.sleep(seconds)
                    return Waited()
                case Go():
                    return await self._receive()
        except ApiError as error:
            return self._failed(error)
        except TransportError as error:
            self.close()
            self.trouble = str(error)
            return Failed()

    def _failed(self, error: ApiError) -> Failed:
        self.close()
        self.trouble = f"{error.code} {error.reason}: {error}"
        return failure_of(error)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _list(self, version: str) -> Event:
        listed = await self._client.list_pages(self._kind, resource_version=version, **self._selected)  # type: ignore[arg-type]
        self._sink.replace(listed)
        return Listed(listed.resource_version)

    async def _open(self, version: str, initial: bool) -> None:
        self.close()
        extra: dict[str, Any] = {}
        if initial:
            self._sink.begin()
            extra = {"send_initial_events": True, "resource_version_match": "NotOlderThan"}
        self._stream = await self._client.open_watch(
            self._kind,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=self._entropy.integer(*limits.WATCH_TIMEOUT_SECONDS),
            **self._selected,
            **extra,
        )
        self._opened_at = self._clock.monotonic()

    async def _receive(self) -> Event:
        assert self._stream is not None
        batch = await self._stream.receive_batch()
        if not batch:
            self.close()
            self.trouble = "the watch ended at once"
            return WatchEnded(self._clock.monotonic() - self._opened_at)
        for index, event in enumerate(batch):
            if event.type == "ERROR":
                self._sink.apply(batch[:index])
                return self._failed(errors.decode(0, event.object))
            if event.type == "BOOKMARK":
                return self._bookmarked(batch, index)
        self._sink.apply(batch)
        return Received(str(batch[-1].revision))

    def _bookmarked(self, batch: Sequence[WatchEvent], index: int) -> Event:
        """Take a batch with a bookmark in it; the one that ends the initial events divides the batch."""
        before, rest = batch[:index], batch[index + 1 :]
        self._sink.apply(before)
        bookmark = batch[index]
        done = read_head(bookmark.object).ends_initial_events
        if done:
            self._sink.end()
        newest = bookmark.revision
        for event in rest:
            if event.type == "ERROR":
                return self._failed(errors.decode(0, event.object))
            if event.type != "BOOKMARK":
                self._sink.apply((event,))
            newest = event.revision
        return Synced(str(newest)) if done else Received(str(newest))


def failure_of(error: ApiError) -> Failed:
    """What a refusal means to the machine."""
    expired = (
        error.code == 410
        or error.is_expired
        or any(cause.reason == "ResourceVersionTooLarge" for cause in error.details.causes)
    )
    return Failed(expired=expired, unsupported=error.code in (400, 422))


async def reflect(
    client: Client,
    system: System,
    kind: type[Any] | str,
    sink: Sink,
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    mode: Literal["list", "stream"] = "list",
) -> None:
    """Keep sink up to date with a collection until cancelled. Failures are waited out, never raised."""
    name = kind if isinstance(kind, str) else kind.__name__
    entropy = system.entropy.split(f"reflector/{name}/{selection}")
    machine = Reflector(mode)
    shell = _Shell(client, system, entropy, kind, selection, sink)
    try:
        event: Event = Started()
        while True:
            effect = machine.step(event, system.clock.monotonic(), entropy.random() if _pauses(event) else 0.0)
            if isinstance(effect, Wait):
                detail = f"{shell.trouble} (again in {effect.seconds:.1f} s)"
                system.story.tell(f"reflector/{name}", "has no watch", detail=detail)
            event = await shell.perform(effect)
    finally:
        shell.close()


def _pauses(event: Event) -> bool:
    """Draw only when a pause may be computed, so that events do not shift the random numbers of others."""
    return isinstance(event, Failed | WatchEnded)

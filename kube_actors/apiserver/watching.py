"""watch: a store's watch turned into Kubernetes' events.

Owns the initial state, the translation of selectors into ADDED and DELETED, bookmarks, and how a watch ends (its
timeout; 410 when history is gone or the reader is too slow). An event's bytes are the store's own, shared by all
watchers. Never buffers beyond the store's bounded stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import trio

from kube_actors.api import errors
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import EventType, WatchAnswer, WatchEvent
from kube_actors.apiserver import encoding, limits, reading, revisions
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.selection import Selection, selection_of
from kube_actors.store.contract import (
    Compacted,
    Entry,
    Event,
    Filed,
    FutureRevision,
    StoreClosed,
    WatchOverrun,
    WatchStream,
)
from kube_actors.store.feed import Watch

_END = "k8s.io/initial-events-end"


async def watch(call: Call) -> WatchAnswer:
    """Open a watch; what can be refused is refused here, what ends it later is an ERROR event."""
    options = call.options
    revisions.check_options(options, watch=True)
    selection = selection_of(call)
    revision = revisions.parse(options.resource_version)
    if revision is None:
        raise errors.bad_request(f"invalid resource version: {revisions.bad_revision(options.resource_version)}")
    prefix = call.kind.list_prefix(selection.namespace or call.namespace)
    initial: list[WatchEvent] = []
    wants_initial = options.send_initial_events
    if wants_initial is None:
        wants_initial = revision == 0
    if wants_initial:
        reading.check_not_future(call, revision)
        page = await reading.read_page(call, prefix, 0, "", 0, selection)
        revision = page.revision
        initial = [_added(call, entry) for entry in page.entries]
        if options.send_initial_events and options.allow_watch_bookmarks:
            initial.append(_bookmark(call, revision, last_initial=True))
    elif revision == 0:
        revision = call.core.store.revision
    failure = None
    filed = _filed(call, selection)
    stream: WatchStream | None = None
    try:
        stream = call.core.store.watch(prefix, after=revision, capacity=limits.WATCH_EVENTS, filed=filed)
    except Compacted as gone:
        failure = errors.too_old(gone.revision, gone.oldest)
    except FutureRevision:
        # Kubernetes opens such a watch and lets it wait for the revision to come.
        newest = call.core.store.revision
        stream = call.core.store.watch(prefix, after=newest, capacity=limits.WATCH_EVENTS, filed=filed)
    return WatchAnswer(Watching(call, selection, stream, initial, revision, failure))


def _filed(call: Call, selection: Selection) -> Filed | None:
    """A watch of one node's pods is not even woken by the pods of another."""
    for term in selection.fields.terms:
        if term.equal:
            return call.core.facets.sorter(call.kind, term.field), term.value
    return None


def _added(call: Call, entry: Entry) -> WatchEvent:
    return WatchEvent("ADDED", call.kind.load(entry.value), entry.modified)


def _bookmark(call: Call, revision: int, *, last_initial: bool = False) -> WatchEvent:
    metadata: dict[str, object] = {"resourceVersion": str(revision)}
    if last_initial:
        metadata["annotations"] = {_END: "true"}
    body = b'%b"metadata":%b}' % (call.kind.head, encoding.encode(metadata))
    return WatchEvent("BOOKMARK", body, revision)


Deliver = Callable[[Sequence[WatchEvent]], bool]
"""Takes events at once, or says that it cannot."""


class Watching:
    """The `EventStream` of one watch."""

    def __init__(
        self,
        call: Call,
        selection: Selection,
        stream: WatchStream | None,
        initial: Sequence[WatchEvent],
        after: int,
        failure: ApiError | None,
    ) -> None:
        self._call = call
        self._selection = selection
        self._stream = stream
        self._waiting: deque[WatchEvent] = deque(initial)
        self._after = after
        self._failure = failure
        self._bookmarks = call.options.allow_watch_bookmarks
        self._ends_at = trio.current_time() + _lifetime(call)
        self._next_bookmark = trio.current_time() + limits.BOOKMARK_SECONDS
        self._closed = False
        self._deliver: Deliver | None = None

    def lend(self, deliver: Deliver) -> None:
        """From now on live events may be handed to `deliver`, which says whether it took them, instead of waking the
        task that waits in `receive_batch`."""
        if isinstance(self._stream, Watch):
            self._deliver = deliver
            self._stream.notify = self._notify

    def _notify(self) -> None:
        self._call.core.fan_out.ready(self)

    def deliver(self) -> None:
        """See `Delivery`."""
        stream, deliver = self._stream, self._deliver
        assert isinstance(stream, Watch) and deliver is not None
        if stream.gathered > limits.DELIVERED_EVENTS or not deliver(self._events(stream.waiting())):
            stream.wake()
        else:
            stream.take()

    def wake(self) -> None:
        """See `Delivery`."""
        assert isinstance(self._stream, Watch)
        self._stream.wake()

    async def receive_batch(self) -> Sequence[WatchEvent]:
        """See `EventStream`."""
        if self._waiting or self._failure is not None:
            await trio.lowlevel.checkpoint()
        if self._waiting:
            batch = list(self._waiting)
            self._waiting.clear()
            return batch
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self.close()
            return [_error(failure)]
        while not self._closed and self._stream is not None:
            now = trio.current_time()
            if now >= self._ends_at:
                break
            if self._bookmarks and now >= self._next_bookmark:
                self._next_bookmark = now + limits.BOOKMARK_SECONDS
                return [_bookmark(self._call, max(self._stream.position, self._after))]
            until = min(self._ends_at, self._next_bookmark) if self._bookmarks else self._ends_at
            batch = await self._some(self._stream, until)
            if batch:
                return batch
        self.close()
        return []

    async def _some(self, stream: WatchStream, until: float) -> list[WatchEvent]:
        """What the store has by then, translated; may be empty."""
        events: Sequence[Event] = ()
        try:
            with trio.move_on_at(until):
                events = await stream.receive_batch()
        except (WatchOverrun, Compacted) as gone:
            wanted = gone.position if isinstance(gone, WatchOverrun) else gone.revision
            self.close()
            return [_error(errors.too_old(wanted, self._call.core.store.revision))]
        except StoreClosed:
            self.close()
            return []
        return self._events(events)

    def _events(self, events: Sequence[Event]) -> list[WatchEvent]:
        """What of it this watch is about, as it sees it."""
        if not self._selection:
            return [self._plain(event) for event in events if event.revision > self._after]
        found = []
        for event in events:
            translated = self._selected(event) if event.revision > self._after else None
            if translated is not None:
                found.append(translated)
        return found

    def _plain(self, event: Event) -> WatchEvent:
        """Thousands may watch the same kind, one after another: the last event is made once for all of them."""
        last = self._call.kind.last_event
        if last is not None and last[0] is event:
            return last[1]
        found = self._made(event)
        self._call.kind.last_event = (event, found)
        return found

    def _made(self, event: Event) -> WatchEvent:
        kind: EventType = "DELETED" if event.deleted else "ADDED" if event.previous is None else "MODIFIED"
        return WatchEvent(kind, self._call.kind.load(event.value), event.revision)

    def _selected(self, event: Event) -> WatchEvent | None:
        """An object that comes to match is ADDED, one that ceases to match is DELETED in its last matching state."""
        kind, facets = self._call.kind, self._call.core.facets
        previous = event.previous
        was = previous is not None and self._selection.matches(facets.get(kind, previous.modified, previous.value))
        now = not event.deleted and self._selection.matches(facets.get(kind, event.revision, event.value))
        if now:
            return WatchEvent("MODIFIED" if was else "ADDED", kind.load(event.value), event.revision)
        if not was or previous is None:
            return None
        value = event.value if event.deleted else previous.draft().stamp(event.revision)
        return WatchEvent("DELETED", kind.load(value), event.revision)

    def close(self) -> None:
        self._closed = True
        self._waiting.clear()
        if self._stream is not None:
            self._stream.close()


def _lifetime(call: Call) -> float:
    asked = call.options.timeout_seconds
    if asked:
        return float(asked)
    return limits.WATCH_TIMEOUT_SECONDS * (1.0 + call.core.system.entropy.random())


def _error(error: ApiError) -> WatchEvent:
    return WatchEvent("ERROR", error.status.encode(), 0)

"""Telling users what happened to an object, as Event objects in the API.

`EventRecorder.event` is synchronous and never blocks: what does not fit into the bounded queue is dropped and
counted. `run` writes events one after the other. A component never depends on whether an event arrived.
"""

from __future__ import annotations

from typing import Any, Literal

import trio
from msgspec import Struct

from kube_actors.actors import Mailbox, MailboxClosed, MailboxFull, System, idle_moment
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Event, EventSource, ObjectReference
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import limits
from .client import Client
from .correlate import Correlator, Occurrence, Verdict, Written
from .errors import TransportError


class RecorderStatistics(Struct, frozen=True, kw_only=True):
    """recorded: calls of `event`; dropped: for want of room; suppressed: floods; failed: the API refused."""

    recorded: int
    dropped: int
    suppressed: int
    created: int
    counted: int
    failed: int


def reference_to(value: Any, field_path: str = "") -> ObjectReference:
    """The reference by which an event names its object; a reference is given back as it is."""
    if isinstance(value, ObjectReference):
        return value
    metadata = value.metadata
    return ObjectReference(
        api_version=value.api_version,
        kind=value.kind,
        namespace=metadata.namespace or None,
        name=metadata.name,
        uid=metadata.uid or None,
        resource_version=metadata.resource_version or None,
        field_path=field_path or None,
    )


class EventRecorder:
    """Writes the events of one component (on one host)."""

    def __init__(self, client: Client, system: System, component: str, host: str = "") -> None:
        self._client = client
        self._system = system
        self._source = EventSource(component=component, host=host or None)
        self._entropy = system.entropy.split(f"events/{component}/{host}")
        self._queue: Mailbox[Occurrence] = Mailbox(limits.EVENT_QUEUE_CAPACITY, name=f"events/{component}")
        self._correlator = Correlator()
        self._recorded = self._dropped = self._suppressed = self._created = self._counted = self._failed = 0
        self._writing = False

    def event(
        self,
        about: Any,
        type: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        *,
        related: Any = None,
        field_path: str = "",
    ) -> None:
        """Note that something happened to an object (or to what an ObjectReference names)."""
        self._recorded += 1
        occurrence = Occurrence(
            about=reference_to(about, field_path),
            type=type,
            reason=reason,
            message=message,
            at=self._system.clock.now(),
            related=None if related is None else reference_to(related),
        )
        try:
            self._queue.post(occurrence)
        except (MailboxFull, MailboxClosed):
            self._dropped += 1

    @property
    def idle(self) -> bool:
        """Everything recorded so far has been written or given up."""
        return not self._writing and self._queue.statistics().depth == 0

    def statistics(self) -> RecorderStatistics:
        return RecorderStatistics(
            recorded=self._recorded,
            dropped=self._dropped,
            suppressed=self._suppressed,
            created=self._created,
            counted=self._counted,
            failed=self._failed,
        )

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            occurrence = await self._queue.receive()
            self._writing = True
            try:
                await self._let_others_go_first(occurrence)
                verdict = self._correlator.judge(occurrence)
                if verdict is None:
                    self._suppressed += 1
                else:
                    await self._write(occurrence, verdict)
            finally:
                self._writing = False

    async def _let_others_go_first(self, occurrence: Occurrence) -> None:
        """What happens to an object matters more than the word of it, so an event is written in an idle moment."""
        if self._queue.statistics().depth > limits.EVENT_QUEUE_CAPACITY // 2:
            return
        waited = self._system.clock.now() - occurrence.at
        await idle_moment(limits.EVENT_PATIENCE_SECONDS - waited, limits.EVENT_QUIET_SECONDS)

    async def _write(self, occurrence: Occurrence, verdict: Verdict) -> None:
        """Write with patience for a server that is away; a refusal is final."""
        for _ in range(limits.EVENT_ATTEMPTS):
            try:
                if verdict.previous is not None and await self._count(occurrence, verdict, verdict.previous):
                    return
                await self._create(occurrence, verdict)
                return
            except ApiError as error:
                if error.is_already_exists:
                    continue  # the generated name is taken; the next one is another
                if not error.is_retriable:
                    break
                await trio.sleep(limits.EVENT_RETRY_SECONDS)
            except TransportError:
                await trio.sleep(limits.EVENT_RETRY_SECONDS)
        self._failed += 1

    async def _count(self, occurrence: Occurrence, verdict: Verdict, previous: Written) -> bool:
        """Raise the count of an event; False when it is no longer there."""
        body = {"count": verdict.count, "lastTimestamp": format_time(occurrence.at), "message": verdict.message}
        try:
            await self._client.patch(Event, previous.name, body, namespace=previous.namespace, patch_type="strategic")
        except ApiError as error:
            if not error.is_not_found:
                raise
            self._correlator.lost(verdict)
            return False
        self._counted += 1
        written = Written(
            name=previous.name, namespace=previous.namespace, count=verdict.count, first_at=previous.first_at
        )
        self._correlator.wrote(verdict, written)
        return True

    async def _create(self, occurrence: Occurrence, verdict: Verdict) -> None:
        about = occurrence.about
        namespace = about.namespace or "default"
        # Nanoseconds keep names apart; the clock may be coarse or virtual, so the lowest digits are drawn.
        number = int(occurrence.at * 1_000_000) * 1000 + self._entropy.integer(0, 999_999)
        name = f"{about.name}.{number:x}"
        moment = format_time(occurrence.at)
        await self._client.create(
            Event(
                metadata=ObjectMeta(name=name, namespace=namespace),
                involved_object=about,
                reason=occurrence.reason,
                message=verdict.message,
                source=self._source,
                first_timestamp=moment,
                last_timestamp=moment,
                count=1,
                type=occurrence.type,
                related=occurrence.related,
                reporting_component=self._source.component,
                reporting_instance=self._source.host,
            )
        )
        self._created += 1
        self._correlator.wrote(verdict, Written(name=name, namespace=namespace, count=1, first_at=occurrence.at))

"""One pod's actor: feeds its machine with what happens and has the effects performed.

Owns the pod's state. It may be killed at any moment: the next one finds what runs by the pod's labels and goes on
from there. A newer version of the pod replaces one that still waits; everything else is taken in order.
"""

from __future__ import annotations

from functools import partial

import trio

from kube_actors.actors import Mailbox, MailboxClosed, MailboxFull
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import Pod, PodStatus
from runtimes.contract import Event as EngineEvent

from . import adoption, limits, machine, model, naming, observing
from .adoption import Found
from .context import NodeContext
from .model import PodStage, PodState
from .patience import patiently
from .performer import Performer
from .status import pod_status
from .status_writer import StatusWriter
from .volumes import VolumeError


class PodActor:
    """`found` is what the engine is known to have of the pod; None: the actor has to look."""

    def __init__(self, context: NodeContext, pod: Pod, found: Found | None) -> None:
        self.handled = 0
        self.mailbox: Mailbox[model.Event | EngineEvent] = Mailbox(limits.POD_INBOX, name=f"pod/{pod.metadata.name}")
        self.state: PodState | None = None
        self._context = context
        self._pod = pod
        self._found = found
        self._newest: Pod | None = None
        self._writer: StatusWriter | None = None
        self._performer: Performer | None = None
        self._relabelled = trio.Event()
        self._key = f"Pod {pod.metadata.namespace}/{pod.metadata.name}"

    # What others tell it; synchronous.

    def offer(self, pod: Pod) -> None:
        """The pod as the API has it now."""
        waiting = self._newest is not None
        self._newest = pod
        if not waiting:
            self._post(model.PodChanged(pod))

    def gone(self) -> None:
        self._post(model.PodGone())

    def observed(self, event: EngineEvent) -> None:
        """The engine says that something happened."""
        self._post(event)

    def compare(self, found: Found) -> None:
        """Events may have been lost: this is what the engine has now."""
        if self.state is not None:
            for event in observing.missed(self.state, found):
                self._post(event)

    def _post(self, event: model.Event | EngineEvent) -> None:
        try:
            self.mailbox.post(event)
        except (MailboxFull, MailboxClosed):
            # Level-triggered: dropping news is safe once the actor looks again, which its restart makes it do.
            self.mailbox.close()

    # Its life

    async def run(self) -> None:
        if self._found is None:
            uid = self._pod.metadata.uid
            self._found = await patiently(partial(observing.find_pod, self._context.runtime, uid))
        now = self._context.system.clock.now()
        state, effects, events = adoption.begin(self._pod, self._found, now)
        self.state = state
        async with trio.open_nursery() as nursery:
            performer = Performer(self._context, nursery, self._current, self._post, self._finalize, self._on_idle)
            self._performer = performer
            self._writer = StatusWriter(self._context.client, self._pod, self._status, self._is_busy)
            nursery.start_soon(self._writer.run)
            if performer.volumes.refreshable(self._pod):
                nursery.start_soon(self._refresh, performer)
            if self._found.sandboxes:
                # What volumes there are is known again once they have been looked at.
                await self._restore_volumes(performer)
            for effect in effects:
                performer.perform(effect)
            for event in events:
                self._take(event, performer)
            self._writer.changed()
            await self._live(performer)
            nursery.cancel_scope.cancel()

    async def _live(self, performer: Performer) -> None:
        assert self._writer is not None
        while self._current().stage is not PodStage.DONE:
            before = self._current()
            for message in await self._receive():
                self.handled += 1
                if isinstance(message, EngineEvent):
                    self._engine_event(message, performer)
                    continue
                if isinstance(message, model.PodChanged) and self._newest is not None:
                    message, self._newest = model.PodChanged(self._newest), None
                self._take(message, performer)
            if _shows(before, self._current()):
                self._writer.changed()
            if _relabels(before, self._current()):
                self._relabelled.set()

    async def _receive(self) -> list[model.Event | EngineEvent]:
        due = machine.wake(self._current())
        if due is None:
            return [await self.mailbox.receive(), *self.mailbox.drain()]
        with trio.move_on_after(max(0.0, due - self._context.system.clock.now())):
            return [await self.mailbox.receive(), *self.mailbox.drain()]
        return [model.Tick()]

    def _take(self, event: model.Event, performer: Performer) -> None:
        before = self._current()
        self.state, effects = machine.step(before, event, self._context.system.clock.now())
        if self.state.stage is not before.stage:
            metadata = self._pod.metadata
            if self.state.stage in (PodStage.FINISHED, PodStage.CLEANING):
                self._context.released(metadata.uid)
            self._context.system.story.tell(
                self._context.config.name, self.state.stage.name.lower(), uid=metadata.uid, key=self._key
            )
        for effect in effects:
            performer.perform(effect)

    def _engine_event(self, event: EngineEvent, performer: Performer) -> None:
        if event.action != "died":
            return
        if event.subject == "sandbox":
            self._take(model.SandboxDied(event.id), performer)
            return
        name = event.labels.get(naming.CONTAINER_NAME, "")
        record = self._current().containers.get(name)
        if record is not None and record.stage is not model.Stage.STOPPING:
            # One that was told to stop is looked at by whoever stopped it.
            performer.inspect(name, event.id)

    def _is_busy(self) -> bool:
        """Whether more news is likely to come in a moment."""
        assert self._performer is not None
        return self._performer.busy > 0 or self.mailbox.statistics().depth > 0

    def _on_idle(self) -> None:
        if self._writer is not None:
            self._writer.settled()

    def _current(self) -> PodState:
        assert self.state is not None
        return self.state

    def _status(self, previous: PodStatus) -> PodStatus:
        return pod_status(self._current(), self._context.host, previous, self._context.system.clock.now())

    async def _restore_volumes(self, performer: Performer) -> None:
        try:
            await patiently(partial(performer.volumes.prepare, self._pod))
        except (ApiError, OSError, VolumeError):
            self._context.system.story.tell(self._context.config.name, "volumes not restored", key=self._key)

    async def _refresh(self, performer: Performer) -> None:
        """Keep files that follow the API's objects up to date: now and then, and at once when the pod gets another
        label or annotation. Some are files themselves; and to annotate a pod is how people ask for it."""
        period = self._context.config.volume_refresh_seconds
        while True:
            # What is fetched for one pod serves the others of its round, but not the next round.
            max_age = period / 2
            with trio.move_on_after(period):
                await self._relabelled.wait()
                self._relabelled, max_age = trio.Event(), 0.0
            state = self._current()
            if state.stage is PodStage.RUNNING:
                await patiently(partial(performer.volumes.refresh, state.pod, state.ips, max_age))

    async def _finalize(self) -> None:
        """The last status, then the object's end: only if it is still this pod, and being deleted."""
        assert self._writer is not None
        await self._writer.flush()
        if self._writer.lost:
            return
        metadata = self._pod.metadata
        delete = partial(
            self._context.client.delete,
            Pod,
            metadata.name,
            namespace=metadata.namespace,
            grace_seconds=0,
            uid=metadata.uid,
        )
        try:
            await patiently(delete)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise


def _shows(before: PodState, after: PodState) -> bool:
    """Whether a step may have changed the status; the echo of our own write does not."""
    if before.pod is after.pod:
        return before is not after
    old, new = before.pod.metadata, after.pod.metadata
    return (
        old.generation != new.generation
        or old.deletion_timestamp != new.deletion_timestamp
        or bool(after.pod.spec.readiness_gates)
        or before.containers is not after.containers
        or before.stage is not after.stage
    )


def _relabels(before: PodState, after: PodState) -> bool:
    """Whether a step brought other labels or annotations."""
    old, new = before.pod.metadata, after.pod.metadata
    return old is not new and (old.labels != new.labels or old.annotations != new.annotations)

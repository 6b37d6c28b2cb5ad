"""The one shell of all controllers: keys in, plans out, actions performed.

Owns the work queue, the workers, and the rule that a controller never acts on a cache older than its own writes:
a key whose last writes the caches do not show yet waits for them. It decides nothing about any kind.
"""

from __future__ import annotations

from typing import Any, Protocol

import trio
from msgspec import Struct

from kube_actors.actors import System
from kube_actors.api.errors import ApiError, server_failure
from kube_actors.client import Client, EventRecorder, ItemBackoff, TransportError, WorkQueue, key_of, split_key

from . import limits
from .caches import SharedCaches
from .contract import (
    Batch,
    Call,
    Chain,
    Confirm,
    Controller,
    Create,
    Delete,
    Emit,
    Fail,
    Outcome,
    Patch,
    Plan,
    Read,
    Single,
    Source,
    Told,
    Update,
)


class Unconfirmed(Exception):
    """The object that a plan was made for is another one by now, or is being deleted."""


class Written(Struct, frozen=True):
    """One write that a cache has yet to show. revision 0: a deletion."""

    kind: type[Any]
    key: str
    uid: str
    revision: int
    until: float


class Statistics(Struct, frozen=True, kw_only=True):
    """What a controller did since it started: keys looked at, actions performed, refusals, waits for a cache."""

    name: str
    reconciled: int
    actions: int
    refused: int
    waited: int
    depth: int


class Feed(Protocol):
    """Where keys come from. It outlives the actor that works on them, so a new actor gets a new queue."""

    @property
    def controller(self) -> Controller[Any]: ...

    @property
    def caches(self) -> SharedCaches: ...

    @property
    def queue(self) -> WorkQueue[str] | None: ...

    @property
    def written(self) -> dict[str, list[Written]]:
        """Writes that the caches have yet to show, by key; a new actor must know what the last one did."""
        ...

    async def open(self) -> WorkQueue[str]: ...


class CacheFeed:
    """Turns changes in the caches into keys."""

    def __init__(self, controller: Controller[Any], caches: SharedCaches) -> None:
        self.controller: Controller[Any] = controller
        self.caches = caches
        self.queue: WorkQueue[str] | None = None
        self.written: dict[str, list[Written]] = {}
        self.informers = []
        for source in controller.sources():
            informer = caches.watch(source)
            self.informers.append(informer)
            informer.add_handler(self._handler(source))

    def _handler(self, source: Source) -> Any:
        def handle(old: Any, new: Any) -> None:
            if self.queue is None:
                return
            delay = 0.0 if source.delay is None else source.delay(old, new)
            if source.change is not None:
                for key in source.change(old, new, self.caches):
                    self.queue.add_after(key, delay)
            if source.keys is not None:
                for obj in (old, new):
                    if obj is not None:
                        for key in source.keys(obj, self.caches):
                            self.queue.add_after(key, delay)

        return handle

    async def open(self) -> WorkQueue[str]:
        """A new queue with every key in it that a controller has to look at first."""
        for informer in self.informers:
            await informer.synced()
        pauses = limits.RETRY_SECONDS.get(
            self.controller.name, (limits.RETRY_INITIAL_SECONDS, limits.RETRY_MAX_SECONDS)
        )
        backoff: ItemBackoff[str] = ItemBackoff(*pauses)
        self.queue = WorkQueue(self.controller.name, backoff)
        for key in self.controller.initial(self.caches):
            self.queue.add(key)
        return self.queue


class Runner:
    """The actor of one controller."""

    def __init__(self, feed: Feed, client: Client, system: System, recorder: EventRecorder) -> None:
        self._feed = feed
        self._controller = feed.controller
        self._client = client
        self._system = system
        self._recorder = recorder
        # Only the echo of a kind that the controller watches brings a key back, so only for these does a key wait.
        self._watched = {source.kind for source in feed.controller.sources()}
        self._written = feed.written
        self._rests: dict[str, float] = {}
        self._actions = self._refused = self._waited = 0
        self.handled = 0

    def statistics(self) -> Statistics:
        return Statistics(
            name=self._controller.name,
            reconciled=self.handled,
            actions=self._actions,
            refused=self._refused,
            waited=self._waited,
            depth=0 if self._feed.queue is None else len(self._feed.queue),
        )

    async def run(self) -> None:
        """Work until cancelled."""
        queue = await self._feed.open()
        async with trio.open_nursery() as nursery:
            for number in range(self._controller.workers):
                nursery.start_soon(self._work, queue, name=f"{self._controller.name}/{number}")

    async def _work(self, queue: WorkQueue[str]) -> None:
        while True:
            key = await queue.get(patience_seconds=limits.PATIENCE_SECONDS)
            try:
                await self._reconcile(queue, key)
            finally:
                queue.done(key)

    async def _reconcile(self, queue: WorkQueue[str], key: str) -> None:
        """One look at one key."""
        patience = self._patience(key)
        if patience > 0.0:
            # The event that ends the wait mostly brings the key back; this is for keys that no event names.
            self._waited += 1
            queue.add_after(key, min(patience, limits.CACHE_POLL_SECONDS))
            return
        rest = self._rest(key)
        if rest > 0.0:
            self._waited += 1
            queue.add_after(key, rest)
            return
        self.handled += 1
        clock = self._system.clock
        began = clock.monotonic()
        observed = self._controller.observe(key, self._feed.caches, clock.now())
        if observed is None:
            queue.forget(key)
            return
        plan = self._controller.plan(observed)
        took = clock.monotonic() - began
        if took > limits.LONG_LOOK_SECONDS:
            self._rests[key] = began + took + min(took * limits.REST_FACTOR, limits.REST_MAX_SECONDS)
        try:
            again = await self._carry_out(key, plan)
        except Unconfirmed:
            self._tell("changed meanwhile", key)
            queue.add_rate_limited(key)
        except (ApiError, TransportError) as error:
            self._refused += 1
            self._tell("refused", key, detail=str(error))
            if isinstance(error, ApiError) and error.has_cause("NamespaceTerminating"):
                queue.forget(key)  # whatever is missing there need not be made any more
            else:
                queue.add_rate_limited(key)
        else:
            queue.forget(key)
            if again is not None:
                queue.add_after(key, again)

    def _rest(self, key: str) -> float:
        """For how long a key that takes long to look at is not looked at again; 0 once it may be.

        An object with thousands of others has news all the time. Looks that follow each other without a pause would
        cost as much as there is time, for no more than the last of them says.
        """
        until = self._rests.get(key)
        if until is None:
            return 0.0
        left = until - self._system.clock.monotonic()
        if left <= 0.0:
            del self._rests[key]
        return left

    async def _carry_out(self, key: str, plan: Plan) -> float | None:
        """Perform a plan to its end; when to look again. Raises what was refused and not handled."""
        results: list[Any] = []
        partial: list[Any] = []
        error: ApiError | None = None
        for action in plan.actions:
            partial = []
            try:
                if isinstance(action, Batch):
                    await self._perform_batch(key, action, partial)
                    results.append(tuple(partial))
                else:
                    results.append(await self._perform(key, action))
            except ApiError as refusal:
                error = refusal
                break
        if plan.then is not None:
            done = tuple(partial) if error is not None else ()
            rest = plan.then(Outcome(results=tuple(results), error=error, partial=done))
            again = await self._carry_out(key, rest)
            if rest.handled:
                error = None
        else:
            again = plan.requeue_after
        if error is not None:
            raise error
        return again

    async def _perform(self, key: str, action: Single) -> Any:
        """One action; a refusal that it tolerates gives None."""
        match action:
            case Emit():
                self._recorder.event(action.about, action.type, action.reason, action.message)
                return None
            case Call():
                return await action.ask(self._client)
            case Confirm():
                return await self._confirm(action)
            case Chain():
                return await self._perform_chain(key, action)
            case Fail():
                raise server_failure(action.message)
        self._actions += 1
        try:
            result = await self._write(key, action)
        except ApiError as error:
            if error.reason in action.tolerate:
                return None
            if not isinstance(action, Read):
                self._tell_failure(action.told, error)
            raise
        if not isinstance(action, Read):
            self._tell_success(action, result)
        return result

    async def _write(self, key: str, action: Create | Update | Patch | Delete | Read) -> Any:
        client = self._client
        if isinstance(action, Create):
            made = await client.create(action.obj)
            self._remember(key, made)
            return made
        if isinstance(action, Update):
            updated = await client.update(action.obj, subresource=action.subresource)
            self._remember(key, updated)
            return updated
        namespace, name = split_key(action.key)
        if isinstance(action, Read):
            return await client.get(action.kind, name, namespace=namespace)
        if isinstance(action, Patch):
            patched = await client.patch(
                action.kind,
                name,
                action.body,
                namespace=namespace,
                patch_type=action.patch_type,
                subresource=action.subresource,
            )
            self._remember(key, patched)
            return patched
        await client.delete(
            action.kind,
            name,
            namespace=namespace,
            uid=action.uid,
            resource_version=action.resource_version,
            grace_seconds=action.grace_seconds,
            propagation=action.propagation,
        )
        self._remember_deletion(key, action)
        return name

    async def _perform_chain(self, key: str, chain: Chain) -> tuple[Any, ...]:
        results = []
        for action in chain.actions:
            try:
                results.append(await self._perform(key, action))
            except ApiError as error:
                self._tell_failure(chain.told, error)
                raise
        return tuple(results)

    async def _perform_batch(self, key: str, batch: Batch, results: list[Any]) -> None:
        """Groups side by side; the first refusal of a group is raised once the group has ended."""
        waiting = list(batch.actions)
        size = limits.SLOW_START_INITIAL if batch.slow_start else len(waiting)
        while waiting:
            group, waiting = waiting[:size], waiting[size:]
            size = min(size * 2, limits.BURST_REPLICAS)
            errors: list[ApiError | TransportError] = []

            async def one(action: Single, errors: list[ApiError | TransportError] = errors) -> None:
                try:
                    results.append(await self._perform(key, action))
                except (ApiError, TransportError) as error:
                    errors.append(error)

            async with trio.open_nursery() as nursery:
                for action in group:
                    nursery.start_soon(one, action)
            if errors:
                raise errors[0]

    async def _confirm(self, action: Confirm) -> None:
        namespace, name = split_key(action.key)
        try:
            fresh = await self._client.get(action.kind, name, namespace=namespace)
        except ApiError as error:
            if error.is_not_found:
                raise Unconfirmed(action.key) from error
            raise
        if fresh.metadata.uid != action.uid or fresh.metadata.deletion_timestamp:
            raise Unconfirmed(action.key)

    # What the caches have yet to show

    def _remember(self, key: str, result: Any) -> None:
        version = result.metadata.resource_version
        if version.isdigit():
            self._wait_for(key, Written(type(result), key_of(result), result.metadata.uid, int(version), 0.0))

    def _remember_deletion(self, key: str, action: Delete) -> None:
        if isinstance(action.kind, type):
            self._wait_for(key, Written(action.kind, action.key, action.uid, 0, 0.0))

    def _wait_for(self, key: str, write: Written) -> None:
        if write.kind not in self._watched:
            return
        until = trio.current_time() + limits.CACHE_PATIENCE_SECONDS
        entry = Written(write.kind, write.key, write.uid, write.revision, until)
        self._written.setdefault(key, []).append(entry)

    def _patience(self, key: str) -> float:
        """How long the key should wait for its own writes to appear; 0 when all have."""
        waiting = self._written.get(key)
        if waiting is None:
            return 0.0
        now = trio.current_time()
        left = [write for write in waiting if write.until > now and not self._is_shown(write)]
        if left:
            self._written[key] = left
            return max(write.until for write in left) - now
        del self._written[key]
        return 0.0

    def _is_shown(self, write: Written) -> bool:
        informer = self._feed.caches.informer(write.kind)
        if informer is None:
            return True
        if write.revision:
            return int(informer.resource_version or 0) >= write.revision
        known = informer.get(write.key)
        return known is None or known.metadata.uid != write.uid or known.metadata.deletion_timestamp is not None

    # What others are told

    def _tell_success(self, action: Create | Update | Patch | Delete, result: Any) -> None:
        name = result if isinstance(result, str) else result.metadata.name
        uid = "" if isinstance(result, str) else result.metadata.uid
        self._system.story.tell(self._controller.name, type(action).__name__.lower(), uid=uid, key=name)
        told = action.told
        if told is not None and told.reason:
            self._recorder.event(told.about, told.type, told.reason, told.message.replace("{name}", name))

    def _tell_failure(self, told: Told | None, error: ApiError) -> None:
        # In a namespace that is going away nothing can be made, and that is nobody's news.
        if told is None or not told.failed_reason or error.has_cause("NamespaceTerminating"):
            return
        if error.reason in told.silent:
            return
        message = told.failed_message.replace("{error}", error.message)
        self._recorder.event(told.about, "Warning", told.failed_reason, message)

    def _tell(self, what: str, key: str, detail: str = "") -> None:
        self._system.story.tell(self._controller.name, what, key=key, detail=detail)

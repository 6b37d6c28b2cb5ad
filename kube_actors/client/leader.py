"""One of several may act: leader election on a coordination.k8s.io Lease.

`Election` is the pure machine: given what the Lease says and how the last write went, it says what to do. Clocks of
different hosts are never compared: a foreign lease counts as expired once *we* have seen it unchanged for its whole
duration by our own monotonic clock. `elected` is the shell: it waits for the lease, keeps it, and cancels the work
under it when it is lost.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from msgspec import Struct, structs

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_micro_time
from kube_actors.api.types.coordination_v1 import Lease, LeaseSpec
from kube_actors.api.types.meta_v1 import ObjectMeta

from . import limits
from .client import Client
from .errors import LeadershipLost, TransportError


class ElectionConfig(Struct, frozen=True, kw_only=True):
    """Which lease, who we are, and the periods: retry < renew deadline < duration."""

    name: str
    namespace: str
    identity: str
    duration_seconds: float = limits.LEASE_DURATION_SECONDS
    renew_deadline_seconds: float = limits.LEASE_RENEW_DEADLINE_SECONDS
    retry_seconds: float = limits.LEASE_RETRY_SECONDS

    def __post_init__(self) -> None:
        if not self.identity:
            raise ValueError("leader election needs an identity")
        if not self.renew_deadline_seconds < self.duration_seconds:
            raise ValueError("the lease duration must be longer than the renew deadline")
        if not self.retry_seconds * limits.LEASE_JITTER < self.renew_deadline_seconds:
            raise ValueError("the renew deadline must be longer than the retry period with its jitter")


# Events: what the shell found out


class Found(Struct, frozen=True):
    """What the API has; None when there is no such lease."""

    lease: Lease | None


class Held(Struct, frozen=True):
    """Our write went through; this is the lease now."""

    lease: Lease


class Refused(Struct, frozen=True):
    """A read or write failed, or somebody else wrote in between."""


# Effects


class Read(Struct, frozen=True):
    """Get the lease."""


class Write(Struct, frozen=True):
    """Create the lease (previous None) or replace it."""

    spec: LeaseSpec
    previous: Lease | None


class Pause(Struct, frozen=True):
    """Wait, then read again. leading says whether we lead meanwhile."""

    seconds: float
    leading: bool


class Lost(Struct, frozen=True):
    """We led and lead no more."""


Effect = Read | Write | Pause | Lost
Event = Found | Held | Refused


class Election:
    """The pure machine. now is monotonic; at is wall time and only ever written, never compared."""

    def __init__(self, config: ElectionConfig) -> None:
        self.config = config
        self.leading = False
        self.leader = ""
        self._observed: LeaseSpec | None = None
        self._observed_at = 0.0
        self._renewed_at = 0.0
        self._attempt_at = 0.0

    def step(self, event: Event, now: float, at: float, jitter: float = 0.0) -> Effect:
        """What to do after something was found out."""
        match event:
            case Found(lease=lease):
                return self._found(lease, now, at, jitter)
            case Held(lease=lease):
                self.leading = True
                # Counted from before the write was sent: others count from when they see it, which is later.
                self._renewed_at = self._attempt_at
                self._observe(lease.spec, now)
                return Pause(self.config.retry_seconds, True)
            case Refused():
                if self.leading and now - self._renewed_at >= self.config.renew_deadline_seconds:
                    return self._lose()
                return Pause(self._retry(jitter), self.leading)

    def deadline(self) -> float:
        """When leading ends unless renewed (monotonic)."""
        return self._renewed_at + self.config.renew_deadline_seconds

    def released(self) -> LeaseSpec | None:
        """What to write when we step down; None when we do not lead."""
        if not self.leading or self._observed is None:
            return None
        self.leading = False
        return structs.replace(self._observed, holder_identity="", lease_duration_seconds=1)

    def _found(self, lease: Lease | None, now: float, at: float, jitter: float) -> Effect:
        self._attempt_at = now
        if lease is None:
            return Write(self._spec(None, at), None)
        self._observe(lease.spec, now)
        holder = lease.spec.holder_identity or ""
        if holder == self.config.identity:
            return Write(self._spec(lease.spec, at), lease)
        if self.leading:
            return self._lose()
        if holder and now < self._observed_at + self._duration_of(lease.spec):
            return Pause(self._retry(jitter), False)
        return Write(self._spec(lease.spec, at), lease)

    def _observe(self, spec: LeaseSpec, now: float) -> None:
        self.leader = spec.holder_identity or ""
        if spec != self._observed:
            self._observed = spec
            self._observed_at = now

    def _lose(self) -> Effect:
        self.leading = False
        return Lost()

    def _duration_of(self, spec: LeaseSpec) -> float:
        return self.config.duration_seconds if spec.lease_duration_seconds is None else spec.lease_duration_seconds

    def _retry(self, jitter: float) -> float:
        return self.config.retry_seconds * (1.0 + (limits.LEASE_JITTER - 1.0) * jitter)

    def _spec(self, previous: LeaseSpec | None, at: float) -> LeaseSpec:
        stamp = format_micro_time(at)
        ours = previous is not None and previous.holder_identity == self.config.identity
        transitions = (previous.lease_transitions or 0) if previous is not None else 0
        return LeaseSpec(
            holder_identity=self.config.identity,
            lease_duration_seconds=max(1, round(self.config.duration_seconds)),
            acquire_time=previous.acquire_time if previous is not None and ours else stamp,
            renew_time=stamp,
            lease_transitions=transitions if ours or previous is None else transitions + 1,
        )


class LeaderElector:
    """Performs an election over a client."""

    def __init__(
        self,
        client: Client,
        system: System,
        config: ElectionConfig,
        *,
        on_new_leader: Callable[[str], None] | None = None,
    ) -> None:
        self.config = config
        self._client = client
        self._system = system
        self._entropy = system.entropy.split(f"leader/{config.name}/{config.identity}")
        self._election = Election(config)
        self._on_new_leader = on_new_leader
        self._announced = ""
        self._lease: Lease | None = None

    @property
    def leading(self) -> bool:
        return self._election.leading

    @property
    def leader(self) -> str:
        """Who led when we last looked; "" when nobody did."""
        return self._election.leader

    async def acquire(self) -> None:
        """Wait until we lead."""
        while True:
            pause = await self._round()
            if pause.leading:
                return
            await trio.sleep(pause.seconds)

    async def keep(self) -> None:
        """Renew until the lease is lost; then LeadershipLost."""
        seconds = self.config.retry_seconds
        while self._election.leading:
            # A write that hangs must not outlast the lease: others may lead from then on.
            with trio.move_on_after(max(0.0, self._election.deadline() - self._system.clock.monotonic())) as scope:
                await trio.sleep(seconds)
                seconds = (await self._round()).seconds
            if scope.cancelled_caught:
                self._election.leading = False
        raise LeadershipLost(f"{self.config.identity} lost the lease {self.config.namespace}/{self.config.name}")

    async def release(self) -> None:
        """Step down, so that another can lead at once. Never fails: without it the lease just expires."""
        spec = self._election.released()
        if spec is None or self._lease is None:
            return
        try:
            await self._client.update(structs.replace(self._lease, spec=spec))
        except (ApiError, TransportError):
            self._system.story.tell(f"leader/{self.config.identity}", "could not release", key=self.config.name)

    async def _round(self) -> Pause:
        """One look at the lease, and one write if that is called for; gives the pause that is due."""
        effect: Effect = Read()
        while True:
            match effect:
                case Pause():
                    self._announce()
                    return effect
                case Lost():
                    self._announce()
                    return Pause(0.0, False)
                case _:
                    event = await self._perform(effect)
            effect = self._election.step(
                event, self._system.clock.monotonic(), self._system.clock.now(), self._entropy.random()
            )

    async def _perform(self, effect: Read | Write) -> Event:
        try:
            if isinstance(effect, Read):
                return Found(await self._client.get(Lease, self.config.name, namespace=self.config.namespace))
            if effect.previous is None:
                meta = ObjectMeta(name=self.config.name, namespace=self.config.namespace)
                self._lease = await self._client.create(Lease(metadata=meta, spec=effect.spec))
            else:
                self._lease = await self._client.update(structs.replace(effect.previous, spec=effect.spec))
            return Held(self._lease)
        except ApiError as error:
            if error.is_not_found and isinstance(effect, Read):
                return Found(None)
            return Refused()
        except TransportError:
            return Refused()

    def _announce(self) -> None:
        if self.leader and self.leader != self._announced:
            self._announced = self.leader
            self._system.story.tell(f"leader/{self.config.identity}", "new leader", detail=self.leader)
            if self._on_new_leader is not None:
                self._on_new_leader(self.leader)


@asynccontextmanager
async def elected(elector: LeaderElector, *, release: bool = True) -> AsyncIterator[None]:
    """Wait for the lease, then run the block under it.

    Losing the lease cancels the block and raises LeadershipLost. On the way out the lease is given back.
    """
    await elector.acquire()
    lost: LeadershipLost | None = None

    async def keep(scope: trio.CancelScope) -> None:
        nonlocal lost
        try:
            await elector.keep()
        except LeadershipLost as error:
            lost = error
            scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep, nursery.cancel_scope)
            yield
            nursery.cancel_scope.cancel()
    finally:
        if release:
            with trio.move_on_after(limits.LEASE_RELEASE_SECONDS, shield=True):
                await elector.release()
    if lost is not None:
        raise lost

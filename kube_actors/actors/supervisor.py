"""Supervision: a nursery whose children are restarted when they fail, and which fails itself when they fail too often.

A child is a factory of actors: every start gets a new one, since an actor's state is rebuilt, never repaired. The
pause before a restart doubles from failure to failure and is reset once the child has run for the whole window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal, Protocol

import trio
from msgspec import Struct

from . import limits
from .errors import Escalated
from .mailbox import MailboxStatistics
from .system import ActorStatistics, System


class Actor(Protocol):
    """Anything with a life. `run` returning means the work is done; raising means a failure."""

    async def run(self) -> None: ...


class RestartPolicy(Struct, frozen=True, kw_only=True):
    """When and how a child is started again.

    restart: "always" (also when run returns), "on_failure", or "never" (a failure escalates at once).
    limit failures within window_seconds escalate; limit None never does.
    """

    restart: Literal["always", "on_failure", "never"] = "on_failure"
    initial_seconds: float = limits.RESTART_INITIAL_SECONDS
    max_seconds: float = limits.RESTART_MAX_SECONDS
    limit: int | None = limits.RESTART_LIMIT
    window_seconds: float = limits.RESTART_WINDOW_SECONDS


DEFAULT_POLICY = RestartPolicy()


class Child:
    """One supervised place in the tree; the actor in it may change."""

    def __init__(
        self, supervisor: str, name: str, factory: Callable[[], Actor], policy: RestartPolicy, system: System
    ) -> None:
        self.name = name
        self.actor: Actor | None = None
        self.restarts = 0
        self.last_failure = ""
        self.done = trio.Event()
        self._supervisor = supervisor
        self._factory = factory
        self._policy = policy
        self._system = system
        self._failures: deque[float] = deque()
        self._scope = trio.CancelScope()
        self._stopping = False

    @property
    def alive(self) -> bool:
        return self.actor is not None

    def kill(self) -> None:
        """End the running actor where it stands, as a crash would; the supervisor starts a new one."""
        self._scope.cancel()

    def stop(self) -> None:
        """End the child for good."""
        self._stopping = True
        self._scope.cancel()

    def statistics(self) -> ActorStatistics:
        mailbox = getattr(self.actor, "mailbox", None)
        figures = mailbox.statistics() if mailbox is not None else None
        return ActorStatistics(
            name=self.name,
            alive=self.alive,
            restarts=self.restarts,
            handled=getattr(self.actor, "handled", 0),
            last_failure=self.last_failure,
            mailbox=figures if isinstance(figures, MailboxStatistics) else None,
        )

    async def live(self) -> None:
        """Run actors one after the other until the child is done, stopped, or has failed too often."""
        self._system.register(self.name, self.statistics)
        try:
            while await self._one_life():
                self.restarts += 1
                with trio.CancelScope() as self._scope:
                    await trio.sleep(self._pause())
                if self._stopping:
                    return
        finally:
            self._system.unregister(self.name)
            self.done.set()

    async def _one_life(self) -> bool:
        """One actor from start to end; whether another should follow."""
        failure: Exception | None = None
        with trio.CancelScope() as self._scope:
            if self._stopping:
                return False
            try:
                self.actor = self._factory()
                await self.actor.run()
            except Exception as error:  # supervision is what this is for; it is recorded, restarted or escalated
                failure = error
            finally:
                self.actor = None
        if self._stopping:
            return False
        if failure is None and not self._scope.cancelled_caught:
            return self._policy.restart == "always"
        self._record(failure)
        return True

    def _record(self, failure: Exception | None) -> None:
        """Remember a failure; escalate when there were too many."""
        self.last_failure = repr(failure) if failure is not None else "killed"
        self._system.story.tell(self.name, "failed", detail=self.last_failure)
        now = self._system.clock.monotonic()
        self._failures.append(now)
        while self._failures and now - self._failures[0] > self._policy.window_seconds:
            self._failures.popleft()
        limit = 1 if self._policy.restart == "never" else self._policy.limit
        if limit is not None and len(self._failures) >= limit:
            raise Escalated(self._supervisor, self.name, len(self._failures), failure) from failure

    def _pause(self) -> float:
        doubled = self._policy.initial_seconds * 2.0 ** max(0, len(self._failures) - 1)
        return min(doubled, self._policy.max_seconds)


class Supervisor:
    """Starts children and keeps them running. Make one with `open_supervisor`."""

    def __init__(self, name: str, system: System, nursery: trio.Nursery) -> None:
        self.name = name
        self.system = system
        self._nursery = nursery
        self.children: dict[str, Child] = {}

    def start(self, name: str, factory: Callable[[], Actor], policy: RestartPolicy = DEFAULT_POLICY) -> Child:
        """Start a child under a name that no living child has."""
        if name in self.children:
            raise ValueError(f"supervisor {self.name!r} already has a child {name!r}")
        child = Child(self.name, name, factory, policy, self.system)
        self.children[name] = child
        self._nursery.start_soon(self._keep, child, name=f"{self.name}/{name}")
        return child

    async def _keep(self, child: Child) -> None:
        try:
            await child.live()
        finally:
            self.children.pop(child.name, None)

    def cancel(self) -> None:
        """End all children for good."""
        self._nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_supervisor(name: str, system: System) -> AsyncIterator[Supervisor]:
    """A supervisor whose children live until they are done or the block is cancelled.

    Leaving the block waits for the children; call `cancel()` to end them. An escalation ends the block with
    `Escalated` (inside an ExceptionGroup, as trio has it).
    """
    async with trio.open_nursery() as nursery:
        yield Supervisor(name, system, nursery)

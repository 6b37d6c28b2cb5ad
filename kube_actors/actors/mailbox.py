"""Bounded mailboxes: one owner receives, anybody sends.

`Mailbox` is a queue. `KeyedMailbox` holds at most one message a key and the newest wins, for messages that are
states ("this is the Pod now"), not deeds. Posting is synchronous and may raise `MailboxFull`; `put` waits instead.
Neither ever buffers without bound. A mailbox outlives the actor that reads it, so a restarted actor finds what waits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import trio
from msgspec import Struct

from . import limits
from .errors import MailboxClosed, MailboxFull

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class MailboxStatistics(Struct, frozen=True, kw_only=True):
    """A mailbox's figures: depth now and at most (high_water), messages taken in, given out, replaced, refused."""

    name: str
    capacity: int
    depth: int
    high_water: int
    posted: int
    received: int
    replaced: int
    refused: int


class _Gate(ABC):
    """Counts, closing and the waiting of both sides; the part that both mailboxes share."""

    def __init__(self, capacity: int, name: str) -> None:
        if capacity < 1:
            raise ValueError(f"capacity of mailbox {name!r} must be at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self.closed = False
        self._readers = trio.lowlevel.ParkingLot()
        self._senders = trio.lowlevel.ParkingLot()
        self._posted = self._received = self._replaced = self._refused = self._high_water = 0

    @abstractmethod
    def _depth(self) -> int:
        """How many messages wait."""

    def _admit(self) -> None:
        if self.closed:
            raise MailboxClosed(self.name)
        if self._depth() >= self.capacity:
            self._refused += 1
            raise MailboxFull(self.name, self.capacity)

    def _added(self) -> None:
        self._posted += 1
        self._high_water = max(self._high_water, self._depth())
        self._readers.unpark()

    def _taken(self) -> None:
        self._received += 1
        self._senders.unpark()

    async def _wait_room(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self.closed and self._depth() >= self.capacity:
            await self._senders.park()

    async def _wait_message(self) -> None:
        await trio.lowlevel.checkpoint()
        while not self._depth():
            if self.closed:
                raise MailboxClosed(self.name)
            await self._readers.park()

    def close(self) -> None:
        """Take nothing more; what waits can still be received. Safe to call twice."""
        self.closed = True
        self._readers.unpark_all()
        self._senders.unpark_all()

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            name=self.name,
            capacity=self.capacity,
            depth=self._depth(),
            high_water=self._high_water,
            posted=self._posted,
            received=self._received,
            replaced=self._replaced,
            refused=self._refused,
        )


class Mailbox(_Gate, Generic[T]):
    """A bounded queue of messages, first in, first out."""

    def __init__(self, capacity: int = limits.MAILBOX_CAPACITY, *, name: str = "mailbox") -> None:
        super().__init__(capacity, name)
        self._messages: deque[T] = deque()
        self.at_once: Callable[..., Any] | None = None
        """Set by the owner while it serves: answers a question that only reads values which nobody changes, at once
        and in the asker's own task; None when it has to be asked. It touches nothing that the owner keeps."""

    def _depth(self) -> int:
        return len(self._messages)

    def post(self, message: T) -> None:
        """Leave a message without waiting. Raises MailboxFull or MailboxClosed."""
        self._admit()
        self._messages.append(message)
        self._added()

    async def put(self, message: T) -> None:
        """Leave a message, waiting for room. Raises MailboxClosed."""
        await self._wait_room()
        self.post(message)

    async def receive(self) -> T:
        """Wait for the oldest message. Raises MailboxClosed once closed and empty."""
        await self._wait_message()
        message = self._messages.popleft()
        self._taken()
        return message

    def drain(self) -> list[T]:
        """All that waits, at once."""
        messages = list(self._messages)
        self._messages.clear()
        for _ in messages:
            self._taken()
        return messages


class KeyedMailbox(_Gate, Generic[K, T]):
    """At most one message a key; a newer one takes the place of the waiting one. The capacity counts keys."""

    def __init__(self, capacity: int = limits.MAILBOX_CAPACITY, *, name: str = "mailbox") -> None:
        super().__init__(capacity, name)
        self._messages: OrderedDict[K, T] = OrderedDict()

    def _depth(self) -> int:
        return len(self._messages)

    def post(self, key: K, message: T) -> None:
        """Leave or replace the message for key. Raises MailboxFull (only for a new key) or MailboxClosed."""
        if key in self._messages and not self.closed:
            self._messages[key] = message
            self._posted += 1
            self._replaced += 1
            return
        self._admit()
        self._messages[key] = message
        self._added()

    async def put(self, key: K, message: T) -> None:
        """As post, waiting for room."""
        if key not in self._messages:
            await self._wait_room()
        self.post(key, message)

    async def receive(self) -> tuple[K, T]:
        """Wait for the key that has waited longest, and its newest message."""
        await self._wait_message()
        item = self._messages.popitem(last=False)
        self._taken()
        return item

    def discard(self, key: K) -> bool:
        """Forget what waits for key; whether anything did."""
        if self._messages.pop(key, None) is None:
            return False
        self._senders.unpark()
        return True

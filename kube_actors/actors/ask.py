"""Asking an actor: a message with a place for its answer.

The asker waits; the actor answers once, with a value or an exception. An actor that serves asks does so through
`serve`, which sees to it that every ask it took is answered, also when the actor is cancelled or crashes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

import outcome
import trio

from . import limits
from .errors import ActorStopped, AskTimeout, MailboxClosed
from .mailbox import Mailbox

Q = TypeVar("Q")
A = TypeVar("A")


class Ask(Generic[Q, A]):
    """One question under way. The actor calls `answer` or `fail`, once; a second call is an error of ours."""

    __slots__ = ("_error", "_value", "_waiter", "abandoned", "answered", "question")

    def __init__(self, question: Q) -> None:
        self.question = question
        self.abandoned = False
        self.answered = False
        self._value: A | None = None
        self._error: BaseException | None = None
        self._waiter: trio.lowlevel.Task | None = None

    def answer(self, value: A) -> None:
        self._value = value
        self._resolve()

    def fail(self, error: BaseException) -> None:
        self._error = error
        self._resolve()

    def _resolve(self) -> None:
        assert not self.answered, f"answered twice: {self.question!r}"
        self.answered = True
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            trio.lowlevel.reschedule(waiter)

    async def wait(self) -> A:
        """Wait for the answer; the asker's side. Being cancelled marks the ask abandoned."""
        if not self.answered:
            self._waiter = trio.lowlevel.current_task()

            def abort(_: object) -> trio.lowlevel.Abort:
                self._waiter = None
                self.abandoned = True
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        return cast(A, self._value)


async def ask(mailbox: Mailbox[Ask[Q, A]], question: Q, *, timeout: float | None = limits.ASK_TIMEOUT_SECONDS) -> A:
    """Post a question and wait for its answer.

    Raises what the actor answered with; AskTimeout after `timeout` seconds (None: never); MailboxClosed.
    A full mailbox makes the asker wait within the same time.
    """
    message: Ask[Q, A] = Ask(question)
    if timeout is None:
        await mailbox.put(message)
        return await message.wait()
    with trio.move_on_after(timeout):
        await mailbox.put(message)
        return await message.wait()
    raise AskTimeout(f"no answer from {mailbox.name!r} within {timeout:g} s")


async def serve(mailbox: Mailbox[Ask[Q, A]], handle: Callable[[Q], Awaitable[A]], *, concurrent: bool = True) -> None:
    """Answer asks until the mailbox closes: each in a task of its own, or one after the other.

    What `handle` raises becomes the asker's exception; the server goes on. On the way out everything taken
    and everything waiting is failed with ActorStopped.
    """

    async def one(message: Ask[Q, A]) -> None:
        try:
            message.answer(await handle(message.question))
        except Exception as error:  # the asker gets it, whatever it is; serving must go on
            message.fail(error)
        finally:
            if not message.answered:
                message.fail(ActorStopped(f"the actor behind {mailbox.name!r} stopped before it answered"))

    try:
        async with trio.open_nursery() as nursery:
            workers = _Workers(nursery, one)
            while True:
                try:
                    message = await mailbox.receive()
                except MailboxClosed:
                    workers.dismiss()
                    return
                if not concurrent:
                    if not message.abandoned:
                        await one(message)
                    continue
                for each in (message, *mailbox.drain()):
                    if not each.abandoned:
                        workers.give(each)
    finally:
        for message in mailbox.drain():
            message.fail(ActorStopped(f"the actor behind {mailbox.name!r} stopped"))


class _Workers(Generic[Q, A]):
    """Tasks that answer one ask after another: starting one for each ask would cost more than most answers do.

    There are as many as asks are under way at a time; of the idle ones a few stay.
    """

    def __init__(self, nursery: trio.Nursery, answer: Callable[[Ask[Q, A]], Awaitable[None]]) -> None:
        self._nursery = nursery
        self._answer = answer
        self._idle: list[trio.lowlevel.Task] = []
        self._dismissed = False

    def give(self, message: Ask[Q, A]) -> None:
        if self._idle:
            trio.lowlevel.reschedule(self._idle.pop(), outcome.Value(message))
        else:
            self._nursery.start_soon(self._work, message)

    def dismiss(self) -> None:
        """No more messages come: the idle ones end, and the others once they have answered."""
        self._dismissed = True
        while self._idle:
            trio.lowlevel.reschedule(self._idle.pop(), outcome.Value(None))

    async def _work(self, message: Ask[Q, A] | None) -> None:
        given: Ask[Q, A] | None = message
        try:
            while given is not None:
                await self._answer(given)
                given = None
                if self._dismissed or len(self._idle) >= limits.IDLE_WORKERS:
                    return
                task = trio.lowlevel.current_task()
                self._idle.append(task)

                def abort(_: object, task: trio.lowlevel.Task = task) -> trio.lowlevel.Abort:
                    if task in self._idle:
                        self._idle.remove(task)
                        return trio.lowlevel.Abort.SUCCEEDED
                    return trio.lowlevel.Abort.FAILED  # a message is on its way to it

                given = await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            if given is not None and not given.answered:
                given.fail(ActorStopped("the actor stopped before it answered"))

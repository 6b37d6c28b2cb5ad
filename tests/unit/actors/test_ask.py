"""Asking: one question, one answer, whatever happens to the actor."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from kube_actors.actors import ActorStopped, Ask, AskTimeout, Mailbox, MailboxClosed, ask, serve

Asks = Mailbox[Ask[int, int]]


async def double(question: int) -> int:
    if question < 0:
        raise ValueError("negative")
    return 2 * question


async def test_an_answer_comes_back() -> None:
    mailbox: Asks = Mailbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, mailbox, double)
        assert [await ask(mailbox, number) for number in range(5)] == [0, 2, 4, 6, 8]
        nursery.cancel_scope.cancel()


async def test_what_the_actor_raises_is_raised_at_the_asker_and_the_actor_goes_on() -> None:
    mailbox: Asks = Mailbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, mailbox, double)
        with pytest.raises(ValueError, match="negative"):
            await ask(mailbox, -1)
        assert await ask(mailbox, 1) == 2
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("concurrent", [True, False])
async def test_a_killed_actor_fails_what_it_took_and_what_waits(
    concurrent: bool, autojump_clock: trio.testing.MockClock
) -> None:
    mailbox: Asks = Mailbox()
    failures: list[int] = []

    async def never(question: int) -> int:
        await trio.sleep_forever()
        raise AssertionError

    async def asker(question: int) -> None:
        with pytest.raises(ActorStopped):
            await ask(mailbox, question)
        failures.append(question)

    async with trio.open_nursery() as askers:
        async with trio.open_nursery() as actors:
            actors.start_soon(lambda: serve(mailbox, never, concurrent=concurrent))
            for question in range(3):
                askers.start_soon(asker, question)
            await trio.testing.wait_all_tasks_blocked()
            actors.cancel_scope.cancel()
    assert sorted(failures) == [0, 1, 2]


async def test_an_ask_without_an_answer_times_out(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Asks = Mailbox(name="silent")
    with pytest.raises(AskTimeout, match="'silent' within 5 s"):
        await ask(mailbox, 1, timeout=5)


async def test_an_abandoned_ask_is_not_worked_on() -> None:
    mailbox: Asks = Mailbox()
    worked: list[int] = []

    async def work(question: int) -> int:
        worked.append(question)
        return question

    with trio.move_on_after(0):
        await ask(mailbox, 1, timeout=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asker_cancelled, mailbox)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, mailbox, work)
        assert await ask(mailbox, 3) == 3
        nursery.cancel_scope.cancel()
    assert worked == [3]


async def asker_cancelled(mailbox: Asks) -> None:
    await ask(mailbox, 2, timeout=None)


async def test_asking_a_closed_mailbox_is_an_error() -> None:
    mailbox: Asks = Mailbox(name="gone")
    mailbox.close()
    with pytest.raises(MailboxClosed, match="'gone'"):
        await ask(mailbox, 1)


async def test_answering_twice_is_our_bug() -> None:
    question: Ask[int, int] = Ask(1)
    question.answer(2)
    assert await question.wait() == 2
    with pytest.raises(AssertionError, match="twice"):
        question.answer(3)


async def test_serving_ends_when_the_mailbox_is_closed_and_empty() -> None:
    mailbox: Asks = Mailbox()
    answers: list[int] = []

    async def asker() -> None:
        answers.append(await ask(mailbox, 4))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asker)
            await trio.testing.wait_all_tasks_blocked()
            mailbox.close()
            await serve(mailbox, double)
    assert answers == [8]


async def test_whoever_still_answers_when_the_mailbox_closes_ends_too() -> None:
    mailbox: Asks = Mailbox()
    closed = trio.Event()

    async def slow(number: int) -> int:
        await closed.wait()
        return number

    answers: list[int] = []

    async def asker() -> None:
        answers.append(await ask(mailbox, 4))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asker)
            nursery.start_soon(serve, mailbox, slow)
            await trio.testing.wait_all_tasks_blocked()
            mailbox.close()
            await trio.testing.wait_all_tasks_blocked()
            closed.set()
    assert answers == [4]

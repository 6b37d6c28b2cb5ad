"""Mailboxes: bounded, ordered, counted; the keyed one keeps the newest."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.actors import KeyedMailbox, Mailbox, MailboxClosed, MailboxFull


async def test_messages_come_out_in_order_and_are_counted() -> None:
    mailbox: Mailbox[int] = Mailbox(3, name="m")
    for number in range(3):
        mailbox.post(number)
    assert [await mailbox.receive() for _ in range(3)] == [0, 1, 2]
    figures = mailbox.statistics()
    assert (figures.posted, figures.received, figures.depth, figures.high_water) == (3, 3, 0, 3)


async def test_a_full_mailbox_refuses_a_post_and_makes_a_put_wait(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Mailbox[str] = Mailbox(1, name="m")
    mailbox.post("first")
    with pytest.raises(MailboxFull, match="'m' is full"):
        mailbox.post("second")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, "second")
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.statistics().depth == 1
        assert await mailbox.receive() == "first"
    assert await mailbox.receive() == "second"
    assert mailbox.statistics().refused == 1


async def test_a_closed_mailbox_gives_what_waits_and_then_ends() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.post(1)
    mailbox.close()
    with pytest.raises(MailboxClosed):
        mailbox.post(2)
    assert await mailbox.receive() == 1
    with pytest.raises(MailboxClosed):
        await mailbox.receive()


async def test_closing_wakes_a_waiting_reader_and_a_waiting_sender() -> None:
    empty: Mailbox[int] = Mailbox()
    full: Mailbox[int] = Mailbox(1)
    full.post(0)
    ended: list[str] = []

    async def read() -> None:
        with pytest.raises(MailboxClosed):
            await empty.receive()
        ended.append("reader")

    async def send() -> None:
        with pytest.raises(MailboxClosed):
            await full.put(1)
        ended.append("sender")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked()
        empty.close()
        full.close()
    assert sorted(ended) == ["reader", "sender"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), min_size=1))
def test_the_newest_message_of_a_key_wins_and_keys_keep_their_turn(posts: list[tuple[str, int]]) -> None:
    async def scenario() -> None:
        mailbox: KeyedMailbox[str, int] = KeyedMailbox(3)
        for key, value in posts:
            mailbox.post(key, value)
        expected = dict(posts)
        turns = list(dict.fromkeys(key for key, _ in posts))
        received = [await mailbox.receive() for _ in turns]
        assert received == [(key, expected[key]) for key in turns]
        figures = mailbox.statistics()
        assert figures.replaced == len(posts) - len(turns)

    trio.run(scenario)


def test_a_keyed_mailbox_counts_keys_against_its_capacity() -> None:
    mailbox: KeyedMailbox[str, int] = KeyedMailbox(1)
    mailbox.post("a", 1)
    mailbox.post("a", 2)
    with pytest.raises(MailboxFull):
        mailbox.post("b", 1)
    assert mailbox.discard("a")
    assert not mailbox.discard("a")
    mailbox.post("b", 1)


def test_a_mailbox_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox(0)

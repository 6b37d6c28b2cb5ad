"""The work queue: each key once, one worker a key, nothing lost, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kube_actors.client import LimitedBackoff, QueueShutDown, TokenBucket, WorkQueue
from kube_actors.client.ratelimits import ItemBackoff


async def test_a_key_waits_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(3):
        queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_comes_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_done_with_a_key_that_nobody_has_is_an_error() -> None:
    queue: WorkQueue[str] = WorkQueue()
    with pytest.raises(ValueError, match="'a' is not being worked on"):
        queue.done("a")


async def test_delayed_keys_come_in_order_of_their_times(autojump_clock: trio.testing.MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("late", 10)
    queue.add_after("early", 5)
    start = trio.current_time()
    assert await queue.get() == "early"
    assert trio.current_time() - start == pytest.approx(5)
    assert await queue.get() == "late"
    assert trio.current_time() - start == pytest.approx(10)


async def test_the_earliest_of_several_times_counts(autojump_clock: trio.testing.MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue()
    start = trio.current_time()
    queue.add_after("a", 10)
    queue.add_after("a", 3)
    queue.add_after("a", 7)
    assert await queue.get() == "a"
    assert trio.current_time() - start == pytest.approx(3)
    queue.done("a")
    with trio.move_on_after(60) as scope:
        await queue.get()
    assert scope.cancelled_caught


async def test_a_waiting_worker_wakes_for_a_key_that_is_due_sooner(autojump_clock: trio.testing.MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken: list[tuple[str, float]] = []
    start = trio.current_time()

    async def worker() -> None:
        key = await queue.get()
        taken.append((key, round(trio.current_time() - start, 6)))

    async with trio.open_nursery() as nursery:
        queue.add_after("slow", 100)
        nursery.start_soon(worker)
        nursery.start_soon(worker)
        await wait_all_tasks_blocked()
        queue.add_after("quick", 1)
    assert taken == [("quick", 1), ("slow", 100)]


async def test_keys_due_at_once_go_to_all_workers(autojump_clock: trio.testing.MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken: list[str] = []

    async def worker() -> None:
        taken.append(await queue.get())

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for key in "abc":
                queue.add_after(key, 1)
                nursery.start_soon(worker)
    assert sorted(taken) == ["a", "b", "c"]


async def test_back_off_doubles_until_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    queue: WorkQueue[str] = WorkQueue(limiter=ItemBackoff(0.005, 0.03))
    delays = []
    for _ in range(5):
        delays.append(queue.add_rate_limited("a"))
        assert await queue.get() == "a"
        queue.done("a")
    assert delays == pytest.approx([0.005, 0.01, 0.02, 0.03, 0.03])
    assert queue.failures("a") == 5
    queue.forget("a")
    assert queue.add_rate_limited("a") == pytest.approx(0.005)
    assert queue.statistics().retried == 6


def test_one_bucket_limits_all_items() -> None:
    limiter: LimitedBackoff[str] = LimitedBackoff(ItemBackoff(0.001, 1), TokenBucket(rate=10, burst=2))
    assert [limiter.delay(key, 0.0) for key in "abcd"] == pytest.approx([0.001, 0.001, 0.1, 0.2])


async def test_shut_down_gives_out_what_is_ready_and_then_ends() -> None:
    queue: WorkQueue[str] = WorkQueue("pods")
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    assert await queue.get() == "a"
    with pytest.raises(QueueShutDown, match="'pods'"):
        await queue.get()


async def test_shut_down_wakes_waiting_workers() -> None:
    queue: WorkQueue[str] = WorkQueue()

    async def worker() -> None:
        with pytest.raises(QueueShutDown):
            await queue.get()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        nursery.start_soon(worker)
        await wait_all_tasks_blocked()
        queue.shut_down()


async def test_statistics_tell_what_there_is() -> None:
    queue: WorkQueue[str] = WorkQueue("q")
    queue.add("a")
    queue.add("b")
    queue.add_after("c", 60)
    await queue.get()
    figures = queue.statistics()
    assert (figures.name, figures.depth, figures.processing, figures.delayed) == ("q", 1, 1, 1)
    assert (figures.added, figures.high_water, figures.handled) == (2, 2, 0)
    assert not queue.idle


async def test_a_patient_worker_gets_a_key_once_for_many_changes_in_a_row() -> None:
    queue: WorkQueue[str] = WorkQueue()
    taken: list[str] = []

    async def worker() -> None:
        while True:
            key = await queue.get(patience_seconds=5.0)
            taken.append(key)
            queue.done(key)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker)
        for _ in range(20):
            queue.add("web")
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked(0.001)
        assert taken == ["web"]
        for number in range(100):
            queue.add(str(number))
        for _ in range(200):  # a long queue is worked on at once
            await trio.lowlevel.checkpoint()
        assert len(taken) > 90
        nursery.cancel_scope.cancel()

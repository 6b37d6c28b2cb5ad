"""Supervision in virtual time: back-off, kill, stop, escalation, statistics and the story."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from kube_actors.actors import (
    Entropy,
    Escalated,
    KeyedMailbox,
    Mailbox,
    RestartPolicy,
    System,
    VirtualClock,
    open_supervisor,
)


def system() -> System:
    return System(VirtualClock(), Entropy(1))


class Failing:
    """Fails a number of times, then lives on."""

    starts: list[float]

    def __init__(self, starts: list[float], failures: int) -> None:
        self.starts = starts
        self.failures = failures

    async def run(self) -> None:
        self.starts.append(trio.current_time())
        if len(self.starts) <= self.failures:
            raise RuntimeError(f"failure {len(self.starts)}")
        await trio.sleep_forever()


async def test_a_failed_actor_is_started_again_after_a_doubling_pause(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    begin = trio.current_time()
    async with open_supervisor("top", system()) as supervisor:
        policy = RestartPolicy(initial_seconds=1, max_seconds=4)
        child = supervisor.start("worker", lambda: Failing(starts, 4), policy)
        await trio.sleep(60)
        assert child.alive
        assert child.restarts == 4
        supervisor.cancel()
    assert [start - begin for start in starts] == pytest.approx([0, 1, 3, 7, 11])


async def test_too_many_failures_escalate_with_their_cause(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    with pytest.RaisesGroup(pytest.RaisesExc(Escalated, match="'top' gives up on 'worker' after 3 failures")):
        async with open_supervisor("top", system()) as supervisor:
            supervisor.start("worker", lambda: Failing(starts, 99), RestartPolicy(limit=3))
    assert len(starts) == 3


async def test_failures_outside_the_window_are_forgiven(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    async with open_supervisor("top", system()) as supervisor:
        policy = RestartPolicy(limit=2, window_seconds=10, initial_seconds=20, max_seconds=20)
        supervisor.start("worker", lambda: Failing(starts, 5), policy)
        await trio.sleep(500)
        supervisor.cancel()
    assert len(starts) == 6


async def test_a_killed_actor_is_replaced_by_a_new_one(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    the_system = system()
    async with open_supervisor("top", the_system) as supervisor:
        child = supervisor.start("worker", lambda: Failing(starts, 0))
        await trio.testing.wait_all_tasks_blocked()
        first = child.actor
        child.kill()
        await trio.sleep(1)
        assert child.actor is not None
        assert child.actor is not first
        assert child.last_failure == "killed"
        supervisor.cancel()
    assert [line.what for line in the_system.story.by("worker")] == ["failed"]


async def test_a_stopped_child_stays_stopped_and_its_name_is_free(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    async with open_supervisor("top", system()) as supervisor:
        child = supervisor.start("worker", lambda: Failing(starts, 0))
        with pytest.raises(ValueError, match="already has a child 'worker'"):
            supervisor.start("worker", lambda: Failing(starts, 0))
        await trio.testing.wait_all_tasks_blocked()
        child.stop()
        await child.done.wait()
        await trio.testing.wait_all_tasks_blocked()
        supervisor.start("worker", lambda: Failing(starts, 0)).stop()


async def test_an_actor_that_returns_is_done_unless_it_is_to_run_always(autojump_clock: MockClock) -> None:
    lives: list[str] = []

    class Brief:
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self) -> None:
            lives.append(self.name)
            await trio.sleep(1)

    async with open_supervisor("top", system()) as supervisor:
        supervisor.start("once", lambda: Brief("once"))
        supervisor.start("always", lambda: Brief("always"), RestartPolicy(restart="always", initial_seconds=1))
        await trio.sleep(3.5)
        supervisor.cancel()
    assert lives.count("once") == 1
    assert lives.count("always") == 2


async def test_statistics_tell_of_every_living_actor_and_its_mailbox(autojump_clock: MockClock) -> None:
    the_system = system()

    class Worker:
        handled = 7

        def __init__(self) -> None:
            self.mailbox: Mailbox[int] = Mailbox(9, name="worker")
            self.mailbox.post(1)

        async def run(self) -> None:
            await trio.sleep_forever()

    async with open_supervisor("top", the_system) as supervisor:
        supervisor.start("worker", Worker)
        await trio.testing.wait_all_tasks_blocked()
        (figures,) = the_system.statistics()
        assert (figures.name, figures.alive, figures.restarts, figures.handled) == ("worker", True, 0, 7)
        assert figures.mailbox is not None
        assert (figures.mailbox.depth, figures.mailbox.capacity) == (1, 9)
        supervisor.cancel()
    assert the_system.statistics() == []


async def test_the_mailbox_outlives_the_actor(autojump_clock: MockClock) -> None:
    mailbox: KeyedMailbox[str, int] = KeyedMailbox()
    handled: list[tuple[str, int]] = []

    class Reader:
        async def run(self) -> None:
            while True:
                item = await mailbox.receive()
                if item[1] < 0:
                    raise RuntimeError("poison")
                handled.append(item)

    async with open_supervisor("top", system()) as supervisor:
        supervisor.start("reader", Reader)
        mailbox.post("bad", -1)
        mailbox.post("good", 1)
        await trio.sleep(1)
        supervisor.cancel()
    assert handled == [("good", 1)]

"""Idle moments: after everybody else, before virtual time, and never later than patience allows."""

from __future__ import annotations

import trio

from kube_actors.actors import idle_moment


async def test_it_waits_until_everybody_else_waits() -> None:
    said: list[str] = []

    async def other() -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        said.append("worked")
        await trio.sleep_forever()

    async def idler() -> None:
        await idle_moment(10.0)
        said.append("idle")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(idler)
            nursery.start_soon(other)
            while len(said) < 2:
                await idle_moment(10.0)
            nursery.cancel_scope.cancel()
    assert said == ["worked", "idle"]


async def test_who_asks_for_quiet_comes_after_who_asks_for_none(autojump_clock: trio.testing.MockClock) -> None:
    said: list[str] = []

    async def idler(name: str, quiet: float) -> None:
        await idle_moment(10.0, quiet)
        said.append(name)
        await idle_moment(10.0, quiet)
        said.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(idler, "quiet", 0.001)
        nursery.start_soon(idler, "any", 0.0)
    assert said == ["any", "any", "quiet", "quiet"]
    assert trio.current_time() == 0.0


async def test_patience_ends(mock_clock: trio.testing.MockClock) -> None:
    ended = False

    async def idler() -> None:
        nonlocal ended
        await idle_moment(1.0)
        ended = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(idler)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert not ended
        mock_clock.jump(2.0)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert ended
        nursery.cancel_scope.cancel()


async def test_no_patience_is_no_wait() -> None:
    with trio.fail_after(5):
        await idle_moment(0.0)
        await idle_moment(-1.0)

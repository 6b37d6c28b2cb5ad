"""A program that runs asyncio beside a cluster on Docker keeps asyncio's own loops."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import trio
import trio_asyncio

import runtimes.docker.client  # noqa: F401  its import is what is tested


async def in_an_executor() -> int:
    with ThreadPoolExecutor(1) as executor:
        return await asyncio.get_running_loop().run_in_executor(executor, threading.get_ident)


def test_asyncio_in_another_thread_keeps_its_loop() -> None:
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(asyncio.run(in_an_executor())))
    thread.start()
    thread.join()
    assert len(answers) == 1 and answers[0] != thread.ident


def test_asyncio_in_this_thread_keeps_its_loop() -> None:
    loop = asyncio.new_event_loop()
    try:
        assert not isinstance(loop, trio_asyncio.TrioEventLoop | trio_asyncio.BaseTrioEventLoop)
        assert loop.run_until_complete(in_an_executor()) != threading.get_ident()
    finally:
        loop.close()


def test_trio_still_opens_a_loop_of_its_own() -> None:
    async def work() -> bool:
        async with trio_asyncio.open_loop() as loop:

            async def asked() -> bool:
                return asyncio.get_running_loop() is loop

            return bool(await loop.run_aio_coroutine(asked()))

    assert trio.run(work)

"""aiodocker inside trio: one asyncio loop per engine, calls into it from any trio task.

Owns the client and its loop, the bound on concurrent calls, their time-out, and the translation of broken
connections into Unavailable. It never interprets an answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiodocker
import aiohttp
import trio
import trio_asyncio

from runtimes import limits
from runtimes.contract import RuntimeFault, Unavailable
from runtimes.docker.faults import fault_of
from runtimes.docker.loops import keep_asyncio_as_it_was

T = TypeVar("T")

keep_asyncio_as_it_was()


class DockerClient:
    def __init__(self, url: str, loop: Any, docker: aiodocker.Docker) -> None:
        self.url = url
        self._loop = loop
        self._docker = docker
        self._calls = trio.CapacityLimiter(limits.CONCURRENT_CALLS)

    async def call(
        self,
        work: Callable[[aiodocker.Docker], Coroutine[Any, Any, T]],
        *,
        timeout_seconds: float = limits.CALL_TIMEOUT_SECONDS,
        fault: Callable[[int, str], RuntimeFault] = fault_of,
    ) -> T:
        """Run `work` in asyncio and wait for it here. Cancelling this cancels it."""
        try:
            async with self._calls:
                with trio.fail_after(timeout_seconds):
                    result: T = await self._loop.run_aio_coroutine(work(self._docker))
                    return result
        except aiodocker.DockerError as error:
            if error.status == 900:
                raise Unavailable(f"cannot reach the engine at {self.url}: {_cause(error.message)}") from error
            raise fault(error.status, error.message) from error
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise Unavailable(f"the engine at {self.url} hung up: {error}") from error
        except trio.TooSlowError:
            raise Unavailable(f"the engine at {self.url} gave no answer in {timeout_seconds:g} s") from None


def _cause(message: str) -> str:
    """What is inside the innermost brackets of "Cannot connect to Docker Engine via ... [... [CAUSE]]"."""
    return message.rpartition(" [")[2].rstrip("]") or message


@asynccontextmanager
async def open_client(url: str) -> AsyncIterator[DockerClient]:
    """Opening does not connect: a dead engine shows at the first call."""
    async with trio_asyncio.open_loop() as loop:

        async def make() -> aiodocker.Docker:
            # Fixed version: asking for it costs a round trip, and Docker answers any that it is able to speak.
            return aiodocker.Docker(url=url, api_version="v1.41", timeout=aiohttp.ClientTimeout(total=None))

        docker = await loop.run_aio_coroutine(make())
        try:
            yield DockerClient(url, loop, docker)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + limits.KILL_WAIT_SECONDS):
                await loop.run_aio_coroutine(docker.close())

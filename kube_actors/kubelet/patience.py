"""Trying again while the engine or the API is away: neither is a fact about the pod."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from kube_actors.api.errors import ApiError
from kube_actors.client import TransportError
from runtimes.contract import Unavailable

from . import limits

T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The result of a call that may be repeated, after pauses, until whoever has to answer is there."""
    pause = limits.RETRY_INITIAL
    while True:
        try:
            return await call()
        except (Unavailable, TransportError):
            pass
        except ApiError as error:
            if not error.is_retriable:
                raise
        await trio.sleep(pause)
        pause = min(pause * 2, limits.RETRY_MAX)

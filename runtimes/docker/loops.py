"""trio-asyncio inside trio only: other threads of the program keep the event loops that asyncio gives them.

Owns one correction of a process-wide effect. It never makes a loop.
"""

from __future__ import annotations

import asyncio
import threading

from trio_asyncio import _loop


def keep_asyncio_as_it_was() -> None:
    """Undo what importing trio-asyncio does to threads that do not run trio.

    After the import, `asyncio.run` in any thread gets a loop that runs trio underneath and refuses, among other things,
    `run_in_executor` with an executor of one's own. A program that embeds a cluster and runs asyncio beside it must not
    notice. trio-asyncio lets a thread choose its policy, and a thread that has chosen one is left alone; here the
    original policy becomes the choice of every thread. It offers no public way to say so for all of them
    (`asyncio.set_event_loop_policy` speaks for the calling thread), hence its private names, in this one place.
    """
    if issubclass(_loop._FakedPolicy, threading.local) and _loop._FakedPolicy.policy is None:
        original: asyncio.AbstractEventLoopPolicy = _loop._original_policy
        _loop._FakedPolicy.policy = original

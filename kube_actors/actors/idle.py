"""Work that matters less waits until nothing else can run.

The only place that knows of trio's own notion of idleness. Trio publishes it among its testing helpers; those are not
imported here, since they cost more than all the rest of a start.
"""

from __future__ import annotations

import trio
from trio._core._run import wait_all_tasks_blocked


async def idle_moment(patience_seconds: float, quiet_seconds: float = 0.0) -> None:
    """Return when every other task of this thread has been waiting for as long as quiet_seconds, or when patience ends.

    Those who ask for no quiet at all go before those who ask for some. In virtual time no time passes while somebody
    waits for this.
    """
    if patience_seconds <= 0:
        await trio.lowlevel.checkpoint()
        return
    with trio.move_on_after(patience_seconds):
        await wait_all_tasks_blocked(quiet_seconds)

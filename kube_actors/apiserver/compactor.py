"""Forgets old history in the store, as kube-apiserver does for etcd: what is older than one period goes.

Owns the period. Never touches current objects; a watch or list that asks for what is gone gets 410.
"""

from __future__ import annotations

import trio

from kube_actors.apiserver import limits
from kube_actors.apiserver.core import Core


async def run(core: Core, period: float = limits.COMPACTION_SECONDS) -> None:
    """Compact, each period, to where the store was one period before."""
    before = core.store.revision
    while True:
        await trio.sleep(period)
        now = core.store.revision
        if before > core.store.compacted:
            await core.store.compact(before)
            core.system.story.tell("apiserver", "compacted", detail=f"to revision {before}")
        before = now

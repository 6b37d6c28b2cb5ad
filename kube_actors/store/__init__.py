"""The revisioned key-value store: its contract, and `open_store`, which chooses an engine."""

from kube_actors.store.contract import (
    FIRST_REVISION,
    WATCH_CAPACITY,
    Compacted,
    Draft,
    Entry,
    Event,
    FutureRevision,
    Page,
    Retention,
    RevisionConflict,
    Store,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreStatistics,
    WatchOverrun,
    WatchStatistics,
    WatchStream,
)
from kube_actors.store.memory import MemoryStore
from kube_actors.store.opening import open_store

__all__ = [
    "FIRST_REVISION",
    "WATCH_CAPACITY",
    "Compacted",
    "Draft",
    "Entry",
    "Event",
    "FutureRevision",
    "MemoryStore",
    "Page",
    "Retention",
    "RevisionConflict",
    "Store",
    "StoreClosed",
    "StoreError",
    "StoreFull",
    "StoreStatistics",
    "WatchOverrun",
    "WatchStatistics",
    "WatchStream",
    "open_store",
]

"""From a store's address to its engine: "memory", "sqlite:PATH", "etcd:URL".

Owns the choice only. Engines other than memory are imported when they are chosen.
"""

from kube_actors.store.contract import Retention, Store, StoreError
from kube_actors.store.memory import MemoryStore


async def open_store(url: str, *, retention: Retention | None = None) -> Store:
    """Opens the store at `url`; the caller closes it with `aclose`. Raises StoreError with the cause."""
    kind, _, rest = url.partition(":")
    if url == "memory":
        return MemoryStore(retention=retention)
    if kind == "sqlite" and rest:
        from kube_actors.store.sqlite import SqliteStore  # lazy: heavy import (sqlite3)

        return await SqliteStore.open(rest, retention=retention)
    if kind == "etcd" and rest:
        from kube_actors.store.etcd import EtcdStore  # lazy: only those who choose it pay for its HTTP client

        return await EtcdStore.open(rest, retention=retention)
    raise StoreError(f"unknown store {url!r}: say memory, sqlite:PATH or etcd:URL")

"""What only an engine on several hosts can promise: processes that share it, and a server that goes away."""

from typing import Any

import httpx
import pytest
import trio

from kube_actors.store import Compacted, Draft, RevisionConflict, Store, StoreError, open_store

A = "/r/a/"
D = Draft(b"<", b">")


async def receive(watch: Any, count: int) -> list[Any]:
    with trio.fail_after(20):
        return [await watch.receive() for _ in range(count)]


async def written(store: Store, key: str) -> int:
    """Writes until the server is there again."""
    with trio.fail_after(20):
        while True:
            try:
                return (await store.put(key, D, expect=None)).modified
            except StoreError:
                await trio.sleep(0.05)


async def test_two_processes_see_each_others_writes_at_once(etcd_url: str) -> None:
    one, two = await open_store(f"etcd:{etcd_url}/shared"), await open_store(f"etcd:{etcd_url}/shared")
    other_root = await open_store(f"etcd:{etcd_url}/shared-not")
    watch = two.watch(A, after=two.revision)
    for number in range(10):
        entry = await one.put(A + "x", Draft(b"<", b"%d>" % number), expect=None)
        assert await two.get(A + "x") == entry
        assert list((await two.list("")).entries) == [entry]
        await other_root.put(A + "x", D, expect=None)
    gone = await two.delete(A + "x", expect=entry.modified, last=Draft(b"bye ", b""))
    assert await one.get(A + "x") is None
    with pytest.raises(RevisionConflict):
        await one.put(A + "x", D, expect=entry.modified)
    events = await receive(watch, 11)
    assert [event.deleted for event in events] == [False] * 10 + [True]
    assert events[-1].value == gone.value == b"bye %d" % gone.modified
    assert [event.revision for event in events] == sorted({event.revision for event in events})
    for store in (one, two, other_root):
        await store.aclose()


async def test_a_watch_goes_on_when_the_server_comes_back(own_etcd: Any) -> None:
    store = await open_store(f"etcd:{own_etcd.url}")
    watch = store.watch(A, after=store.revision)
    first = await store.put(A + "x", D, expect=0)
    await trio.to_thread.run_sync(own_etcd.kill)
    with pytest.raises(StoreError, match="does not answer"):
        await store.get(A + "x")
    with pytest.raises(StoreError, match="does not answer"):
        await store.put(A + "x", D, expect=None)
    await trio.to_thread.run_sync(own_etcd.start)
    second = await written(store, A + "y")
    assert [event.revision for event in await receive(watch, 2)] == [first.modified, second]
    await store.aclose()


async def test_compaction_while_away_ends_watches_and_loads_anew(own_etcd: Any) -> None:
    store = await open_store(f"etcd:{own_etcd.url}")
    for number in range(3):
        await store.put(f"{A}{number}", D, expect=0)
    watch = store.watch(A, after=store.revision)
    # A store that cannot follow while another one writes and compacts.
    store._gateway.url, url = "http://127.0.0.1:1", store._gateway.url  # type: ignore[attr-defined]
    store._connection.cancel()  # type: ignore[attr-defined]
    other = await open_store(f"etcd:{own_etcd.url}")
    await other.put(A + "1", D, expect=None)
    await other.delete(A + "0", expect=None)
    await other.compact(other.revision)
    store._gateway.url = url  # type: ignore[attr-defined]
    with trio.fail_after(20):
        with pytest.raises(Compacted):
            await watch.receive()
    assert list((await store.list("")).entries) == list((await other.list("")).entries)
    entry = await other.put(A + "after", D, expect=0)
    assert await store.get(A + "after") == entry
    await store.aclose()
    await other.aclose()


async def test_what_cannot_be_used_is_named(etcd_url: str) -> None:
    with pytest.raises(StoreError, match=r"etcd at http:.* does not answer"):
        await open_store("etcd:http://127.0.0.1:1")
    with pytest.raises(StoreError, match="is not the address of an etcd"):
        await open_store("etcd:here")
    store = await open_store(f"etcd:{etcd_url}/foreign")
    foreign = {"key": "L2ZvcmVpZ246L3IvYQ==", "value": "bm90IG91cnM="}
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(f"{etcd_url}/v3/kv/put", json=foreign)
    with trio.fail_after(20), pytest.raises(StoreError, match="was not written by this store"):
        while True:
            await store.put("/r/b", D, expect=None)
    await store.aclose()

"""What durable engines promise beyond the rest: a store that is opened again is the store that was closed."""

import pytest
import trio

from kube_actors.store import Compacted, Draft, Store

ENGINES = ["sqlite", "etcd"]

A = "/r/a/"
D = Draft(b"<", b">")


async def test_values_and_revisions_survive(open_again: object) -> None:
    store: Store = await open_again()  # type: ignore[operator]
    for number in range(5):
        await store.put(f"{A}{number}", Draft(b"head ", b" tail"), expect=0)
    await store.delete(A + "1", expect=None)
    await store.put(A + "2", D, expect=None)
    before, revision = await store.list(""), store.revision
    await store.aclose()
    store = await open_again()  # type: ignore[operator]
    after = await store.list("")
    assert (list(after.entries), after.revision) == (list(before.entries), revision)
    entry = await store.put(A + "3", after.entries[2].draft(), expect=after.entries[2].modified)
    assert entry.modified == revision + 1
    gone = await store.delete(A + "4", expect=None)
    assert gone.value == Draft(b"head ", b" tail").stamp(revision + 2)


async def test_a_watch_goes_on_where_it_was(open_again: object) -> None:
    store: Store = await open_again()  # type: ignore[operator]
    start = store.revision
    first = await store.put(A + "x", D, expect=0)
    second = await store.put(A + "x", D, expect=None)
    await store.put(A + "y", D, expect=0)
    gone = await store.delete(A + "y", expect=None, last=Draft(b"bye ", b""))
    await store.aclose()
    store = await open_again()  # type: ignore[operator]
    watch = store.watch(A, after=start + 1)
    last = await store.put(A + "z", D, expect=0)
    with trio.fail_after(10):
        events = [await watch.receive() for _ in range(4)]
    assert [event.revision for event in events] == list(range(start + 2, start + 6))
    assert (events[0].previous, events[0].value) == (first, second.value)
    assert (events[2].deleted, events[2].value) == (True, gone.value)
    assert events[3].entry() == last
    page = await store.list(A, revision=second.modified)
    assert list(page.entries) == [second]


async def test_compaction_survives(open_again: object) -> None:
    store: Store = await open_again()  # type: ignore[operator]
    for _ in range(6):
        await store.put(A + "x", D, expect=None)
    await store.put(A + "gone", D, expect=0)
    await store.delete(A + "gone", expect=None)
    await store.put(A + "y", D, expect=None)
    before, revision = await store.list(""), store.revision
    await store.compact(revision)
    await store.aclose()
    store = await open_again()  # type: ignore[operator]
    assert (store.revision, store.compacted) == (revision, revision)
    assert list((await store.list("")).entries) == list(before.entries)
    with pytest.raises(Compacted):
        await store.watch(A, after=revision - 1).receive()
    assert (await store.put(A + "z", D, expect=0)).modified == revision + 1

"""What every engine promises of writes, reads, pages and past revisions."""

import pytest
import trio

from kube_actors.store import (
    Compacted,
    Draft,
    Entry,
    FutureRevision,
    RevisionConflict,
    Store,
    StoreClosed,
)

A, B = "/r/a/", "/r/b/"


def draft(text: str = "x") -> Draft:
    return Draft(b'{"rv":"', f'","text":"{text}"}}'.encode())


async def fill(store: Store, names: str, folder: str = A) -> list[Entry]:
    return [await store.put(folder + name, draft(name), expect=0) for name in names]


def names_of(entries: object) -> str:
    return "".join(entry.key[-1] for entry in entries)  # type: ignore[attr-defined]


async def test_the_revision_stands_in_the_value(store: Store) -> None:
    start = store.revision
    entry = await store.put(A + "x", draft("hello"), expect=0)
    assert entry == Entry(A + "x", entry.value, start + 1, start + 1, len(b'{"rv":"'))
    assert entry.value == f'{{"rv":"{start + 1}","text":"hello"}}'.encode()
    assert entry.draft() == draft("hello")
    assert await store.get(A + "x") == entry
    assert store.revision == start + 1


async def test_an_empty_store_is_at_revision_one(store: Store, engine: str) -> None:
    if engine != "etcd":  # which counts the writes of other roots as well
        assert (store.revision, store.compacted) == (1, 0)
    page = await store.list("")
    assert (list(page.entries), page.revision, page.more, page.remaining) == ([], store.revision, False, 0)
    assert await store.get("/nothing") is None


async def test_revisions_grow_by_one_per_write_and_created_stays(store: Store) -> None:
    start = store.revision
    first = await store.put(A + "x", draft(), expect=0)
    other = await store.put(B + "y", draft(), expect=None)
    second = await store.put(A + "x", draft("2"), expect=first.modified)
    gone = await store.delete(B + "y", expect=other.modified)
    again = await store.put(B + "y", draft(), expect=0)
    assert [e.modified - start for e in (first, other, second, gone, again)] == [1, 2, 3, 4, 5]
    assert second.created == first.created
    assert again.created == again.modified


@pytest.mark.parametrize("offset", [0, -1, 1, None])
async def test_compare_and_swap(store: Store, offset: int | None) -> None:
    entry = await store.put(A + "x", draft(), expect=0)
    expect = None if offset is None else entry.modified + offset
    if offset in (0, None):
        assert (await store.put(A + "x", draft("new"), expect=expect)).modified > entry.modified
        return
    with pytest.raises(RevisionConflict) as caught:
        await store.put(A + "x", draft("new"), expect=expect)
    assert (caught.value.key, caught.value.current) == (A + "x", entry)
    with pytest.raises(RevisionConflict) as caught:
        await store.delete(A + "x", expect=expect)
    assert caught.value.current == entry
    assert await store.get(A + "x") == entry
    assert store.revision == entry.modified


async def test_create_needs_absence_and_update_presence(store: Store) -> None:
    entry = await store.put(A + "x", draft(), expect=0)
    with pytest.raises(RevisionConflict) as caught:
        await store.put(A + "x", draft(), expect=0)
    assert caught.value.current == entry
    for expect in (None, 0, entry.modified):
        with pytest.raises(RevisionConflict) as caught:
            await store.delete(A + "absent", expect=expect)
        assert caught.value.current is None
    with pytest.raises(RevisionConflict) as caught:
        await store.put(A + "absent", draft(), expect=entry.modified)
    assert caught.value.current is None


async def test_of_many_writers_expecting_the_same_one_wins(store: Store) -> None:
    entry = await store.put(A + "x", draft(), expect=0)
    won: list[int] = []

    async def write(number: int) -> None:
        try:
            await store.put(A + "x", draft(str(number)), expect=entry.modified)
            won.append(number)
        except RevisionConflict as conflict:
            assert conflict.current == await store.get(A + "x")

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(write, number)
    assert len(won) == 1
    assert (await store.get(A + "x")).draft() == draft(str(won[0]))  # type: ignore[union-attr]


async def test_counting_with_retries_loses_no_increment(store: Store) -> None:
    key = A + "counter"
    await store.put(key, Draft(b"", b" 0"), expect=0)

    async def increment() -> None:
        while True:
            entry = await store.get(key)
            assert entry is not None
            number = int(entry.value.split()[1])
            try:
                await store.put(key, Draft(b"", b" %d" % (number + 1)), expect=entry.modified)
                return
            except RevisionConflict:
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(25):
            nursery.start_soon(increment)
    entry = await store.get(key)
    assert entry is not None and entry.value.split()[1] == b"25"


async def test_many_writers_get_revisions_without_a_gap(store: Store) -> None:
    start, written = store.revision, []

    async def write(number: int) -> None:
        for turn in range(4):
            written.append((await store.put(f"{A}{number}-{turn}", draft(), expect=0)).modified)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(write, number)
    assert sorted(written) == list(range(start + 1, start + 201))
    assert [e.modified for e in sorted((await store.list(A)).entries, key=lambda e: e.modified)] == sorted(written)


async def test_a_delete_returns_the_last_state_with_its_own_revision(store: Store) -> None:
    await fill(store, "xy")
    plain = await store.delete(A + "x", expect=None)
    assert plain.value == draft("x").stamp(plain.modified)
    marked = await store.delete(A + "y", expect=None, last=draft("bye"))
    assert marked.value == draft("bye").stamp(marked.modified)
    assert marked.modified == store.revision
    assert await store.get(A + "y") is None


async def test_lists_are_in_key_order_under_the_prefix_only(store: Store) -> None:
    await fill(store, "cab")
    await fill(store, "z", B)
    page = await store.list(A)
    assert names_of(page.entries) == "abc"
    assert page.revision == store.revision
    assert names_of((await store.list("/r/")).entries) == "abcz"
    assert names_of((await store.list("/r/a/b")).entries) == "b"
    assert page.entries[0] == await store.get(A + "a")


async def test_pages_of_one_list_are_consistent_while_others_write(store: Store) -> None:
    await fill(store, "abcdefg")
    first = await store.list(A, limit=3)
    assert (names_of(first.entries), first.more, first.remaining) == ("abc", True, 4)
    await store.put(A + "e", draft("changed"), expect=None)
    await store.delete(A + "f", expect=None)
    await fill(store, "h")
    await store.put(A + "dd", draft(), expect=0)
    second = await store.list(A, limit=3, after=first.entries[-1].key, revision=first.revision)
    assert (names_of(second.entries), second.more, second.remaining) == ("def", True, 1)
    assert second.entries[1].draft() == draft("e")
    assert second.revision == first.revision
    third = await store.list(A, limit=3, after=second.entries[-1].key, revision=first.revision)
    assert (names_of(third.entries), third.more, third.remaining) == ("g", False, 0)
    now = await store.list(A, limit=3, after=A + "c")
    assert ([e.key for e in now.entries], now.remaining) == ([A + "d", A + "dd", A + "e"], 2)


async def test_lists_at_past_revisions(store: Store) -> None:
    (first,) = await fill(store, "x")
    second = await store.put(A + "x", draft("2"), expect=None)
    gone = await store.delete(A + "x", expect=None)
    for revision, shown in ((first.modified, [first]), (second.modified, [second]), (gone.modified, [])):
        page = await store.list(A, revision=revision)
        assert (list(page.entries), page.revision) == (shown, revision)
    with pytest.raises(FutureRevision):
        await store.list(A, revision=store.revision + 1)


async def test_compaction_forgets_the_past_and_keeps_the_present(store: Store) -> None:
    entries = await fill(store, "abc")
    await store.put(A + "a", draft("2"), expect=None)
    at = store.revision
    await store.put(A + "a", draft("3"), expect=None)
    await store.compact(at)
    assert store.compacted == at
    with pytest.raises(Compacted) as caught:
        await store.list(A, revision=entries[-1].modified)
    assert (caught.value.revision, caught.value.oldest) == (entries[-1].modified, at)
    assert (await store.list(A, revision=at)).entries[0].draft() == draft("2")
    assert names_of((await store.list(A)).entries) == "abc"
    await store.compact(at - 1)
    await store.compact(at)
    assert store.compacted == at
    with pytest.raises(FutureRevision):
        await store.compact(store.revision + 1)


async def test_a_loop_over_calls_does_not_starve_others(store: Store) -> None:
    await fill(store, "x")
    others = 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(1000):
            await store.get(A + "x")
        nursery.cancel_scope.cancel()
    assert others > 5


async def test_statistics_count_what_is_there(store: Store) -> None:
    entries = await fill(store, "ab")
    watch = store.watch(A, after=store.revision)
    statistics = store.statistics()
    assert (statistics.revision, statistics.keys, statistics.watches) == (store.revision, 2, 1)
    assert statistics.value_bytes == sum(len(entry.value) for entry in entries)
    watch.close()
    assert store.statistics().watches == 0


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreClosed):
        await store.get(A)
    with pytest.raises(StoreClosed):
        await store.put(A, draft(), expect=None)
    with pytest.raises(StoreClosed):
        store.watch(A, after=1)

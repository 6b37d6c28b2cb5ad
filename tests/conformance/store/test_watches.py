"""What every engine promises of watches: nothing lost, repeated or out of order, and a bound for the slow."""

import pytest
import trio
import trio.testing

from kube_actors.store import (
    Compacted,
    Draft,
    Entry,
    Event,
    FutureRevision,
    Retention,
    Store,
    StoreClosed,
    WatchOverrun,
    WatchStream,
)

A, B = "/r/a/", "/r/b/"
D = Draft(b"<", b">")


async def take(watch: WatchStream, count: int) -> list[Event]:
    with trio.fail_after(10):
        return [await watch.receive() for _ in range(count)]


async def test_every_kind_of_write_is_an_event(store: Store) -> None:
    with store.watch(A, after=store.revision) as watch:
        first = await store.put(A + "x", D, expect=0)
        second = await store.put(A + "x", Draft(b"(", b")"), expect=None)
        gone = await store.delete(A + "x", expect=None)
        created, changed, deleted = await take(watch, 3)
    assert (created.key, created.revision, created.deleted, created.previous) == (A + "x", first.modified, False, None)
    assert (changed.revision, changed.deleted, changed.previous) == (second.modified, False, first)
    assert (deleted.revision, deleted.deleted, deleted.previous) == (gone.modified, True, second)
    assert [event.value for event in (created, changed, deleted)] == [first.value, second.value, gone.value]
    assert [event.entry() for event in (created, changed, deleted)] == [first, second, gone]


async def test_watchers_share_the_bytes_that_readers_get(store: Store) -> None:
    one, two = store.watch(A, after=store.revision), store.watch("/", after=store.revision)
    await store.put(A + "x", D, expect=0)
    (left,), (right,) = await take(one, 1), await take(two, 1)
    entry = await store.get(A + "x")
    assert entry is not None
    assert left.value is right.value is entry.value


async def test_a_watch_from_the_past_goes_on_into_the_future(store: Store) -> None:
    start = store.revision
    for number in range(5):
        await store.put(f"{A}{number}", D, expect=0)
    watch = store.watch(A, after=start + 2)
    await store.put(A + "new", D, expect=0)
    assert [event.revision - start for event in await take(watch, 4)] == [3, 4, 5, 6]


async def test_a_filed_watch_is_given_what_is_filed_under_its_word(store: Store) -> None:
    looks = 0

    def first_and_last_byte(event: Event) -> set[str]:
        nonlocal looks
        looks += 1
        return {event.value[:1].decode(), event.value[-1:].decode()}

    def filed(word: str) -> WatchStream:
        return store.watch(A, after=store.revision, filed=(first_and_last_byte, word))

    with filed("<") as one, filed(")") as other, filed("]") as idle, store.watch(A, after=store.revision) as whole:
        await store.put(A + "x", D, expect=0)
        await store.put(A + "x", Draft(b"(", b")"), expect=None)
        await store.put(A + "x", Draft(b"<", b")"), expect=None)
        await store.put(B + "x", Draft(b"<", b")"), expect=None)
        assert [event.value[:1] for event in await take(whole, 3)] == [b"<", b"(", b"<"]
        assert [event.value[-1:] for event in await take(one, 2)] == [b">", b")"]
        assert [event.value[:1] for event in await take(other, 2)] == [b"(", b"<"]
        assert looks == 3
        assert idle.statistics().pending == 0
        assert idle.position == store.revision
    assert store.statistics().watches == 0


async def test_a_watch_sees_its_prefix_only(store: Store) -> None:
    start = store.revision
    prefixes = ["", "/r/", A, B, "/r/a/x", "/r/a/xy", "/r", "/r/c/", "/r/a/x/"]
    watches = {prefix: store.watch(prefix, after=start) for prefix in prefixes}
    keys = [A + "x", B + "x", A + "xy", "/r/a/x/deep", "/s/x"]
    for key in keys:
        await store.put(key, D, expect=0)
    for prefix, watch in watches.items():
        expected = [key for key in keys if key.startswith(prefix)]
        assert [event.key for event in await take(watch, len(expected))] == expected
        assert watch.statistics().pending == 0
    for watch in watches.values():
        watch.close()
    assert store.statistics().watches == 0


async def test_position_moves_on_when_others_are_written(store: Store) -> None:
    watch = store.watch(A, after=store.revision)
    assert watch.position == store.revision
    await store.put(B + "x", D, expect=0)
    await until_position(watch, store.revision)
    entry = await store.put(A + "x", D, expect=0)
    assert watch.position < entry.modified
    await take(watch, 1)
    assert watch.position == entry.modified


async def until_position(watch: WatchStream, revision: int) -> None:
    with trio.fail_after(10):
        while watch.position < revision:  # noqa: ASYNC110  (a position that moves tells nobody)
            await trio.sleep(0.001)


async def test_writers_and_watchers_at_once(store: Store) -> None:
    start, writers, each = store.revision, 10, 30

    async def write(number: int) -> None:
        for turn in range(each):
            await store.put(f"{A}{number}", Draft(b"", b" %d" % turn), expect=None)

    async def follow(after: int) -> None:
        seen: list[int] = []
        with store.watch(A, after=after) as watch:
            while not seen or seen[-1] < start + writers * each:
                batch = await watch.receive_batch()
                assert batch
                seen += [event.revision for event in batch]
        assert seen == list(range(after + 1, start + writers * each + 1))

    async def follow_later() -> None:
        with store.watch(A, after=start) as watch:
            await take(watch, 20)
        await follow((await store.list(A)).revision)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, start)
            nursery.start_soon(follow_later)
            for number in range(writers):
                nursery.start_soon(write, number)


async def test_a_slow_watch_is_overrun_and_others_are_not(store: Store) -> None:
    start = store.revision
    slow, fast = store.watch(A, after=start, capacity=3), store.watch(A, after=start, capacity=4)
    await store.put(A + "0", D, expect=0)
    await take(slow, 1)
    for number in range(1, 5):
        await store.put(f"{A}{number}", D, expect=0)
        await take(fast, 1)
    with pytest.raises(WatchOverrun) as caught:
        await slow.receive()
    assert (caught.value.prefix, caught.value.position) == (A, start + 1)
    with pytest.raises(WatchOverrun):
        await slow.receive_batch()
    assert slow.statistics().pending == 0
    assert (await take(fast, 1))[0].key == A + "4"
    resumed = store.watch(A, after=caught.value.position)
    assert [event.key[-1] for event in await take(resumed, 4)] == ["1", "2", "3", "4"]


async def test_history_does_not_count_against_the_capacity(store: Store) -> None:
    start = store.revision
    for number in range(10):
        await store.put(f"{A}{number}", D, expect=0)
    watch = store.watch(A, after=start, capacity=2)
    await store.put(A + "a", D, expect=0)
    await store.put(A + "b", D, expect=0)
    assert [event.revision - start for event in await take(watch, 12)] == list(range(1, 13))


async def test_compaction_ends_late_watches_and_spares_open_ones(store: Store) -> None:
    start = store.revision
    early = store.watch(A, after=start)
    for number in range(4):
        await store.put(f"{A}{number}", D, expect=0)
    await store.compact(start + 3)
    with pytest.raises(Compacted):
        await store.watch(A, after=start + 2).receive()
    assert [event.revision - start for event in await take(store.watch(A, after=start + 3), 1)] == [4]
    assert [event.revision - start for event in await take(early, 4)] == [1, 2, 3, 4]


async def test_a_watch_cannot_start_in_the_future(store: Store) -> None:
    with pytest.raises(FutureRevision):
        store.watch(A, after=store.revision + 1)


async def test_a_cancelled_receive_loses_nothing(store: Store) -> None:
    watch = store.watch(A, after=store.revision)
    with trio.move_on_after(0.01):
        await watch.receive()
    await store.put(A + "x", D, expect=0)
    with trio.CancelScope() as scope:
        scope.cancel()
        await watch.receive_batch()
    assert scope.cancelled_caught
    assert [event.key for event in await take(watch, 1)] == [A + "x"]


async def test_closing_a_watch_wakes_its_reader(store: Store) -> None:
    watch = store.watch(A, after=store.revision)

    async def read() -> None:
        with pytest.raises(StoreClosed):
            await watch.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await watch.receive()
        watch.close()
    watch.close()
    assert [event async for event in watch] == []


async def test_closing_the_store_ends_its_watches(store: Store) -> None:
    watch = store.watch(A, after=store.revision)
    await store.aclose()
    with pytest.raises(StoreClosed):
        await watch.receive()


async def test_an_engine_keeps_its_history_within_its_retention(open_again: object) -> None:
    store: Store = await open_again(Retention(events=20))  # type: ignore[operator]
    start = store.revision
    early = store.watch(A, after=start)
    for number in range(100):
        await store.put(f"{A}{number % 7}", D, expect=None)
    assert store.statistics().history_events <= 25
    assert store.compacted >= start + 75
    with pytest.raises(Compacted):
        await store.watch(A, after=start).receive()
    assert len(await take(early, 100)) == 100
    page = await store.list(A, revision=store.compacted)
    assert len(page.entries) == 7
    assert all(isinstance(entry, Entry) for entry in page.entries)

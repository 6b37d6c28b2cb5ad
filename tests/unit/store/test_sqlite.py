"""The SQLite engine's file and its faults: full disk, damage, a second process, a newer schema."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.store import Draft, RevisionConflict, StoreError, StoreFull, open_store
from kube_actors.store.contract import Event, Retention
from kube_actors.store.machine import Machine, decide_delete, decide_put
from kube_actors.store.sqlite import SqliteStore
from kube_actors.store.sqlite_log import SCHEMA_VERSION, SqliteLog

D = Draft(b"<", b">")
BIG = Draft(b"<", b"x" * 3000 + b">")


async def fill_until_full(store: SqliteStore, writers: int) -> tuple[set[str], int]:
    """Keys whose write was acknowledged, and how many were refused."""
    kept: set[str] = set()
    refused = 0

    async def write(writer: int) -> None:
        nonlocal refused
        for turn in range(1000):
            key = f"/k/{writer}-{turn}"
            try:
                await store.put(key, BIG, expect=0)
            except StoreFull:
                refused += 1
                return
            kept.add(key)

    async with trio.open_nursery() as nursery:
        for writer in range(writers):
            nursery.start_soon(write, writer)
    return kept, refused


async def test_a_full_disk_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    store = await SqliteStore.open(path, max_pages=100)
    watch = store.watch("", after=1)
    kept, refused = await fill_until_full(store, writers=8)
    assert refused == 8 and len(kept) > 20
    assert {entry.key for entry in (await store.list("")).entries} == kept
    assert store.revision == 1 + len(kept)
    assert store.statistics().writes_waiting == 0
    assert {event.key for event in await watch.receive_batch()} == kept
    with pytest.raises(StoreFull, match="no room left"):
        for number in range(100):  # what was too much for eight at once may have room for a few alone
            await store.put(f"/k/alone-{number}", BIG, expect=0)
            kept.add(f"/k/alone-{number}")
    await store.aclose()

    store = await SqliteStore.open(path)
    assert {entry.key for entry in (await store.list("")).entries} == kept
    assert (await store.put("/k/one-more", BIG, expect=0)).modified == 2 + len(kept)
    await store.aclose()


async def test_room_made_by_compaction_is_used_again(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "store.db"), max_pages=60)
    with pytest.raises(StoreFull):
        for _ in range(1000):
            await store.put("/k/same", BIG, expect=None)
    await store.compact(store.revision)
    for number in range(10):
        await store.put(f"/k/{number}", BIG, expect=0)
    assert len((await store.list("")).entries) == 11
    await store.aclose()


async def test_a_conflict_with_a_write_that_fails_is_none(tmp_path: Path) -> None:
    """The second create waits for the first to settle; the first fails, so the second is tried for itself."""
    store = await SqliteStore.open(str(tmp_path / "store.db"), max_pages=20)
    huge = Draft(b"", b"x" * 500_000)
    outcomes: list[str] = []

    async def create(name: str, draft: Draft) -> None:
        try:
            await store.put("/k/x", draft, expect=0)
            outcomes.append(f"{name} written")
        except (StoreFull, RevisionConflict) as error:
            outcomes.append(f"{name} {type(error).__name__}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(create, "huge", huge)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(create, "small", D)
    assert sorted(outcomes) == ["huge StoreFull", "small written"]
    entry = await store.get("/k/x")
    assert entry is not None and entry.draft() == D
    await store.aclose()


async def test_a_cancelled_write_leaves_the_store_consistent(tmp_path: Path) -> None:
    store = await SqliteStore.open(str(tmp_path / "store.db"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.put("/k/x", D, expect=0)
    entry = await store.put("/k/x", D, expect=None)
    assert store.revision == entry.modified
    assert store.statistics().writes_waiting == 0
    await store.aclose()


async def test_closing_keeps_what_was_accepted(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    store = await SqliteStore.open(path)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(lambda key: store.put(key, D, expect=0), f"/k/{number}")
        await trio.testing.wait_all_tasks_blocked()
        await store.aclose()
    store = await SqliteStore.open(path)
    assert len((await store.list("")).entries) == 20
    await store.aclose()


async def test_a_file_has_one_process(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    store = await SqliteStore.open(path)
    await store.put("/k/x", D, expect=0)
    code = (
        "import sys, trio\nfrom kube_actors.store import StoreError, open_store\n"
        "async def main():\n"
        "    try: await open_store(sys.argv[1])\n"
        "    except StoreError as error: print(error)\n"
        "trio.run(main)\n"
    )
    done = await trio.run_process(
        [sys.executable, "-c", code, f"sqlite:{path}"], capture_stdout=True, stderr=subprocess.STDOUT
    )
    assert done.stdout.decode() == f"{path} is in use by another process\n"
    await store.aclose()
    again = await open_store(f"sqlite:{path}")
    await again.aclose()


async def test_unusable_files_are_named_with_their_cause(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database at all, whatever it is called" * 100)
    with pytest.raises(StoreError, match=f"{path} is damaged: file is not a database"):
        await SqliteStore.open(str(path))
    missing = tmp_path / "no" / "folder.db"
    with pytest.raises(StoreError, match="unable to open database file"):
        await SqliteStore.open(str(missing))
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(StoreError, match="not a store"):
        await SqliteStore.open(str(foreign))
    with pytest.raises(StoreError, match="unknown store 'redis:x'"):
        await open_store("redis:x")


async def stored(path: Path, count: int) -> None:
    store = await SqliteStore.open(str(path))
    for number in range(count):
        await store.put(f"/k/{number}", BIG, expect=0)
    await store.aclose()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await stored(path, 1)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match=f"newer version \\(schema {SCHEMA_VERSION + 1}; this one knows"):
        await SqliteStore.open(str(path))


async def test_damage_inside_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await stored(path, 40)
    content = path.read_bytes()
    path.write_bytes(content[: 4096 * 3] + os.urandom(4096 * 3) + content[4096 * 6 :])
    with pytest.raises(StoreError, match="is damaged"):
        await SqliteStore.open(str(path))


async def test_a_missing_write_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await stored(path, 4)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM log WHERE revision = 3")
    connection.close()
    with pytest.raises(StoreError, match="is damaged: write 3 is missing"):
        await SqliteStore.open(str(path))


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "put", "delete", "commit", "compact"]), st.sampled_from("abc"), st.booleans()),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_the_log_gives_back_the_machine(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, bool]]
) -> None:
    path = str(tmp_path_factory.mktemp("log") / "store.db")
    log = SqliteLog(path)
    machine, events, dead = log.load(None), list[Event](), ()
    for what, key, flag in steps:
        current = machine.get(key)
        if what == "put":
            events.append(decide_put(current, key, D, None, machine.revision + 1))
            machine.apply(events[-1])
        elif what == "delete" and current:
            events.append(decide_delete(current, key, BIG if flag else None, None, machine.revision + 1))
            machine.apply(events[-1])
        elif what == "compact":
            log.commit(events, dead, machine.compacted)
            events, dead = [], machine.compact(machine.revision - flag)
            log.commit([], dead, machine.compacted)
            dead = ()
        elif what == "commit":
            log.commit(events, dead, machine.compacted)
            events = []
    log.commit(events, dead, machine.compacted)
    log.close()
    log = SqliteLog(path)
    again: Machine = log.load(Retention())
    log.close()
    assert again.revision == machine.revision
    assert again.compacted <= machine.compacted
    assert list(again.list("").entries) == list(machine.list("").entries)
    assert again.since("", machine.compacted) == machine.since("", machine.compacted)

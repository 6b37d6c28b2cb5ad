"""What the store costs: writes a second with 1, 16 and 256 writers, loading, listing, memory per object.

Run `python -m benchmarks.store [--objects N] [--folder DIR]`; it prints a table. The durable engine's figures
depend on the disk under the folder.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from kube_actors.store import Draft, Store, open_store

VALUE_BYTES = 1600
WRITERS = (1, 16, 256)
DRAFT = Draft(b"x" * 100, b"y" * (VALUE_BYTES - 100))

Line = tuple[str, str, str]


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


async def write_from(store: Store, writers: int, each: int) -> None:
    async def write(writer: int) -> None:
        for number in range(each):
            await store.put(f"/registry/core/pods/default/{writer}-{number}", DRAFT, expect=None)

    async with trio.open_nursery() as nursery:
        for writer in range(writers):
            nursery.start_soon(write, writer)


async def writes(name: str, url: str, budget: int) -> list[Line]:
    lines: list[Line] = []
    for writers in WRITERS:
        store = await open_store(url)
        each = max(budget // writers, 1) if name == "memory" else max(budget * min(writers, 8) // 8 // writers, 1)
        seconds = await timed(partial(write_from, store, writers, each))
        rate, each_us = writers * each / seconds, seconds / (writers * each) * 1e6
        lines.append((name, f"writes, {writers} writers", f"{rate:,.0f}/s ({each_us:.0f} us each)"))
        await store.aclose()
    return lines


async def fan_out(name: str, url: str) -> list[Line]:
    """One write seen by 1,000 watches, and one that 1,000 watches elsewhere do not see."""
    store = await open_store(url)
    lines: list[Line] = []
    for prefix, label in (("/registry/core/pods/default/", "seen"), ("/registry/core/secrets/default/", "not seen")):
        watches = [store.watch(prefix, after=store.revision) for _ in range(1000)]
        seconds = await timed(partial(write_from, store, 1, 1000))
        lines.append((name, f"write {label} by 1,000 watches", f"{seconds / 1000 * 1e6:,.0f} us"))
        for watch in watches:
            watch.close()
    await store.aclose()
    return lines


async def at_size(name: str, url: str, objects: int) -> list[Line]:
    before = resident_bytes()
    store = await open_store(url)
    await write_from(store, 256, objects // 256)
    await store.compact(store.revision)
    count = store.statistics().keys
    lines: list[Line] = [
        (name, f"resident bytes per object of {VALUE_BYTES}", f"{(resident_bytes() - before) / count:,.0f}")
    ]
    pods = "/registry/core/pods/"
    lines.append((name, f"list of {count:,}", f"{await timed(partial(store.list, pods)) * 1e3:.1f} ms"))
    first = await store.list(pods, limit=500)
    lines.append((name, "page of 500", f"{await timed(partial(store.list, pods, limit=500)) * 1e6:.0f} us"))
    await store.put(first.entries[0].key, DRAFT, expect=None)
    past = partial(store.list, pods, limit=500, revision=first.revision, after=first.entries[-1].key)
    lines.append((name, "page of 500 at a past revision", f"{await timed(past) * 1e6:.0f} us"))
    await store.aclose()
    if url != "memory":
        began = time.perf_counter()
        store = await open_store(url)
        lines.append((name, f"load of {store.statistics().keys:,}", f"{time.perf_counter() - began:.2f} s"))
        await store.aclose()
    return lines


async def main(objects: int, folder: str) -> None:
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="store-benchmark-") as scratch:
        # First, while the process is small: memory that an earlier part gave back would hide what this one takes.
        lines += await at_size("memory", "memory", objects)
        lines += await writes("memory", "memory", 50_000)
        lines += await writes("sqlite", f"sqlite:{scratch}/writes.db", 8_000)
        lines += await fan_out("memory", "memory")
        lines += await at_size("sqlite", f"sqlite:{scratch}/size.db", objects)
    for engine, what, figure in lines:
        print(f"{engine:8} {what:40} {figure:>28}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--folder", default=None, help="where the durable engine's files go")
    arguments = parser.parse_args()
    trio.run(main, arguments.objects, arguments.folder)

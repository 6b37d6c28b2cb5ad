"""A process that writes to the durable store is killed at random moments; nothing it acknowledged may be missing.

The child prints each write after the store has returned it. What the parent reads from the pipe is therefore
acknowledged, however the child ends.
"""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from kube_actors.store import Draft
from kube_actors.store.machine import Machine
from kube_actors.store.sqlite_log import SqliteLog

ROUNDS = 30
WRITERS = 8

CHILD = """
import os, sys, trio
from kube_actors.store import Draft, Retention, open_store

async def main(url, turn, writers):
    store = await open_store(url, retention=Retention(events=200))

    async def write(writer):
        number = 0
        while True:
            number += 1
            key = f"/k/{turn}/{writer}/{number % 40}"
            body = b" %d %d %d" % (turn, writer, number) + b"x" * 1500
            entry = await store.put(key, Draft(b"", body), expect=None)
            line = f"put {key} {entry.modified} {number}\\n"
            if number % 7 == 0:
                os.write(1, line.encode())
                gone = await store.delete(key, expect=entry.modified)
                line = f"delete {key} {gone.modified} {number}\\n"
            os.write(1, line.encode())

    os.write(1, b"ready\\n")
    async with trio.open_nursery() as nursery:
        for writer in range(writers):
            nursery.start_soon(write, writer)

trio.run(main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
"""


class Ack(NamedTuple):
    what: str
    key: str
    revision: int
    number: int

    @property
    def writer(self) -> str:
        return self.key.split("/")[3]


def killed_round(url: str, turn: int, seconds: float) -> list[Ack]:
    """Runs a child, kills it that long after it is ready, and returns what it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, url, str(turn), str(WRITERS)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    killer = threading.Timer(seconds, child.kill)
    killer.start()
    lines = child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    killer.join()
    assert child.wait() == -signal.SIGKILL
    fields = [line.split() for line in lines if line.endswith("\n")]
    return [Ack(what, key, int(revision), int(number)) for what, key, revision, number in fields]


def reopened(path: Path) -> Machine:
    log = SqliteLog(str(path))
    machine = log.load(None)
    log.close()
    return machine


def check_history(machine: Machine, turn: int, acks: list[Ack]) -> None:
    """Every acknowledged write that is not compacted stands in the history, at its revision, with its bytes."""
    events = {event.revision: event for event in machine.since("", machine.compacted)}
    for ack in acks:
        if ack.revision <= machine.compacted:
            continue
        event = events.get(ack.revision)
        assert event is not None, f"{ack} is lost"
        assert (event.key, event.deleted) == (ack.key, ack.what == "delete")
        body = f" {turn} {ack.writer} {ack.number}".encode() + b"x" * 1500
        assert event.value == Draft(b"", body).stamp(ack.revision)


def check_state(machine: Machine, acks: list[Ack]) -> None:
    """Each key is as its last acknowledged write left it; one write per writer may have gone unacknowledged."""
    last_of_key = {ack.key: ack for ack in acks}
    last_of_writer = {ack.writer: ack.revision for ack in acks}
    newest = {event.key: event.revision for event in machine.since("", machine.compacted)}
    unacknowledged: list[str] = []
    for ack in last_of_key.values():
        entry = machine.get(ack.key)
        if entry is None and ack.what == "delete":
            continue
        if entry is not None and ack.what == "put" and entry.modified == ack.revision:
            continue
        assert newest.get(ack.key, 0) > last_of_writer[ack.writer], f"{ack} is lost"
        unacknowledged.append(ack.writer)
    assert len(unacknowledged) == len(set(unacknowledged))


def test_an_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    path, chance = tmp_path / "store.db", random.Random(20261124)
    settled: dict[str, int] = {}
    total = 0
    for turn in range(ROUNDS):
        acks = killed_round(f"sqlite:{path}", turn, chance.uniform(0.0, 0.15))
        total += len(acks)
        machine = reopened(path)
        assert machine.revision >= max([ack.revision for ack in acks], default=1)
        check_history(machine, turn, acks)
        check_state(machine, acks)
        state = {entry.key: entry.modified for entry in machine.list("").entries}
        assert {key: state.get(key) for key in settled} == settled, "an earlier round's keys have changed"
        settled = state
    assert total > ROUNDS * WRITERS
    assert machine.compacted > 1

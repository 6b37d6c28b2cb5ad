"""Logs as Podman's monitor writes them: pieces put together, tails, times, following to the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtimes.contract import STDERR, STDOUT, LogLine
from runtimes.podman.limits import PIECE_BYTES
from runtimes.podman.logfile import Assembler, LogFile, open_log

START_NS = 1_700_000_000_000_000_000
STAMP = "2023-11-14T22:13:20.{:09d}+00:00"


def write(path: Path, *entries: tuple[str, str, str]) -> None:
    """Each entry, (stream, tag, text), one nanosecond after the one before."""
    lines = [f"{STAMP.format(index)} {stream} {tag} {text}\n" for index, (stream, tag, text) in enumerate(entries)]
    path.write_text("".join(lines))


async def drain(log: LogFile | None) -> list[LogLine]:
    assert log is not None
    async with log:
        return [line async for line in log]


async def read(path: Path, *, tail: int | None = None, since: float | None = None) -> list[bytes]:
    return [line.data for line in await drain(open_log(str(path), 0, tail=tail, since=since))]


async def test_pieces_of_a_line_are_put_together_each_stream_for_itself(tmp_path: Path) -> None:
    write(
        tmp_path / "log",
        ("stdout", "P", "one "),
        ("stderr", "F", "trouble"),
        ("stdout", "F", "line"),
        ("stdout", "P", "no end"),
    )
    assert await drain(open_log(str(tmp_path / "log"), 0, tail=None, since=None)) == [
        LogLine(time_ns=START_NS + 1, stream=STDERR, data=b"trouble\n"),
        LogLine(time_ns=START_NS, stream=STDOUT, data=b"one line\n"),
        LogLine(time_ns=START_NS + 3, stream=STDOUT, data=b"no end"),
    ]


@pytest.mark.parametrize("tail", [0, 1, 2, 5, 9])
async def test_a_tail_is_the_last_lines_and_no_more(tmp_path: Path, tail: int) -> None:
    write(tmp_path / "log", *[("stdout", "F", f"{index} {'x' * 30000}") for index in range(6)])
    numbers = [int(data.split()[0]) for data in await read(tmp_path / "log", tail=tail)]
    assert numbers == list(range(6))[max(0, 6 - tail) :]


async def test_since_leaves_out_what_is_older_and_a_tail_counts_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        "".join(f"2023-11-14T22:13:2{second}.000000000+00:00 stdout F {second}\n" for second in range(5))
    )
    since = START_NS / 1e9 + 3
    assert await read(tmp_path / "log", since=since) == [b"3\n", b"4\n"]
    assert await read(tmp_path / "log", since=since, tail=1) == [b"4\n"]


async def test_a_line_without_end_comes_in_bounded_pieces(tmp_path: Path) -> None:
    write(tmp_path / "log", *[("stdout", "P", "x" * 8192)] * 5)
    pieces = await read(tmp_path / "log")
    assert b"".join(pieces) == b"x" * 8192 * 5
    assert max(len(piece) for piece in pieces) <= PIECE_BYTES


async def test_following_takes_what_is_written_until_the_monitor_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, ("stdout", "F", "first"))
    writer = (
        "import sys; log = open(sys.argv[1], 'a')\n"
        "for line in sys.stdin:\n"
        "    log.write(line); log.flush()\n"
        "log.write('2023-11-14T22:13:21.000000000+00:00 stdout P last'); log.write(chr(10))"
    )
    monitor = subprocess.Popen(  # noqa: ASYNC220  # it starts at once, and only its end is waited for
        [sys.executable, "-c", writer, str(path)], stdin=subprocess.PIPE
    )
    assert monitor.stdin is not None
    try:
        with trio.fail_after(20):
            log = open_log(str(path), monitor.pid, tail=None, since=None)
            assert log is not None
            async with log:
                assert (await anext(log)).data == b"first\n"
                monitor.stdin.write(b"2023-11-14T22:13:20.500000000+00:00 stderr F second\n")
                monitor.stdin.flush()
                assert (await anext(log)).data == b"second\n"
                monitor.stdin.close()
                assert [line.data async for line in log] == [b"last"]
    finally:
        monitor.kill()
        monitor.wait()


async def test_a_file_that_cannot_be_seen_is_left_to_the_engine() -> None:
    assert open_log("/nowhere/ctr.log", 0, tail=None, since=None) is None


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.sampled_from("FP"), st.text("ab c", max_size=9))))
def test_no_byte_is_lost_or_moved_to_the_other_stream(entries: list[tuple[str, str, str]]) -> None:
    assembler = Assembler()
    lines = [
        line
        for index, (stream, tag, text) in enumerate(entries)
        for line in assembler.feed(f"{STAMP.format(index)} {stream} {tag} {text}".encode())
    ]
    lines += assembler.finish()
    for name, number in (("stdout", STDOUT), ("stderr", STDERR)):
        written = "".join(text + ("\n" if tag == "F" else "") for stream, tag, text in entries if stream == name)
        assert b"".join(line.data for line in lines if line.stream == number).decode() == written

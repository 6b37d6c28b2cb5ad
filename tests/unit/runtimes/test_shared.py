"""What the real engines share: the pause image, labels, times, and the framing of streams."""

from __future__ import annotations

import io
import platform
import signal
import struct
import subprocess
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtimes import pause
from runtimes.contract import STDERR, STDOUT, ContainerConfig, InvalidConfig, SandboxConfig, Unavailable
from runtimes.enginesocket import EngineSocket, message_of
from runtimes.enginestreams import EngineEvents, EngineLogs, Frames, read_event
from runtimes.labels import (
    KIND,
    container_labels,
    container_name,
    label_filter,
    read_record,
    sandbox_labels,
    sandbox_name,
)
from runtimes.timestamps import format_ns, parse_ns, parse_seconds

# --- the pause program --------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program is for this machine's processor only")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_runs_until_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    program = tmp_path / "pause"
    program.write_bytes(pause.pause_program("amd64"))
    program.chmod(0o755)
    with subprocess.Popen([program]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(number)
        assert process.wait(10) == 0


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_pause_is_a_small_static_executable(architecture: str, machine: int) -> None:
    program = pause.pause_program(architecture)
    assert program[:4] == b"\x7fELF" and struct.unpack_from("<HH", program, 16) == (2, machine)
    entry, segments = struct.unpack_from("<QQ", program, 24)
    assert 0x400000 < entry < 0x400000 + len(program) < 0x400000 + 1024 and segments == 64


def test_pause_for_arm64_is_made_of_known_instructions() -> None:
    program = pause.pause_program("arm64")
    code = program[0x78:-64]
    words = [word for (word,) in struct.iter_unpack("<I", code[: len(code) // 4 * 4]) if word]
    for word in words:
        known = (word & 0xFF800000) in (0xD2800000, 0xF2800000) or word == 0xD4000001 or word >> 26 == 0b000101
        assert known, hex(word)


def test_pause_for_an_unknown_processor() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        pause.pause_program("riscv64")


def test_pause_image_is_always_the_same() -> None:
    archive = pause.image_archive("amd64")
    assert archive == pause.image_archive("amd64")
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer:
        manifest = msgspec.json.decode(outer.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert manifest[0]["RepoTags"] == [pause.PAUSE_IMAGE]
        assert {manifest[0]["Config"], *manifest[0]["Layers"]} < set(outer.getnames())


# --- labels -------------------------------------------------------------------------------------------------

TEXTS = st.dictionaries(st.text(min_size=1), st.text(), max_size=3)


@given(TEXTS, TEXTS, st.integers(0, 9))
def test_records_come_back_from_labels(labels: dict[str, str], annotations: dict[str, str], attempt: int) -> None:
    config = SandboxConfig(
        name="web", uid="u", namespace="n", attempt=attempt, labels=labels, annotations=annotations, share_pid=True
    )
    record = read_record(sandbox_labels(config) | {"from-the-image": "x"})
    assert record is not None
    assert (record.labels, record.annotations, record.attempt, record.share_pid) == (labels, annotations, attempt, True)


def test_labels_tell_what_is_ours() -> None:
    config = ContainerConfig(name="main", image="i", labels={"a": "b"})
    labels = container_labels("s" * 64, config)
    assert labels["a"] == "b" and labels[KIND] == "container"
    assert read_record({"a": "b"}) is None and read_record({"io.kube-actors.record": "{"}) is None
    assert label_filter({"a": "b"}, "container", "s1")[0] == "a=b"
    assert len(label_filter({}, None)) == 0


def test_names_are_fit_for_engines() -> None:
    sandbox = SandboxConfig(name="web:odd/name", uid="u", namespace="n")
    assert sandbox_name(sandbox) == "ka_web-odd-name_n_u_0"
    assert container_name("abcdef0123456789", ContainerConfig(name="main", image="i", attempt=2)) == (
        "ka_main_2_abcdef012345"
    )


# --- times --------------------------------------------------------------------------------------------------


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_round_trip(nanoseconds: int) -> None:
    assert parse_ns(format_ns(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T02:00:01.5+02:00", 1.5),
        ("1969-12-31T22:00:01-02:00", 1.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_times_as_engines_write_them(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


def test_nonsense_is_no_time() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        parse_ns("yesterday")


# --- frames and events --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=50))), st.integers(1, 9))
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(struct.pack(">BxxxL", stream, len(payload)) + payload for stream, payload in frames)
    cutter = Frames()
    seen = [frame for at in range(0, len(data), size) for frame in cutter.feed(data[at : at + size])]
    assert seen == frames


def test_a_malformed_frame_is_a_fault() -> None:
    with pytest.raises(Unavailable):
        list(Frames().feed(b"HTTP/1.1 200 OK\r\n"))


def test_events_of_others_are_ignored() -> None:
    labels = container_labels("s1", ContainerConfig(name="main", image="i", labels={"a": "b"}))
    raw = {
        "Action": "die",
        "timeNano": 1_500_000_000_000_000_000,
        "Actor": {"ID": "c1", "Attributes": labels | {"exitCode": "3"}},
    }
    event = read_event(raw)
    assert event is not None
    assert (event.subject, event.action, event.id, event.sandbox_id) == ("container", "died", "c1", "s1")
    assert (event.exit_code, event.time, event.labels) == (3, 1.5e9, {"a": "b"})
    assert read_event(raw | {"Action": "exec_create: x"}) is None
    assert read_event(raw | {"Actor": {"ID": "c1", "Attributes": {}}}) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"No such container: x\\n"}', "No such container: x"),
        (b'{"cause":"why","message":""}', "why"),
        (b"plain\ntext", "plain text"),
        (b"[]", ""),
    ],
)
def test_causes_are_found(body: bytes, message: str) -> None:
    assert message_of(body) == message


# --- the socket ---------------------------------------------------------------------------------------------

Peer = Callable[[trio.SocketStream], Awaitable[None]]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Callable[[Peer], Awaitable[EngineSocket]]]:
    """Starts a peer that speaks bytes on a socket of its own, and gives what talks to it."""
    async with trio.open_nursery() as nursery:

        async def start(peer: Peer) -> EngineSocket:
            listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
            path = tmp_path / "engine.sock"
            await listening.bind(str(path))
            listening.listen(8)

            async def serve() -> None:
                with listening:
                    while True:
                        accepted, _ = await listening.accept()
                        async with trio.SocketStream(accepted) as stream:
                            head = b""
                            while b"\r\n\r\n" not in head:
                                head += await stream.receive_some(4096)
                            await peer(stream)

            nursery.start_soon(serve)
            return EngineSocket(f"unix://{path}")

        yield start
        nursery.cancel_scope.cancel()


def saying(*pieces: bytes) -> Peer:
    async def peer(stream: trio.SocketStream) -> None:
        for piece in pieces:
            await stream.send_all(piece)
            await trio.lowlevel.checkpoint()

    return peer


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, more",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nl", b"lo\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"\r\nhel", b"lo"),
    ],
)
async def test_bodies_of_every_kind(engine: Callable[[Peer], Awaitable[EngineSocket]], pieces: tuple[bytes]) -> None:
    assert await (await engine(saying(*pieces))).call("GET", "/") == (200, b"hello")


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200",),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",),
    ],
)
async def test_a_broken_answer_is_unavailable(
    engine: Callable[[Peer], Awaitable[EngineSocket]], pieces: tuple[bytes, ...]
) -> None:
    socket = await engine(saying(*pieces))
    with pytest.raises(Unavailable):
        await socket.call("GET", "/")


async def test_logs_are_cut_into_lines(engine: Callable[[Peer], Awaitable[EngineSocket]]) -> None:
    def frame(stream: int, text: bytes) -> bytes:
        return struct.pack(">BxxxL", stream, len(text)) + text

    stamp = b"2026-01-02T03:04:05.000000006Z "
    data = frame(1, stamp + b"one\r\n") + frame(2, stamp + b"two\n" + stamp + b"\n") + frame(1, stamp + b"rest")
    socket = await engine(saying(b"HTTP/1.1 200 OK\r\n\r\n", data[:20], data[20:]))
    async with EngineLogs(await socket.request("GET", "/"), tty=False) as lines:
        seen = [(line.stream, line.data, line.time_ns % 10**9) async for line in lines]
    assert seen == [(1, b"one\r\n", 6), (2, b"two\n", 6), (2, b"\n", 6), (1, b"rest", 6)]


async def test_the_end_of_events_is_the_end_of_the_engine(
    engine: Callable[[Peer], Awaitable[EngineSocket]],
) -> None:
    socket = await engine(saying(b"HTTP/1.1 200 OK\r\n\r\n\n"))
    async with EngineEvents(await socket.request("GET", "/")) as events:
        with pytest.raises(Unavailable):
            await events.__anext__()


def test_an_address_must_be_one() -> None:
    with pytest.raises(InvalidConfig, match="nowhere"):
        EngineSocket("nowhere")

"""One suite for every engine: what `runtimes.contract` promises, shown on simulated, Docker and Podman.

Containers run shell one-liners of a busybox image, which the simulated engine interprets in virtual time. What needs
real processes or a real network is in `test_runtime_real.py`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from runtimes.contract import (
    STDERR,
    STDOUT,
    AlreadyExists,
    ContainerConfig,
    ImageNotPresent,
    ImagePullFailed,
    Mount,
    NotFound,
    TimedOut,
    WrongState,
)
from tests.kit import images
from tests.kit.runtimes import (
    PATIENCE_SECONDS,
    Bench,
    next_event,
    open_bench,
    read_all,
    read_until,
    run_in_virtual_time,
)


@pytest.fixture(
    params=[
        pytest.param("simulated", marks=pytest.mark.trio(run=run_in_virtual_time)),
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("podman", marks=pytest.mark.podman),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with open_bench(request.param) as bench:
        yield bench


# --- the engine ---------------------------------------------------------------------------------------------


async def test_engine_tells_what_it_is(bench: Bench) -> None:
    version = await bench.runtime.version()
    info = await bench.runtime.info()
    assert version.engine == info.engine == bench.name
    assert version.version and version.api_version
    assert info.cpus >= 1 and info.memory_bytes > 1 << 26 and info.storage_bytes > 1 << 26
    assert info.os == "linux" and info.architecture in ("amd64", "arm64")


# --- sandboxes ----------------------------------------------------------------------------------------------


async def test_sandbox_life(bench: Bench) -> None:
    config = bench.config(annotations={"note": 'with "quotes"'}, attempt=2)
    sandbox = await bench.runtime.run_sandbox(config)
    assert (sandbox.name, sandbox.uid, sandbox.namespace, sandbox.attempt) == (
        config.name,
        config.uid,
        "default",
        2,
    )
    assert sandbox.state == "ready" and sandbox.ip and sandbox.ips == (sandbox.ip,)
    assert sandbox.labels == bench.labels and sandbox.annotations == {"note": 'with "quotes"'}
    assert await bench.runtime.sandbox_status(sandbox.id) == sandbox
    await bench.runtime.stop_sandbox(sandbox.id)
    await bench.runtime.stop_sandbox(sandbox.id)
    assert (await bench.runtime.sandbox_status(sandbox.id)).state == "notready"
    await bench.runtime.remove_sandbox(sandbox.id)
    await bench.runtime.remove_sandbox(sandbox.id)
    with pytest.raises(NotFound):
        await bench.runtime.sandbox_status(sandbox.id)


async def test_sandbox_exists_once(bench: Bench) -> None:
    config = bench.config()
    await bench.runtime.run_sandbox(config)
    with pytest.raises(AlreadyExists):
        await bench.runtime.run_sandbox(config)


async def test_sandboxes_have_addresses_of_their_own(bench: Bench) -> None:
    one, two = await bench.sandbox(), await bench.sandbox()
    assert one.ip != two.ip


async def test_host_network_sandbox_has_no_address(bench: Bench) -> None:
    sandbox = await bench.sandbox(host_network=True, hostname="")
    assert sandbox.host_network and sandbox.ip == "" and sandbox.ips == ()
    listed = await bench.runtime.list_sandboxes(bench.labels)
    assert [(found.host_network, found.ip) for found in listed] == [(True, "")]


async def test_listing_is_by_labels(bench: Bench) -> None:
    one = await bench.sandbox(labels=bench.labels | {"role": "one"})
    two = await bench.sandbox(labels=bench.labels | {"role": "two"})
    assert {found.id for found in await bench.runtime.list_sandboxes(bench.labels)} == {one.id, two.id}
    (found,) = await bench.runtime.list_sandboxes(bench.labels | {"role": "two"})
    assert found == two
    assert await bench.runtime.list_sandboxes(bench.labels | {"role": "three"}) == ()


async def test_removing_a_sandbox_takes_its_containers(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    identity = await bench.container(sandbox)
    await bench.runtime.stop_sandbox(sandbox.id)
    assert (await bench.runtime.container_status(identity)).state == "exited"
    await bench.runtime.remove_sandbox(sandbox.id)
    with pytest.raises(NotFound):
        await bench.runtime.container_status(identity)


async def test_hostname_and_names_in_the_sandbox(bench: Bench) -> None:
    sandbox = await bench.sandbox(hostname="some-host")
    identity = await bench.container(sandbox)
    result = await bench.runtime.exec_sync(identity, ["hostname"])
    assert result.stdout == b"some-host\n"


# --- the life of a container --------------------------------------------------------------------------------


async def test_container_life(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    identity = await bench.container(
        sandbox, name="web", attempt=3, annotations={"a": "b"}, start=False, labels=bench.labels | {"tier": "x"}
    )
    status = await bench.runtime.container_status(identity)
    assert (status.state, status.name, status.attempt, status.sandbox_id) == ("created", "web", 3, sandbox.id)
    assert status.started_at == 0.0 and status.finished_at == 0.0 and status.exit_code is None
    await bench.runtime.start_container(identity)
    status = await bench.runtime.container_status(identity)
    assert status.state == "running" and status.started_at >= status.created_at > 1e9
    assert status.finished_at == 0.0 and status.exit_code is None
    assert status.image == images.BUSYBOX and status.image_id
    assert status.labels == bench.labels | {"tier": "x"} and status.annotations == {"a": "b"}
    with pytest.raises(WrongState):
        await bench.runtime.remove_container(identity)
    await bench.runtime.kill_container(identity)
    status = await bench.exited(identity)
    assert status.exit_code == 137 and not status.oom_killed and status.reason == "Error"
    assert status.finished_at >= status.started_at
    await bench.runtime.remove_container(identity)
    await bench.runtime.remove_container(identity)
    with pytest.raises(NotFound):
        await bench.runtime.container_status(identity)


@pytest.mark.parametrize("code", [0, 3, 255])
async def test_exit_code(bench: Bench, code: int) -> None:
    status = await bench.exited(await bench.shell(f"exit {code}"))
    assert status.exit_code == code
    assert status.reason == ("Completed" if code == 0 else "Error")


async def test_stop_lets_the_process_end_itself(bench: Bench) -> None:
    identity = await bench.shell("trap 'exit 7' TERM; echo trapped; sleep 1000 & wait")
    async with await bench.runtime.logs(identity, follow=True) as lines:
        async for line in lines:
            assert line.data == b"trapped\n"
            break
    await bench.runtime.stop_container(identity, 30.0)
    status = await bench.runtime.container_status(identity)
    assert (status.state, status.exit_code) == ("exited", 7)


async def test_stop_kills_what_ignores_it(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    await bench.runtime.stop_container(identity, 1.0)
    status = await bench.runtime.container_status(identity)
    assert (status.state, status.exit_code) == ("exited", 137)
    await bench.runtime.stop_container(identity, 1.0)


async def test_stop_without_grace_kills(bench: Bench) -> None:
    identity = await bench.shell("trap 'exit 7' TERM; sleep 1000 & wait")
    await bench.runtime.stop_container(identity, 0.0)
    assert (await bench.runtime.container_status(identity)).exit_code == 137


async def test_stopping_what_is_gone_is_no_error(bench: Bench) -> None:
    await bench.runtime.stop_container("0" * 64, 1.0)
    await bench.runtime.kill_container("0" * 64)
    await bench.runtime.remove_container("0" * 64, force=True)
    await bench.runtime.stop_sandbox("0" * 64)
    await bench.runtime.remove_sandbox("0" * 64)


async def test_container_exists_once(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    first = await bench.container(sandbox)
    with pytest.raises(AlreadyExists):
        await bench.container(sandbox)
    second = await bench.container(sandbox, attempt=1)
    assert {found.id for found in await bench.runtime.list_containers(bench.labels)} == {first, second}


async def test_containers_are_listed_with_their_states(bench: Bench) -> None:
    one, two = await bench.sandbox(), await bench.sandbox()
    created = await bench.container(one, name="created", start=False)
    running = await bench.container(one, name="running")
    ended = await bench.shell("exit 0", two, name="ended")
    await bench.exited(ended)
    listed = {found.id: found for found in await bench.runtime.list_containers(bench.labels)}
    assert {identity: found.state for identity, found in listed.items()} == {
        created: "created",
        running: "running",
        ended: "exited",
    }
    assert {found.sandbox_id for found in listed.values()} == {one.id, two.id}
    assert listed[ended].name == "ended" and listed[ended].labels == bench.labels
    of_one = await bench.runtime.list_containers(bench.labels, sandbox_id=one.id)
    assert {found.id for found in of_one} == {created, running}


async def test_a_container_needs_sandbox_and_image(bench: Bench) -> None:
    config = ContainerConfig(name="main", image=images.BUSYBOX)
    with pytest.raises(NotFound):
        await bench.runtime.create_container("0" * 64, config)
    sandbox = await bench.sandbox()
    with pytest.raises(ImageNotPresent):
        await bench.container(sandbox, image=images.ABSENT)


# --- what a container is given ------------------------------------------------------------------------------


async def test_environment_arrives(bench: Bench) -> None:
    env = (("PLAIN", "one"), ("with.dots-and_dashes", "two"), ("EMPTY", ""), ("LINES", "a b=c"), ("PLAIN", "three"))
    identity = await bench.container(await bench.sandbox(), "env", env=env)
    await bench.exited(identity)
    lines = {data.decode().rstrip("\n") for _, data in await bench.output(identity)}
    assert {"PLAIN=three", "with.dots-and_dashes=two", "EMPTY=", "LINES=a b=c"} <= lines
    assert "PLAIN=one" not in lines


async def test_command_and_arguments(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    identity = await bench.container(sandbox, "echo", args=("two words", "more"))
    await bench.exited(identity)
    assert await bench.output(identity) == [(STDOUT, b"two words more\n")]


async def test_working_directory(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox(), "pwd", working_dir="/tmp")
    await bench.exited(identity)
    assert await bench.output(identity) == [(STDOUT, b"/tmp\n")]


async def test_mounts(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "greeting").write_text("hello from the host\n")
    mount = Mount(host_path=str(tmp_path), container_path="/data", read_only=True)
    identity = await bench.container(await bench.sandbox(), mounts=(mount,))
    result = await bench.runtime.exec_sync(identity, ["cat", "/data/greeting"])
    assert result.stdout == b"hello from the host\n"
    assert (await bench.runtime.container_status(identity)).mounts == (mount,)
    if bench.real:
        refused = await bench.runtime.exec_sync(identity, ["touch", "/data/new"])
        assert refused.exit_code != 0 and b"Read-only" in refused.stderr


# --- images -------------------------------------------------------------------------------------------------


async def test_images_are_found(bench: Bench) -> None:
    image = await bench.runtime.image_status(images.BUSYBOX)
    assert image is not None and image.id
    assert any(tag.endswith(images.BUSYBOX) for tag in image.tags)
    assert image.id in {found.id for found in await bench.runtime.list_images()}
    assert await bench.runtime.image_status(images.ABSENT) is None
    await bench.runtime.remove_image(images.ABSENT)


async def test_pull_failure_tells_the_cause(bench: Bench) -> None:
    if bench.real:
        with pytest.raises(ImagePullFailed) as caught:
            with trio.fail_after(PATIENCE_SECONDS):
                await bench.runtime.pull_image("127.0.0.1:9/absent:1")
        assert "127.0.0.1:9" in caught.value.message
    with pytest.raises(ImagePullFailed, match="reference"):
        await bench.runtime.pull_image("Not A Reference")


# --- commands -----------------------------------------------------------------------------------------------


async def test_exec_sync(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    result = await bench.runtime.exec_sync(identity, ["sh", "-c", "echo out; echo err >&2; exit 5"])
    assert (result.exit_code, result.stdout, result.stderr) == (5, b"out\n", b"err\n")
    with pytest.raises(TimedOut):
        await bench.runtime.exec_sync(identity, ["sleep", "1000"], timeout_seconds=0.5)
    with pytest.raises(NotFound):
        await bench.runtime.exec_sync("0" * 64, ["true"])


async def test_exec_needs_a_running_container(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    waiting = await bench.container(sandbox, start=False)
    ended = await bench.shell("exit 0", sandbox, name="ended")
    await bench.exited(ended)
    for identity in (waiting, ended):
        with pytest.raises(WrongState):
            await bench.runtime.exec_sync(identity, ["true"])
        with pytest.raises(WrongState):
            await bench.runtime.exec(identity, ["true"])


async def test_exec_streams_both_ways(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    async with await bench.runtime.exec(identity, ["cat"], stdin=True) as session:
        await session.send_stdin(b"first\n")
        assert await read_until(session, b"first\n") == b"first\n"
        big = b"x" * 200_000

        async with trio.open_nursery() as nursery:

            async def feed() -> None:
                await session.send_stdin(big)
                await session.close_stdin()

            nursery.start_soon(feed)
            output = await read_all(session)
        assert output == {STDOUT: big, STDERR: b""}
        assert await session.exit_code() == 0


async def test_exec_separates_streams_and_gives_the_code(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    async with await bench.runtime.exec(identity, ["sh", "-c", "echo out; echo err >&2; exit 9"]) as session:
        assert await read_all(session) == {STDOUT: b"out\n", STDERR: b"err\n"}
        assert await session.exit_code() == 9


async def test_exec_with_a_terminal(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    async with await bench.runtime.exec(identity, ["sh"], tty=True, stdin=True) as session:
        await session.resize(101, 37)
        await session.send_stdin(b"echo one-$((1+1))\n" if bench.real else b"echo one-2\n")
        await read_until(session, b"one-2")
        if bench.real:
            await session.send_stdin(b"stty size\n")
            await read_until(session, b"37 101")
        await session.send_stdin(b"exit 4\n")
        output = await read_all(session)
        assert output[STDERR] == b""
        assert await session.exit_code() == 4


async def test_closing_an_exec_leaves_the_container(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    session = await bench.runtime.exec(identity, ["cat"], stdin=True)
    await session.aclose()
    assert (await bench.runtime.exec_sync(identity, ["true"])).exit_code == 0


async def test_attach(bench: Bench) -> None:
    identity = await bench.shell("cat; exit 6", stdin=True, stdin_once=True)
    async with await bench.runtime.attach(identity, stdin=True) as session:
        await session.send_stdin(b"into the container\n")
        assert await read_until(session, b"container\n") == b"into the container\n"
        await session.close_stdin()
        await read_all(session)
        assert await session.exit_code() == 6


# --- logs ---------------------------------------------------------------------------------------------------


async def test_logs_of_both_streams_survive_the_end(bench: Bench) -> None:
    identity = await bench.shell("echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; printf rest")
    await bench.exited(identity)
    expected = [(STDOUT, b"one\n"), (STDERR, b"two\n"), (STDOUT, b"three\n"), (STDOUT, b"rest")]
    assert await bench.output(identity) == expected
    assert await bench.output(identity, tail=2) == expected[2:]
    assert await bench.output(identity, tail=0) == []
    assert await bench.output(identity, follow=True) == expected


async def test_logs_carry_times(bench: Bench) -> None:
    identity = await bench.shell("echo early; sleep 1.5; echo late")
    await bench.exited(identity)
    async with await bench.runtime.logs(identity) as stream:
        lines = [line async for line in stream]
    early, late = lines
    assert early.time_ns + 1_000_000_000 < late.time_ns
    between = (early.time_ns + late.time_ns) / 2e9
    assert await bench.output(identity, since=between) == [(STDOUT, b"late\n")]
    assert await bench.output(identity, since=late.time_ns / 1e9 + 1) == []


async def test_logs_are_followed_to_the_end(bench: Bench) -> None:
    identity = await bench.shell("echo now; sleep 1; echo later; sleep 1; echo last")
    assert await bench.output(identity, follow=True) == [
        (STDOUT, b"now\n"),
        (STDOUT, b"later\n"),
        (STDOUT, b"last\n"),
    ]


async def test_following_can_be_given_up(bench: Bench) -> None:
    identity = await bench.shell("echo now; sleep 1000")
    with trio.fail_after(PATIENCE_SECONDS):
        async with await bench.runtime.logs(identity, follow=True) as lines:
            async for line in lines:
                assert line.data == b"now\n"
                break
            with trio.move_on_after(0.2) as scope:
                await lines.__anext__()
            assert scope.cancelled_caught
    assert (await bench.runtime.container_status(identity)).state == "running"


async def test_logs_of_a_terminal(bench: Bench) -> None:
    identity = await bench.shell("echo one; echo two >&2", tty=True)
    await bench.exited(identity)
    lines = await bench.output(identity)
    assert [(stream, data.rstrip(b"\r\n")) for stream, data in lines] == [(STDOUT, b"one"), (STDOUT, b"two")]


async def test_logs_of_nothing(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.runtime.logs("0" * 64)


# --- observation --------------------------------------------------------------------------------------------


async def test_events_tell_a_containers_life(bench: Bench) -> None:
    async with await bench.runtime.events(bench.labels) as events:
        sandbox = await bench.sandbox()
        started = await next_event(events, "sandbox", "started")
        assert (started.id, started.name, started.labels) == (sandbox.id, sandbox.name, bench.labels)
        identity = await bench.shell("exit 3", sandbox, labels=bench.labels | {"some": "label"})
        event = await next_event(events, "container", "started")
        assert (event.id, event.sandbox_id, event.name) == (identity, sandbox.id, "main")
        event = await next_event(events, "container", "died")
        assert (event.id, event.exit_code) == (identity, 3)
        assert event.labels == bench.labels | {"some": "label"} and event.time > 1e9
        await bench.exited(identity)
        await bench.runtime.remove_container(identity)
        assert (await next_event(events, "container", "removed")).id == identity
        await bench.runtime.stop_sandbox(sandbox.id)
        assert (await next_event(events, "sandbox", "died")).id == sandbox.id


async def test_events_are_filtered_by_labels(bench: Bench) -> None:
    async with await bench.runtime.events(bench.labels | {"role": "wanted"}) as events:
        await bench.sandbox()
        wanted = await bench.sandbox(labels=bench.labels | {"role": "wanted"})
        assert (await next_event(events, "sandbox", "started")).id == wanted.id


async def test_stats_of_what_runs(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    busy = await bench.container(sandbox, name="busy")
    waiting = await bench.container(sandbox, name="waiting", start=False)
    (stats,) = await bench.runtime.stats([busy, waiting, "0" * 64])
    assert stats.id == busy and stats.memory_usage_bytes >= stats.memory_working_set_bytes > 0
    assert stats.cpu_usage_ns >= 0 and stats.time > 1e9


# --- adoption and concurrency -------------------------------------------------------------------------------


async def test_many_at_once(bench: Bench) -> None:
    identities: list[str] = []

    async def one() -> None:
        identities.append(await bench.shell("exit 0"))

    started = time.monotonic()
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(one)
    for identity in identities:
        assert (await bench.exited(identity)).exit_code == 0
    assert len(set(identities)) == 10
    assert time.monotonic() - started < PATIENCE_SECONDS


async def test_cancelling_a_start_leaves_a_usable_engine(bench: Bench) -> None:
    with trio.move_on_after(0.02):
        await bench.shell("exit 0")
    identity = await bench.shell("exit 0", name="second")
    assert (await bench.exited(identity)).exit_code == 0

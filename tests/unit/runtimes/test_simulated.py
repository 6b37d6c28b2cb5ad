"""The simulated engine beyond the conformance suite: scripts, virtual time, its network, its cost."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from runtimes import limits
from runtimes.contract import (
    STDERR,
    STDOUT,
    ContainerConfig,
    ImagePullFailed,
    InvalidConfig,
    RuntimeFault,
    SandboxConfig,
    StartFailed,
    Unavailable,
    WrongState,
)
from runtimes.simulated import Behaviour, Outcome, Output, Script, SimulatedRuntime, open_simulated
from runtimes.simulated.images import is_absent
from tests.kit.runtimes import run_in_virtual_time

VIRTUAL_TIME = pytest.mark.trio(run=run_in_virtual_time)
EPOCH = 1.8e9


def now() -> float:
    return EPOCH + trio.current_time()


@pytest.fixture
async def runtime() -> AsyncIterator[SimulatedRuntime]:
    async with open_simulated(now=now) as runtime:
        yield runtime


async def make(runtime: SimulatedRuntime, *, pod: str = "pod", start: bool = True, **changes: Any) -> str:
    sandbox_changes = {key: changes.pop(key) for key in ("annotations", "host_network") if key in changes}
    sandbox = await runtime.run_sandbox(
        SandboxConfig(name=pod, uid=pod, namespace="default", hostname=pod, **sandbox_changes)
    )
    config = ContainerConfig(**({"name": "main", "image": "web:1"} | changes))
    await runtime.pull_image(config.image)
    identity = await runtime.create_container(sandbox.id, config)
    if start:
        await runtime.start_container(identity)
    return identity


@VIRTUAL_TIME
async def test_a_default_container_runs_until_term_and_ends_well(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    await trio.sleep(80_000)
    assert (await runtime.container_status(identity)).state == "running"
    await runtime.stop_container(identity, 30.0)
    status = await runtime.container_status(identity)
    assert (status.state, status.exit_code, status.reason) == ("exited", 0, "Completed")
    assert status.finished_at == pytest.approx(EPOCH + 80_000)


@pytest.mark.parametrize(
    ("behaviour", "took", "code"),
    [
        (Behaviour(term_seconds=4.0, term_exit_code=143), 4.0, 143),
        (Behaviour(term_seconds=50.0), 30.0, 137),
        (Behaviour(ignore_term=True), 30.0, 137),
    ],
)
@VIRTUAL_TIME
async def test_ways_to_take_term(runtime: SimulatedRuntime, behaviour: Behaviour, took: float, code: int) -> None:
    runtime.script.set("web", behaviour)
    identity = await make(runtime)
    began = trio.current_time()
    await runtime.stop_container(identity, 30.0)
    assert trio.current_time() - began == pytest.approx(took)
    assert (await runtime.container_status(identity)).exit_code == code


@VIRTUAL_TIME
async def test_scripted_run_and_end(runtime: SimulatedRuntime) -> None:
    runtime.script.set("job:1", Behaviour(run_seconds=60.0, exit_code=3))
    identity = await make(runtime, image="job:1")
    await trio.sleep(59)
    assert (await runtime.container_status(identity)).state == "running"
    await trio.sleep(2)
    status = await runtime.container_status(identity)
    assert (status.exit_code, status.reason) == (3, "Error")
    assert status.finished_at - status.started_at == pytest.approx(60.0)


@VIRTUAL_TIME
async def test_out_of_memory(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime, image="eater", env=(("SIMULATED_BEHAVIOUR", '{"run_seconds": 1, "oom": true}'),))
    async with await runtime.events() as events:
        assert (await events.__anext__()).action == "oom"
        died = await events.__anext__()
        assert (died.action, died.exit_code) == ("died", 137)
    status = await runtime.container_status(identity)
    assert (status.exit_code, status.oom_killed, status.reason) == (137, True, "OOMKilled")


@VIRTUAL_TIME
async def test_start_takes_time_or_fails(runtime: SimulatedRuntime) -> None:
    runtime.script.set("container:slow", Behaviour(start_seconds=7.0))
    runtime.script.set("container:broken", Behaviour(start_error="exec: no such file", start_exit_code=127))
    began = trio.current_time()
    await make(runtime, pod="one", name="slow")
    assert trio.current_time() - began == pytest.approx(7.0)
    identity = await make(runtime, pod="two", name="broken", start=False)
    with pytest.raises(StartFailed, match="no such file") as caught:
        await runtime.start_container(identity)
    assert caught.value.exit_code == 127
    status = await runtime.container_status(identity)
    assert (status.state, status.exit_code, status.reason) == ("exited", 127, "StartError")


@VIRTUAL_TIME
async def test_a_container_does_not_start_in_a_stopped_sandbox(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime, start=False)
    (sandbox,) = await runtime.list_sandboxes()
    await runtime.stop_sandbox(sandbox.id)
    with pytest.raises(WrongState):
        await runtime.start_container(identity)
    assert (await runtime.sandbox_status(sandbox.id)).state == "notready"


@VIRTUAL_TIME
async def test_pulls_fail_as_scripted(runtime: SimulatedRuntime) -> None:
    runtime.script.set("flaky", Behaviour(pull_error="no route to host", pull_failures=2, pull_seconds=5.0))
    runtime.script.set("gone", Behaviour(pull_error="manifest unknown"))
    for _ in range(2):
        with pytest.raises(ImagePullFailed, match="no route"):
            await runtime.pull_image("flaky:1")
    image = await runtime.pull_image("flaky:1")
    assert image.tags == ("flaky:1",) and trio.current_time() == pytest.approx(15.0)
    for _ in range(5):
        with pytest.raises(ImagePullFailed, match="manifest unknown"):
            await runtime.pull_image("gone")
    assert await runtime.image_status("gone") is None


@VIRTUAL_TIME
async def test_images_in_use_stay(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    with pytest.raises(WrongState):
        await runtime.remove_image("web:1")
    await runtime.remove_container(identity, force=True)
    await runtime.remove_image("web:1")
    assert await runtime.image_status("web:1") is None


@VIRTUAL_TIME
async def test_output_comes_when_scripted(runtime: SimulatedRuntime) -> None:
    runtime.script.set(
        "web",
        Behaviour(
            output=(Output(text="up\n"), Output(text="warn\n", after_seconds=2.0, stream=STDERR)), run_seconds=3.0
        ),
    )
    identity = await make(runtime)
    async with await runtime.logs(identity, follow=True) as lines:
        seen = [(line.stream, line.data, line.time_ns / 1e9 - EPOCH) async for line in lines]
    assert [(stream, data) for stream, data, _ in seen] == [(STDOUT, b"up\n"), (STDERR, b"warn\n")]
    assert seen[1][2] - seen[0][2] == pytest.approx(2.0, abs=1e-3)


@VIRTUAL_TIME
async def test_only_the_newest_lines_are_kept(runtime: SimulatedRuntime) -> None:
    extra = 5
    text = "".join(f"{number}\n" for number in range(limits.SIMULATED_LOG_LINES + extra))
    identity = await make(runtime, command=("printf", text.replace("\n", "\\n")))
    async with await runtime.logs(identity, follow=True) as lines:
        numbers = [int(line.data) async for line in lines]
    assert (len(numbers), numbers[0]) == (limits.SIMULATED_LOG_LINES, extra)


@VIRTUAL_TIME
async def test_commands_are_scripted_and_can_change(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    probe = ["pg_isready", "-q"]
    assert (await runtime.exec_sync(identity, probe)).exit_code == 0
    runtime.script.set("web", Behaviour(commands={"pg_isready -q": Outcome(exit_code=2, stderr="no answer\n")}))
    result = await runtime.exec_sync(identity, probe)
    assert (result.exit_code, result.stderr) == (2, b"no answer\n")


@VIRTUAL_TIME
async def test_behaviour_comes_from_annotations(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime, annotations={"simulated.kube-actors/main": '{"run_seconds": 1, "exit_code": 9}'})
    await trio.sleep(2)
    assert (await runtime.container_status(identity)).exit_code == 9
    with pytest.raises(InvalidConfig, match="unreadable simulated behaviour"):
        await make(runtime, pod="bad", annotations={"simulated.kube-actors/behaviour": "{"})


@VIRTUAL_TIME
async def test_a_crash_from_outside(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    runtime.crash(identity, 139)
    assert (await runtime.container_status(identity)).exit_code == 139


@VIRTUAL_TIME
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["nope", "-x"], 127, 'exec: "nope": executable file not found in $PATH\n'),
        (["/no/such"], 127, 'exec: "/no/such": stat /no/such: no such file or directory\n'),
        (["sh", "-c", "echo first; nope; echo $?"], 0, "first\nsh: nope: not found\n127\n"),
        (["sh", "-c", "nope"], 127, "sh: nope: not found\n"),
        (["sh", "-c", "echo a | cat"], 126, "sh: cannot read '| cat': this simulated shell cannot do that\n"),
        (["sh", "script.sh"], 126, "sh: a script file: this simulated shell cannot do that\n"),
        (["sh", "-c", "touch /x; /x"], 127, "sh: /x: not found\n"),
    ],
)
async def test_what_somebody_executes_and_is_not_there_fails(
    runtime: SimulatedRuntime, command: list[str], code: int, said: str
) -> None:
    identity = await make(runtime)
    async with await runtime.exec(identity, command) as session:
        output = b""
        while (chunk := await session.receive()) is not None:
            output += chunk[1]
        assert (await session.exit_code(), output.decode()) == (code, said)


@VIRTUAL_TIME
async def test_a_shell_on_a_terminal_asks_and_ctrl_c_ends_what_it_runs(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    async with await runtime.exec(identity, ["sh"], tty=True, stdin=True) as session:
        seen = b""

        async def until(text: bytes) -> None:
            nonlocal seen
            with trio.fail_after(5):
                while text not in seen:
                    chunk = await session.receive()
                    assert chunk is not None, seen
                    seen += chunk[1]
            seen = seen.partition(text)[2]

        await until(b"/ # ")
        await session.send_stdin(b"cd /tmp; nope\r")
        await until(b"sh: nope: not found\r\n/tmp # ")
        await session.send_stdin(b"echo $?; sleep 1000\r")
        await until(b"127\r\n")
        await session.send_stdin(b"\x03")
        await until(b"^C\r\n/tmp # ")
        await session.send_stdin(b"exit 9")
        await until(b"exit 9")
        await session.send_stdin(b"\x03")
        await until(b"^C\r\n/tmp # ")
        await session.send_stdin(b"exit 5\r")
        assert await session.exit_code() == 5


@VIRTUAL_TIME
async def test_ctrl_c_ends_a_command_on_a_terminal(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    async with await runtime.exec(identity, ["sleep", "1000"], tty=True, stdin=True) as session:
        await trio.testing.wait_all_tasks_blocked()
        await session.send_stdin(b"\x03")
        assert await session.exit_code() == 130


@VIRTUAL_TIME
async def test_an_exec_ends_with_its_container(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    async with await runtime.exec(identity, ["sleep", "1000"]) as session:
        runtime.crash(identity)
        assert await session.receive() is None
        with pytest.raises(WrongState):
            await session.exit_code()


@VIRTUAL_TIME
async def test_an_engine_that_is_away(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime)
    events = await runtime.events()
    runtime.set_available(False)
    with pytest.raises(Unavailable):
        await events.__anext__()
    with pytest.raises(Unavailable):
        await runtime.container_status(identity)
    runtime.set_available(True)
    assert (await runtime.container_status(identity)).state == "running"


@VIRTUAL_TIME
async def test_a_slow_reader_of_events_is_cut_off(runtime: SimulatedRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIMULATED_EVENTS", 3)
    events = await runtime.events()
    for number in range(4):
        await make(runtime, pod=f"pod-{number}")
    for _ in range(3):
        await events.__anext__()
    with pytest.raises(Unavailable, match="too far behind"):
        await events.__anext__()


@VIRTUAL_TIME
async def test_addresses_are_used_in_turn_and_run_out() -> None:
    async with open_simulated(now=now, pod_cidr="10.9.8.0/29") as runtime:
        sandboxes = [await runtime.run_sandbox(SandboxConfig(name=f"{n}", uid=f"{n}", namespace="x")) for n in range(5)]
        assert [sandbox.ip for sandbox in sandboxes] == [f"10.9.8.{n}" for n in range(2, 7)]
        with pytest.raises(RuntimeFault, match=r"no address left in 10\.9\.8\.0/29"):
            await runtime.run_sandbox(SandboxConfig(name="more", uid="more", namespace="x"))
        await runtime.stop_sandbox(sandboxes[3].id)
        again = await runtime.run_sandbox(SandboxConfig(name="more", uid="more", namespace="x"))
        assert again.ip == sandboxes[3].ip


@VIRTUAL_TIME
async def test_http_without_a_network(runtime: SimulatedRuntime) -> None:
    identity = await make(runtime, pod="web-1", env=(("PORT", "80"), ("VERSION", "two")))
    (sandbox,) = await runtime.list_sandboxes()
    assert runtime.http_get(sandbox.ip, 80, "/") == (200, b"web-1 two\n")
    with pytest.raises(ConnectionRefusedError):
        runtime.http_get(sandbox.ip, 81, "/")
    runtime.script.set("web", Behaviour(paths={"/healthz": 503}))
    assert runtime.http_get(sandbox.ip, 80, "/healthz?x=1")[0] == 503
    await runtime.stop_container(identity, 1.0)
    with pytest.raises(ConnectionRefusedError):
        runtime.http_get(sandbox.ip, 80, "/")


async def test_same_calls_give_the_same_engine() -> None:
    async def transcript() -> list[Any]:
        async with open_simulated(now=lambda: EPOCH, name="node-1") as runtime:
            async with await runtime.events() as events:
                await make(runtime)
                return [await events.__anext__() for _ in range(4)]

    assert await transcript() == await transcript()


# --- the loopback network -----------------------------------------------------------------------------------


async def test_containers_serve_on_loopback_addresses() -> None:
    async with open_simulated(now=time.time, network="loopback", pod_cidr="127.77.1.0/24") as runtime:
        identity = await make(runtime, pod="web-1", env=(("PORT", "8080"),), image="hello:3")
        (sandbox,) = await runtime.list_sandboxes()
        base = f"http://{sandbox.ip}:8080"
        async with httpx.AsyncClient() as client:
            with trio.fail_after(10):
                while True:
                    try:
                        answer = await client.get(base + "/")
                        break
                    except httpx.ConnectError:
                        await trio.sleep(0.01)
            assert (answer.status_code, answer.text) == (200, "web-1 hello:3\n")
            assert (await client.get(base + "/healthz")).text == "ok\n"
            assert (await client.post(base + "/", content=b"x" * 100_000)).status_code == 200
            runtime.script.set("hello", Behaviour(paths={"/healthz": 500}))
            assert (await client.get(base + "/healthz")).status_code == 500
            await runtime.stop_container(identity, 1.0)
            with trio.fail_after(10):
                while True:
                    try:
                        await client.get(base + "/")
                    except httpx.TransportError:
                        break


async def test_a_taken_port_ends_the_container() -> None:
    async with open_simulated(now=time.time, network="loopback", pod_cidr="127.77.2.0/24") as runtime:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            port = listener.socket.getsockname()[1]
            identity = await make(runtime, host_network=True, env=(("PORT", str(port)),))
            async with await runtime.logs(identity, follow=True) as lines:
                with trio.fail_after(10):
                    (line,) = [line async for line in lines]
        assert line.stream == STDERR and f"127.0.0.1:{port}".encode() in line.data
        assert (await runtime.container_status(identity)).exit_code == 1


async def test_nothing_listens_unless_a_port_is_declared() -> None:
    async with open_simulated(now=time.time, network="loopback", pod_cidr="127.77.3.0/24") as runtime:
        await make(runtime)
        (sandbox,) = await runtime.list_sandboxes()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match=r"8080|refused"):
            await trio.open_tcp_stream(sandbox.ip, 8080)


# --- cost ---------------------------------------------------------------------------------------------------


async def test_a_pod_start_costs_well_under_a_millisecond() -> None:
    async with trio.open_nursery() as nursery:
        runtime = SimulatedRuntime(nursery, now=time.time, pod_cidr="10.0.0.0/16", script=Script())
        count = 500
        began = time.process_time()
        for number in range(count):
            await make(runtime, pod=str(number))
        assert (time.process_time() - began) / count < 0.001
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reference", "absent"),
    [
        ("webserver:404", True),
        ("foo:non-existent", True),
        ("docker.io/library/redis:nonexistent", True),
        ("registry.invalid/a/b:1", True),
        ("invalid.registry.k8s.io/invalid/alpine:3.1", True),
        ("registry:5000/httpd:2.4", False),
        ("httpd@sha256:" + "0" * 64, False),
        ("nonexistent", False),
    ],
)
def test_a_reference_may_say_that_nothing_is_there(reference: str, absent: bool) -> None:
    assert is_absent(reference) is absent

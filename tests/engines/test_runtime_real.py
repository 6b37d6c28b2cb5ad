"""The part of the runtime conformance suite that needs real processes, limits and networks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from runtimes.contract import (
    Dns,
    PortMapping,
    Resources,
    RuntimeFault,
    Security,
    StartFailed,
)
from tests.kit import images
from tests.kit.runtimes import (
    PATIENCE_SECONDS,
    Bench,
    next_event,
    open_bench,
    open_engine,
)


@pytest.fixture(
    params=[pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with open_bench(request.param) as bench:
        yield bench


# --- sandboxes ----------------------------------------------------------------------------------------------


async def test_dns_and_hosts_arrive(bench: Bench) -> None:
    dns = Dns(servers=("192.0.2.53",), searches=("default.svc.example",), options=("ndots:5",))
    sandbox = await bench.sandbox(dns=dns, extra_hosts=(("friend", "192.0.2.9"),))
    identity = await bench.container(sandbox)
    resolver = (await bench.runtime.exec_sync(identity, ["cat", "/etc/resolv.conf"])).stdout.decode()
    assert "nameserver 192.0.2.53" in resolver
    assert "search default.svc.example" in resolver and "ndots:5" in resolver
    hosts = (await bench.runtime.exec_sync(identity, ["cat", "/etc/hosts"])).stdout.decode()
    assert any(line.split()[:2] == ["192.0.2.9", "friend"] for line in hosts.splitlines())


async def test_containers_share_the_network(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    await bench.container(sandbox, image=images.TEST_V1, command=images.SERVE, name="server")
    client = await bench.container(sandbox, name="client")
    with trio.fail_after(PATIENCE_SECONDS):
        fetch = ["wget", "-q", "-O", "-", f"http://127.0.0.1:{images.SERVE_PORT}/healthz"]
        while True:
            result = await bench.runtime.exec_sync(client, fetch)
            if result.exit_code == 0:
                break
            await trio.sleep(0.1)
    assert result.stdout == b"ok\n"


async def test_host_port_is_mapped(bench: Bench, free_tcp_port: int) -> None:
    mapping = PortMapping(container_port=images.SERVE_PORT, host_port=free_tcp_port, host_ip="127.0.0.1")
    sandbox = await bench.sandbox(port_mappings=(mapping,))
    await bench.container(sandbox, image=images.TEST_V1, command=images.SERVE)
    with trio.fail_after(PATIENCE_SECONDS):
        answer = b""
        while not answer:
            try:
                async with await trio.open_tcp_stream("127.0.0.1", free_tcp_port) as stream:
                    await stream.send_all(b"GET /healthz HTTP/1.0\r\n\r\n")
                    answer = await stream.receive_some(1000)
            except OSError:
                await trio.sleep(0.1)
            except trio.BrokenResourceError:
                await trio.sleep(0.1)
    assert b" 200 " in answer


async def test_shared_process_namespace(bench: Bench) -> None:
    sandbox = await bench.sandbox(share_pid=True)
    await bench.container(sandbox, "sleep", "98765", name="other")
    seer = await bench.container(sandbox, name="seer")
    assert b"98765" in (await bench.runtime.exec_sync(seer, ["ps"])).stdout
    alone = await bench.container(await bench.sandbox(), name="alone")
    assert b"98765" not in (await bench.runtime.exec_sync(alone, ["ps"])).stdout


# --- the life of a container --------------------------------------------------------------------------------


async def test_start_of_a_missing_program_fails(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox(), "/no/such/program", start=False)
    with pytest.raises(StartFailed) as caught:
        await bench.runtime.start_container(identity)
    assert caught.value.exit_code in (126, 127, 128) and "/no/such/program" in caught.value.message
    status = await bench.runtime.container_status(identity)
    assert (status.state, status.reason) == ("exited", "StartError")
    assert status.exit_code == caught.value.exit_code
    await bench.runtime.remove_container(identity)


# --- what a container is given ------------------------------------------------------------------------------


async def test_user_and_privileges(bench: Bench) -> None:
    security = Security(
        user="1234",
        group="567",
        supplemental_groups=(89,),
        read_only_rootfs=True,
        no_new_privileges=True,
        capabilities_drop=("ALL",),
    )
    identity = await bench.container(await bench.sandbox(), security=security)
    status = (await bench.runtime.exec_sync(identity, ["cat", "/proc/1/status"])).stdout.decode()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split()[0] == "1234" and fields["Gid"].split()[0] == "567"
    assert "89" in fields["Groups"].split()
    assert int(fields["CapEff"], 16) == 0 and int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    assert (await bench.runtime.exec_sync(identity, ["touch", "/file"])).exit_code != 0


async def test_resources_and_their_update(bench: Bench) -> None:
    limited = Resources(
        cpu_shares=512, cpu_quota_us=50_000, cpu_period_us=100_000, memory_limit_bytes=64 << 20, oom_score_adj=500
    )
    identity = await bench.container(await bench.sandbox(), resources=limited)

    async def limit_of_memory() -> int:
        script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"
        return int((await bench.runtime.exec_sync(identity, ["sh", "-c", script])).stdout)

    assert await limit_of_memory() == 64 << 20
    score = await bench.runtime.exec_sync(identity, ["cat", "/proc/1/oom_score_adj"])
    assert score.stdout == b"500\n"
    await bench.runtime.update_resources(identity, Resources(memory_limit_bytes=96 << 20))
    assert await limit_of_memory() == 96 << 20


async def test_out_of_memory_is_told(bench: Bench) -> None:
    limited = Resources(memory_limit_bytes=16 << 20)
    async with await bench.runtime.events(bench.labels) as events:
        identity = await bench.container(await bench.sandbox(), "tail", "/dev/zero", resources=limited, name="eater")
        died = await next_event(events, "container", "died")
    status = await bench.exited(identity)
    assert (status.exit_code, status.oom_killed, status.reason) == (137, True, "OOMKilled")
    assert died.id == identity and died.exit_code == 137


# --- commands -----------------------------------------------------------------------------------------------


async def test_exec_of_a_missing_program(bench: Bench) -> None:
    identity = await bench.container(await bench.sandbox())
    try:
        result = await bench.runtime.exec_sync(identity, ["/no/such/program"])
    except RuntimeFault as fault:
        assert "/no/such/program" in fault.message
    else:
        assert result.exit_code in (126, 127)


# --- adoption and concurrency -------------------------------------------------------------------------------


async def test_another_process_finds_everything(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    identity = await bench.shell("echo before; sleep 1000", sandbox)
    status = await bench.runtime.container_status(identity)
    async with open_engine(bench.name) as other:
        assert await other.list_sandboxes(bench.labels) == (sandbox,)
        (found,) = await other.list_containers(bench.labels)
        assert (found.id, found.sandbox_id, found.state) == (identity, sandbox.id, "running")
        assert await other.container_status(identity) == status
        assert (await other.exec_sync(identity, ["true"])).exit_code == 0
    assert (await bench.runtime.container_status(identity)).state == "running"


async def test_a_container_does_not_revive_a_stopped_sandbox(bench: Bench) -> None:
    sandbox = await bench.sandbox()
    waiting = await bench.container(sandbox, start=False)
    await bench.runtime.stop_sandbox(sandbox.id)
    with pytest.raises(RuntimeFault):
        await bench.runtime.start_container(waiting)
    assert (await bench.runtime.sandbox_status(sandbox.id)).state == "notready"

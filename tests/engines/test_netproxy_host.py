"""The host tier: containers and a network namespace reach service addresses through this host, by one route."""

import subprocess
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import trio

from netproxy.addresses import local_route, obstacle_of, open_proxy
from netproxy.contract import NODE_ADDRESS, Backend, Frontend, Route, Table, TierUnavailable
from tests.kit import images
from tests.kit.engines import engines_required, require_engine

RANGE = "198.18.96.0/20"  # of the block that is set aside for tests, so that no real network has it
SERVICE = "198.18.96.10"
NODE_PORT = 30980


@pytest.fixture(autouse=True)
def needs_the_tier():
    obstacle = obstacle_of("host")
    if obstacle is not None:
        if engines_required():
            pytest.fail(obstacle, pytrace=False)
        pytest.skip(obstacle)


async def run(*command: str, check: bool = True) -> str:
    done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode()
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {text}"
    return text.strip()


async def routes() -> str:
    return await run("ip", "route", "show", "table", "local", "root", RANGE)


@asynccontextmanager
async def backend(text: bytes):
    """A server on the host that sends its text and the peer's end of the line."""

    async def serve(stream):
        await stream.send_all(text)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        host, port = listeners[0].socket.getsockname()
        yield Backend(host, port)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def namespace():
    """A network namespace with one cable to this host, which is its gateway."""
    name = f"ka{uuid4().hex[:8]}"
    await run("ip", "netns", "add", name)
    try:
        await run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        await run("ip", "addr", "add", "198.18.0.1/30", "dev", name)
        await run("ip", "link", "set", name, "up")
        for command in ("addr add 198.18.0.2/30 dev eth0", "link set eth0 up", "route add default via 198.18.0.1"):
            await run("ip", "-n", name, *command.split())
        yield name
    finally:
        with trio.CancelScope(shield=True):
            await run("ip", "link", "del", name, check=False)
            await run("ip", "netns", "del", name)


async def test_the_route_comes_and_goes_with_the_proxy():
    assert await routes() == ""
    async with open_proxy("host", RANGE):
        assert f"local {RANGE} dev lo" in await routes()
    assert await routes() == ""


async def test_a_route_of_somebody_else_is_used_and_left():
    await run("ip", "route", "add", "local", RANGE, "dev", "lo")
    try:
        async with local_route(RANGE):
            pass
        assert RANGE in await routes()
    finally:
        await run("ip", "route", "del", "local", RANGE, "dev", "lo")


async def test_a_route_that_a_killed_run_left_is_adopted():
    await run("ip", "route", "add", "local", RANGE, "dev", "lo", "proto", "113")
    async with local_route(RANGE):
        assert RANGE in await routes()
    assert await routes() == ""


async def test_a_range_that_this_host_routes_elsewhere_is_refused():
    async with namespace():
        with pytest.raises(TierUnavailable, match="this host already routes part of"):
            async with open_proxy("host", "198.18.0.0/16"):
                pass


async def test_a_network_namespace_reaches_a_service_address_and_a_node_port():
    async with namespace() as name, backend(b"hello\n") as server, open_proxy("host", RANGE) as proxy:
        frontends = (Frontend(SERVICE, 80), Frontend(NODE_ADDRESS, NODE_PORT))
        assert await proxy.apply(Table((Route("web", frontends, (server,)),))) == ()
        for address, port in ((SERVICE, "80"), ("198.18.0.1", str(NODE_PORT))):
            probe = (
                "import socket,sys; s=socket.create_connection((sys.argv[1], int(sys.argv[2])), 5);"
                "print(s.recv(99).decode())"
            )
            answer = await run("ip", "netns", "exec", name, "python3", "-c", probe, address, port)
            assert answer == "hello"


@pytest.mark.parametrize(
    "engine",
    [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)],
)
async def test_containers_reach_containers_by_a_service_address(engine):
    require_engine(engine)
    names = [f"netproxy-{uuid4().hex[:8]}" for _ in range(2)]
    try:
        backends = []
        for name in names:
            await run(engine, "run", "-d", "--name", name, "--hostname", name, images.TEST_V1)
            networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            address = await run(engine, "inspect", "-f", networks, name)
            await _answers(address)
            backends.append(Backend(address, images.SERVE_PORT))
        async with open_proxy("host", RANGE) as proxy:
            assert await proxy.apply(Table((Route("web", (Frontend(SERVICE, 80),), tuple(backends)),))) == ()
            fetch = f"curl -sS --max-time 5 http://{SERVICE}/ && curl -sS --max-time 5 http://{SERVICE}/"
            answer = await run(engine, "run", "--rm", images.TEST_V1, "sh", "-c", fetch)
            assert all(name in answer for name in names), answer
            statistics = proxy.statistics()
            assert (statistics.accepted, statistics.refused) == (2, 0)
    finally:
        with trio.CancelScope(shield=True):
            await run(engine, "rm", "-f", *names, check=False)


async def _answers(address: str) -> None:
    """Wait until the container's server listens."""
    with trio.fail_after(20):
        while True:
            try:
                stream = await trio.open_tcp_stream(address, images.SERVE_PORT)
            except OSError:
                await trio.sleep(0.05)
            else:
                await stream.aclose()
                return

"""Tables and their differences: what is opened, closed, kept, and what cannot be had."""

import socket

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netproxy import limits
from netproxy.contract import (
    AddressInUse,
    AddressNotAvailable,
    Backend,
    BindError,
    Frontend,
    NotPermitted,
    Route,
    Table,
)
from netproxy.proxy import serve_sockets
from netproxy.sockets import bind_error

PORT = 8080


def is_listening(address: str, port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0


async def test_one_taken_address_is_named_and_the_rest_is_served(proxy, echo, name_of, address):
    server = await echo("one")
    with socket.socket() as other:
        other.bind((address, PORT))
        other.listen()
        taken, free = Frontend(address, PORT), Frontend(address, PORT + 1)
        failures = await proxy.apply(Table((Route("web", (taken, free), (server.backend,)),)))
        assert [(failure.route, failure.frontend) for failure in failures] == [("web", taken)]
        assert isinstance(failures[0].error, AddressInUse)
        assert str(failures[0].error) == f"cannot listen on {address}:{PORT}: the address is already in use"
        assert await name_of(address, PORT + 1) == "one"
    with trio.fail_after(10):  # it is free now, and had without anybody asking again
        while proxy.failures:
            await trio.lowlevel.checkpoint()
    assert await name_of(address, PORT) == "one"


async def test_the_second_route_of_a_frontend_gets_it_when_the_first_gives_it_up(proxy, echo, name_of, address):
    one, two = await echo("one"), await echo("two")
    frontend = Frontend(address, PORT)
    first = Route("first", (frontend,), (one.backend,))
    second = Route("second", (frontend,), (two.backend,))
    (failure,) = await proxy.apply(Table((first, second)))
    assert failure.route == "second" and "route first has it already" in str(failure.error)
    assert await name_of(address, PORT) == "one"
    assert await proxy.apply(Table((second,))) == ()
    assert await name_of(address, PORT) == "two"


async def test_a_frontend_moves_between_routes_within_one_table(proxy, echo, name_of, address):
    one, two = await echo("one"), await echo("two")
    here, there = Frontend(address, PORT), Frontend(address, PORT + 1)
    await proxy.apply(Table((Route("a", (here,), (one.backend,)), Route("b", (there,), (two.backend,)))))
    swapped = Table((Route("a", (there,), (one.backend,)), Route("b", (here,), (two.backend,))))
    assert await proxy.apply(swapped) == ()
    assert (await name_of(address, PORT), await name_of(address, PORT + 1)) == ("two", "one")


async def test_a_change_cancelled_midway_is_made_good_by_the_next(proxy, echo, name_of, address):
    """Whatever part of a table was applied, the table after it is served whole."""
    server = await echo("one")
    old = Table(tuple(_routes(address, range(100), server.backend)))
    new = Table(tuple(_routes(address, range(50, 150), server.backend)))
    await proxy.apply(old)
    for turns in range(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxy.apply, new)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        proxy.check()
        assert await proxy.apply(old) == ()
        assert proxy.statistics().frontends == 100
    for number in (0, 49, 50, 99):
        assert await name_of(address, 9000 + number) == "one"


def _routes(address, numbers, backend):
    """One frontend a route, shifted by the first number, so that every route changes its frontend."""
    return [Route(f"r{at}", (Frontend(address, 9000 + number),), (backend,)) for at, number in enumerate(numbers)]


async def test_an_address_that_is_none_of_ours(proxy):
    routes = (
        Route("foreign", (Frontend("192.0.2.1", PORT),), (Backend("127.0.0.1", 1),)),
        Route("nonsense", (Frontend("web.example", PORT),), (Backend("127.0.0.1", 1),)),
    )
    foreign, nonsense = await proxy.apply(Table(routes))
    assert isinstance(foreign.error, AddressNotAvailable)
    assert isinstance(nonsense.error, BindError) and "not an IP address" in str(nonsense.error)


def test_a_forbidden_port_says_what_would_help():
    error = bind_error("127.0.0.1", 80, PermissionError(13, "Permission denied"))
    assert isinstance(error, NotPermitted)
    assert "127.0.0.1:80" in str(error) and "ip_unprivileged_port_start" in str(error)


async def test_tables_change_under_load_without_a_lost_connection(proxy, echo, name_of, address):
    servers = [await echo(f"server {number}") for number in range(4)]
    backends = [server.backend for server in servers]
    frontend = Frontend(address, PORT)

    def table(number):
        return Table(
            (
                Route("web", (frontend,), tuple(backends[number % 4 : number % 4 + 2]) or (backends[0],)),
                *(
                    Route(f"other {other}", (Frontend(address, 9000 + other),), (backends[other % 4],))
                    for other in range(number % 7, number % 7 + 20)
                ),
            )
        )

    await proxy.apply(table(0))
    done = 0

    async def load():
        nonlocal done
        for _ in range(50):
            assert (await name_of(address, PORT)).startswith("server")
        done += 1

    async with trio.open_nursery() as clients:
        for _ in range(4):
            clients.start_soon(load)
        number = 0
        while done < 4:
            number += 1
            assert await proxy.apply(table(number)) == ()
            proxy.check()
    assert number > 5
    assert proxy.statistics().refused == 0


ports = st.integers(9000, 9005)
routes = st.builds(
    lambda name, ports, protocol, backend: (name, tuple(sorted(ports)), protocol, backend),
    st.sampled_from("abc"),
    st.frozensets(ports, max_size=4),
    st.sampled_from(["TCP", "UDP"]),
    st.booleans(),
)
tables = st.lists(routes, max_size=4, unique_by=lambda route: route[0])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(tables, max_size=6))
def test_what_listens_is_what_the_last_table_says(address, steps):
    async def main():
        async with serve_sockets(node_address="127.0.0.1", freebind=False) as proxy:
            for step in steps:
                table = Table(
                    tuple(
                        Route(
                            name,
                            tuple(Frontend(address, port, protocol) for port in ports),
                            (Backend(address, 1),) if backend else (),
                        )
                        for name, ports, protocol, backend in step
                    )
                )
                failures = await proxy.apply(table)
                proxy.check()
                wanted = [frontend for route in table.routes for frontend in route.frontends]
                failed = [failure.frontend for failure in failures]
                assert proxy.statistics().frontends == len(set(wanted)) == len(wanted) - len(failed)
        assert not is_listening(address, 9000)

    trio.run(main)


async def test_thousands_of_frontends_are_cheap(proxy, echo, name_of, address):
    server = await echo("one")
    table = Table(
        tuple(
            Route(f"service {number}", (Frontend(address, 20000 + number),), (server.backend,)) for number in range(500)
        )
    )
    await trio.testing.wait_all_tasks_blocked()  # the proxy has begun
    before = trio.lowlevel.current_statistics().tasks_living
    assert await proxy.apply(table) == ()
    assert trio.lowlevel.current_statistics().tasks_living == before  # no task of their own
    assert await name_of(address, 20499) == "one"


def test_limits_are_positive():
    named = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert named and all(value > 0 for value in named.values())


@pytest.mark.parametrize(
    ("frontend", "text"),
    [
        (Frontend("127.0.0.1", 80), "127.0.0.1:80/TCP"),
        (Frontend("fd00::1", 53, "UDP"), "[fd00::1]:53/UDP"),
        (Frontend("", 30080), "*:30080/TCP"),
    ],
)
def test_a_frontend_reads_well(frontend, text):
    assert str(frontend) == text

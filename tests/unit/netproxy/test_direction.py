"""One direction of a connection, driven by hand over socket pairs: no loop, no waiting."""

import socket
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netproxy import limits
from netproxy.direction import Direction


@contextmanager
def line(buffer_bytes=65536):
    """client -> (source, sink) -> server"""
    client, source = socket.socketpair()
    sink, server = socket.socketpair()
    for one in (client, source, sink, server):
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    direction = Direction(source, sink, memoryview(bytearray(buffer_bytes)))
    yield client, direction, server
    direction.close()
    for one in (client, source, sink, server):
        one.close()


def send_what_fits(sock: socket.socket, data: bytes) -> int:
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0


def take_what_is_there(sock: socket.socket, most: int) -> bytes | None:
    try:
        return sock.recv(most)
    except BlockingIOError:
        return None


@pytest.mark.parametrize("bulk_bytes", [1, 10**9], ids=["spliced", "copied"])
def test_a_full_sink_stops_reading_until_it_has_room(monkeypatch, bulk_bytes):
    monkeypatch.setattr(limits, "BULK_BYTES", bulk_bytes)
    payload = bytes(range(256)) * 4096
    with line() as (client, direction, server):
        sent = 0
        while (count := send_what_fits(client, payload[sent:])) or direction.wants_read:
            sent += count
            direction.pump()
            direction.check()
        assert direction.wants_write and not direction.wants_read
        assert sent < len(payload)
        received = b""
        while len(received) < len(payload):
            received += take_what_is_there(server, 65536) or b""
            direction.pump()
            sent += send_what_fits(client, payload[sent:])
        assert received == payload


@settings(max_examples=60, deadline=None)
@given(
    bulk_bytes=st.sampled_from([1, 5_000, 10**9]),
    buffer_bytes=st.sampled_from([1, 100, 65536]),
    steps=st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 9_000)), max_size=40),
)
def test_bytes_arrive_once_in_order_and_then_the_end(bulk_bytes, buffer_bytes, steps):
    with pytest.MonkeyPatch.context() as patch, line(buffer_bytes) as (client, direction, server):
        patch.setattr(limits, "BULK_BYTES", bulk_bytes)
        source = (number % 251 for number in range(10**9))
        sent, received = bytearray(), bytearray()
        for send, take in steps:
            data = bytes(next(source) for _ in range(send))
            fitted = send_what_fits(client, data) if data else 0
            sent += data[:fitted]
            source = iter(_from(len(sent)))
            direction.pump()
            direction.check()
            received += take_what_is_there(server, take) or b""
        client.shutdown(socket.SHUT_WR)
        while (data := take_what_is_there(server, 65536)) != b"":
            received += data or b""
            direction.pump()
            direction.check()
        assert direction.finished
        assert received == sent


def _from(start):
    number = start
    while True:
        yield number % 251
        number += 1

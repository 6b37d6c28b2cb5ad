"""The program of the test images keeps what other tests rely on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

SERVE = Path(__file__).parents[2] / "kit" / "serve.py"


class Served:
    def __init__(self, ready_file: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        environment = os.environ | {"PORT": str(self.port), "VERSION": "7", "READY_FILE": str(ready_file)}
        self.process = subprocess.Popen([sys.executable, str(SERVE)], stdout=subprocess.PIPE, env=environment)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().startswith(b"serving ")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "ready")
    yield served
    served.close()


def test_an_answer_tells_host_and_version(served: Served) -> None:
    assert served.client.get("/").text == f"{socket.gethostname()} 7\n"
    assert served.client.get("/peer").text == "127.0.0.1\n"
    assert served.client.get("/env/VERSION").text == "7\n"
    assert served.client.get("/nothing").status_code == 404


def test_health_follows_the_file_and_the_order_to_be_unwell(served: Served, tmp_path: Path) -> None:
    assert served.client.get("/healthz").status_code == 503
    (tmp_path / "ready").touch()
    assert served.client.get("/healthz").status_code == 200
    served.client.get("/unhealthy")
    assert served.client.get("/healthz").status_code == 500


def test_it_ends_with_the_code_that_it_is_told(served: Served) -> None:
    assert served.client.get("/quit?code=7").text == "bye\n"
    assert served.process.wait(20) == 7


def test_term_lets_requests_in_flight_end(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(b"GET /peer HTTP/1.1\r\n\r\n")
        assert b"127.0.0.1" in connection.recv(4096)  # the connection has been taken
        connection.sendall(b"GET /slow?seconds=0.5 HTTP/1.1\r\n\r\n")
        busy = f"http://127.0.0.1:{served.port}/"
        assert httpx.get(busy, trust_env=False).status_code == 200
        served.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"200 OK" in answer
    assert b"Connection: close" in answer
    assert served.process.wait(20) == 0


def test_no_connection_that_the_kernel_took_is_lost_at_the_end(served: Served) -> None:
    address = ("127.0.0.1", served.port)
    with ExitStack() as stack:
        waiting = []
        for number in range(60):
            if number == 30:
                served.process.send_signal(signal.SIGTERM)
            try:
                connection = stack.enter_context(socket.create_connection(address, timeout=20))
                connection.sendall(b"GET /peer HTTP/1.1\r\n\r\n")
            except ConnectionError:
                break
            waiting.append(connection)
        for connection in waiting[:30]:
            assert b"200 OK" in connection.recv(4096)
    assert served.process.wait(20) == 0


def test_datagrams_come_back_and_say_who_answers(served: Served) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        for sent, expected in ((b"hello", b"hello"), (b"who", f"{socket.gethostname()} 7\n".encode())):
            client.sendto(sent, ("127.0.0.1", served.port))
            assert client.recv(4096) == expected

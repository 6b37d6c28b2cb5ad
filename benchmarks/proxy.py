"""What the userspace proxy costs: new connections and MB a second through it, as a share of a direct connection.

The server and the load are processes of their own, with plain blocking sockets, so that only the proxy is in the
process that is measured. Prints nothing: `run` gives the figures.
"""

import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import trio

from netproxy.addresses import open_proxy, reserve_loopback_range
from netproxy.contract import Backend, Frontend, Route, Table

_GREETING = b"hello\n"
_BLOCK = bytes(1024 * 1024)
_PORT = 8080


async def run(*, connections: int = 4000, megabytes: int = 2000, clients: int = 8) -> dict[str, float]:
    """New connections (`clients` at a time; each one sends and receives a line) and one bulk connection."""
    reserved = reserve_loopback_range()
    address = reserved.network.split("/")[0].removesuffix(".0") + ".1"
    try:
        async with trio.open_nursery() as nursery, open_proxy("loopback", reserved.network) as proxy:
            server = await _start_server(nursery)
            await proxy.apply(Table((Route("bench", (Frontend(address, _PORT),), (server,)),)))
            figures = {}
            for kind, amount in (("connections", connections), ("megabytes", megabytes)):
                direct = await _load(kind, server.address, server.port, amount, clients)
                proxied = await _load(kind, address, _PORT, amount, clients)
                figures[f"direct_{kind}_per_second"] = direct
                figures[f"proxied_{kind}_per_second"] = proxied
                figures[f"{kind}_ratio"] = proxied / direct
            nursery.cancel_scope.cancel()
        return figures
    finally:
        reserved.close()


async def _start_server(nursery: trio.Nursery) -> Backend:
    command = [sys.executable, "-m", "benchmarks.proxy", "serve"]
    process = await nursery.start(partial(trio.run_process, command, stdout=subprocess.PIPE, check=False, cwd=_root()))
    port = b""
    while not port.endswith(b"\n"):
        port += await process.stdout.receive_some(16)
    return Backend("127.0.0.1", int(port))


async def _load(kind: str, address: str, port: int, amount: int, clients: int) -> float:
    command = [sys.executable, "-m", "benchmarks.proxy", kind, address, str(port), str(amount), str(clients)]
    done = await trio.run_process(command, capture_stdout=True, cwd=_root())
    return float(done.stdout)


def _root() -> str:
    return str(Path(__file__).resolve().parent.parent)


def _serve() -> None:
    """A line is answered with a line; a number N first, with N MB."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            request = connection.recv(16)
            if request == _GREETING:
                connection.sendall(_GREETING)
                connection.close()
            else:
                threading.Thread(target=_send_bulk, args=(connection, int(request)), daemon=True).start()


def _send_bulk(connection: socket.socket, megabytes: int) -> None:
    with connection:
        for _ in range(megabytes):
            connection.sendall(_BLOCK)


def _time_connections(address: str, port: int, amount: int, clients: int) -> float:
    def client() -> None:
        for _ in range(amount // clients):
            with socket.create_connection((address, port)) as connection:
                connection.sendall(_GREETING)
                if connection.recv(16) != _GREETING:
                    raise RuntimeError("the server did not answer")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return amount / (time.perf_counter() - began)


def _time_megabytes(address: str, port: int, amount: int, clients: int) -> float:
    buffer = bytearray(len(_BLOCK))
    received = 0
    with socket.create_connection((address, port)) as connection:
        began = time.perf_counter()
        connection.sendall(str(amount).encode())
        while count := connection.recv_into(buffer):
            received += count
    if received != amount * len(_BLOCK):
        raise RuntimeError(f"{received} bytes arrived of {amount * len(_BLOCK)}")
    return amount / (time.perf_counter() - began)


def _main() -> None:
    if sys.argv[1:] == ["serve"]:
        _serve()
        return
    timed = {"connections": _time_connections, "megabytes": _time_megabytes}[sys.argv[1]]
    print(timed(sys.argv[2], *(int(argument) for argument in sys.argv[3:])))


if __name__ == "__main__":
    _main()

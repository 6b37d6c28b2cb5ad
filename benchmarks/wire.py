"""What the HTTP server costs: requests per second over plain TCP and TLS, connection set-up, stream chunks.

Run as `python -m benchmarks.wire [--seconds S] [--connections N]`. The load comes from wrk when it is installed; a
second core for it makes the numbers comparable. The trio.SSLStream figure is the alternative that was measured
before the memory-BIO transport was chosen.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable

import trio

from kube_actors.assembly.pki import Pki
from kube_actors.wire import (
    Answer,
    HttpRequest,
    HttpResponse,
    HttpServer,
    Send,
    StreamResponse,
    client_context,
    listen_tcp,
    server_context,
)

JSON = (("Content-Type", "application/json"),)
BODY = b"{" + b'"k":"0123456789",' * 64 + b'"e":0}'  # about the size of a small Pod
EVENTS = 20_000


async def handler(request: HttpRequest) -> Answer:
    if request.path != "/events":
        return HttpResponse(200, JSON, BODY)

    async def produce(send: Send) -> None:
        for _ in range(EVENTS):
            await send(BODY)

    return StreamResponse(200, JSON, produce)


async def ssl_stream_server(context: ssl.SSLContext, task_status: trio.TaskStatus[int]) -> None:
    """The least that an HTTP server on trio.SSLStream can do: no parsing, one fixed answer."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            while await stream.receive_some():
                await stream.send_all(answer)
        except trio.BrokenResourceError:
            return

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        secure = [trio.SSLListener(listener, context, https_compatible=True) for listener in listeners]
        nursery.start_soon(trio.serve_listeners, serve, secure)
        task_status.started(listeners[0].socket.getsockname()[1])


def wrk(url: str, seconds: int, connections: int) -> float:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s*([\d.]+)", shown)
    assert found, shown
    return float(found.group(1))


def timed(action: Callable[[], int]) -> float:
    start = time.perf_counter()
    count = action()
    return count / (time.perf_counter() - start)


def read_stream(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    while answer.read(1 << 20):
        pass
    connection.close()
    return EVENTS


def handshakes(port: int, context: ssl.SSLContext, count: int = 300) -> int:
    for _ in range(count):
        connection = http.client.HTTPSConnection("localhost", port, context=context)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
    return count


async def main(seconds: int, connections: int) -> None:
    serials = itertools.count(1)
    start = time.perf_counter()
    pki = Pki(time.time, lambda: next(serials))
    pair = pki.apiserver()
    pki.client("admin", ["system:masters"])
    pki.service_account_key()
    print(f"{'keys and certificates':40}{1000 * (time.perf_counter() - start):12.1f} ms")
    context = server_context(pair.certificate, pair.key, client_ca=pki.ca_certificate)
    async with trio.open_nursery() as nursery:
        plain = HttpServer(handler, await listen_tcp("127.0.0.1", 0))
        secure = HttpServer(handler, await listen_tcp("127.0.0.1", 0), tls=context)
        await nursery.start(plain.run)
        await nursery.start(secure.run)
        other = await nursery.start(ssl_stream_server, context)
        run = trio.to_thread.run_sync
        urls = {
            "plain": f"http://127.0.0.1:{plain.port}/",
            "TLS": f"https://localhost:{secure.port}/",
            "bare trio.SSLStream, no HTTP": f"https://localhost:{other}/",
        }
        if shutil.which("wrk"):
            for name, url in urls.items():
                print(f"{name:40}{await run(wrk, url, seconds, connections):12.0f} requests/s")
        rate = await run(timed, lambda: handshakes(secure.port, client_context(ca=pki.ca_certificate)))
        print(f"{'new TLS connection for each request':40}{rate:12.0f} requests/s")
        print(f"{'stream':40}{await run(timed, lambda: read_stream(plain.port)):12.0f} events/s")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--connections", type=int, default=16)
    options = arguments.parse_args()
    trio.run(main, options.seconds, options.connections)

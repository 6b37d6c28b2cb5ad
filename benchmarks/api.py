"""How fast the API server is: one process, SQLite, HTTPS on loopback, 16 connections, beside the bare HTTP loop.

Server and load share this machine's cores. Besides answers a second it gives the processor time that the server's
process spent on each answer, which another program on the same machine disturbs less.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from kube_actors.api.messages import Answer, Request, UserInfo
from kube_actors.assembly.cluster import Cluster
from kube_actors.assembly.pki import Pki
from kube_actors.client.kubeconfig import load_config
from kube_actors.wire import HttpRequest, HttpResponse, HttpServer, client_context, listen_tcp, server_context

from . import load

CONNECTIONS = 16
LISTED = 10_000
HELD = 100_000
WATCHERS = 1000
TARGETS = {
    "GET of a pod (requests/s)": 8000.0,
    "create of a pod (requests/s)": 3500.0,
    "list of 10,000 pods (ms)": 50.0,
    "a change at 1,000 watchers (ms)": 50.0,
    "100,000 pods held (MB)": 700.0,
    "GET over the channel (requests/s)": 40_000.0,
    "create over the channel (requests/s)": 10_000.0,
}
PODS = "/api/v1/namespaces/default/pods"
ADMIN = UserInfo(name="admin", groups=("system:masters", "system:authenticated"))
ENVIRONMENT = [{"name": f"VARIABLE_{number}", "value": "some ordinary value"} for number in range(6)]


def pod(name: str) -> bytes:
    """A pod of about 1.6 KB once stored."""
    labels = {"app": "web", "pod-template-hash": "5d8f9c7b6"}
    container = {"name": "web", "image": "registry.example.com/web:1.2.3", "env": ENVIRONMENT}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}
    return json.dumps({**body, "spec": {"containers": [container]}}, separators=(",", ":")).encode()


# -- the server's process ---------------------------------------------------------------------------------------


def _cluster(store: str, listen: str | None, data_dir: str | None) -> Cluster:
    without = ("scheduler", "controllers", "proxy", "cloud")
    return Cluster(nodes=0, runtime="simulated", store=store, listen=listen, data_dir=data_dir, without=without)


async def _prepared(cluster: Cluster) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await cluster.client.create(account, namespace="default")


async def serve(directory: str) -> None:
    """Both servers of the comparison; prints where they are, then answers lines on stdin with its processor time."""
    async with _cluster(f"sqlite:{directory}/store.db", "127.0.0.1:0", directory) as cluster:
        await _prepared(cluster)
        serials = iter(range(1, 100))
        pki = Pki(time.time, lambda: next(serials))
        pair = pki.apiserver(["127.0.0.1"])
        context = server_context(pair.certificate, pair.key, client_ca=pki.ca_certificate)
        body = b"x" * 1600

        async def bare(http: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (("Content-Type", "application/json"),), body)

        async with trio.open_nursery() as nursery:
            loop = HttpServer(bare, await listen_tcp("127.0.0.1", 0), tls=context)
            await nursery.start(loop.run)
            print(json.dumps({"kubeconfig": cluster.kubeconfig, "bare": loop.port}), flush=True)
            while await trio.to_thread.run_sync(sys.stdin.readline):
                print(json.dumps(time.process_time()), flush=True)
            nursery.cancel_scope.cancel()


def _on_pods(verb: Any, name: str, body: bytes) -> Request:
    return Request(verb=verb, version="v1", resource="pods", namespace="default", name=name, body=body, user=ADMIN)


async def channel(rounds: int) -> dict[str, float]:
    """The same without HTTP: asks of the server's own channel, by 16 tasks."""
    async with _cluster("memory", None, None) as cluster:
        await _prepared(cluster)
        client = cluster.client
        send = client.transport.send

        def request(verb: Any, name: str, body: bytes = b"") -> Request:
            return Request(
                verb=verb, version="v1", resource="pods", namespace="default", name=name, body=body, user=ADMIN
            )

        async def rate(count: int, make: Any) -> float:
            async def ask(mine: range) -> None:
                for number in mine:
                    answer: Answer = await send(make(number))
                    assert answer.status < 300, answer.body

            begin = time.perf_counter()
            async with trio.open_nursery() as nursery:
                for first in range(CONNECTIONS):
                    nursery.start_soon(ask, range(first, count, CONNECTIONS))
            return count / (time.perf_counter() - begin)

        creates = [await rate(3000, lambda n, r=r: request("create", "", pod(f"c{r}-{n}"))) for r in range(rounds)]
        gets = [await rate(20_000, lambda n: request("get", f"c0-{n % 3000}")) for _ in range(rounds)]
        return {
            "GET over the channel (requests/s)": max(gets),
            "create over the channel (requests/s)": max(creates),
        }


async def held() -> float:
    """Megabytes that 100,000 pods add to a process that holds them in memory."""
    async with _cluster("memory", None, None) as cluster:
        await _prepared(cluster)
        send = cluster.client.transport.send
        before = _resident()
        for number in range(HELD):
            answer = await send(_on_pods("create", "", pod(f"p{number}")))
            assert answer.status == 201, answer
        return (_resident() - before) / 1e6


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# -- the measuring process --------------------------------------------------------------------------------------


class Served:
    """A running server and what requests to it need."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        told = json.loads(self._line())
        config = load_config(told["kubeconfig"])
        host, _, port = config.server.removeprefix("https://").rpartition(":")
        self.address = (host, int(port))
        self.bare = ("127.0.0.1", int(told["bare"]))
        self.loose = client_context(verify=False)
        self.context = client_context(ca=config.ca, certificate=config.client_certificate, key=config.client_key)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server has ended"
        return line

    def processor_seconds(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())


@contextmanager
def served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.api", "--serve", directory]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield Served(process)
        finally:
            process.terminate()
            process.wait()


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nUser-Agent: bench\r\n\r\n".encode()


def _post(path: str, body: bytes, method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    return f"{head}User-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _repeat(request: bytes) -> Iterator[bytes]:
    while True:
        yield request


def over_https(rounds: int) -> dict[str, float]:
    """The figures that need the served process."""
    seconds = 2.0
    figures: dict[str, float] = {}
    with served() as server:

        def measured(name: str, address: load.Address, context: ssl.SSLContext, make: Any, limit: float = 1e9) -> float:
            best, spent = 0.0, 1e9
            for number in range(rounds):
                before, begin = server.processor_seconds(), time.perf_counter()
                rate = load.drive(address, context, CONNECTIONS, make(number), limit)
                answers = rate * (time.perf_counter() - begin)
                spent = min(spent, (server.processor_seconds() - before) / answers)
                best = max(best, rate)
            figures[f"{name} (requests/s)"] = best
            figures[f"{name}, processor (us)"] = spent * 1e6
            return best

        admin = server.context
        bare = measured("bare HTTP loop", server.bare, server.loose, lambda _: _repeat(_get("/")), seconds)
        creates = measured(
            "create of a pod",
            server.address,
            admin,
            lambda r: (_post(PODS, pod(f"p{r}-{n}")) for n in range(3000)),
        )
        gets = measured("GET of a pod", server.address, admin, lambda _: _repeat(_get(f"{PODS}/p0-7")), seconds)
        figures["GET / bare loop"] = gets / bare
        figures["create / bare loop"] = creates / bare
        missing = LISTED - 3000 * rounds
        load.drive(
            server.address, admin, CONNECTIONS, iter([_post(PODS, pod(f"more-{n}")) for n in range(max(missing, 0))])
        )
        before = server.processor_seconds()
        once = iter([_get(f"{PODS}?limit={LISTED}") for _ in range(rounds + 1)])
        figures["list of 10,000 pods (ms)"] = 1000 / load.drive(server.address, admin, 1, once)
        spent_ms = 1000 * (server.processor_seconds() - before)
        figures["list of 10,000 pods, processor (ms)"] = spent_ms / (rounds + 1)
        taken, spent = _fan_out(server, rounds)
        figures["a change at 1,000 watchers (ms)"] = 1000 * taken
        figures["a change at 1,000 watchers, processor (ms)"] = 1000 * spent
    return figures


def _fan_out(server: Served, rounds: int) -> tuple[float, float]:
    """Seconds until all have it, and seconds that the server's process spends on it; medians."""
    spent: list[float] = []
    maps = "/api/v1/namespaces/default/configmaps"
    thing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "watched"}, "data": {"a": "x" * 500}}
    load.drive(server.address, server.context, 1, iter([_post(maps, json.dumps(thing).encode())]))

    def change(number: int) -> bytes:
        spent.append(server.processor_seconds())
        return _post(f"{maps}/watched", json.dumps({**thing, "data": {"a": str(number)}}).encode(), "PUT")

    watch = _get(f"{maps}?watch=true&resourceVersion=0&sendInitialEvents=false&resourceVersionMatch=NotOlderThan")
    taken = load.fan_out(server.address, server.context, WATCHERS, watch, change, max(rounds, 3) + 1)
    each = sorted(after - before for before, after in itertools.pairwise(spent))
    return taken, each[len(each) // 2]


def run(*, rounds: int = 3) -> dict[str, float]:
    """All figures by name."""
    figures = over_https(rounds)
    figures |= json.loads(_child("--channel", str(rounds)))
    figures["100,000 pods held (MB)"] = json.loads(_child("--held"))
    return figures


def _child(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.api", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ).stdout


def table(figures: dict[str, float]) -> str:
    """The figures beside their targets, for people."""
    rows = [f"{'figure':<42} {'measured':>12} {'target':>10}"]
    for name, value in figures.items():
        target = TARGETS.get(name)
        shown = f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
        rows.append(f"{name:<42} {shown:>12} {f'{target:,.0f}' if target else '':>10}")
    return "\n".join(rows)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        trio.run(serve, sys.argv[2])
    elif sys.argv[1] == "--channel":
        print(json.dumps(trio.run(channel, int(sys.argv[2]))))
    else:
        print(json.dumps(trio.run(held)))

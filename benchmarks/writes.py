"""How fast one API server takes plain writes in process: creates of pods, updates of a label and of a status.

    python -m benchmarks.writes [COUNT]

Prints microseconds a request, the best of several rounds. Run it before and after a change to the path of a write;
PYTHONPATH chooses the tree that is measured.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec
import trio

from kube_actors.actors import System
from kube_actors.api.messages import Answer, Request, UserInfo
from kube_actors.apiserver.server import APIServer
from kube_actors.store.memory import MemoryStore

ADMIN = UserInfo(name="admin", groups=("system:masters", "system:authenticated"))
ROUNDS = 5


def pod(name: str) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "registry.example.com/app:1.2.3",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web", "tier": "front"}},
        "spec": {"automountServiceAccountToken": False, "containers": [container]},
    }


async def ask(server: APIServer, verb: Any, name: str = "", body: Any = None, **more: Any) -> Answer:
    request = Request(
        verb=verb,
        version="v1",
        resource=more.pop("resource", "pods"),
        namespace="default",
        name=name,
        body=msgspec.json.encode(body) if body is not None else b"",
        user=ADMIN,
        user_agent="bench/1",
        **more,
    )
    answer = await server.handle(request)
    assert isinstance(answer, Answer) and answer.status < 300, answer
    return answer


async def measure(count: int) -> dict[str, float]:
    system = System()
    server = APIServer(system, MemoryStore(), endpoint=None)
    best: dict[str, float] = {}

    def note(what: str, began: float) -> None:
        took = (time.process_time() - began) / count * 1e6
        best[what] = min(best.get(what, took), took)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await ask(server, "create", body=account, resource="serviceaccounts")
        for turn in range(ROUNDS):
            names = [f"p-{turn}-{index}" for index in range(count)]
            began = time.process_time()
            for name in names:
                await ask(server, "create", body=pod(name))
            note("create", began)
            objects = [msgspec.json.decode((await ask(server, "get", name)).body) for name in names]
            began = time.process_time()
            for name, obj in zip(names, objects, strict=True):
                obj["metadata"]["labels"]["tier"] = "back"
                await ask(server, "update", name, obj)
            note("update", began)
            merge = "application/merge-patch+json"
            began = time.process_time()
            for name in names:
                status = {"status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}}
                await ask(server, "patch", name, status, subresource="status", content_type=merge)
            note("patch of status", began)
        nursery.cancel_scope.cancel()
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for what, took in trio.run(measure, count).items():
        print(f"{what:16} {took:7.1f} us")


if __name__ == "__main__":
    main()

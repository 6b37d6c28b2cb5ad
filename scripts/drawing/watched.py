"""A cluster whose every message is written down: what each component asks of the API server, and what it is told.

Owns the run that docs/one-pod.svg shows: one Deployment of one replica from its creation to its removal, in virtual
time and from a seed, so that each run is like the one before.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import trio
import trio._core._run as trio_run
import trio.testing

from kube_actors import Cluster
from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.messages import Answer, AnyRequest, EventStream, Request, UserInfo, WatchEvent
from kube_actors.assembly import identity
from kube_actors.client import Client
from kube_actors.client.transport import Transport

SEED = 7
YOU = "you"
MANIFEST: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {
                "labels": {"app": "web"},
                "annotations": {
                    "simulated.kube-actors/behaviour": json.dumps({"start_seconds": 0.5, "term_seconds": 1.0})
                },
            },
            "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
        },
    },
}


class Message(NamedTuple):
    """Something said: a request of `who`, an event told to `who`, or a line of the story by `who`."""

    at: float
    kind: str  # asks, hears, does
    who: str
    verb: str
    resource: str
    body: dict[str, Any]
    revision: int = 0


class _Stream:
    """A watch that writes down what it brings."""

    def __init__(self, inner: EventStream, who: str, resource: str, log: Log) -> None:
        self._inner, self._who, self._resource, self._log = inner, who, resource, log

    async def receive_batch(self) -> Sequence[WatchEvent]:
        batch = await self._inner.receive_batch()
        for event in batch:
            if event.type != "BOOKMARK":
                body = json.loads(event.object)
                self._log.add("hears", self._who, event.type, self._resource, body, event.revision)
        return batch

    def close(self) -> None:
        self._inner.close()


class _Tap:
    """A transport that writes down the writes that succeed and the watches' events."""

    def __init__(self, inner: Transport, who: str, log: Log) -> None:
        self._inner, self._who, self._log = inner, who, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, request: AnyRequest) -> Answer:
        place = self._log.reserve()
        answer = await self._inner.send(request)
        if isinstance(request, Request) and request.verb not in ("get", "list") and answer.status < 300:
            resource = "/".join(filter(None, (request.resource, request.subresource)))
            body = json.loads(request.body or b"{}")
            self._log.add("asks", self._who, request.verb, resource, body, _revision(answer), place)
        return answer

    async def open_watch(self, request: Request) -> EventStream:
        stream = await self._inner.open_watch(request)
        return _Stream(stream, self._who, request.resource, self._log)


def _revision(answer: Answer) -> int:
    """The revision of the object as it was written; 0: the answer holds none."""
    metadata = json.loads(answer.body or b"{}").get("metadata") or {}
    return int(metadata.get("resourceVersion") or 0)


class Log:
    """Messages in the order in which they were sent."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._kept: list[tuple[int, Message]] = []
        self._next = 0

    def reserve(self) -> int:
        self._next += 1
        return self._next

    def add(
        self, kind: str, who: str, verb: str, resource: str, body: dict[str, Any], revision: int = 0, place: int = 0
    ) -> None:
        message = Message(self._system.clock.now(), kind, who, verb, resource, body, revision)
        self._kept.append((place or self.reserve(), message))

    def since(self, place: int) -> list[Message]:
        kept = sorted((pair for pair in self._kept if pair[0] > place), key=lambda pair: pair[0])
        return [message for _, message in kept]


class _WatchedCluster(Cluster):
    """Gives each component a client that is listened to."""

    def __init__(self, log: Log, **options: Any) -> None:
        super().__init__(**options)
        self._log = log

    def client_as(self, user: UserInfo) -> Client:
        client = super().client_as(user)
        # Nodes share one watch, which is an administrator's; the first administrator's client is ours.
        mine = user == identity.ADMIN and self._client is None
        client.transport = _Tap(client.transport, YOU if mine else user.name, self._log)
        return client


def run() -> list[Message]:
    """Everything that was said, from the Deployment's creation on, until the pod was gone."""
    # Trio shuffles what could run at the same moment, so that nobody relies on its order; here it must not.
    kernel: Any = trio_run
    before = kernel._ALLOW_DETERMINISTIC_SCHEDULING, kernel._r
    kernel._ALLOW_DETERMINISTIC_SCHEDULING, kernel._r = True, random.Random(SEED)
    try:
        return trio.run(_live, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        kernel._ALLOW_DETERMINISTIC_SCHEDULING, kernel._r = before


async def _live() -> list[Message]:
    system = System(VirtualClock(), Entropy(SEED))
    log = Log(system)
    # The story's lines and the messages make one sequence.
    tell = system.story.tell

    def told(actor: str, what: str, **about: str) -> None:
        tell(actor, what, **about)
        log.add("does", actor, what, "", dict(about))

    system.story.tell = told  # type: ignore[method-assign]
    async with _WatchedCluster(log, nodes=1, system=system) as cluster:
        begun = log.reserve()
        await cluster.apply(MANIFEST)
        await cluster.wait("deployment/web", "Available")
        pod = (await cluster.client.list("Pod", namespace="default")).items[0]
        await trio.sleep(30)
        await cluster.client.delete("Deployment", "web", namespace="default")
        await cluster.wait(f"pod/{pod.metadata.name}", "Deleted")
        await trio.sleep(1)  # in virtual time: the last ones hear of it
        return log.since(begun)

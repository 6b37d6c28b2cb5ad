"""A pod cast from its mold is the pod that the long way makes, and what admission goes by still counts."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.actors import Entropy, System
from kube_actors.api.messages import Answer, Options, Request, UserInfo
from kube_actors.apiserver import limits
from kube_actors.apiserver.molds import Molds
from kube_actors.apiserver.server import APIServer
from kube_actors.store.memory import MemoryStore

ADMIN = UserInfo(name="admin", groups=("system:masters",))
JSONObject = dict[str, Any]


class Still:
    """A clock that stands."""

    def now(self) -> float:
        return 1_700_000_000.5

    def monotonic(self) -> float:
        return 5.0


@asynccontextmanager
async def served() -> AsyncIterator[APIServer]:
    server = APIServer(System(Still(), Entropy("molds")), MemoryStore(), endpoint=None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        await post(server, "serviceaccounts", metadata={"name": "default"}, kind="ServiceAccount")
        yield server
        nursery.cancel_scope.cancel()


async def send(server: APIServer, body: bytes, plural: str = "pods", **more: Any) -> Answer:
    request = Request(
        verb=more.pop("verb", "create"),
        group=more.pop("group", ""),
        version="v1",
        resource=plural,
        namespace=more.pop("namespace", "default"),
        body=body,
        user=more.pop("user", ADMIN),
        **more,
    )
    answer = await server.handle(request)
    assert isinstance(answer, Answer)
    return answer


async def post(server: APIServer, plural: str, group: str = "", **body: Any) -> JSONObject:
    version = f"{group}/v1" if group else "v1"
    whole = msgspec.json.encode({"apiVersion": version, **body})
    namespace = "" if plural in ("priorityclasses", "namespaces") else "default"
    answer = await send(server, whole, plural, group=group, namespace=namespace)
    assert answer.status == 201, answer.body
    found: JSONObject = msgspec.json.decode(answer.body)
    return found


def pod(name: str = "", **spec: Any) -> JSONObject:
    container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": "100m", "memory": "1e9"}}}
    metadata: JSONObject = {"labels": {"app": "web"}, "annotations": {"share": "50%"}}
    metadata |= {"name": name} if name else {"generateName": "web-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


async def both(bodies: list[bytes], **more: Any) -> tuple[list[Answer], list[Answer], int]:
    """The answers of a server that keeps its molds, and of one that forgets them before each request; how many molds
    the first one has."""
    answers: list[list[Answer]] = []
    kept = 0
    for warm in (True, False):
        async with served() as server:
            mine = []
            for body in bodies:
                if not warm:
                    server.core.molds = Molds()
                mine.append(await send(server, body, **more))
            kept = kept or len(server.core.molds._known)
            answers.append(mine)
    return answers[0], answers[1], kept


def test_named_and_generated_pods_are_cast() -> None:
    named = [json.dumps(pod(f"p{number}"), separators=(",", ":")).encode() for number in range(5)]
    drawn = [json.dumps(pod()).encode()] * 4
    warm, cold, kept = trio.run(both, named + drawn + named[:1])
    assert warm == cold
    assert kept == 2
    assert [answer.status for answer in warm] == [201] * 9 + [409]


_EDITS = st.sampled_from(
    [
        ("metadata.annotations", {"container.apparmor.security.beta.kubernetes.io/app": "runtime/default"}),
        ("metadata.labels", {"name": "p1", "bad key": "x"}),
        ("metadata.labels", {"name": "p2"}),
        ("metadata.name", "p2"),
        ("metadata.name", "app"),
        ("metadata.name", "web.%s"),
        ("metadata.name", "Not A Name"),
        ("metadata.name", 7),
        ("metadata.managedFields", []),
        ("metadata.uid", "mine"),
        ("metadata.resourceVersion", "5"),
        ("metadata.namespace", "elsewhere"),
        ("metadata.creationTimestamp", None),
        ("metadata.finalizers", ["example.com/x"]),
        ("metadata.ownerReferences", [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "p1", "uid": "u"}]),
        ("spec.schedulingGates", [{"name": "example.com/gate"}]),
        ("spec.hostname", "p1"),
        ("spec.unknown", 1),
        ("spec.runtimeClassName", "none"),
        ("spec.priority", 3),
        ("spec.automountServiceAccountToken", False),
        ("spec.volumes", [{"name": "kube-api-access-abcde", "emptyDir": {}}]),
        ("spec.containers", []),
        ("spec.tolerations", [{"operator": "Exists"}]),
        ("status", {"phase": "Running"}),
        ("kind", "Service"),
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> list[bytes]:
    """A few bodies, each several times, some with a bit of text changed."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        obj = copy.deepcopy(pod(draw(st.sampled_from(["", "p1", "p2", "app"]))))
        for path, value in draw(st.lists(_EDITS, max_size=2)):
            target = obj
            *way, last = path.split(".")
            for part in way:
                target = target[part]
            target[last] = value
        body = json.dumps(obj, separators=draw(st.sampled_from([(",", ":"), (", ", ": ")]))).encode()
        found.append(body)
        for number in range(draw(st.integers(1, 4))):
            other = body.replace(b'"p1"', b'"q%d"' % number)
            if draw(st.integers(0, 3)) == 0:
                place = draw(st.integers(0, len(other) - 1))
                other = (
                    other[:place] + draw(st.sampled_from([b"", b" ", b'"', b"\\u0041", b"{}", b","])) + other[place:]
                )
            if draw(st.integers(0, 4)) == 0:
                other = other.replace(b'"metadata":{', b'"metadata":{"name":"twice",', 1)
            found.append(other)
    return found


@settings(max_examples=25, deadline=None)
@given(bodies(), st.sampled_from(["", "Ignore", "Warn", "Strict"]))
def test_any_bodies_come_out_the_same(sent: list[bytes], validation: str) -> None:
    async def run() -> None:
        warm, cold, _ = await both(sent, options=Options(field_validation=validation))
        assert warm == cold

    trio.run(run)


async def _made(server: APIServer, count: int = 3, name: str = "p", **spec: Any) -> JSONObject:
    found: JSONObject = {}
    for number in range(count):
        found = await post(server, "pods", **_without_version(pod(f"{name}{number}", **spec)))
    return found


def _without_version(obj: JSONObject) -> JSONObject:
    return {key: value for key, value in obj.items() if key != "apiVersion"}


def test_what_admission_goes_by_still_counts() -> None:
    async def run() -> None:
        async with served() as server:
            first = await _made(server)
            assert server.core.molds._known and first["spec"]["priority"] == 0
            await post(
                server,
                "priorityclasses",
                "scheduling.k8s.io",
                kind="PriorityClass",
                metadata={"name": "high"},
                value=7,
                globalDefault=True,
            )
            assert (await _made(server, name="q"))["spec"]["priority"] == 7
            hard = {"default": {"memory": "1Gi"}, "type": "Container"}
            await post(server, "limitranges", kind="LimitRange", metadata={"name": "l"}, spec={"limits": [hard]})
            limited = await _made(server, name="r")
            assert limited["spec"]["containers"][0]["resources"]["limits"] == {"memory": "1Gi"}
            gone = await send(server, b"", "serviceaccounts", verb="delete", name="default")
            assert gone.status == 200
            refused = await send(server, json.dumps(pod("s")).encode())
            assert refused.status == 403 and b'serviceaccount \\"default\\" not found' in refused.body

    trio.run(run)


def test_nodes_and_who_writes_are_told_apart() -> None:
    async def run() -> None:
        async with served() as server:
            await _made(server)
            node = UserInfo(name="system:node:a", groups=("system:nodes",))
            body = msgspec.json.encode(pod("n"))
            assert (await send(server, body, user=node)).status == 403
            other = await send(server, body, options=Options(field_manager="me"))
            assert msgspec.json.decode(other.body)["metadata"]["managedFields"][0]["manager"] == "me"
            assert (await send(server, body, options=Options(dry_run=("All",)))).status == 409

    trio.run(run)


def test_a_namespace_that_goes_or_judges_takes_no_cast_pods() -> None:
    async def run() -> None:
        async with served() as server:
            await _made(server)
            strict = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
            merge = "application/merge-patch+json"
            changed = await send(
                server,
                msgspec.json.encode(strict),
                "namespaces",
                verb="patch",
                namespace="",
                name="default",
                content_type=merge,
            )
            assert changed.status == 200
            for name in ("x", "y", "z"):
                refused = await send(server, msgspec.json.encode(pod(name)))
                assert refused.status == 403 and b"violates PodSecurity" in refused.body

    trio.run(run)


def test_there_are_only_so_many() -> None:
    async def run() -> None:
        async with served() as server:
            for number in range(limits.MOLDS + 2):
                for name in ("a", "b"):
                    await send(server, msgspec.json.encode(pod(f"{name}{number}", hostname=f"h{number}")))
            assert 0 < len(server.core.molds._known) <= limits.MOLDS

    trio.run(run)

"""The short way through the face: the same answer as the long one, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio.testing

from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import APIServer, Authenticator, HttpFace, Token
from kube_actors.apiserver.at_once import reads_of
from kube_actors.wire import Headers, HttpRequest, HttpResponse, PeerCertificate
from tests.kit.apiserver import TESTER, running_apiserver

ALICE = UserInfo(name="alice", groups=("dev", "system:authenticated"))
PLAIN = (("Authorization", "Bearer t"), ("User-Agent", "kubectl/v1.36.0"))
MAPS = "/api/v1/namespaces/default/configmaps"


def get(path: str, *headers: tuple[str, str], method: str = "GET", **more: Any) -> HttpRequest:
    path, _, query = path.partition("?")
    return HttpRequest(
        method=method, target=path, path=path, query=query, headers=Headers.of(*(headers or PLAIN)), **more
    )


def said(response: Any) -> tuple[int, bytes, list[str]]:
    """Status, body and headers, all but the request's own number."""
    assert isinstance(response, HttpResponse)
    lines = [f"{name}: {value}" for name, value in response.headers] + response.lines.split("\r\n")
    return response.status, response.body, [line for line in lines if line and not line.startswith("Audit-Id: ")]


async def face_over(api: Any) -> HttpFace:
    server: APIServer = api.server
    access = server.core.access
    access.authenticator = Authenticator(api.system.clock, [Token("t", TESTER), Token("a", ALICE)])
    await access.seeds.ensure()
    await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "b"}})
    face = HttpFace(server.handle, access, api.system, server.at_once)
    assert said(await face(get(f"{MAPS}/one")))[0] == 200  # the first one reads the priority levels
    return face


@pytest.mark.parametrize(
    "http",
    [
        get(f"{MAPS}/one"),
        get("/api/v1/namespaces/default"),
        get(f"{MAPS}/one", *PLAIN, ("Accept", "application/json")),
        get(f"{MAPS}/one", *PLAIN, ("Accept", "*/*"), ("Accept-Encoding", "gzip")),
    ],
)
async def test_both_ways_say_the_same(autojump_clock: trio.testing.MockClock, http: HttpRequest) -> None:
    async with running_apiserver() as api:
        face = await face_over(api)
        long = await face(http)
        assert face.at_once is not None
        for _ in range(2):
            short = face.at_once(http)
            assert said(short) == said(long)
            assert short is not None
            assert "Audit-Id: " in short.lines
        counted = [sample for sample in face.metrics.families()[0].samples if ("code", "200") in sample.labels]
        assert sum(sample.value for sample in counted) == 4


@pytest.mark.parametrize(
    "http",
    [
        get(MAPS),
        get(f"{MAPS}/one?pretty=true"),
        get(f"{MAPS}/missing"),
        get(f"{MAPS}/"),
        get(f"{MAPS}/on%65"),
        get(f"{MAPS}/one", method="HEAD"),
        get("/api/v1/watch/configmaps/one"),
        get("/api/v1/namespaces/default/status"),
        get("/api/v1/namespaces/default/pods/one/log"),
        get("/apis/rbac.authorization.k8s.io/v1/clusterroles/view"),
        get("/apis/apiregistration.k8s.io/v1/apiservices/v1."),
        get("/apis/example.com/v1/widgets/one"),
        get("/version"),
        get("/"),
        get(f"{MAPS}/one", ("Authorization", "Bearer wrong")),
        get(f"{MAPS}/one", *PLAIN, ("Accept", "application/yaml")),
        get(f"{MAPS}/one", *PLAIN, ("Accept", "text/html")),
        get(f"{MAPS}/one", *PLAIN, ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")),
        get(f"{MAPS}/one", *PLAIN, ("Audit-Id", "mine")),
        get(f"{MAPS}/one", *PLAIN, ("Impersonate-User", "alice")),
        get(f"{MAPS}/one", PLAIN[0], ("User-Agent", "curl/8")),
    ],
)
async def test_what_is_out_of_the_ordinary_goes_the_long_way(
    autojump_clock: trio.testing.MockClock, http: HttpRequest
) -> None:
    async with running_apiserver() as api:
        face = await face_over(api)
        assert face.at_once is not None
        assert face.at_once(http) is None


async def test_a_right_ends_with_its_binding(autojump_clock: trio.testing.MockClock) -> None:
    """What RBAC has allowed before is known, until a binding changes."""
    async with running_apiserver() as api:
        await face_over(api)
        authorizer = api.server.core.access.authorizer
        reads = reads_of(api.server.core, authorizer)
        assert reads is not None
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
        rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
        await api.create({**rbac, "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": [rule]})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
        binding = {**rbac, "kind": "ClusterRoleBinding", "metadata": {"name": "alice"}, "roleRef": reference}
        await api.create({**binding, "subjects": [subject]})
        asked = api.request("get", "ConfigMap", "default", "one", user=ALICE)
        assert reads(ALICE, asked) is None
        await authorizer.authorize(asked)
        assert reads(ALICE, asked) == await api.server.handle(asked)
        await api.send("delete", "ClusterRoleBinding", "", "alice")
        assert reads(ALICE, asked) is None
        assert reads(TESTER, asked) is not None


async def test_a_certificate_counts_for_as_long_as_it_says(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        face = await face_over(api)
        assert face.at_once is not None
        now = api.system.clock.now()

        def asked(until: float) -> HttpRequest:
            certificate = PeerCertificate(
                common_name="root", organizations=("system:masters",), not_before=0, not_after=until, serial="", der=b""
            )
            return get(f"{MAPS}/one", ("User-Agent", "x"), certificate=certificate)

        assert face.at_once(asked(now + 10)) is not None
        assert face.at_once(asked(now - 10)) is None


async def test_a_full_priority_level_makes_it_queue(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        face = await face_over(api)
        assert face.at_once is not None
        http = get(f"{MAPS}/one", ("Authorization", "Bearer a"))
        await face(http)
        for level in api.server.core.access.flow.levels.values():
            level.taken += 10_000
        assert face.at_once(http) is None


async def test_the_channel_gives_the_same(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        await face_over(api)
        asked = api.request("get", "ConfigMap", "default", "one")
        quick = api.mailbox.at_once
        assert quick is not None
        assert quick(TESTER, asked) == await api.server.handle(asked)
        assert json.loads(quick(TESTER, asked).body)["data"] == {"a": "b"}
        assert quick(TESTER, api.request("list", "ConfigMap", "default")) is None
        assert quick(TESTER, api.request("get", "ConfigMap", "default", "none")) is None
    assert api.mailbox.at_once is None


async def test_a_long_list_comes_in_pieces_that_make_the_same_list(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        face = await face_over(api)
        meta = {"apiVersion": "v1", "kind": "ConfigMap"}
        for number in range(300):
            await api.create({**meta, "metadata": {"name": f"m{number:03}"}})
        for path in (MAPS, "/api/v1/configmaps", f"{MAPS}?limit=280"):
            answer = await face(get(path))
            assert isinstance(answer, HttpResponse)
            assert answer.pieces
            whole = await api.send("list", "ConfigMap", "default", limit=280 if "limit" in path else 0)
            assert b"".join(answer.pieces) == whole.body
        for path in (f"{MAPS}?pretty=1", f"{MAPS}?labelSelector=a", f"{MAPS}?limit=20"):
            assert not getattr(await face(get(path)), "pieces", None)

"""Service-account tokens: what a TokenRequest gives, whose such a token is, and when it ends."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.apiserver.access.jwt import BadToken, Signer
from tests.kit.apiserver import RunningAPIServer, running_apiserver

ISSUER = "https://kubernetes.default.svc"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


async def request(api: RunningAPIServer, **spec: Any) -> dict[str, Any]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return await api.ask("create", "ServiceAccount", "default", "bot", subresource="token", body=body)


async def review(api: RunningAPIServer, token: str, *audiences: str) -> dict[str, Any]:
    body = {"spec": {"token": token, "audiences": list(audiences)}}
    found: dict[str, Any] = (await api.ask("create", "TokenReview", body=body))["status"]
    return found


async def refused(api: RunningAPIServer, **spec: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await request(api, **spec)
    return raised.value


async def test_a_token_is_its_accounts_until_it_expires(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        account = await api.ask("create", "ServiceAccount", body={"metadata": {"name": "bot"}})
        made = await request(api, expirationSeconds=600)
        assert made["spec"] == {"audiences": [ISSUER], "expirationSeconds": 600, "boundObjectRef": None}
        token = made["status"]["token"]
        about = claims(token)
        assert (about["sub"], about["aud"]) == ("system:serviceaccount:default:bot", [ISSUER])
        assert about["exp"] - about["iat"] == 600
        groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
        uid = account["metadata"]["uid"]
        assert await review(api, token) == {
            "authenticated": True,
            "user": {
                "username": "system:serviceaccount:default:bot",
                "uid": uid,
                "groups": groups,
                "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={about['jti']}"]},
            },
            "audiences": [ISSUER],
        }
        assert (await api.server.core.access.authenticate(None, f"Bearer {token}")).uid == uid
        assert "authenticated" not in await review(api, token, "somebody else")
        await trio.sleep(601)
        assert "service account token has expired" in (await review(api, token))["error"]
        with pytest.raises(ApiError) as gone:
            await api.server.core.access.authenticate(None, f"Bearer {token}")
        assert gone.value.code == 401


async def test_a_bound_token_ends_with_what_it_is_bound_to(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        await api.ask("create", "ServiceAccount", body={"metadata": {"name": "bot"}})
        pod = await api.ask("create", "Pod", body={**POD, "spec": {**POD["spec"], "serviceAccountName": "bot"}})
        uid = pod["metadata"]["uid"]
        made = await request(api, boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid})
        token = made["status"]["token"]
        extra = (await review(api, token))["user"]["extra"]
        assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
        assert extra["authentication.kubernetes.io/pod-uid"] == [uid]
        await api.ask("delete", "Pod", "default", "p", grace_seconds=0)
        assert "authenticated" not in await review(api, token)
        free = (await request(api))["status"]["token"]
        await api.ask("delete", "ServiceAccount", "default", "bot")
        assert "not found" in (await review(api, free))["error"]


async def test_what_a_request_may_not_ask(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        await api.ask("create", "ServiceAccount", body={"metadata": {"name": "bot"}})
        await api.ask("create", "Pod", body=POD)
        short = await refused(api, expirationSeconds=599)
        assert "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes" in str(
            short
        )
        pod = {"apiVersion": "v1", "kind": "Pod", "name": "p"}
        other = await refused(api, boundObjectRef=pod)
        assert other.code == 400 and "running with different serviceaccount name" in other.message
        missing = await refused(api, boundObjectRef={**pod, "name": "q"})
        assert (missing.code, missing.message) == (404, 'pods "q" not found')
        node = {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "other"}
        await api.ask("create", "Secret", body={"metadata": {"name": "s"}})
        assert (await refused(api, boundObjectRef=node)).code == 409
        kind = await refused(api, boundObjectRef={"apiVersion": "v1", "kind": "ConfigMap", "name": "s"})
        assert kind.code == 400


async def test_a_legacy_token_lives_in_its_secret(autojump_clock: trio.testing.MockClock) -> None:
    async with running_apiserver() as api:
        account = await api.ask("create", "ServiceAccount", body={"metadata": {"name": "bot"}})
        token = api.server.core.access.tokens.legacy("default", "bot", account["metadata"]["uid"], "t")
        assert "invalidated" in (await review(api, token))["error"]
        data = {"token": base64.b64encode(token.encode()).decode()}
        await api.ask("create", "Secret", body={"metadata": {"name": "t"}, "data": data})
        assert (await review(api, token))["user"]["username"] == "system:serviceaccount:default:bot"


def test_a_token_of_another_key_or_a_changed_one_is_no_token() -> None:
    ours, theirs = Signer(), Signer()
    token = ours.sign({"sub": "x"})
    assert ours.verify(token) == {"sub": "x"}
    head, body, signature = token.split(".")
    forged = base64.urlsafe_b64encode(b'{"sub":"y"}').decode().rstrip("=")
    for bad in (
        theirs.sign({"sub": "x"}),
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.AAAA",
        "a.b.c",
        "..",
        "é.b.c",
    ):
        with pytest.raises(BadToken):
            ours.verify(bad)
    (key,) = ours.jwks()["keys"]
    assert key["alg"] == "ES256" and key["kid"]

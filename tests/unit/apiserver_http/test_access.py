"""Authentication and authorization: who is let in as whom, and how a refusal reads."""

from __future__ import annotations

import pytest
from msgspec import Struct

from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import ANONYMOUS, RawRequest, Request, UserInfo, Verb
from kube_actors.apiserver import Access
from kube_actors.apiserver.authn import Authenticator, Token, TokenFileError, read_tokens
from kube_actors.apiserver.authz import Authorizer
from kube_actors.store.memory import MemoryStore


class At:
    def now(self) -> float:
        return 1000.0

    def monotonic(self) -> float:
        return 0.0


class Presented(Struct, frozen=True):
    common_name: str
    organizations: tuple[str, ...] = ()
    until: float = 2000.0

    def valid_at(self, now: float) -> bool:
        return now < self.until


ALICE = UserInfo(name="alice", groups=("dev",))
AUTHENTICATOR = Authenticator(At(), [Token("s3cret", ALICE)])


def test_a_certificate_names_its_user_and_groups() -> None:
    user = AUTHENTICATOR.authenticate(Presented("system:node:a", ("system:nodes",)), None)
    assert user == UserInfo(name="system:node:a", groups=("system:nodes", "system:authenticated"))


def test_a_known_token_names_its_user() -> None:
    assert AUTHENTICATOR.authenticate(None, "Bearer s3cret").name == "alice"
    assert "system:authenticated" in AUTHENTICATOR.authenticate(None, "bearer s3cret").groups


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Negotiate x"])
def test_no_credential_of_ours_is_the_anonymous_user(authorization: str | None) -> None:
    assert AUTHENTICATOR.authenticate(None, authorization) == ANONYMOUS


@pytest.mark.parametrize(
    ("certificate", "authorization"),
    [
        (None, "Bearer wrong"),
        (None, "Bearer "),
        (Presented("old", until=999.0), None),
        (Presented(""), None),
        (Presented("old", until=999.0), "Bearer wrong"),
    ],
)
def test_a_wrong_credential_is_401(certificate: Presented | None, authorization: str | None) -> None:
    with pytest.raises(ApiError) as raised:
        AUTHENTICATOR.authenticate(certificate, authorization)
    assert (raised.value.code, raised.value.reason, raised.value.message) == (401, "Unauthorized", "Unauthorized")


def test_an_expired_certificate_does_not_hinder_a_good_token() -> None:
    assert AUTHENTICATOR.authenticate(Presented("old", until=999.0), "Bearer s3cret").name == "alice"


def test_a_token_file() -> None:
    text = 's3cret,alice,7,"dev, ops"\n\n# a comment, of sorts, like this\nother,bob,8\n'
    assert read_tokens(text) == [
        Token("s3cret", UserInfo(name="alice", uid="7", groups=("dev", "ops"))),
        Token("other", UserInfo(name="bob", uid="8")),
    ]
    with pytest.raises(TokenFileError, match="line 1: expected token,user,uid"):
        read_tokens("lonely,alice")


def user(name: str, *groups: str) -> UserInfo:
    return UserInfo(name=name, groups=(*groups, "system:authenticated"))


def request(who: UserInfo, verb: Verb, resource: str, **more: str) -> Request:
    resource, _, subresource = resource.partition("/")
    return Request(verb=verb, version="v1", resource=resource, subresource=subresource, user=who, **more)


def authorizer() -> Authorizer:
    """That of a new cluster."""
    return Access(System(clock=VirtualClock(), entropy=Entropy(1)), MemoryStore()).authorizer


ADMIN = user("admin", "system:masters")
SCHEDULER = user("system:kube-scheduler")
NODE = user("system:node:a", "system:nodes")


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (request(ADMIN, "delete", "secrets"), True),
        (request(SCHEDULER, "create", "pods/binding"), True),
        (request(SCHEDULER, "create", "pods"), False),
        (request(SCHEDULER, "list", "nodes"), True),
        (request(NODE, "patch", "pods/status"), True),
        (request(NODE, "update", "pods"), False),
        (request(NODE, "list", "deployments", group="apps"), False),
        (request(NODE, "list", "pods"), False),
        (request(user("x", "system:nodes"), "patch", "nodes", name="a"), False),
        (request(NODE, "get", "secrets", namespace="x", name="s"), False),
        (request(NODE, "get", "nodes", name="a"), True),
        (request(NODE, "get", "nodes", name="b"), False),
        (request(NODE, "update", "leases", group="coordination.k8s.io", namespace="kube-node-lease", name="a"), True),
        (request(NODE, "update", "leases", group="coordination.k8s.io", namespace="kube-node-lease", name="b"), False),
        (request(user("alice"), "list", "pods"), False),
        (request(user("alice"), "create", "selfsubjectaccessreviews", group="authorization.k8s.io"), True),
        (RawRequest(path="/version"), True),
        (RawRequest(path="/apis"), False),
        (RawRequest(path="/apis", user=user("alice")), True),
        (RawRequest(path="/openapi/v3", user=user("alice")), True),
        (RawRequest(path="/metrics", user=user("alice")), False),
        (RawRequest(path="/metrics", user=ADMIN), True),
    ],
)
async def test_who_may_do_what(asked: Request | RawRequest, allowed: bool) -> None:
    if allowed:
        await authorizer().authorize(asked)
        return
    with pytest.raises(ApiError) as raised:
        await authorizer().authorize(asked)
    assert raised.value.code == 403


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            request(user("alice"), "list", "pods", namespace="default"),
            'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            request(user("alice"), "get", "deployments", group="apps", namespace="x", name="web"),
            'deployments.apps "web" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" '
            'in the namespace "x"',
        ),
        (
            request(ANONYMOUS, "list", "nodes"),
            'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" '
            "at the cluster scope",
        ),
        (RawRequest(path="/apis"), 'forbidden: User "system:anonymous" cannot get path "/apis"'),
    ],
)
async def test_a_refusal_reads_as_kubernetes_has_it(asked: Request | RawRequest, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        await authorizer().authorize(asked)
    assert raised.value.message == message
    assert raised.value.reason == "Forbidden"

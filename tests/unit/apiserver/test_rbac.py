"""RBAC over the real server: who is let in by which binding, what nobody may grant, and the policy of every cluster."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import Access, APIServer
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.rules import Rule, missing
from kube_actors.store.contract import Store
from kube_actors.store.memory import MemoryStore
from tests.kit.apiserver import RunningAPIServer
from tests.kit.transports import Ways

RBAC = "rbac.authorization.k8s.io"


def user(name: str, *groups: str) -> UserInfo:
    return UserInfo(name=name, groups=(*groups, "system:authenticated"))


ALICE = user("alice")


@asynccontextmanager
async def guarded(store: Store | None = None) -> AsyncIterator[RunningAPIServer]:
    """A server that authorizes."""
    system, store = System(clock=VirtualClock(), entropy=Entropy(1)), store or MemoryStore()
    server = APIServer(system, store, access=Access(system, store))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        await server.ready.wait()
        yield RunningAPIServer(server, store, Ways(server, nursery))
        nursery.cancel_scope.cancel()


def role(name: str, *rules: dict[str, Any], kind: str = "Role") -> dict[str, Any]:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name}, "rules": list(rules)}


def binding(name: str, reference: str, *subjects: dict[str, Any], kind: str = "RoleBinding") -> dict[str, Any]:
    what, _, target = reference.partition("/")
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": what, "name": target},
        "subjects": list(subjects),
    }


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"verbs": verbs.split(","), "apiGroups": [group], "resources": resources.split(","), **more}


def a_user(name: str) -> dict[str, Any]:
    return {"kind": "User", "apiGroup": RBAC, "name": name}


async def refused(api: RunningAPIServer, *asked: Any, **more: Any) -> str:
    with pytest.raises(ApiError) as raised:
        await api.ask(*asked, **more)
    assert (raised.value.code, raised.value.reason) == (403, "Forbidden")
    return raised.value.message


async def test_a_binding_counts_from_its_answer_until_it_is_deleted(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        plain = 'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
        assert await refused(api, "list", "Pod", "default", user=ALICE) == plain
        await api.ask("create", "RoleBinding", body=binding("read", "Role/reader", a_user("alice")))
        missing_role = f'{plain}: RBAC: role.{RBAC} "reader" not found'
        assert await refused(api, "list", "Pod", "default", user=ALICE) == missing_role
        await api.ask("create", "Role", body=role("reader", rule("list", "pods")))
        assert (await api.ask("list", "Pod", "default", user=ALICE))["items"] == []
        assert "watch" in await refused(api, "watch", "Pod", "default", user=ALICE)
        assert "at the cluster scope" in await refused(api, "list", "Pod", user=ALICE)
        await api.ask("delete", "RoleBinding", "default", "read")
        assert await refused(api, "list", "Pod", "default", user=ALICE) == plain


async def test_service_accounts_groups_and_names(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        rules = role("one", rule("get", "configmaps,pods/log", resourceNames=["a"]), kind="ClusterRole")
        await api.ask("create", "ClusterRole", body=rules)
        subjects = ({"kind": "ServiceAccount", "name": "bot"}, {"kind": "Group", "apiGroup": RBAC, "name": "dev"})
        body = binding("one", "ClusterRole/one", *subjects)
        body["subjects"][0]["namespace"] = "default"
        await api.ask("create", "RoleBinding", body=body)
        await api.ask("create", "ConfigMap", body={"metadata": {"name": "a"}})
        for who in (user("system:serviceaccount:default:bot"), user("bob", "dev")):
            assert (await api.ask("get", "ConfigMap", "default", "a", user=who))["metadata"]["name"] == "a"
            assert "configmaps" in await refused(api, "get", "ConfigMap", "default", "b", user=who)
            with pytest.raises(ApiError) as gone:
                await api.ask("get", "Pod", "default", "a", subresource="log", user=who)
            assert gone.value.code == 404
        assert "configmaps" in await refused(
            api, "get", "ConfigMap", "default", "a", user=user("system:serviceaccount:x:bot")
        )


async def test_nobody_grants_what_he_does_not_have(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        mine = role("mine", rule("create,update,patch", "roles,rolebindings", RBAC), rule("get", "pods"))
        await api.ask("create", "Role", body=mine)
        await api.ask("create", "RoleBinding", body=binding("mine", "Role/mine", a_user("alice")))
        await api.ask("create", "Role", body=role("less", rule("get", "pods")), user=ALICE)
        more = role("more", rule("get,list", "pods"), rule("*", "secrets"))
        assert await refused(api, "create", "Role", body=more, user=ALICE) == (
            f'roles.{RBAC} "more" is forbidden: user "alice" (groups=["system:authenticated"]) is attempting to grant '
            "RBAC permissions not currently held:\n"
            '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}\n'
            '{APIGroups:[""], Resources:["secrets"], Verbs:["*"]}'
        )
        await api.ask("create", "RoleBinding", body=binding("b", "Role/less", a_user("bob")), user=ALICE)
        text = await refused(
            api, "create", "RoleBinding", body=binding("c", "ClusterRole/cluster-admin", a_user("bob")), user=ALICE
        )
        assert text.startswith(f'rolebindings.{RBAC} "c" is forbidden: user "alice"')
        assert '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}' in text
        with pytest.raises(ApiError) as gone:
            await api.ask("create", "RoleBinding", body=binding("d", "Role/none", a_user("bob")), user=ALICE)
        assert (gone.value.code, gone.value.message) == (404, f'roles.{RBAC} "none" not found')
        mine["rules"].append(rule("escalate", "roles", RBAC))
        mine["rules"].append(rule("bind", "roles", RBAC, resourceNames=["none"]))
        await api.ask("update", "Role", "default", "mine", body=mine)
        await api.ask("create", "Role", body=more, user=ALICE)
        await api.ask("create", "RoleBinding", body=binding("d", "Role/none", a_user("bob")), user=ALICE)


async def test_the_policy_of_every_cluster_is_made_once_and_mended(autojump_clock: trio.testing.MockClock) -> None:
    store = MemoryStore()
    async with guarded(store) as api:
        names = {each["metadata"]["name"] for each in (await api.ask("list", "ClusterRole"))["items"]}
        assert {"cluster-admin", "admin", "edit", "view", "system:node", "system:controller:job-controller"} <= names
        discovery = await api.ask("get", "ClusterRole", name="system:discovery")
        assert discovery["metadata"]["labels"] == {"kubernetes.io/bootstrapping": "rbac-defaults"}
        bound = await api.ask("get", "ClusterRoleBinding", name="system:controller:job-controller")
        assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "job-controller", "namespace": "kube-system"}]
        levels = (await api.ask("list", "PriorityLevelConfiguration"))["items"]
        assert len(levels) == 8 and len((await api.ask("list", "FlowSchema"))["items"]) == 13
        discovery["rules"] = []
        await api.ask("update", "ClusterRole", name="system:discovery", body=discovery)
        basic = await api.ask("get", "ClusterRole", name="system:basic-user")
        basic["rules"], basic["metadata"]["annotations"] = [], {}
        await api.ask("update", "ClusterRole", name="system:basic-user", body=basic)
    async with guarded(store) as api:
        assert (await api.ask("get", "ClusterRole", name="system:discovery"))["rules"]
        assert not (await api.ask("get", "ClusterRole", name="system:basic-user"))["rules"]


async def test_reviews_answer_in_their_status(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        await api.ask("create", "Role", body=role("reader", rule("list", "pods")))
        await api.ask("create", "RoleBinding", body=binding("read", "Role/reader", a_user("alice")))
        pods = {"verb": "list", "resource": "pods", "namespace": "default"}
        mine = {"spec": {"resourceAttributes": pods}}
        found = await api.ask("create", "SelfSubjectAccessReview", body=mine, user=ALICE)
        reason = 'RBAC: allowed by RoleBinding "read/default" of Role "reader" to User "alice"'
        assert found["status"] == {"allowed": True, "reason": reason}
        assert found["metadata"] == {} and found["spec"] == mine["spec"]
        theirs = {"spec": {"resourceAttributes": pods, "user": "bob"}}
        assert (await api.ask("create", "SubjectAccessReview", body=theirs))["status"] == {"allowed": False}
        theirs["spec"]["groups"] = ["system:masters"]
        assert (await api.ask("create", "LocalSubjectAccessReview", body=theirs))["status"] == {"allowed": True}
        path = {
            "spec": {"nonResourceAttributes": {"verb": "get", "path": "/healthz"}, "groups": ["system:authenticated"]}
        }
        assert (await api.ask("create", "SubjectAccessReview", body=path))["status"]["allowed"]
        with pytest.raises(ApiError) as wrong:
            await api.ask("create", "SubjectAccessReview", body={"spec": {"resourceAttributes": pods}})
        assert 'spec.user: Invalid value: "": at least one of user or group must be specified' in wrong.value.message
        rules = await api.ask("create", "SelfSubjectRulesReview", body={"spec": {"namespace": "default"}}, user=ALICE)
        assert {"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]} in rules["status"]["resourceRules"]
        assert rules["status"]["incomplete"] is False
        who = await api.ask("create", "SelfSubjectReview", user=ALICE, body={})
        assert who["status"] == {"userInfo": {"username": "alice", "groups": ["system:authenticated"]}}


WORDS = st.lists(st.sampled_from(["a", "b", "c", "*"]), min_size=1, max_size=2, unique=True).map(tuple)
RULES = st.builds(Rule, verbs=WORDS, groups=WORDS, resources=WORDS, names=st.one_of(st.just(()), WORDS))


@settings(max_examples=60, deadline=None)
@given(owned=st.lists(RULES, max_size=3), wanted=st.lists(RULES, max_size=3), verb=st.sampled_from("abc"))
def test_what_is_covered_lets_nothing_new_through(owned: list[Rule], wanted: list[Rule], verb: str) -> None:
    assert not missing(wanted, wanted)
    if missing(owned, wanted):
        return
    for resource in "abcd":
        for name in ("", "a", "b", "*"):
            asked = Attributes(user=ALICE, verb=verb, group="b", resource=resource, name=name)
            assert not any(each.allows(asked) for each in wanted) or any(each.allows(asked) for each in owned)


def test_json_of_a_rule_is_read_as_kubernetes_writes_it() -> None:
    text = json.dumps({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]})
    assert msgspec.json.decode(text, type=Rule) == Rule(("get",), ("",), ("pods",), ("a",))

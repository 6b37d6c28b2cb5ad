"""What a node may read and write: itself, its pods, what they refer to, and nothing of its neighbours."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver.access.nodes import references
from tests.kit.apiserver import RunningAPIServer
from tests.unit.apiserver.test_rbac import guarded

NODE = UserInfo(name="system:node:a", groups=("system:nodes", "system:authenticated"))


def pod(name: str, node: str) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "i",
        "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": f"{name}-env", "key": "k"}}}],
    }
    projected = {"name": "p", "projected": {"sources": [{"secret": {"name": f"{name}-projected"}}]}}
    volumes = [{"name": "v", "secret": {"secretName": f"{name}-secret"}}, projected]
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [container], "volumes": volumes}}


async def prepared(api: RunningAPIServer) -> dict[str, str]:
    """Two nodes with a pod each; the pods' UIDs."""
    uids = {}
    await api.ask("create", "ServiceAccount", body={"metadata": {"name": "default"}})
    for name in ("a", "b"):
        await api.ask("create", "Node", body={"metadata": {"name": name}})
        made = await api.ask("create", "Pod", body=pod(f"pod-{name}", name))
        uids[name] = made["metadata"]["uid"]
        await api.ask("create", "Secret", body={"metadata": {"name": f"pod-{name}-secret"}})
        await api.ask("create", "ConfigMap", body={"metadata": {"name": f"pod-{name}-env"}})
    return uids


async def refused(api: RunningAPIServer, *asked: Any, **more: Any) -> str:
    with pytest.raises(ApiError) as raised:
        await api.ask(*asked, user=NODE, **more)
    assert raised.value.code == 403, raised.value
    return raised.value.message


def test_what_a_pod_refers_to() -> None:
    assert references(pod("p", "a")) == {
        ("configmaps", "p-env"), ("secrets", "p-projected"), ("secrets", "p-secret"), ("serviceaccounts", "default"),
    }  # fmt: skip


async def test_a_node_reads_what_its_pods_need(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        await prepared(api)
        await api.ask("get", "Secret", "default", "pod-a-secret", user=NODE)
        await api.ask("get", "ConfigMap", "default", "pod-a-env", user=NODE)
        other = await refused(api, "get", "Secret", "default", "pod-b-secret")
        assert other == (
            'secrets "pod-b-secret" is forbidden: User "system:node:a" cannot get resource "secrets" in API group "" '
            "in the namespace \"default\": no relationship found between node 'a' and this object"
        )
        assert "can only read namespaced object" in await refused(api, "list", "Secret", "default")
        await api.ask("list", "Pod", field_selector="spec.nodeName=a", user=NODE)
        assert "spec.nodeName" in await refused(api, "list", "Pod")
        assert "only its own Node object" in await refused(api, "get", "Node", name="b")
        await api.ask("delete", "Pod", "default", "pod-a", grace_seconds=0)
        assert "no relationship" in await refused(api, "get", "Secret", "default", "pod-a-secret")


async def test_a_node_writes_itself_and_its_pods(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        await prepared(api)
        merge = "application/merge-patch+json"
        running = {"status": {"phase": "Running"}}
        mine = {"subresource": "status", "body": running, "content_type": merge}
        await api.ask("patch", "Pod", "default", "pod-a", user=NODE, **mine)
        assert "set to itself" in await refused(api, "patch", "Pod", "default", "pod-b", **mine)
        label = {"metadata": {"labels": {"x": "y"}}}
        await api.ask("patch", "Node", name="a", body=label, content_type=merge, user=NODE)
        other = await refused(api, "patch", "Node", name="b", body=label, content_type=merge)
        assert 'node "a" is not allowed to modify node "b"' in other
        role = {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}
        labels = await refused(api, "patch", "Node", name="a", body=role, content_type=merge)
        assert "is not allowed to modify labels: node-role.kubernetes.io/x" in labels
        taints = {"spec": {"taints": []}}
        assert "modify taints" in await refused(api, "patch", "Node", name="a", body=taints, content_type=merge)
        assert "can only create mirror pods" in await refused(api, "create", "Pod", body=pod("own", "a"))
        await refused(api, "delete", "Pod", "default", "pod-b")


async def test_a_node_asks_for_tokens_of_its_own_pods(autojump_clock: trio.testing.MockClock) -> None:
    async with guarded() as api:
        uids = await prepared(api)

        def bound(name: str) -> dict[str, Any]:
            reference = {"apiVersion": "v1", "kind": "Pod", "name": f"pod-{name}", "uid": uids[name]}
            return {"subresource": "token", "body": {"spec": {"boundObjectRef": reference}}}

        made = await api.ask("create", "ServiceAccount", "default", "default", user=NODE, **bound("a"))
        assert made["status"]["token"]
        account = ("create", "ServiceAccount", "default", "default")
        assert "on a different node" in await refused(api, *account, **bound("b"))
        free = {"subresource": "token", "body": {"spec": {}}}
        assert "not bound to a pod" in await refused(api, *account, **free)

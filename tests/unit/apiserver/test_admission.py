"""What admission completes and refuses, and what else the server does by itself."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, Request
from kube_actors.apiserver import limits
from kube_actors.apiserver.admission.chain import Attempt, Step
from tests.kit.apiserver import TESTER, running_apiserver


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "img:v1"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def priority_class(name: str, value: int, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **more,
    }


async def test_a_pod_is_completed(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        made = await api.create(pod("a"))
        spec = made["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        assert [(t["key"], t["tolerationSeconds"]) for t in spec["tolerations"]] == [
            ("node.kubernetes.io/not-ready", 300),
            ("node.kubernetes.io/unreachable", 300),
        ]
        assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        assert made["metadata"]["generation"] == 1


async def test_priority_follows_the_class(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create(priority_class("high", 1000))
        assert (await api.create(pod("a", priorityClassName="high")))["spec"]["priority"] == 1000
        system = await api.create(pod("b", priorityClassName="system-node-critical"))
        assert system["spec"]["priority"] == 2_000_001_000
        with pytest.raises(ApiError) as refused:
            await api.create(pod("c", priorityClassName="nope"))
        assert refused.value.message == 'pods "c" is forbidden: no PriorityClass with name nope was found'
        await api.create(priority_class("usual", 7, globalDefault=True))
        usual = await api.create(pod("d"))
        assert (usual["spec"]["priority"], usual["spec"]["priorityClassName"]) == (7, "usual")


async def test_a_pods_service_account_must_exist(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_accounts=True) as api:
        with pytest.raises(ApiError) as refused:
            await api.create(pod("a"))
        assert refused.value.message.endswith(
            'error looking up service account default/default: serviceaccount "default" not found'
        )
        await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        await api.create(pod("a"))


async def test_a_new_node_takes_no_pods_yet(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        made = await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
        assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


async def test_some_namespaces_stay(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        with pytest.raises(ApiError) as refused:
            await api.delete("Namespace", "kube-system")
        assert refused.value.is_forbidden


async def test_a_bug_fails_one_request_and_is_told(autojump_clock: MockClock) -> None:
    class Broken(Step):
        name = "Broken"

        async def check(self, attempt: Attempt) -> None:
            if attempt.call.kind.resource.plural == "secrets":
                raise ZeroDivisionError("a bug")

    async with running_apiserver(admission=[Broken()]) as api:
        answer = await api.send(
            "create", "Secret", body={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
        )
        assert answer.status == 500
        assert b"InternalError" in answer.body
        assert any("a bug" in line.detail for line in api.system.story.by("apiserver"))
        await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})


async def test_history_is_compacted_by_the_clock(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
        before = api.store.revision
        await trio.sleep(2 * limits.COMPACTION_SECONDS + 1)
        assert api.store.compacted >= before


async def test_one_event_in_both_its_versions(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "example.com/x",
            "reportingInstance": "x-1",
            "action": "Binding",
            "reason": "Scheduled",
            "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
            "note": "hello",
            "type": "Normal",
        }
        await api.create(event)
        core = await api.get("v1/Event", "e")
        assert (core["message"], core["involvedObject"]["name"]) == ("hello", "p")
        assert core["reportingComponent"] == "example.com/x"
        newer = await api.list("events.k8s.io/v1/Event", field_selector="regarding.kind=Pod")
        assert [item["note"] for item in newer["items"]] == ["hello"]
        older = await api.list("v1/Event", field_selector="involvedObject.name=p,reason=Scheduled")
        assert len(older["items"]) == 1


async def test_unknown_resources_and_verbs_are_refused(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        for request, code in (
            (Request(verb="get", version="v1", resource="nopes", namespace="default", name="a", user=TESTER), 404),
            (Request(verb="deletecollection", version="v1", resource="namespaces"), 405),
            (Request(verb="get", version="v1", resource="pods", namespace="default", name="a", subresource="x"), 404),
            (Request(verb="patch", version="v1", resource="pods", namespace="default", body=b"{}"), 405),
        ):
            answer = await api.server.handle(request)
            assert isinstance(answer, Answer)
            assert answer.status == code, request


async def test_containers_get_their_accounts_token(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_accounts=True) as api:
        await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        quiet = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "quiet"}}
        await api.create({**quiet, "automountServiceAccountToken": False})
        made = (await api.create(pod("a")))["spec"]
        (volume,) = made["volumes"]
        assert volume["name"].startswith("kube-api-access-")
        token, certificate, place = volume["projected"]["sources"]
        assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
        assert certificate["configMap"]["name"] == "kube-root-ca.crt"
        assert place["downwardAPI"]["items"][0]["path"] == "namespace"
        path = "/var/run/secrets/kubernetes.io/serviceaccount"
        assert made["containers"][0]["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": path}]
        assert "volumes" not in (await api.create(pod("b", serviceAccountName="quiet")))["spec"]
        asked = await api.create(pod("c", serviceAccountName="quiet", automountServiceAccountToken=True))
        assert len(asked["spec"]["volumes"]) == 1
        assert "volumes" not in (await api.create(pod("d", automountServiceAccountToken=False)))["spec"]
        own = [{"name": "c", "image": "i:1", "volumeMounts": [{"name": "v", "mountPath": path}]}]
        kept = await api.create(pod("e", containers=own, volumes=[{"name": "v", "emptyDir": {}}]))
        assert [volume["name"] for volume in kept["spec"]["volumes"]] == ["v"]


async def test_a_mirror_pod_refers_to_nothing(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_accounts=True) as api:
        mirror = pod("a", nodeName="n", volumes=[{"name": "v", "secret": {"secretName": "s"}}])
        mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
        with pytest.raises(ApiError) as refused:
            await api.create(mirror)
        assert refused.value.message == 'pods "a" is forbidden: a mirror pod may not reference secrets'


async def test_an_account_may_hold_its_pods_to_its_secrets(autojump_clock: MockClock) -> None:
    async with running_apiserver(service_accounts=True) as api:
        annotations = {"kubernetes.io/enforce-mountable-secrets": "true"}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "annotations": annotations}}
        await api.create({**account, "secrets": [{"name": "mine"}]})

        def with_secret(name: str) -> dict[str, Any]:
            return pod("p", serviceAccountName="a", volumes=[{"name": "v", "secret": {"secretName": name}}])

        with pytest.raises(ApiError) as refused:
            await api.create(with_secret("yours"))
        assert refused.value.message == (
            'pods "p" is forbidden: volume with secret.secretName="yours" is not allowed because service account a '
            "does not reference that secret"
        )
        await api.create(with_secret("mine"))


async def test_there_is_one_default_priority(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create(priority_class("usual", 7, globalDefault=True))
        with pytest.raises(ApiError) as refused:
            await api.create(priority_class("other", 8, globalDefault=True))
        assert refused.value.message.endswith(
            "PriorityClass usual is already marked as default. Only one default can exist"
        )

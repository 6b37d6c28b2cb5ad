"""What a namespace allows: LimitRanger, ResourceQuota and the Pod Security Standards, in process."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from kube_actors.api import pod_resources, quantity, quota_usage
from kube_actors.api.errors import ApiError
from kube_actors.apiserver.admission.pod_security.levels import Level, policy_of
from kube_actors.apiserver.admission.pod_security.restricted import violations
from tests.kit.apiserver import RunningAPIServer, running_apiserver


def pod(name: str, resources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i:1", "resources": resources or {}, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


async def refusal(api: RunningAPIServer, obj: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as refused:
        await api.create(obj)
    return refused.value.message


async def test_limits_fill_in_and_bound(autojump_clock: MockClock) -> None:
    limits = [
        {"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}},
        {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}},
    ]
    async with running_apiserver() as api:
        await api.create(
            {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}}
        )
        made = await api.create(pod("a"))
        assert made["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m"}
        assert made["metadata"]["annotations"] == {
            "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; "
            "cpu limit for container c"
        }
        lead = 'pods "b" is forbidden: '
        assert await refusal(api, pod("b", {"limits": {"cpu": "2"}})) == (
            f"{lead}maximum cpu usage per Container is 1, but limit is 2"
        )
        assert await refusal(api, pod("b", {"limits": {"cpu": "1"}, "requests": {"cpu": "400m"}})) == (
            f"{lead}cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000"
        )
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        assert "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi" in await refusal(
            api,
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "p"}, "spec": claim},
        )


async def quota(api: RunningAPIServer, hard: dict[str, str], **spec: Any) -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": hard, **spec},
    }
    await api.create(obj)
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    await api.ask("update", "ResourceQuota", "", "q", subresource="status", body={**obj, "status": status})


async def test_a_quota_is_charged_by_those_who_write_at_the_same_time(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await quota(api, {"pods": "5", "requests.cpu": "1"})
        outcomes: list[int] = []

        async def make(index: int) -> None:
            body = pod(f"p{index}", {"requests": {"cpu": "100m"}})
            outcomes.append((await api.send("create", "Pod", body=body)).status)

        async with trio.open_nursery() as nursery:
            for index in range(8):
                nursery.start_soon(make, index)
        assert sorted(outcomes) == [201] * 5 + [403] * 3
        assert (await api.get("ResourceQuota", "q"))["status"]["used"] == {"pods": "5", "requests.cpu": "500m"}
        assert await refusal(api, pod("x", {"requests": {"cpu": "600m"}})) == (
            'pods "x" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=600m, '
            "used: pods=5,requests.cpu=500m, limited: pods=5,requests.cpu=1"
        )
        assert await refusal(api, pod("x")) == (
            'pods "x" is forbidden: failed quota: q: must specify requests.cpu for: c'
        )


async def test_a_dry_run_is_not_charged(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await quota(api, {"count/configmaps": "1"})
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
        await api.create(made, dry_run=("All",))
        assert (await api.get("ResourceQuota", "q"))["status"]["used"] == {"count/configmaps": "0"}
        await api.create(made)
        assert (await api.get("ResourceQuota", "q"))["status"]["used"] == {"count/configmaps": "1"}


@pytest.mark.parametrize(
    ("spec", "obj", "meant"),
    [
        ({"scopes": ["BestEffort"]}, pod("a"), True),
        ({"scopes": ["BestEffort"]}, pod("a", {"limits": {"cpu": "1"}}), False),
        ({"scopes": ["Terminating"]}, pod("a", activeDeadlineSeconds=1), True),
        ({"scopes": ["NotTerminating"]}, pod("a", activeDeadlineSeconds=1), False),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["h"]}]
                }
            },
            pod("a", priorityClassName="h"),
            True,
        ),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
            pod("a", priorityClassName="h"),
            False,
        ),
        ({}, pod("a"), True),
    ],
)
def test_scopes(spec: dict[str, Any], obj: dict[str, Any], meant: bool) -> None:
    assert quota_usage.in_scopes(spec, "", "pods", obj) is meant


def test_usage_by_kind() -> None:
    def used(group: str, plural: str, obj: dict[str, Any]) -> dict[str, str]:
        return {name: str(amount) for name, amount in quota_usage.usage(group, plural, obj).items() if amount}

    many = pod("a", {"requests": {"cpu": "1", "example.com/gpu": "2"}, "limits": {"memory": "1Gi"}})
    assert used("", "pods", many) == {
        "count/pods": "1",
        "pods": "1",
        "cpu": "1",
        "requests.cpu": "1",
        "requests.example.com/gpu": "2",
        "limits.memory": "1Gi",
    }
    many["status"] = {"phase": "Succeeded"}
    assert used("", "pods", many) == {"count/pods": "1"}
    service = {"metadata": {}, "spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}}
    assert used("", "services", service)["services.nodeports"] == "2"
    assert used("apps", "deployments", {"metadata": {}}) == {"count/deployments.apps": "1"}


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=5), st.lists(st.integers(0, 5000), max_size=5))
def test_a_pod_asks_for_all_containers_or_for_its_largest_starter(together: list[int], starting: list[int]) -> None:
    def containers(amounts: list[int]) -> list[dict[str, Any]]:
        return [{"name": f"c{i}", "resources": {"requests": {"cpu": f"{m}m"}}} for i, m in enumerate(amounts)]

    spec = {"containers": containers(together), "initContainers": containers(starting)}
    assert pod_resources.requests(spec)["cpu"].milli_value() == max([sum(together), *starting])


def broken(level: str, version: str = "latest", **spec: Any) -> list[str]:
    return [str(found) for found in violations(Level(level, version), {}, pod("a", **spec)["spec"])]


GOOD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "container": {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}},
}


def test_the_levels_of_pod_security() -> None:
    assert broken("baseline") == []
    assert broken("restricted", **GOOD) == []
    assert broken("privileged", hostNetwork=True) == []
    assert broken("baseline", hostNetwork=True, hostIPC=True) == ["host namespaces (hostNetwork=true, hostIPC=true)"]
    assert broken("baseline", container={"securityContext": {"privileged": True}}) == [
        'privileged (container "c" must not set securityContext.privileged=true)'
    ]
    probe = {"livenessProbe": {"httpGet": {"host": "1.2.3.4", "port": 1}}}
    assert broken("baseline", "v1.33", container=probe) == []
    assert broken("baseline", container=probe) == [
        'probe or lifecycle host (container "c" uses probe or lifecycle host "1.2.3.4")'
    ]
    assert broken("baseline", securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}) == []
    assert broken("baseline", "v1.31", securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}) == [
        "forbidden sysctls (net.ipv4.tcp_rmem)"
    ]
    assert broken("baseline", securityContext={"appArmorProfile": {"type": "Unconfined"}}) == [
        'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")'
    ]
    assert broken("restricted", **{**GOOD, "os": {"name": "windows"}, "container": {}}) == []


async def test_a_namespace_holds_its_pods_to_a_level(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create(pod("before", hostPID=True))
        namespace = await api.get("Namespace", "default")
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "baseline"
        answer = await api.send("update", "Namespace", "", "default", body=namespace)
        warnings = [value for key, value in answer.headers if key == "Warning"]
        assert [text.split('"', 1)[1] for text in warnings] == [
            'existing pods in namespace \\"default\\" violate the new PodSecurity enforce level \\"baseline:latest\\""',
            'before: host namespaces"',
        ]
        assert await refusal(api, pod("a", hostPID=True)) == (
            'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)'
        )
        await api.create(pod("a"))
        namespace = await api.get("Namespace", "default")
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/warn"] = "loose"
        with pytest.raises(ApiError) as refused:
            await api.update(namespace)
        assert refused.value.message == (
            'Namespace "default" is invalid: metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: '
            '"loose": must be one of privileged, baseline, restricted'
        )


async def test_a_debug_container_is_held_to_the_level_too(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        labels = {"pod-security.kubernetes.io/enforce": "baseline"}
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": labels}})
        made = pod("a")
        made["metadata"]["namespace"] = "n"
        made = await api.create(made)
        debug = {"name": "d", "image": "i:1", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}
        made["spec"]["ephemeralContainers"] = [debug]
        with pytest.raises(ApiError) as refused:
            await api.ask("update", "Pod", "n", "a", subresource="ephemeralcontainers", body=made)
        assert refused.value.message.startswith('pods "a" is forbidden: violates PodSecurity "baseline:latest"')
        del debug["securityContext"]
        changed = await api.ask("update", "Pod", "n", "a", subresource="ephemeralcontainers", body=made)
        assert changed["spec"]["ephemeralContainers"][0]["name"] == "d"


def test_labels_that_cannot_be_read_are_enforced_most_strictly() -> None:
    policy = policy_of({"pod-security.kubernetes.io/enforce": "x", "pod-security.kubernetes.io/warn-version": "2"})
    assert (policy.enforce.name, policy.warn.name, len(policy.problems)) == ("restricted", "privileged", 2)


async def test_a_runtime_costs_and_places(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create(
            {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": {"name": "vm"},
                "handler": "vm",
                "overhead": {"podFixed": {"cpu": "250m"}},
                "scheduling": {"nodeSelector": {"vm": "yes"}},
            }
        )
        made = await api.create(pod("a", runtimeClassName="vm"))
        assert (made["spec"]["overhead"], made["spec"]["nodeSelector"]) == ({"cpu": "250m"}, {"vm": "yes"})
        assert await refusal(api, pod("b", runtimeClassName="none")) == (
            'pods "b" is forbidden: pod rejected: RuntimeClass "none" not found'
        )
        assert quantity.parse("250m") == pod_resources.requests(made["spec"])["cpu"]


async def test_an_ingress_gets_the_default_class(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await api.create(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": "n", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
                "spec": {"controller": "example.com/c"},
            }
        )
        backend = {"service": {"name": "s", "port": {"number": 80}}}
        made = await api.create(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"name": "i"},
                "spec": {"defaultBackend": backend},
            }
        )
        assert made["spec"]["ingressClassName"] == "n"


async def test_a_generated_name_comes_after_the_steps_that_complete(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        unnamed = pod("x", runtimeClassName="none")
        unnamed["metadata"] = {"generateName": "gen-"}
        assert (await refusal(api, unnamed)).startswith('pods "gen-" is forbidden')


async def test_a_bound_pod_learns_its_nodes_zone(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        zone = {"topology.kubernetes.io/zone": "z1"}
        await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": zone}})
        await api.create(pod("a"))
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "a"},
            "target": {"kind": "Node", "name": "n"},
        }
        await api.ask("create", "Pod", "default", "a", subresource="binding", body=body)
        assert (await api.get("Pod", "a"))["metadata"]["labels"] == zone

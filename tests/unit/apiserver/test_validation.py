"""What is refused and how it is said, kind by kind: (object, field, message)."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from tests.kit.apiserver import running_apiserver

CONTAINER = {"name": "c", "image": "img:v1"}


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [CONTAINER], **spec}}


def container(**more: Any) -> dict[str, Any]:
    return pod(containers=[{**CONTAINER, **more}])


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [CONTAINER]}}
    base = {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "x"}, "spec": base}


def job(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "x"},
        "spec": {"template": template, **spec},
    }


def cron(schedule: str) -> dict[str, Any]:
    spec = {"schedule": schedule, "jobTemplate": {"spec": job()["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "x"}, "spec": spec}


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 80}], **spec},
    }


PORTS = [{"name": "a", "port": 80}, {"name": "a", "port": 81}]
ZERO = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}
BUDGET = {"minAvailable": "150%"}
CASES: list[tuple[dict[str, Any], str, str]] = [
    (pod(containers=[]), "spec.containers", "Required value"),
    (pod(containers=[CONTAINER, CONTAINER]), "spec.containers[1].name", 'Duplicate value: "c"'),
    (container(image=""), "spec.containers[0].image", "Required value"),
    (
        container(ports=[{"containerPort": 70000}]),
        "spec.containers[0].ports[0].containerPort",
        "Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    (
        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
        "spec.containers[0].resources.requests",
        'Invalid value: "2": must be less than or equal to cpu limit of 1',
    ),
    (
        container(volumeMounts=[{"name": "v", "mountPath": "/m"}]),
        "spec.containers[0].volumeMounts[0].name",
        'Not found: "v"',
    ),
    (
        container(livenessProbe={"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}),
        "spec.containers[0].livenessProbe.tcpSocket",
        "Forbidden: may not specify more than 1 handler type",
    ),
    (
        pod(restartPolicy="Sometimes"),
        "spec.restartPolicy",
        'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ),
    (
        pod(tolerations=[{"key": "k", "operator": "Exists", "value": "v"}]),
        "spec.tolerations[0].operator",
        "Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
    ),
    (pod(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName", "Required value"),
    (workload("Deployment", selector=None), "spec.selector", "Required value"),
    (
        workload("Deployment", selector={"matchLabels": {"app": "b"}}),
        "spec.template.metadata.labels",
        'Invalid value: {"app":"a"}: `selector` does not match template `labels`',
    ),
    (
        workload("Deployment", strategy=ZERO),
        "spec.strategy.rollingUpdate.maxUnavailable",
        "Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    (workload("StatefulSet", replicas=-1), "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
    (job(completions=-1), "spec.completions", "Invalid value: -1: must be greater than or equal to 0"),
    (cron("61 * * * *"), "spec.schedule", 'Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'),
    (service(ports=PORTS), "spec.ports[1].name", 'Duplicate value: "a"'),
    (service(type="ExternalName"), "spec.externalName", "Required value"),
    (service(ipFamilies=["IPv6"]), "spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster'),
    (
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "x"}, "spec": BUDGET},
        "spec.minAvailable",
        'Invalid value: "150%": must not be greater than 100%',
    ),
    (
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "kubernetes.io/tls"},
        "data[tls.crt]",
        "Required value",
    ),
]


@pytest.mark.parametrize(("obj", "field", "message"), CASES, ids=[f"{c[0]['kind']}-{c[1]}" for c in CASES])
async def test_refusals(autojump_clock: MockClock, obj: dict[str, Any], field: str, message: str) -> None:
    async with running_apiserver() as api:
        with pytest.raises(ApiError) as refused:
            await api.create(obj)
        assert refused.value.code == 422
        assert (field, message) in [(cause.field, cause.message) for cause in refused.value.details.causes]
        with pytest.raises(ApiError) as missing:
            await api.get(f"{obj['apiVersion']}/{obj['kind']}", "x")
        assert missing.value.is_not_found


async def test_a_pods_spec_is_all_but_fixed(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        made = await api.create(pod())
        made["spec"]["containers"][0]["image"] = "img:v2"
        changed = await api.update(made)
        assert changed["metadata"]["generation"] == 2
        changed["spec"]["containers"][0]["command"] = ["x"]
        with pytest.raises(ApiError) as refused:
            await api.update(changed)
        assert refused.value.details.causes[0].field == "spec"
        assert refused.value.details.causes[0].message.startswith("Forbidden: pod updates may not change fields")


async def test_surprising_pods_come_with_warnings(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
        answer = await api.send("create", "Pod", body=container(env=env))
        assert answer.status == 201
        (warning,) = [value for name, value in answer.headers if name == "Warning"]
        assert "spec.containers[0].env[1]: hides previous definition" in warning

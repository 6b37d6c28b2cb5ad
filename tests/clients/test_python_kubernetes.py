"""The official client, `kubernetes`, against our server over HTTPS: objects, lists, patches, deletion, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client import ApiException

from tests.kit.served import ADMIN_TOKEN, Served


@pytest.fixture
def connection(served_api: Served) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(served_api.kubeconfig) as opened:
        yield opened


@pytest.fixture
def core(connection: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(connection)


@pytest.fixture
def apps(connection: client.ApiClient) -> client.AppsV1Api:
    return client.AppsV1Api(connection)


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def deployment(name: str, replicas: int = 2) -> client.V1Deployment:
    container = client.V1Container(
        name="web", image="nginx:1", ports=[client.V1ContainerPort(container_port=80, name="http")]
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": name}), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(
        replicas=replicas, selector=client.V1LabelSelector(match_labels={"app": name}), template=template
    )
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name, labels={"app": name}), spec=spec)


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status code and the Status of a call that must fail."""
    with pytest.raises(ApiException) as caught:
        call(*arguments, **options)
    return caught.value.status, json.loads(caught.value.body)


def names(found: Any) -> list[str]:
    return [item.metadata.name for item in found.items]


def test_an_object_is_created_read_and_defaulted(core: client.CoreV1Api, namespace: str) -> None:
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(generate_name="web-"),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="nginx")]),
    )
    made = core.create_namespaced_pod(namespace, pod)
    found = core.read_namespaced_pod(made.metadata.name, namespace)

    assert found == made
    assert made.metadata.name.startswith("web-") and len(made.metadata.name) == len("web-") + 5
    assert made.metadata.uid and made.metadata.creation_timestamp and made.metadata.resource_version
    assert made.spec.restart_policy == "Always"
    assert made.spec.containers[0].image_pull_policy == "Always"
    assert made.status.phase == "Pending" and made.status.qos_class == "BestEffort"


def test_binary_data_and_times_survive(core: client.CoreV1Api, namespace: str) -> None:
    secret = core.create_namespaced_secret(
        namespace, client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"password": "tea"})
    )

    assert secret.data == {"password": "dGVh"} and secret.string_data is None and secret.type == "Opaque"


def test_lists_are_selected_by_labels_and_fields(core: client.CoreV1Api, namespace: str) -> None:
    for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back"}), ("c", None)):
        core.create_namespaced_config_map(namespace, config_map(name, labels))

    def selected(**how: str) -> list[str]:
        return names(core.list_namespaced_config_map(namespace, **how))

    assert selected() == ["a", "b", "c"]
    assert selected(label_selector="tier=front") == ["a"]
    assert selected(label_selector="tier in (front, back)") == ["a", "b"]
    assert selected(label_selector="!tier") == ["c"]
    assert selected(label_selector="tier!=front") == ["b", "c"]
    assert selected(field_selector="metadata.name=b") == ["b"]
    assert names(core.list_config_map_for_all_namespaces(field_selector=f"metadata.namespace={namespace}")) == [
        "a",
        "b",
        "c",
    ]
    code, status = refusal(selected, field_selector="data.x=1")
    assert (code, status["message"]) == (
        400,
        '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )


def test_a_list_in_pages_shows_one_revision(core: client.CoreV1Api, namespace: str, served_api: Served) -> None:
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}"))
    first = core.list_namespaced_config_map(namespace, limit=2)
    core.create_namespaced_config_map(namespace, config_map("page-2-late"))
    second = core.list_namespaced_config_map(namespace, limit=2, _continue=first.metadata._continue)
    third = core.list_namespaced_config_map(namespace, limit=2, _continue=second.metadata._continue)

    assert [names(page) for page in (first, second, third)] == [
        ["page-0", "page-1"],
        ["page-2", "page-3"],
        ["page-4"],
    ]
    assert first.metadata.remaining_item_count == 3 and second.metadata.remaining_item_count == 1
    assert third.metadata._continue is None
    assert len({page.metadata.resource_version for page in (first, second, third)}) == 1

    served_api.compact()
    code, status = refusal(core.list_namespaced_config_map, namespace, limit=2, _continue=first.metadata._continue)
    assert (code, status["reason"]) == (410, "Expired")
    rest = core.list_namespaced_config_map(namespace, _continue=status["metadata"]["continue"])
    assert names(rest) == ["page-2", "page-2-late", "page-3", "page-4"]


def test_the_three_patches(apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web"))

    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    strategic = apps.patch_namespaced_deployment("web", namespace, sidecar)
    assert [c.name for c in strategic.spec.template.spec.containers] == ["side", "web"]
    assert strategic.metadata.generation == 2

    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 2},
        {"op": "replace", "path": "/spec/replicas", "value": 7},
        {"op": "add", "path": "/metadata/annotations", "value": {"note": "by JSON patch"}},
    ]
    jsonned = apps.patch_namespaced_deployment("web", namespace, operations)
    assert jsonned.spec.replicas == 7 and jsonned.metadata.annotations["note"] == "by JSON patch"

    merged = apps.patch_namespaced_deployment(
        "web",
        namespace,
        {"metadata": {"annotations": {"note": None, "other": "kept"}}},
        _content_type="application/merge-patch+json",
    )
    assert "note" not in merged.metadata.annotations and merged.metadata.annotations["other"] == "kept"

    code, status = refusal(
        apps.patch_namespaced_deployment, "web", namespace, [{"op": "test", "path": "/spec/replicas", "value": 1}]
    )
    assert (code, status["reason"]) == (422, "Invalid")


def test_a_stale_replacement_conflicts(core: client.CoreV1Api, namespace: str) -> None:
    first = core.create_namespaced_config_map(namespace, config_map("c", x="1"))
    first.data = {"x": "2"}
    second = core.replace_namespaced_config_map("c", namespace, first)
    assert second.data == {"x": "2"}
    assert int(second.metadata.resource_version) > int(first.metadata.resource_version)

    code, status = refusal(core.replace_namespaced_config_map, "c", namespace, first)
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    assert status["details"] == {"name": "c", "kind": "configmaps"}


def test_status_is_written_apart_from_spec(apps: client.AppsV1Api, namespace: str) -> None:
    made = apps.create_namespaced_deployment(namespace, deployment("web"))
    made.status = client.V1DeploymentStatus(observed_generation=1, replicas=2, ready_replicas=1)
    made.spec.replicas = 9
    written = apps.replace_namespaced_deployment_status("web", namespace, made)
    assert written.status.ready_replicas == 1 and written.spec.replicas == 2 and written.metadata.generation == 1

    written.status.ready_replicas = 2
    written.spec.replicas = 3
    replaced = apps.replace_namespaced_deployment("web", namespace, written)
    assert replaced.status.ready_replicas == 1 and replaced.spec.replicas == 3 and replaced.metadata.generation == 2
    patched = apps.patch_namespaced_deployment_status("web", namespace, {"status": {"readyReplicas": 2}})
    assert patched.status.ready_replicas == 2
    assert apps.read_namespaced_deployment_status("web", namespace).status.replicas == 2


def test_scale(apps: client.AppsV1Api, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, deployment("web"))
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")

    scale.spec.replicas = 4
    assert apps.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 4
    assert apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 5}}).spec.replicas == 5
    assert apps.read_namespaced_deployment("web", namespace).spec.replicas == 5
    code, _ = refusal(apps.patch_namespaced_deployment_scale, "web", namespace, {"spec": {"replicas": -1}})
    assert code == 422


def test_deletion_with_propagation_and_preconditions(apps: client.AppsV1Api, namespace: str) -> None:
    made = apps.create_namespaced_deployment(namespace, deployment("web"))
    wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    code, status = refusal(apps.delete_namespaced_deployment, "web", namespace, body=wrong)
    assert (code, status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on Deployment.apps "web": the UID in the precondition (other) does not match '
        f"the UID in record ({made.metadata.uid}). The object might have been deleted and then recreated"
    )
    assert status["details"] == {"name": "web", "group": "apps", "kind": "Deployment"}

    right = client.V1DeleteOptions(
        propagation_policy="Background", preconditions=client.V1Preconditions(uid=made.metadata.uid)
    )
    gone = apps.delete_namespaced_deployment("web", namespace, body=right)
    assert gone["status"] == "Success"
    assert gone["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": made.metadata.uid}
    assert refusal(apps.read_namespaced_deployment, "web", namespace)[0] == 404

    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        apps.create_namespaced_deployment(namespace, deployment(policy.lower()))
        apps.delete_namespaced_deployment(policy.lower(), namespace, propagation_policy=policy)
        waiting = apps.read_namespaced_deployment(policy.lower(), namespace)
        assert waiting.metadata.finalizers == [finalizer] and waiting.metadata.deletion_timestamp


def test_a_finalizer_holds_an_object(core: client.CoreV1Api, namespace: str) -> None:
    held = config_map("held")
    held.metadata.finalizers = ["example.com/hold"]
    core.create_namespaced_config_map(namespace, held)
    core.delete_namespaced_config_map("held", namespace)
    assert core.read_namespaced_config_map("held", namespace).metadata.deletion_timestamp

    core.patch_namespaced_config_map("held", namespace, {"metadata": {"finalizers": None}})
    assert refusal(core.read_namespaced_config_map, "held", namespace)[0] == 404


def test_a_collection_is_deleted_by_selector(core: client.CoreV1Api, namespace: str) -> None:
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        core.create_namespaced_config_map(namespace, config_map(name, {"app": app}))
    core.delete_collection_namespaced_config_map(namespace, label_selector="app=x")

    assert names(core.list_namespaced_config_map(namespace)) == ["c"]


def test_refusals_say_what_kubernetes_says(core: client.CoreV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    code, status = refusal(core.read_namespaced_pod, "nobody", namespace)
    assert (code, status["reason"], status["message"]) == (404, "NotFound", 'pods "nobody" not found')
    assert status["details"] == {"name": "nobody", "kind": "pods"}

    core.create_namespaced_config_map(namespace, config_map("twice"))
    code, status = refusal(core.create_namespaced_config_map, namespace, config_map("twice"))
    assert (code, status["reason"]) == (409, "AlreadyExists")
    assert status["message"] == 'configmaps "twice" already exists'

    broken = deployment("web")
    broken.spec.selector = client.V1LabelSelector(match_labels={"app": "other"})
    code, status = refusal(apps.create_namespaced_deployment, namespace, broken)
    assert (code, status["reason"]) == (422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.template.metadata.labels"]
    assert status["details"]["group"] == "apps" and status["details"]["kind"] == "Deployment"

    code, status = refusal(core.create_namespaced_config_map, "nowhere", config_map("x"))
    assert (code, status["message"]) == (404, 'namespaces "nowhere" not found')
    code, status = refusal(core.create_namespaced_config_map, namespace, config_map("Not_A_Name"))
    assert code == 422 and status["details"]["causes"][0]["field"] == "metadata.name"


def test_who_asks(served_api: Served, namespace: str) -> None:
    def as_user(token: str | None) -> client.CoreV1Api:
        return client.CoreV1Api(config.new_client_from_config(served_api.kubeconfig_for(token)))

    assert names(as_user(ADMIN_TOKEN).list_namespaced_config_map(namespace)) == []
    code, status = refusal(as_user("wrong-token").list_namespaced_config_map, namespace)
    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")
    code, status = refusal(as_user("alice-token").list_namespaced_config_map, namespace)
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{namespace}"'
    )
    code, status = refusal(as_user(None).list_namespaced_config_map, namespace)
    assert code == 403 and 'User "system:anonymous"' in status["message"]

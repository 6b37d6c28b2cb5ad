"""lightkube against our server over HTTPS: typed objects, selectors, pages, watches, patches, sub-resources, errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lightkube import ApiError, Client, KubeConfig, operators
from lightkube.generic_resource import get_generic_resource
from lightkube.models.apps_v1 import DeploymentSpec, DeploymentStatus
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod
from lightkube.types import CascadeType, PatchType

from tests.kit.served import Served


@pytest.fixture
def client(served_api: Served, namespace: str) -> Iterator[Client]:
    # The environment's proxy settings are none of this server's business.
    with Client(KubeConfig.from_file(served_api.kubeconfig).get(), namespace=namespace, trust_env=False) as opened:
        yield opened


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, labels=labels), data=data)


def deployment(name: str, replicas: int = 2) -> Deployment:
    containers = [Container(name="web", image="nginx:1")]
    template = PodTemplateSpec(metadata=ObjectMeta(labels={"app": name}), spec=PodSpec(containers=containers))
    spec = DeploymentSpec(replicas=replicas, selector=LabelSelector(matchLabels={"app": name}), template=template)
    return Deployment(metadata=ObjectMeta(name=name), spec=spec)


def revision(client: Client) -> str:
    listed = client.list(ConfigMap)
    list(listed)
    return listed.resourceVersion


def test_an_object_lives_and_dies(client: Client, namespace: str) -> None:
    made = client.create(config_map("c", x="1"))
    assert made.metadata.namespace == namespace and made.metadata.uid
    assert client.get(ConfigMap, "c") == made

    made.data = {"x": "2"}
    replaced = client.replace(made)
    assert replaced.data == {"x": "2"} and replaced.metadata.resourceVersion != made.metadata.resourceVersion
    with pytest.raises(ApiError) as caught:
        client.replace(made)
    assert (caught.value.status.code, caught.value.status.reason) == (409, "Conflict")

    client.set(ConfigMap, "c", labels={"app": "x"}, annotations={"note": "y"})
    assert client.get(ConfigMap, "c").metadata.labels == {"app": "x"}
    client.delete(ConfigMap, "c")
    with pytest.raises(ApiError) as caught:
        client.get(ConfigMap, "c")
    assert (caught.value.status.code, caught.value.status.message) == (404, 'configmaps "c" not found')
    assert caught.value.status.details.kind == "configmaps"


def test_selectors_and_pages(client: Client) -> None:
    for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back"}), ("c", None)):
        client.create(config_map(name, labels))

    def found(**how: object) -> list[str]:
        return [each.metadata.name for each in client.list(ConfigMap, **how)]

    assert found(chunk_size=1) == ["a", "b", "c"]
    assert found(labels={"tier": "front"}) == ["a"]
    assert found(labels={"tier": operators.in_(["front", "back"])}) == ["a", "b"]
    assert found(labels={"tier": operators.not_exists()}) == ["c"]
    assert found(fields={"metadata.name": operators.not_equal("b")}) == ["a", "c"]
    assert int(revision(client)) > 0
    assert {"default", "kube-system"} <= {each.metadata.name for each in client.list(Namespace)}


def test_patches_and_scale(client: Client) -> None:
    client.create(deployment("web"))
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox"}]}}}}
    patched = client.patch(Deployment, "web", sidecar)
    assert [each.name for each in patched.spec.template.spec.containers] == ["side", "web"]
    merged = client.patch(Deployment, "web", {"spec": {"paused": True}}, patch_type=PatchType.MERGE)
    assert merged.spec.paused is True
    operation = {"op": "replace", "path": "/spec/replicas", "value": 5}
    assert client.patch(Deployment, "web", [operation], patch_type=PatchType.JSON).spec.replicas == 5

    assert client.get(Deployment.Scale, "web").spec.replicas == 5
    scaled = client.replace(Deployment.Scale(metadata=ObjectMeta(name="web"), spec=ScaleSpec(replicas=3)), "web")
    assert scaled.spec.replicas == 3 and client.get(Deployment, "web").spec.replicas == 3


def test_status_apart_from_spec(client: Client) -> None:
    made = client.create(deployment("web"))
    made.status = DeploymentStatus(replicas=2, readyReplicas=1, observedGeneration=1)
    made.spec.replicas = 9
    written = client.replace(Deployment.Status(metadata=made.metadata, spec=made.spec, status=made.status))
    assert written.status.readyReplicas == 1 and written.spec.replicas == 2


def test_a_watch_follows(client: Client) -> None:
    start = revision(client)
    client.create(config_map("a"))
    client.patch(ConfigMap, "a", {"data": {"k": "v"}})
    client.delete(ConfigMap, "a")

    events = []
    for kind, each in client.watch(ConfigMap, resource_version=start):
        events.append((kind, each.metadata.name, each.data))
        if kind == "DELETED":
            break
    assert events == [("ADDED", "a", None), ("MODIFIED", "a", {"k": "v"}), ("DELETED", "a", {"k": "v"})]


def test_a_watch_of_a_forgotten_revision_fails(client: Client, served_api: Served) -> None:
    start = revision(client)
    for name in ("a", "b"):
        client.create(config_map(name))
    served_api.compact()
    with pytest.raises(ApiError) as caught:
        next(iter(client.watch(ConfigMap, resource_version=start)))
    assert (caught.value.status.code, caught.value.status.reason) == (410, "Expired")


def test_waiting_for_a_condition(client: Client) -> None:
    made = client.create(deployment("web"))
    condition = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    client.patch(Deployment.Status, made.metadata.name, {"status": {"conditions": [condition]}})
    assert client.wait(Deployment, "web", for_conditions=["Available"]).metadata.uid == made.metadata.uid


def test_deletion_cascades_as_told_and_by_collection(client: Client) -> None:
    client.create(deployment("held"))
    client.delete(Deployment, "held", cascade=CascadeType.FOREGROUND)
    assert client.get(Deployment, "held").metadata.finalizers == ["foregroundDeletion"]
    for name in ("a", "b"):
        client.create(config_map(name))
    client.deletecollection(ConfigMap)
    assert list(client.list(ConfigMap)) == []


def test_dry_runs_change_nothing(client: Client) -> None:
    assert client.create(deployment("web"), dry_run=True).spec.strategy.type == "RollingUpdate"
    assert list(client.list(Deployment)) == []


def test_refusals_are_typed(client: Client, served_api: Served, namespace: str) -> None:
    client.create(config_map("twice"))
    with pytest.raises(ApiError) as caught:
        client.create(config_map("twice"))
    assert (caught.value.status.code, caught.value.status.reason) == (409, "AlreadyExists")

    with pytest.raises(ApiError) as caught:
        client.create(Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(containers=[Container(name="Bad_Name")])))
    assert (caught.value.status.code, caught.value.status.reason) == (422, "Invalid")
    fields = {cause.field for cause in caught.value.status.details.causes}
    assert {"spec.containers[0].name", "spec.containers[0].image"} <= fields

    for token, code in (("wrong-token", 401), ("alice-token", 403), (None, 403)):
        other = KubeConfig.from_file(served_api.kubeconfig_for(token)).get()
        with Client(other, trust_env=False) as stranger, pytest.raises(ApiError) as caught:
            stranger.get(ConfigMap, "twice", namespace=namespace)
        assert caught.value.status.code == code


def test_a_resource_without_a_class(client: Client) -> None:
    client.create(config_map("c", x="1"))
    generic = get_generic_resource("v1", "ConfigMap")
    assert generic is None or client.get(generic, "c").to_dict()["data"] == {"x": "1"}

"""The official client, `kubernetes`: watches, its informer and leader election, discovery and the dynamic client."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client, config, dynamic, watch
from kubernetes.client import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from tests.kit.served import Served

SECONDS = 20  # how long an event may take before a test gives up


@pytest.fixture
def connection(served_api: Served) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(served_api.kubeconfig) as opened:
        yield opened


@pytest.fixture
def core(connection: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(connection)


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def watched(core: client.CoreV1Api, namespace: str, count: int, **how: Any) -> list[tuple[str, str]]:
    """The first events of a watch, (type, name); fewer when the server ends it first."""
    watcher = watch.Watch()
    found = []
    for event in watcher.stream(core.list_namespaced_config_map, namespace, **how):
        found.append((event["type"], event["object"].metadata.name))
        if len(found) == count:
            break
    return found


def test_a_watch_shows_what_happens_after_a_revision(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("before"))
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, config_map("a", {"app": "x"}))
    changed = core.patch_namespaced_config_map("a", namespace, {"data": {"k": "v"}})
    core.create_namespaced_config_map(namespace, config_map("b"))
    core.delete_namespaced_config_map("a", namespace)

    everything = [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    assert watched(core, namespace, 4, resource_version=start) == everything
    assert watched(core, namespace, 2, resource_version=changed.metadata.resource_version) == everything[2:]
    selected = watched(core, namespace, 3, resource_version=start, label_selector="app=x")
    assert selected == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert watched(core, namespace, 2) == [("ADDED", "b"), ("ADDED", "before")]


def test_an_object_that_stops_matching_is_deleted_for_the_watcher(core: client.CoreV1Api, namespace: str) -> None:
    start = core.create_namespaced_config_map(namespace, config_map("a", {"app": "x"})).metadata.resource_version
    core.patch_namespaced_config_map("a", namespace, {"metadata": {"labels": {"app": "y"}}})
    core.patch_namespaced_config_map("a", namespace, {"metadata": {"labels": {"app": "x"}}})

    events = watched(core, namespace, 2, resource_version=start, label_selector="app=x")
    assert events == [("DELETED", "a"), ("ADDED", "a")]


def test_events_come_while_one_waits(core: client.CoreV1Api, namespace: str, connection: client.ApiClient) -> None:
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    arrived: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    watcher = watch.Watch()

    def read() -> None:
        for event in watcher.stream(core.list_namespaced_config_map, namespace, resource_version=start):
            arrived.put((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    with in_thread(read):
        writer = client.CoreV1Api(connection)
        for name in ("one", "two"):
            writer.create_namespaced_config_map(namespace, config_map(name))
            assert arrived.get(timeout=SECONDS) == ("ADDED", name)
        writer.delete_namespaced_config_map("one", namespace)
        assert arrived.get(timeout=SECONDS) == ("DELETED", "one")


def test_a_watch_ends_at_its_timeout(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("a"))

    assert watched(core, namespace, 9, timeout_seconds=1) == [("ADDED", "a")]


def test_a_forgotten_revision_is_gone(core: client.CoreV1Api, namespace: str, served_api: Served) -> None:
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    for name in ("a", "b"):
        core.create_namespaced_config_map(namespace, config_map(name))
    served_api.compact()

    with pytest.raises(ApiException) as caught:
        watched(core, namespace, 1, resource_version=start)
    assert caught.value.status == 410 and "too old resource version" in caught.value.reason


def test_the_informer_follows(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("first", {"app": "x"}))
    events: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    informer = SharedInformer(core.list_namespaced_config_map, namespace, label_selector="app=x")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda obj, kind=kind: events.put((kind, obj.metadata.name)))
    informer.start()
    try:
        assert events.get(timeout=SECONDS) == ("ADDED", "first")
        core.create_namespaced_config_map(namespace, config_map("second", {"app": "x"}))
        assert events.get(timeout=SECONDS) == ("ADDED", "second")
        core.patch_namespaced_config_map("first", namespace, {"data": {"k": "v"}})
        assert events.get(timeout=SECONDS) == ("MODIFIED", "first")
        assert informer.cache.get_by_key(f"{namespace}/first").data == {"k": "v"}
        core.delete_namespaced_config_map("first", namespace)
        assert events.get(timeout=SECONDS) == ("DELETED", "first")
        assert informer.cache.list_keys() == [f"{namespace}/second"]
    finally:
        informer.stop()


def test_leader_election_holds_a_lease(served_api: Served, namespace: str) -> None:
    config.load_kube_config(served_api.kubeconfig)  # LeaseLock knows only the default client
    led = threading.Event()
    lock = LeaseLock("leader", namespace, "candidate-1")
    settings = electionconfig.Config(
        lock, lease_duration=10, renew_deadline=5, retry_period=1, onstarted_leading=led.set, onstopped_leading=None
    )
    elector = leaderelection.LeaderElection(settings)

    assert elector.acquire() is True
    assert elector.try_acquire_or_renew() is True
    with config.new_client_from_config(served_api.kubeconfig) as opened:
        lease = client.CoordinationV1Api(opened).read_namespaced_lease("leader", namespace)
    assert lease.spec.holder_identity == "candidate-1" and lease.spec.lease_duration_seconds == 10


def test_discovery(connection: client.ApiClient) -> None:
    version = client.VersionApi(connection).get_code()
    assert (version.major, version.minor) == ("1", "36")
    groups = {group.name: group for group in client.ApisApi(connection).get_api_versions().groups}
    assert {"apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io"} <= set(groups)
    assert groups["apps"].preferred_version.group_version == "apps/v1"
    pods = next(each for each in client.CoreV1Api(connection).get_api_resources().resources if each.name == "pods")
    assert pods.kind == "Pod" and pods.namespaced and pods.short_names == ["po"] and "watch" in pods.verbs


def test_the_dynamic_client_needs_no_types(connection: client.ApiClient, namespace: str) -> None:
    deployments = dynamic.DynamicClient(connection).resources.get(api_version="apps/v1", kind="Deployment")
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    }
    made = deployments.create(body=body, namespace=namespace)
    assert made.spec.replicas == 1
    patched = deployments.patch(
        body={"spec": {"replicas": 3}}, name="web", namespace=namespace, content_type="application/merge-patch+json"
    )
    assert patched.spec.replicas == 3
    scale = deployments.scale.get(name="web", namespace=namespace)
    assert scale.spec.replicas == 3
    events = deployments.watch(namespace=namespace, timeout=1)
    assert [(event["type"], event["object"].metadata.name) for event in events] == [("ADDED", "web")]
    assert [each.metadata.name for each in deployments.get(namespace=namespace).items] == ["web"]
    deployments.delete(name="web", namespace=namespace)
    with pytest.raises(dynamic.exceptions.NotFoundError):
        deployments.get(name="web", namespace=namespace)


@contextmanager
def in_thread(function: Any) -> Iterator[None]:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    yield
    thread.join(SECONDS)
    assert not thread.is_alive()

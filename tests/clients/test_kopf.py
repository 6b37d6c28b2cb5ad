"""A kopf operator, in a thread with its own loop, reconciles ConfigMaps of our server: handlers, finalizers, events."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import kopf
import pytest
from kubernetes import client, config, watch

from tests.kit.served import ADMIN_TOKEN, Served

# aiohttp needs a few turns of the loop to end TLS connections, and kopf gives its loop none after it has stopped.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

SECONDS = 60
FINALIZER = "example.com/operator"
Seen = queue.SimpleQueue[tuple[Any, ...]]


@pytest.fixture
def core(served_api: Served) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(served_api.kubeconfig) as opened:
        yield client.CoreV1Api(opened)


def handlers(api: Served, seen: Seen) -> kopf.OperatorRegistry:
    """An operator that answers `data.input` with `data.output`, for ConfigMaps with the label `operated`."""
    registry = kopf.OperatorRegistry()
    mine: dict[str, Any] = {"registry": registry, "labels": {"operated": "yes"}}

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.persistence.finalizer = FINALIZER
        settings.posting.level = logging.INFO

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=api.url, ca_path=api.ca_file, scheme="Bearer", token=ADMIN_TOKEN)

    @kopf.on.create("v1", "configmaps", **mine)
    def created(body: kopf.Body, patch: kopf.Patch, name: str, **_: Any) -> None:
        patch["data"] = {"output": body["data"]["input"].upper()}
        kopf.info(body, reason="Answered", message=f"{name} has its output")
        seen.put(("created", name))

    @kopf.on.update("v1", "configmaps", field="data.input", **mine)
    def updated(old: str, new: str, patch: kopf.Patch, **_: Any) -> None:
        patch["data"] = {"output": new.upper()}
        seen.put(("updated", old, new))

    @kopf.on.delete("v1", "configmaps", **mine)
    def deleted(name: str, **_: Any) -> None:
        seen.put(("deleted", name))

    return registry


@contextmanager
def operating(registry: kopf.OperatorRegistry, namespace: str) -> Iterator[None]:
    ready, stop = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=registry, namespaces=[namespace], standalone=True, ready_flag=ready, stop_flag=stop
                )
            )
        except BaseException as error:  # raised below, in the thread of the test
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        assert ready.wait(SECONDS)
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
        gc.collect()  # what the loop left open is reported here, where it is expected
        assert not thread.is_alive()
        if failures:
            raise failures[0]


def until(core: client.CoreV1Api, namespace: str, name: str, output: str) -> client.V1ConfigMap:
    """The ConfigMap once the operator has answered it."""
    watcher = watch.Watch()
    selector = f"metadata.name={name}"
    for event in watcher.stream(
        core.list_namespaced_config_map, namespace, field_selector=selector, timeout_seconds=SECONDS
    ):
        if event["object"].data.get("output") == output:
            return event["object"]
    raise AssertionError(f"{name} never had the output {output}")


def gone(core: client.CoreV1Api, namespace: str, since: str) -> str:
    """The name of the first object that was deleted after a revision."""
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map, namespace, resource_version=since, timeout_seconds=SECONDS
    ):
        if event["type"] == "DELETED":
            return event["object"].metadata.name
    raise AssertionError("nothing was deleted")


def test_an_operator_reconciles(core: client.CoreV1Api, namespace: str, served_api: Served) -> None:
    seen: Seen = queue.SimpleQueue()
    with operating(handlers(served_api, seen), namespace):
        body = {"metadata": {"name": "c", "labels": {"operated": "yes"}}, "data": {"input": "tea"}}
        core.create_namespaced_config_map(namespace, body)
        assert seen.get(timeout=SECONDS) == ("created", "c")
        answered = until(core, namespace, "c", "TEA")
        assert answered.metadata.finalizers == [FINALIZER]
        assert "kopf.zalando.org/last-handled-configuration" in answered.metadata.annotations

        core.patch_namespaced_config_map("c", namespace, {"data": {"input": "coffee"}})
        assert seen.get(timeout=SECONDS) == ("updated", "tea", "coffee")
        since = until(core, namespace, "c", "COFFEE").metadata.resource_version

        core.delete_namespaced_config_map("c", namespace)
        assert seen.get(timeout=SECONDS) == ("deleted", "c")
        assert gone(core, namespace, since) == "c"
    events = {event.reason: event for event in core.list_namespaced_event(namespace).items}
    assert events["Answered"].message == "c has its output"
    assert events["Answered"].involved_object.kind == "ConfigMap"


def test_what_was_there_before_the_operator_is_handled_and_others_are_left_alone(
    core: client.CoreV1Api, namespace: str, served_api: Served
) -> None:
    seen: Seen = queue.SimpleQueue()
    for name, labels in (("mine", {"operated": "yes"}), ("other", {})):
        core.create_namespaced_config_map(
            namespace, {"metadata": {"name": name, "labels": labels}, "data": {"input": "a"}}
        )
    with operating(handlers(served_api, seen), namespace):
        assert seen.get(timeout=SECONDS) == ("created", "mine")
        until(core, namespace, "mine", "A")
    other = core.read_namespaced_config_map("other", namespace)
    assert other.data == {"input": "a"} and other.metadata.finalizers is None and seen.empty()


DRINKS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "drinks.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "drinks", "kind": "Drink"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"name": {"type": "string"}}},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def test_an_operator_has_its_own_kind(core: client.CoreV1Api, namespace: str, served_api: Served) -> None:
    client.ApiextensionsV1Api(core.api_client).create_custom_resource_definition(DRINKS)
    registry = handlers(served_api, queue.SimpleQueue())
    seen: Seen = queue.SimpleQueue()

    @kopf.on.create("example.com", "v1", "drinks", registry=registry)
    def served(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
        patch.status["served"] = spec["name"].upper()
        seen.put(("served", spec["name"]))

    drinks = client.CustomObjectsApi(core.api_client)
    where = {"group": "example.com", "version": "v1", "namespace": namespace, "plural": "drinks"}
    with operating(registry, namespace):
        body = {"apiVersion": "example.com/v1", "kind": "Drink", "metadata": {"name": "d"}, "spec": {"name": "tea"}}
        drinks.create_namespaced_custom_object(**where, body=body)
        assert seen.get(timeout=SECONDS) == ("served", "tea")
        watcher = watch.Watch()
        for event in watcher.stream(drinks.list_namespaced_custom_object, **where, timeout_seconds=SECONDS):
            if event["object"].get("status", {}).get("served"):
                break
        assert event["object"]["status"]["served"] == "TEA"

"""What is published of custom resources: OpenAPI of both versions, discovery, and that both follow the definitions."""

from __future__ import annotations

import json
from typing import Any

import trio
from trio.testing import MockClock

from kube_actors.api.messages import JSON_PATCH, Answer, RawRequest
from kube_actors.apiserver.raw import RawAnswers
from tests.kit.apiserver import RunningAPIServer, running_apiserver

NAME = "com.example.v1.Gadget"
KEEPS: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "a gadget",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "description": "how big"},
                "maybe": {"type": "string", "nullable": True},
                "free": {**KEEPS, "properties": {"a": {"type": "string"}}},
                "either": {"type": "object", "oneOf": [{"required": ["x"]}], "properties": {"x": {"type": "string"}}},
            },
        }
    },
}  # fmt: skip


def definition(schema: dict[str, Any]) -> dict[str, Any]:
    one = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gg"], "categories": ["all"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": names, "versions": [one]},
    }


async def document(api: RunningAPIServer, path: str) -> tuple[int, Any, str]:
    answer = await api.server.handle(RawRequest(path=path))
    assert isinstance(answer, Answer)
    tag = dict(answer.headers).get("ETag", "")
    return answer.status, json.loads(answer.body) if answer.status == 200 else None, tag


def with_documents(api: RunningAPIServer) -> None:
    api.server.raw = RawAnswers(api.system, api.server.resources, api.store, address="127.0.0.1:1", pages={})


async def test_openapi_and_discovery_follow_the_definition(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        with_documents(api)
        status, _, _ = await document(api, "/openapi/v3/apis/example.com/v1")
        assert status == 404
        await api.create(definition(SCHEMA))
        await trio.testing.wait_all_tasks_blocked()
        _, three, tag = await document(api, "/openapi/v3/apis/example.com/v1")
        found = three["components"]["schemas"][NAME]
        assert found["description"] == "a gadget"
        assert set(found["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
        assert found["properties"]["spec"] == SCHEMA["properties"]["spec"]
        assert found["x-kubernetes-group-version-kind"] == [{"group": "example.com", "kind": "Gadget", "version": "v1"}]
        assert three["components"]["schemas"][NAME + "List"]["required"] == ["items"]
        _, two, _ = await document(api, "/openapi/v2")
        spec = two["definitions"][NAME]["properties"]["spec"]["properties"]
        assert spec["size"] == {"type": "integer", "description": "how big"}
        assert spec["maybe"] == {}
        assert spec["free"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        assert "oneOf" not in spec["either"]
        _, listed, _ = await document(api, "/apis/example.com/v1")
        entry = listed["resources"][0]
        assert (entry["name"], entry["shortNames"], entry["categories"]) == ("gadgets", ["gg"], ["all"])
        change = [{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": "changed"}]
        await api.ask("patch", "crd", "", "gadgets.example.com", body=change, content_type=JSON_PATCH)
        _, again, later = await document(api, "/openapi/v3/apis/example.com/v1")
        assert again["components"]["schemas"][NAME]["description"] == "changed" and later != tag
        await api.delete("crd", "gadgets.example.com")
        await trio.sleep(1)
        assert (await document(api, "/openapi/v3/apis/example.com/v1"))[0] == 404
        assert NAME not in (await document(api, "/openapi/v2"))[1]["definitions"]


async def test_a_root_that_keeps_everything_is_an_empty_object_in_v2(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        with_documents(api)
        await api.create(definition({**SCHEMA, "x-kubernetes-preserve-unknown-fields": True}))
        await trio.testing.wait_all_tasks_blocked()
        _, two, _ = await document(api, "/openapi/v2")
        assert set(two["definitions"][NAME]) == {"type", "x-kubernetes-group-version-kind"}

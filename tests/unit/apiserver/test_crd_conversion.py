"""Versions converted by a real HTTPS webhook: reads, writes, lists and watches of mixed versions, and bad answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import MERGE_PATCH
from tests.kit.apiserver import RunningAPIServer, running_apiserver
from tests.kit.webhooks import Webhooks, webhook_server

HOST = {"type": "object", "properties": {"host": {"type": "string"}}}
URL = {"type": "object", "properties": {"url": {"type": "string"}}}


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """v1 has spec.host, v2 has spec.url."""
    found = []
    for obj in request["objects"]:
        new = {**obj, "apiVersion": request["desiredAPIVersion"]}
        spec = obj.get("spec", {})
        if request["desiredAPIVersion"].endswith("v2"):
            new["spec"] = {"url": "https://" + spec["host"]}
        else:
            new["spec"] = {"host": spec["url"].removeprefix("https://")}
        found.append(new)
    return {"result": {"status": "Success"}, "convertedObjects": found}


def definition(client: dict[str, Any], stored: str = "v1") -> dict[str, Any]:
    def version(name: str, spec: dict[str, Any], field: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {"spec": spec}}
        return {
            "name": name,
            "served": True,
            "storage": name == stored,
            "schema": {"openAPIV3Schema": schema},
            "selectableFields": [{"jsonPath": f".spec.{field}"}],
        }

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "sites", "kind": "Site"},
            "versions": [version("v1", HOST, "host"), version("v2", URL, "url")],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
            },
        },
    }


def by_url(hooks: Webhooks) -> dict[str, Any]:
    return {"url": f"{hooks.url}/convert", "caBundle": hooks.ca_bundle}


def site(version: str, name: str, **spec: str) -> dict[str, Any]:
    return {"apiVersion": f"example.com/{version}", "kind": "Site", "metadata": {"name": name}, "spec": spec}


async def establish(api: RunningAPIServer, client: dict[str, Any]) -> None:
    await api.create(definition(client))
    await trio.testing.wait_all_tasks_blocked()


async def test_objects_are_read_and_written_in_every_version() -> None:
    async with webhook_server(convert) as hooks, running_apiserver() as api:
        await establish(api, by_url(hooks))
        await api.create(site("v1", "one", host="a"))
        made = await api.create(site("v2", "two", url="https://b"))
        assert made["spec"] == {"url": "https://b"} and made["apiVersion"] == "example.com/v2"
        assert (await api.get("example.com/v1/Site", "two"))["spec"] == {"host": "b"}
        listed = await api.list("example.com/v2/Site")
        assert [item["spec"]["url"] for item in listed["items"]] == ["https://a", "https://b"]
        assert {item["apiVersion"] for item in listed["items"]} == {"example.com/v2"}
        assert len(hooks.requests[-1]["objects"]) == 2
        got = await api.get("example.com/v2/Site", "one")
        updated = await api.update({**got, "spec": {"url": "https://c"}})
        assert updated["spec"] == {"url": "https://c"} and updated["metadata"]["generation"] == 2
        patch: dict[str, Any] = {"body": {"spec": {"url": "https://d"}}, "content_type": MERGE_PATCH}
        patched = await api.ask("patch", "example.com/v2/Site", "", "one", **patch)
        assert patched["spec"] == {"url": "https://d"}
        assert (await api.get("example.com/v1/Site", "one"))["spec"] == {"host": "d"}
        found = await api.list("example.com/v2/Site", field_selector="spec.url=https://b")
        assert [item["metadata"]["name"] for item in found["items"]] == ["two"]


async def test_watches_convert_and_select_in_their_own_version() -> None:
    async with webhook_server(convert) as hooks, running_apiserver() as api:
        await establish(api, by_url(hooks))
        stream = (
            await api.watch("example.com/v2/Site", field_selector="spec.url=https://a", resource_version="0")
        ).stream
        await api.create(site("v1", "one", host="a"))
        await api.create(site("v1", "other", host="x"))
        first = (await stream.receive_batch())[0]
        assert first.type == "ADDED" and b'"url":"https://a"' in first.object
        patch: dict[str, Any] = {"body": {"spec": {"host": "z"}}, "content_type": MERGE_PATCH}
        await api.ask("patch", "example.com/v1/Site", "", "one", **patch)
        second = (await stream.receive_batch())[0]
        assert second.type == "DELETED"
        stream.close()


async def test_mixed_stored_versions_are_one_list() -> None:
    async with webhook_server(convert) as hooks, running_apiserver() as api:
        await establish(api, by_url(hooks))
        await api.create(site("v1", "old", host="a"))
        crd = await api.get("crd", "sites.example.com")
        for version in crd["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        assert (await api.update(crd))["status"]["storedVersions"] == ["v1", "v2"]
        await api.create(site("v1", "new", host="b"))
        listed = await api.list("example.com/v1/Site")
        assert [item["spec"]["host"] for item in listed["items"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"result": {"status": "Failure", "message": "no way"}}, "failed: no way"),
        ({"result": {"status": "Success"}, "convertedObjects": []}, "returned 0 objects, expected 1"),
        (b"junk", "failed: "),
        (500, "failed: "),
        (
            {"result": {"status": "Success"}, "convertedObjects": [{"apiVersion": "v9", "kind": "Site"}]},
            "invalid converted object at index 0: invalid groupVersion (expected example.com/v2, received v9)",
        ),
    ],
)
async def test_bad_answers_are_refusals(answer: Any, message: str) -> None:
    async with webhook_server(lambda _: answer) as hooks, running_apiserver() as api:
        await establish(api, by_url(hooks))
        await api.create(site("v1", "one", host="a"))
        with pytest.raises(ApiError) as caught:
            await api.get("example.com/v2/Site", "one")
        assert caught.value.message.startswith("conversion webhook for example.com/v1, Kind=Site ")
        assert message in caught.value.message and caught.value.code == 500


async def test_a_service_converts_too() -> None:
    async with webhook_server(convert, "hook.default.svc") as hooks, running_apiserver() as api:
        service = {"namespace": "default", "name": "hook", "port": 443, "path": "/x"}
        await api.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "hook"},
                "spec": {"ports": [{"port": 443, "targetPort": hooks.port}]},
            }
        )
        await api.create(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
                "addressType": "IPv4",
                "ports": [{"port": hooks.port}],
                "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            }
        )
        await establish(api, {"service": service, "caBundle": hooks.ca_bundle})
        await api.create(site("v2", "one", url="https://a"))
        assert (await api.get("example.com/v1/Site", "one"))["spec"] == {"host": "a"}
        assert hooks.paths[0].startswith("/x")
        assert base64.b64decode(hooks.ca_bundle).startswith(b"-----BEGIN")

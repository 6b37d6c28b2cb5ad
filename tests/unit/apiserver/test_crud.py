"""Create, read, update, delete and list over the real server, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from tests.kit.apiserver import RunningAPIServer, running_apiserver


@pytest.fixture
async def api() -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_created_object_carries_what_the_server_sets(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(config_map("a", x="1"))
    metadata = made["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert metadata["uid"] and metadata["resourceVersion"].isdigit()
    assert await api.get("ConfigMap", "a") == made


async def test_second_create_of_a_name_is_a_conflict(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(config_map("a"))
    with pytest.raises(ApiError) as refused:
        await api.create(config_map("a"))
    assert refused.value.is_already_exists
    assert refused.value.message == 'configmaps "a" already exists'


async def test_generated_names_differ(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "gen-"}}
    names = {(await api.create(obj))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("gen-") and len(name) == 9 for name in names)


async def test_update_needs_the_newest_version(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(config_map("a", x="1"))
    newer = await api.update({**made, "data": {"x": "2"}})
    with pytest.raises(ApiError) as refused:
        await api.update({**made, "data": {"x": "3"}})
    assert refused.value.is_conflict
    assert await api.get("ConfigMap", "a") == newer


async def test_update_that_changes_nothing_writes_nothing(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(config_map("a", x="1"))
    before = api.store.revision
    assert await api.update(made) == made
    assert api.store.revision == before


async def test_dry_run_stores_nothing(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    before = api.store.revision
    made = await api.create(config_map("a"), dry_run=("All",))
    assert made["metadata"]["uid"]
    assert api.store.revision == before


async def test_delete_answers_status_and_the_object_is_gone(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await api.create(config_map("a"))
    answer = await api.delete("ConfigMap", "a")
    assert answer["status"] == "Success"
    assert answer["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    with pytest.raises(ApiError) as refused:
        await api.get("ConfigMap", "a")
    assert refused.value.is_not_found


async def test_finalizer_keeps_the_object_until_it_is_removed(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    obj = config_map("a")
    obj["metadata"]["finalizers"] = ["example.com/f"]
    await api.create(obj)
    going = await api.delete("ConfigMap", "a")
    assert going["metadata"]["deletionTimestamp"]
    del going["metadata"]["finalizers"]
    await api.update(going)
    with pytest.raises(ApiError):
        await api.get("ConfigMap", "a")


async def test_list_pages_are_of_one_revision(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    for name in "abcde":
        await api.create(config_map(name))
    first = await api.list("ConfigMap", "default", limit=2)
    assert first["metadata"]["remainingItemCount"] == 3
    await api.create(config_map("bb"))
    rest = await api.list("ConfigMap", "default", continue_=first["metadata"]["continue"])
    assert [item["metadata"]["name"] for item in first["items"] + rest["items"]] == list("abcde")
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_label_and_field_selectors(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    for name in "ab":
        obj = config_map(name)
        obj["metadata"]["labels"] = {"l": name}
        await api.create(obj)
    assert [i["metadata"]["name"] for i in (await api.list("ConfigMap", label_selector="l=b"))["items"]] == ["b"]
    listed = await api.list("ConfigMap", field_selector="metadata.name!=b")
    assert [i["metadata"]["name"] for i in listed["items"]] == ["a"]


async def test_unknown_fields_warn_by_default_and_are_refused_when_strict(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    body = {**config_map("a"), "nope": 1}
    answer = await api.send("create", "ConfigMap", body=body)
    assert answer.status == 201
    assert answer.headers == (("Warning", '299 - "unknown field \\"nope\\""'),)
    answer = await api.send("create", "ConfigMap", body=body, field_validation="Strict")
    assert answer.status == 400
    assert 'strict decoding error: unknown field "nope"' in json.loads(answer.body)["message"]


async def test_nothing_is_created_in_a_namespace_that_is_missing_or_going(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    obj = config_map("a")
    obj["metadata"]["namespace"] = "gone"
    with pytest.raises(ApiError) as refused:
        await api.create(obj)
    assert refused.value.message == 'namespaces "gone" not found'
    await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}})
    going = await api.delete("Namespace", "gone")
    assert going["status"]["phase"] == "Terminating"
    with pytest.raises(ApiError) as refused:
        await api.create(obj)
    assert refused.value.has_cause("NamespaceTerminating")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 500])
async def test_malformed_bodies_are_refused(autojump_clock: MockClock, api: RunningAPIServer, body: bytes) -> None:
    answer = await api.send("create", "ConfigMap", body=body)
    assert answer.status == 400
    assert json.loads(answer.body)["reason"] == "BadRequest"


async def test_oversized_body_is_refused(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    answer = await api.send("create", "ConfigMap", body=b" " * (3 * 1024 * 1024 + 1))
    assert answer.status == 413


async def test_the_servers_own_endpoint_may_be_on_loopback(autojump_clock: MockClock) -> None:
    """Also where nobody else's may: a bare server listens there."""
    async with running_apiserver(endpoint=("127.0.0.1", 6443), loopback_endpoints=False) as api:
        found = await api.get("EndpointSlice", "kubernetes")
        assert found["endpoints"][0]["addresses"] == ["127.0.0.1"]
        found["metadata"] = {"name": "other"}
        assert (await api.send("create", "EndpointSlice", body=found)).status == 422


async def test_a_spec_that_came_before_is_read_as_the_first_time(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    container = {"name": "c", "image": "i", "args": ["x" * 200]}

    def pod(name: str, **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"containers": [container], **spec},
        }

    def compact(obj: dict[str, Any]) -> bytes:
        return json.dumps(obj, separators=(",", ":")).encode()

    made = [await api.ask("create", "Pod", body=compact(pod(name))) for name in ("a", "b", "c")]
    assert made[0]["spec"] == made[1]["spec"] == made[2]["spec"]
    assert [list(one) for one in made] == [list(made[0])] * 3
    strict: dict[str, Any] = {"field_validation": "Strict", "dry_run": ("All",)}
    twice = compact(pod("d")).replace(b'"args"', b'"image":"i","args"')
    for bad in (twice, compact(pod("d", nonsense=1))):
        with pytest.raises(ApiError) as refused:
            await api.ask("create", "Pod", body=bad, **strict)
        assert "strict decoding error" in refused.value.message
    same = await api.ask("create", "Pod", body=compact(pod("e", hostname="")), **strict)
    assert same["spec"] == made[0]["spec"]

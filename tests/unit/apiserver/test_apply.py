"""Server-side apply and managedFields through the whole server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from tests.kit.apiserver import RunningAPIServer, running_apiserver


@pytest.fixture
async def api() -> AsyncIterator[RunningAPIServer]:
    async with running_apiserver() as running:
        yield running


APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", **metadata}}
    return found if data is None else {**found, "data": data}


def deployment(**spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container]}}
    body = {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": body}


async def apply(api: RunningAPIServer, obj: dict[str, Any], manager: str = "m1", **more: Any) -> dict[str, Any]:
    kind = f"{obj['apiVersion']}/{obj['kind']}"
    return await api.ask(
        "patch", kind, name=obj["metadata"]["name"], body=obj, content_type=APPLY, field_manager=manager, **more
    )


async def merge(api: RunningAPIServer, kind: str, patch: Any, manager: str = "u", **more: Any) -> dict[str, Any]:
    return await api.ask("patch", kind, name="x", body=patch, content_type=MERGE, field_manager=manager, **more)


def owners(obj: dict[str, Any]) -> dict[str, str]:
    """Fields by manager and operation, as text."""
    return {
        f"{entry['manager']}/{entry['operation']}": json.dumps(entry["fieldsV1"], separators=(",", ":"))
        for entry in obj["metadata"].get("managedFields", ())
    }


async def test_a_create_owns_what_it_says_and_what_is_defaulted(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    made = await api.create(config_map({"a": "1"}), user_agent="agent/v1 (linux)")
    assert owners(made) == {"agent/Update": '{"f:data":{".":{},"f:a":{}}}'}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    text = owners(await api.create(service))["unknown/Update"]
    assert '"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}"' in text
    assert "clusterIP" not in text


async def test_writers_take_what_they_change_and_keep_time_when_nothing_does(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    await api.create(config_map({"a": "1", "b": "1"}), field_manager="one")
    after = await merge(api, "ConfigMap", {"data": {"a": "2"}}, "two")
    assert owners(after) == {
        "one/Update": '{"f:data":{".":{},"f:b":{}}}',
        "two/Update": '{"f:data":{"f:a":{}}}',
    }
    again = await merge(api, "ConfigMap", {"data": {"a": "2"}}, "two")
    assert again == after
    gone = await merge(api, "ConfigMap", {"data": {"a": None}}, "three")
    assert owners(gone) == {"one/Update": '{"f:data":{".":{},"f:b":{}}}'}


async def test_the_oldest_of_many_writers_are_folded(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await api.create(config_map({"a": "1"}), field_manager="w0")
    for number in range(1, 13):
        after = await merge(api, "ConfigMap", {"data": {f"k{number}": "1"}}, f"w{number:02}")
    names = [entry["manager"] for entry in after["metadata"]["managedFields"]]
    assert len(names) == 10
    assert "ancient-changes" in names


async def test_conflicts_name_every_owner_and_field(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await apply(api, config_map({"a": "1", "b": "1"}))
    await merge(api, "ConfigMap", {"data": {"c": "1"}})
    with pytest.raises(ApiError) as refused:
        await apply(api, config_map({"a": "2", "b": "2", "c": "2"}), "m2")
    assert refused.value.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "m1":\n- .data.a\n- .data.b\nconflicts with "u" using v1:\n- .data.c'
    )
    assert refused.value.code == 409
    forced = await apply(api, config_map({"a": "2", "b": "2", "c": "2"}), "m2", force=True)
    assert owners(forced)["m2/Apply"] == '{"f:data":{"f:a":{},"f:b":{},"f:c":{}}}'
    assert "f:a" not in owners(forced).get("m1/Apply", "")


async def test_an_apply_that_changes_nothing_writes_nothing(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    made = await apply(api, deployment())
    assert made["metadata"]["generation"] == 1
    assert await apply(api, deployment()) == made
    dry = await apply(api, deployment(replicas=5), dry_run=("All",))
    assert dry["spec"]["replicas"] == 5
    assert await api.get("Deployment.apps", "x") == made


async def test_what_is_applied_no_more_goes_unless_somebody_else_owns_it(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    await apply(api, config_map({"a": "1", "b": "1"}, labels={"l": "1"}))
    await apply(api, config_map({"b": "1"}), "m2")
    after = await apply(api, config_map({}))
    assert after["data"] == {"b": "1"}
    assert "labels" not in after["metadata"]
    last = await apply(api, config_map(), "m2")
    assert "data" not in last or not last["data"]


async def test_list_elements_are_found_by_their_keys_defaults_included(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    await apply(api, deployment())
    side = {"name": "side", "image": "s:1"}
    spec = {"template": {"spec": {"containers": [side]}}}
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}
    both = await apply(api, other, "m2")
    assert [c["name"] for c in both["spec"]["template"]["spec"]["containers"]] == ["c", "side"]
    explicit = deployment()
    explicit["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP"
    same = await apply(api, explicit)
    assert len(same["spec"]["template"]["spec"]["containers"][0]["ports"]) == 1


async def test_sub_resources_have_owners_of_their_own(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    await apply(api, deployment(replicas=3))
    await merge(api, "Deployment.apps", {"spec": {"replicas": 5}}, "hpa", subresource="scale")
    entries = (await api.get("Deployment.apps", "x"))["metadata"]["managedFields"]
    assert [(entry["manager"], entry.get("subresource")) for entry in entries] == [("m1", None), ("hpa", "scale")]
    with pytest.raises(ApiError) as refused:
        await apply(api, deployment(replicas=3))
    assert refused.value.message.endswith('conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas')
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "x"}, "spec": {"replicas": 7}}
    options = {"content_type": APPLY, "field_manager": "me", "force": True, "subresource": "scale"}
    scaled = await api.ask("patch", "Deployment.apps", name="x", body=scale, **options)
    assert scaled["spec"] == {"replicas": 7}
    status = {**deployment(), "status": {"replicas": 2}}
    after = await apply(api, status, "st", subresource="status")
    assert after["status"]["replicas"] == 2
    assert owners(after)["st/Apply"] == '{"f:status":{"f:replicas":{}}}'
    assert owners(after)["me/Apply"] == '{"f:spec":{"f:replicas":{}}}'


async def test_kubectl_takes_over_from_its_client_side_apply(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    record = config_map({"a": "1"})
    key = "kubectl.kubernetes.io/last-applied-configuration"
    made = config_map({"a": "1"}, annotations={key: json.dumps(record)})
    await api.create(made, field_manager="kubectl-client-side-apply")
    with pytest.raises(ApiError):
        await apply(api, config_map({"a": "2"}), "other")
    after = await apply(api, config_map({"a": "2"}), "kubectl")
    assert after["data"] == {"a": "2"}
    assert json.loads(after["metadata"]["annotations"][key])["data"] == {"a": "2"}


async def test_entries_can_be_forgotten_and_edited_but_not_broken(
    autojump_clock: MockClock, api: RunningAPIServer
) -> None:
    await apply(api, config_map({"a": "1"}))
    broken = [
        {"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"a": {}}}
    ]
    kept = await merge(api, "ConfigMap", {"metadata": {"managedFields": broken}})
    assert list(owners(kept)) == ["m1/Apply"]
    for forget in ([], [{}]):
        bare = await merge(api, "ConfigMap", {"metadata": {"managedFields": forget}})
        assert "managedFields" not in bare["metadata"]
    unowned = await merge(api, "ConfigMap", {"data": {"b": "1"}})
    assert "managedFields" not in unowned["metadata"]
    with pytest.raises(ApiError) as refused:
        await apply(api, config_map({"a": "2"}))
    assert 'conflict with "before-first-apply" using v1: .data.a' in refused.value.message


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"a: [", 400, "error decoding YAML: "),
        (b"[1]", 400, "error decoding YAML: error unmarshaling JSON"),
        (b"apiVersion: v1\nkind: Secret\nmetadata: {name: x}", 400, "invalid object type: /v1, Kind=Secret"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}", 400, "the name of the object (z) does not match"),
        (
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, managedFields: []}",
            400,
            "metadata.managedFields must be nil",
        ),
        (
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nspec: 1",
            500,
            "failed to create typed patch object (/x; /v1, Kind=ConfigMap): .spec: field not declared in schema",
        ),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, uid: u}", 409, "uid mismatch"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: null", 400, "was undeterminable: name must be provided"),
        (b"\xc3\x28", 400, "error decoding YAML"),
        (b"apiVersion: v1\nkind: ConfigMap\nmetadata: 7", 500, "failed to create typed patch object"),
    ],
)
async def test_bad_configurations(
    autojump_clock: MockClock, api: RunningAPIServer, body: bytes, code: int, message: str
) -> None:
    with pytest.raises(ApiError) as refused:
        await api.ask("patch", "ConfigMap", name="x", body=body, content_type=APPLY, field_manager="kubectl")
    assert refused.value.code == code
    assert message in refused.value.message


async def test_who_applies_must_be_said(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    with pytest.raises(ApiError) as refused:
        await apply(api, config_map({}), "")
    assert refused.value.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    with pytest.raises(ApiError) as refused:
        await apply(api, config_map({}), "x" * 129)
    assert "fieldManager: Too long: may not be more than 128 bytes" in refused.value.message
    with pytest.raises(ApiError) as refused:
        await merge(api, "ConfigMap", {}, force=True)
    assert "force: Forbidden: may not be specified for non-apply patch" in refused.value.message


async def test_versions_of_one_kind_own_the_same_fields(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50}
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "x"}, "spec": spec}
    made = await apply(api, old)
    assert "f:targetCPUUtilizationPercentage" in owners(made)["m1/Apply"]
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    new = {**old, "apiVersion": "autoscaling/v2", "spec": {"scaleTargetRef": target, "maxReplicas": 5}}
    with pytest.raises(ApiError) as refused:
        await apply(api, {**new, "spec": {**new["spec"], "metrics": [metric]}}, "m2")
    assert 'conflict with "m1": .spec.targetCPUUtilizationPercentage' in refused.value.message


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"kind": "Secret", "data": {"a": "1"}}, "illegal base64 data at input byte 0"),
        ({"kind": "Secret", "data": {"a": "MQ=="}}, "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        ({"kind": "Nothing"}, 'no kind "Nothing" is registered for version "v1"'),
        ({"kind": 7}, 'no kind "7" is registered'),
    ],
)
async def test_a_patch_makes_no_other_kind(
    autojump_clock: MockClock, api: RunningAPIServer, patch: dict[str, Any], message: str
) -> None:
    await api.create(config_map({"a": "1"}))
    with pytest.raises(ApiError) as refused:
        await merge(api, "ConfigMap", patch)
    assert refused.value.code == 422
    assert message in refused.value.message


async def test_custom_resources_merge_by_their_schema(autojump_clock: MockClock, api: RunningAPIServer) -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "p": {"type": "integer", "default": 1}}}
    parts = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "p"], "items": item}
    item["required"] = ["k"]
    spec = {"type": "object", "properties": {"parts": parts, "plain": {"type": "array", "items": {"type": "string"}}}}
    names = {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }
    await api.create(definition)
    while True:
        made = await api.get("CustomResourceDefinition", "foos.example.com")
        conditions = {c["type"]: c["status"] for c in made["status"].get("conditions") or ()}
        if conditions.get("Established") == "True":
            break
        await trio.sleep(0.1)
    foo = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "x"}}
    await apply(api, {**foo, "spec": {"parts": [{"k": "a"}], "plain": ["1"]}})
    both = await apply(api, {**foo, "spec": {"parts": [{"k": "b", "p": 2}]}}, "m2")
    assert [part["k"] for part in both["spec"]["parts"]] == ["a", "b"]
    assert '"k:{\\"k\\":\\"a\\",\\"p\\":1}"' in owners(both)["m1/Apply"]
    with pytest.raises(ApiError) as refused:
        await apply(api, {**foo, "spec": {"plain": ["2"]}}, "m2")
    assert 'conflict with "m1": .spec.plain' in refused.value.message


async def test_an_element_may_leave_out_some_of_its_keys(api: RunningAPIServer) -> None:
    """A device of a claim has a share only where it is shared."""
    kind = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": "x"}}
    request = {"name": "r", "exactly": {"deviceClassName": "c"}}
    await api.create({**kind, "spec": {"devices": {"requests": [request]}}})
    device = {"driver": "d.io", "pool": "p", "device": "one"}
    allocation = {"devices": {"results": [{**device, "request": "r"}]}}
    await merge(api, "ResourceClaim", {"status": {"allocation": allocation}}, subresource="status")
    status = {"devices": [{**device, "data": {"a": 1}}]}
    found = await apply(api, {**kind, "status": status}, subresource="status")
    assert found["status"]["devices"] == status["devices"]
    mine = next(entry for entry in found["metadata"]["managedFields"] if entry["operation"] == "Apply")
    assert 'k:{"device":"one","driver":"d.io","pool":"p"}' in mine["fieldsV1"]["f:status"]["f:devices"]
    with pytest.raises(ApiError, match=r'omits all key fields \["driver" "device" "pool" "shareID"\]'):
        await apply(api, {**kind, "status": {"devices": [{"data": {"a": 1}}]}}, subresource="status")

"""Webhooks against a real HTTPS server: what they are told, what they may do, and what their failures mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Answer, Request
from kube_actors.apiserver.admission import review
from kube_actors.apiserver.admission.late import Late
from tests.kit.apiserver import TESTER, RunningAPIServer, running_apiserver
from tests.kit.webhooks import Webhooks, json_patch, webhook_server


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def rule(*operations: str, resources: tuple[str, ...] = ("configmaps",), **more: Any) -> dict[str, Any]:
    return {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": list(operations or ("CREATE",)),
        "resources": list(resources),
        **more,
    }


async def configure(
    api: RunningAPIServer, kind: str, hooks: Webhooks | None, *webhooks: dict[str, Any], name: str = "w"
) -> None:
    full = []
    for index, webhook in enumerate(webhooks):
        config = {"url": f"{hooks.url}/{index}", "caBundle": hooks.ca_bundle} if hooks else {}
        full.append(
            {
                "name": f"h{index}.example.com",
                "clientConfig": config,
                "rules": [rule()],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **webhook,
            }
        )
    await api.create(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": full,
        }
    )


async def refusal(api: RunningAPIServer, obj: dict[str, Any], **more: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await api.create(obj, **more)
    return refused.value


async def test_a_webhook_is_told_all_and_its_patch_counts() -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return json_patch({"op": "add", "path": "/data", "value": {"by": request["userInfo"]["username"]}}) | {
            "warnings": ["careful"],
            "auditAnnotations": {"k": "v"},
        }

    async with webhook_server(answer) as hooks, running_apiserver() as api:
        await configure(api, "Mutating", hooks, {})
        answer_ = await api.send("create", "ConfigMap", body=config_map("a"), field_manager="me")
        assert b'"data":{"by":"tester"}' in answer_.body
        assert ("Warning", '299 - "careful"') in answer_.headers
        assert hooks.paths == ["/0?timeout=10s"]
        (request,) = hooks.requests
        assert request["object"]["kind"] == "ConfigMap"
        assert request["object"]["metadata"]["name"] == request["name"] == "a"
        for key, value in {
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "tester", "groups": ["system:masters", "system:authenticated"]},
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"},
        }.items():
            assert request[key] == value, key


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ({"allowed": False}, 400, 'admission webhook "h0.example.com" denied the request without explanation'),
        (
            {"allowed": False, "status": {"message": "no", "code": 422, "reason": "Invalid"}},
            422,
            'admission webhook "h0.example.com" denied the request: no',
        ),
        (
            500,
            500,
            'Internal error occurred: failed calling webhook "h0.example.com": failed to call webhook: an error on the '
            'server ("it broke") has prevented the request from succeeding',
        ),
        (
            b"{}",
            500,
            'Internal error occurred: failed calling webhook "h0.example.com": received invalid webhook response: '
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got , Kind=",
        ),
        (
            {"allowed": True, "uid": "x"},
            500,
            'Internal error occurred: failed calling webhook "h0.example.com": received invalid webhook response: '
            'expected response.uid="',
        ),
    ],
)
async def test_a_no_and_a_failure(said: Any, code: int, message: str) -> None:
    async with webhook_server(lambda request: said) as hooks, running_apiserver() as api:
        await configure(api, "Validating", hooks, {})
        error = await refusal(api, config_map("a"))
        assert error.code == code
        assert error.message.startswith(message)


async def test_a_webhook_that_does_not_answer_is_not_waited_for() -> None:
    async with webhook_server(lambda request: None) as hooks, running_apiserver() as api:
        await configure(api, "Validating", hooks, {})
        late = next(s for s in api.server.core.admission._steps if s.name == "ValidatingAdmissionWebhook")
        assert isinstance(late, Late)
        await api.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        (hook,) = await late.step._known(_Attempt(api))  # type: ignore[union-attr]
        hook.seconds = 0.05
        error = await refusal(api, config_map("a"))
        assert error.message == (
            'Internal error occurred: failed calling webhook "h0.example.com": failed to call webhook: Post '
            f'"{hooks.url}/0?timeout=0.05s": context deadline exceeded'
        )


class _Attempt:
    """Only what finding the webhooks needs."""

    def __init__(self, api: RunningAPIServer) -> None:
        self.call = self
        self.core = api.server.core


async def test_failing_open_and_nobody_there() -> None:
    async with running_apiserver() as api:
        closed = {"clientConfig": {"url": "https://127.0.0.1:1/x"}}
        await configure(api, "Validating", None, {**closed, "failurePolicy": "Ignore"})
        await api.create(config_map("a"))
        await configure(api, "Validating", None, {**closed, "rules": [rule(resources=("secrets",))]}, name="x")
        error = await refusal(api, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        assert error.message == (
            'Internal error occurred: failed calling webhook "h0.example.com": failed to call webhook: Post '
            '"https://127.0.0.1:1/x?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
        )


async def test_by_service_and_its_certificate() -> None:
    async with webhook_server(lambda r: {"allowed": False}, "hook.default.svc") as hooks, running_apiserver() as api:
        service = {"name": "hook", "namespace": "default", "path": "/p"}
        reference = {"clientConfig": {"service": service, "caBundle": hooks.ca_bundle}}
        await configure(api, "Validating", hooks, reference)
        post = 'failed to call webhook: Post "https://hook.default.svc:443/p?timeout=10s": '
        assert (await refusal(api, config_map("a"))).message.endswith(post + 'service "hook" not found')
        await api.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"}, "spec": {"ports": [{"port": 443}]}}
        )
        assert (await refusal(api, config_map("a"))).message.endswith(
            post + 'no endpoints available for service "hook"'
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
        assert "denied the request" in (await refusal(api, config_map("a"))).message
        assert hooks.paths == ["/p?timeout=10s"]


async def test_what_a_webhook_does_not_ask_for_passes_by() -> None:
    async with webhook_server(lambda request: {"allowed": False}) as hooks, running_apiserver() as api:
        await configure(
            api,
            "Validating",
            hooks,
            {"objectSelector": {"matchLabels": {"a": "b"}}},
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}},
            {"rules": [rule("DELETE", "UPDATE")]},
            {"rules": [rule(scope="Cluster")]},
            {"rules": [rule(resources=("configmaps/status", "secrets"))]},
        )
        made = config_map("a")
        await api.create(made)
        assert hooks.requests == []
        labelled = {**config_map("b"), "metadata": {"name": "b", "labels": {"a": "b"}}}
        assert "h0.example.com" in (await refusal(api, labelled)).message
        with pytest.raises(ApiError) as refused:
            await api.delete("ConfigMap", "a")
        assert "h2.example.com" in refused.value.message
        last = hooks.requests[-1]
        assert (last["operation"], last["object"], last["oldObject"]["metadata"]["name"]) == ("DELETE", None, "a")


async def test_a_dry_run_asks_only_the_harmless() -> None:
    async with webhook_server(lambda request: {"allowed": True}) as hooks, running_apiserver() as api:
        await configure(api, "Validating", hooks, {"sideEffects": "NoneOnDryRun"})
        await api.create(config_map("a"), dry_run=("All",))
        assert hooks.requests[0]["dryRun"] is True


async def test_an_object_that_changes_is_shown_again_to_those_who_ask() -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        data = request["object"].get("data") or {}
        if len(data) < 2:
            return json_patch({"op": "add", "path": "/data", "value": {**data, f"k{len(data)}": "v"}})
        return {"allowed": True}

    async with webhook_server(answer) as hooks, running_apiserver() as api:
        await configure(api, "Mutating", hooks, {"reinvocationPolicy": "IfNeeded"}, {"reinvocationPolicy": "Never"})
        made = await api.create(config_map("a"))
        assert made["data"] == {"k0": "v", "k1": "v"}
        assert [path.split("?")[0] for path in hooks.paths] == ["/0", "/1", "/0"]


async def test_an_equivalent_version_is_what_the_webhook_asked_for() -> None:
    async with webhook_server(lambda request: {"allowed": True}) as hooks, running_apiserver() as api:
        await configure(
            api,
            "Validating",
            hooks,
            {"rules": [{**rule(resources=("horizontalpodautoscalers",)), "apiGroups": ["autoscaling"]}]},
        )
        spec = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}
        await api.create(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "h"},
                "spec": {
                    **spec,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                        }
                    ],
                },
            }
        )
        (request,) = hooks.requests
        assert request["object"]["apiVersion"] == "autoscaling/v1"
        assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 50
        assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v1", "v2")


async def test_match_conditions_choose() -> None:
    async with webhook_server(lambda request: {"allowed": False}) as hooks, running_apiserver() as api:
        conditions = [
            {"name": "not-me", "expression": "object.metadata.name != 'skip-me'"},
            {"name": "creates", "expression": "request.operation == 'CREATE' && request.userInfo.username == 'tester'"},
        ]
        await configure(api, "Validating", hooks, {"matchConditions": conditions})
        await api.create(config_map("skip-me"))
        assert "denied the request" in (await refusal(api, config_map("a"))).message
        broken = [{"name": "x", "expression": "object.data.nope == 'x'"}]
        secrets = {"rules": [rule(resources=("secrets",))], "matchConditions": broken}
        await configure(api, "Validating", hooks, secrets, name="x")
        error = await refusal(api, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})
        assert error.message == (
            "secrets \"s\" is forbidden: expression 'object.data.nope == 'x'' resulted in error: no such key: data"
        )
        with pytest.raises(ApiError) as refused:
            await configure(
                api, "Validating", hooks, {"matchConditions": [{"name": "x", "expression": "1 +"}]}, name="y"
            )
        assert "compilation failed" in refused.value.message


async def test_configurations_themselves_are_never_asked_about() -> None:
    async with webhook_server(lambda request: {"allowed": False}) as hooks, running_apiserver() as api:
        everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
        await configure(api, "Validating", hooks, {"rules": [everything]})
        await api.delete("ValidatingWebhookConfiguration", "w")
        await api.create(config_map("a"))


async def test_a_cancelled_request_lets_go_of_the_webhook() -> None:
    async with webhook_server(lambda request: None) as hooks, running_apiserver() as api:
        await configure(api, "Mutating", hooks, {})
        with trio.move_on_after(0.2):
            await api.create(config_map("a"))
        assert len(hooks.requests) == 1
        await api.delete("MutatingWebhookConfiguration", "w")
        await api.create(config_map("a"))


GROUP = "stable.example.com"


def definition(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"data": {"type": "object", "properties": properties}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"tests.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "tests", "singular": "test", "kind": "Test", "listKind": "TestList"},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
                for name in ("v1", "v2")
            ],
        },
    }


async def establish(api: RunningAPIServer, crd: dict[str, Any]) -> None:
    await api.create(crd)
    with trio.fail_after(5):
        while not (await api.get("crd", crd["metadata"]["name"]))["status"].get("conditions"):
            await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(5):
        while (await custom(api, "list")).status != 200:
            await trio.testing.wait_all_tasks_blocked()


async def custom(api: RunningAPIServer, verb: Any, name: str = "", version: str = "v1", **more: Any) -> Answer:
    body = more.pop("body", None)
    answer = await api.server.handle(
        Request(
            verb=verb,
            group=GROUP,
            version=version,
            resource="tests",
            namespace="default",
            name=name,
            body=json.dumps(body).encode() if body is not None else b"",
            user=TESTER,
            **more,
        )
    )
    assert isinstance(answer, Answer)
    return answer


def custom_object(version: str = "v1", **data: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{version}", "kind": "Test", "metadata": {"name": "a"}, "data": data}


async def test_custom_resources_are_changed_and_pruned_afterwards() -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if "mutation-start" not in request["object"]["data"]:
            return {"allowed": True}
        return json_patch(
            {"op": "add", "path": "/data/known", "value": "yes"}, {"op": "add", "path": "/data/unknown", "value": "no"}
        )

    rules = [{**rule("CREATE", "UPDATE", resources=("tests",)), "apiGroups": [GROUP], "apiVersions": ["v1"]}]
    text = {"type": "string"}
    async with webhook_server(answer) as hooks, running_apiserver() as api:
        await establish(api, definition(**{"mutation-start": text, "known": text}))
        await configure(api, "Mutating", hooks, {"rules": rules})
        made = await custom(api, "create", body=custom_object(**{"mutation-start": "yes"}))
        assert (made.status, json.loads(made.body)["data"]) == (201, {"mutation-start": "yes", "known": "yes"})
        patch = {"metadata": {"labels": {"a": "b"}}}
        media = "application/merge-patch+json"
        changed = await custom(api, "patch", "a", "v2", body=patch, content_type=media)
        assert json.loads(changed.body)["metadata"]["labels"] == {"a": "b"}
        assert [request["object"]["apiVersion"] for request in hooks.requests] == [f"{GROUP}/v1"] * 2
        assert hooks.requests[1]["requestResource"]["version"] == "v2"


async def test_custom_resources_and_definitions_are_refused() -> None:
    rules = [{**rule("*", resources=("tests",)), "apiGroups": [GROUP]}]
    definitions = [{**rule("CREATE", resources=("customresourcedefinitions",)), "apiGroups": ["apiextensions.k8s.io"]}]
    async with webhook_server(lambda request: {"allowed": False}) as hooks, running_apiserver() as api:
        await establish(api, definition())
        await custom(api, "create", body=custom_object())
        await configure(api, "Validating", hooks, {"rules": rules}, {"rules": definitions})
        refused = [
            await custom(api, "create", body={**custom_object(), "metadata": {"name": "b"}}),
            await custom(api, "patch", "a", body={"data": {}}, content_type="application/merge-patch+json"),
            await custom(api, "delete", "a"),
            await custom(api, "deletecollection"),
        ]
        assert [answer.status for answer in refused] == [400] * 4
        other = definition()
        other["metadata"]["name"] = f"others.{GROUP}"
        other["spec"]["names"] = {"plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList"}
        assert "h1.example.com" in (await refusal(api, other)).message


async def test_policies_on_custom_resources_and_with_custom_parameters() -> None:
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "p"}}
    rules = [{"apiGroups": [GROUP], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["tests"]}]
    async with running_apiserver() as api:
        await establish(api, definition(a={"type": "string"}, items={"type": "array", "items": {"type": "string"}}))
        await custom(api, "create", body={**custom_object(a="param"), "metadata": {"name": "params"}})
        mutation = {"expression": 'Object{data: Object.data{a: "set"}}'}
        await api.create(
            {
                **head,
                "kind": "MutatingAdmissionPolicy",
                "spec": {
                    "matchConstraints": {"resourceRules": rules},
                    "reinvocationPolicy": "Never",
                    "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": mutation}],
                },
            }
        )
        await api.create({**head, "kind": "MutatingAdmissionPolicyBinding", "spec": {"policyName": "p"}})
        made = await custom(api, "create", body=custom_object(items=["x"]))
        assert json.loads(made.body)["data"] == {"items": ["x"], "a": "set"}
        validation = {"expression": "params.data.a == 'param' && object.metadata.name != 'c'"}
        await api.create(
            {
                **head,
                "kind": "ValidatingAdmissionPolicy",
                "spec": {
                    "matchConstraints": {"resourceRules": rules},
                    "paramKind": {"apiVersion": f"{GROUP}/v1", "kind": "Test"},
                    "validations": [validation],
                },
            }
        )
        reference = {"name": "params", "parameterNotFoundAction": "Deny"}
        await api.create(
            {
                **head,
                "kind": "ValidatingAdmissionPolicyBinding",
                "spec": {"policyName": "p", "validationActions": ["Deny"], "paramRef": reference},
            }
        )
        assert (await custom(api, "create", body={**custom_object(), "metadata": {"name": "b"}})).status == 201
        assert (await custom(api, "create", body={**custom_object(), "metadata": {"name": "c"}})).status == 422


_KEYS = ["uid", "allowed", "patch", "patchType", "status", "code", "message", "warnings", "auditAnnotations"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_JSON, st.booleans(), st.booleans())
def test_no_answer_of_a_webhook_is_a_surprise(answer: Any, mutating: bool, wrapped: bool) -> None:
    said = {"uid": "u", **answer} if isinstance(answer, dict) else answer
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": said} if wrapped else said
    try:
        found = review.response(json.dumps(body).encode(), "u", mutating=mutating)
    except (review.BadResponse, ApiError):
        return
    assert found.allowed in (True, False)
    assert review.denial("w", found.status).code >= 400

"""Validating and mutating admission policies, in process: what they decide, change, and what their failures mean."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import MockClock

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import UserInfo
from tests.kit.apiserver import RunningAPIServer, running_apiserver

RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


async def policy(
    api: RunningAPIServer, kind: str, spec: dict[str, Any], binding: dict[str, Any] | None = None, name: str = "p"
) -> None:
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    matching = {"resourceRules": spec.pop("rules", RULES)}
    actions = {"validationActions": ["Deny"]} if kind == "Validating" else {}
    bound = {"policyName": name, **actions, **(binding or {})}
    mutating = {"reinvocationPolicy": "Never"} if kind == "Mutating" else {}
    await api.create(
        {**head, "kind": f"{kind}AdmissionPolicy", "spec": {"matchConstraints": matching, **mutating, **spec}}
    )
    await api.create({**head, "kind": f"{kind}AdmissionPolicyBinding", "spec": bound})


async def refusal(api: RunningAPIServer, obj: dict[str, Any], **more: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await api.create(obj, **more)
    return refused.value


LEAD = "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: "


async def test_messages_and_reasons(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        validations = [
            {"expression": "!has(object.data)"},
            {"expression": "object.metadata.name != 'b'", "message": "no b", "reason": "Forbidden"},
            {"expression": "object.metadata.name != 'c'", "messageExpression": "'not ' + object.metadata.name"},
            {"expression": "object.metadata.labels.x == 'y' || object.metadata.name != 'e'"},
        ]
        await policy(api, "Validating", {"validations": validations})
        error = await refusal(api, config_map("a", data={"k": "v"}))
        assert (error.code, error.reason, error.message) == (
            422,
            "Invalid",
            LEAD + "failed expression: !has(object.data)",
        )
        assert error.details.causes[0].message == error.message.split(": ", 1)[1]
        assert (await refusal(api, config_map("b"))).code == 403
        assert (await refusal(api, config_map("c"))).message.endswith("denied request: not c")
        assert (await refusal(api, config_map("e"))).message.endswith(
            "denied request: expression 'object.metadata.labels.x == 'y' || object.metadata.name != 'e'' "
            "resulted in error: no such key: labels"
        )
        await api.create(config_map("d"))


async def test_a_binding_may_warn_instead(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await policy(
            api, "Validating", {"validations": [{"expression": "false"}]}, {"validationActions": ["Warn", "Audit"]}
        )
        answer = await api.send("create", "ConfigMap", body=config_map("a"))
        assert answer.status == 201
        assert dict(answer.headers)["Warning"] == (
            "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': failed expression: false\""
        )


async def test_variables_conditions_and_the_authorizer(autojump_clock: MockClock) -> None:
    class Authorizer:
        async def authorize(self, request: Any) -> None: ...

    async with running_apiserver(authorizer=Authorizer()) as api:
        spec = {
            "variables": [
                {"name": "long", "expression": "object.metadata.name.size() > 3"},
                {"name": "broken", "expression": "object.nothing"},
                {"name": "very", "expression": "variables.long && object.metadata.name.size() > 6"},
            ],
            "matchConditions": [{"name": "not-x", "expression": "object.metadata.name != 'xxxxxxxxxx'"}],
            "validations": [
                {"expression": "!variables.very"},
                {
                    "expression": "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
                    " || authorizer.requestResource.check('custom').allowed()",
                    "message": "may not",
                },
            ],
        }
        await policy(api, "Validating", spec)
        nobody = UserInfo(name="nobody", groups=("system:authenticated",))
        assert (await refusal(api, config_map("verylong"))).message.endswith("failed expression: !variables.very")
        await api.create(config_map("xxxxxxxxxx"))
        await api.create(config_map("b"))
        assert (await refusal(api, config_map("a"), user=nobody)).message == LEAD + "may not"


async def test_parameters(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        spec = {
            "rules": [{**RULES[0], "resources": ["secrets"]}],
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "validations": [{"expression": "object.type == params.data.type", "messageExpression": "params.data.type"}],
        }
        binding = {"paramRef": {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"}}
        await policy(api, "Validating", spec, binding)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
        assert (await refusal(api, secret)).message.endswith(
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        )
        params = config_map("one", data={"type": "Opaque"})
        params["metadata"]["labels"] = {"a": "b"}
        await api.create(params)
        await api.create(secret)
        params = config_map("two", data={"type": "other"})
        params["metadata"]["labels"] = {"a": "b"}
        await api.create(params)
        assert (await refusal(api, {**secret, "metadata": {"name": "b"}})).message.endswith("denied request: other")


async def test_an_unknown_kind_of_parameters(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        spec = {
            "paramKind": {"apiVersion": "rules.example.com/v1", "kind": "Limit"},
            "validations": [{"expression": "params.x == 1"}],
        }
        binding = {"paramRef": {"name": "x", "parameterNotFoundAction": "Allow"}}
        await policy(api, "Validating", spec, binding)
        assert (await refusal(api, config_map("a"))).message == (
            "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: "
            "failed to find resource referenced by paramKind: 'rules.example.com/v1, Kind=Limit'"
        )


async def test_failing_open(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        spec = {"failurePolicy": "Ignore", "validations": [{"expression": "object.data.x == 'y'"}]}
        await policy(api, "Validating", spec)
        await api.create(config_map("a"))
        assert (await refusal(api, config_map("b", data={"x": "z"}))).code == 422


def mutation(expression: str) -> dict[str, Any]:
    if expression.startswith("["):
        return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


async def test_objects_are_completed(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        mutations = [
            mutation('Object{metadata: Object.metadata{labels: {"a": "b"}}}'),
            mutation('[JSONPatch{op: "add", path: "/data", value: {"label": object.metadata.labels.a}}]'),
            mutation('[JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("x.y"), value: "z"}]'),
        ]
        await policy(api, "Mutating", {"mutations": mutations})
        made = await api.create(config_map("a"))
        assert (made["metadata"]["labels"], made["data"]) == ({"a": "b"}, {"label": "b", "x.y": "z"})


async def test_lists_are_merged_by_their_keys(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        container = 'Object.spec.containers{name: "c", env: [Object.spec.containers.env{name: "E", value: "1"}]}'
        sidecar = 'Object.spec.initContainers{name: "s", image: "s:1", restartPolicy: "Always"}'
        spec = {
            "rules": [{**RULES[0], "resources": ["pods"], "operations": ["CREATE"]}],
            "mutations": [
                mutation(f"Object{{spec: Object.spec{{containers: [{container}], initContainers: [{sidecar}]}}}}")
            ],
        }
        await policy(api, "Mutating", spec)
        containers = [{"name": "c", "image": "i:1", "env": [{"name": "X", "value": "0"}]}]
        made = await api.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers}}
        )
        assert made["spec"]["containers"][0]["env"] == [{"name": "X", "value": "0"}, {"name": "E", "value": "1"}]
        assert made["spec"]["containers"][0]["image"] == "i:1"
        assert made["spec"]["initContainers"][0]["imagePullPolicy"] == "IfNotPresent"  # defaulted after the change


async def test_what_cannot_be_applied_is_refused(autojump_clock: MockClock) -> None:
    async with running_apiserver() as api:
        await policy(api, "Mutating", {"mutations": [mutation("Object{nope: 1}")]})
        error = await refusal(api, config_map("a"))
        assert (error.code, error.reason) == (403, "Invalid")
        assert error.message.startswith("policy 'p' with binding 'p' denied request: ")
        assert error.message.endswith(".nope: field not declared in schema")


@pytest.mark.parametrize(
    ("kind", "spec", "problem"),
    [
        (
            "Validating",
            {"validations": [{"expression": "object.x ="}]},
            'spec.validations[0].expression: Invalid value: "object.x =": compilation failed: ERROR: <input>:1:10: '
            "Syntax error: token recognition error at: '='",
        ),
        (
            "Validating",
            {"validations": [{"expression": "1"}]},
            'spec.validations[0].expression: Invalid value: "1": must evaluate to bool but got int',
        ),
        (
            "Validating",
            {"validations": [{"expression": "true"}], "auditAnnotations": [{"key": "a", "valueExpression": "1"}]},
            'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] '
            "but got int",
        ),
        (
            "Validating",
            {"validations": [{"expression": "true"}], "variables": [{"name": "v", "expression": "variables.w"}]},
            'spec.variables[0].expression: Invalid value: "variables.w": compilation failed: ERROR: <input>:1:10: '
            "undefined field 'w'",
        ),
        (
            "Validating",
            {"validations": [{"expression": "params.x"}]},
            "undeclared reference to 'params' (in container '')",
        ),
        (
            "Mutating",
            {"mutations": [mutation("1")]},
            'spec.mutations[0].applyConfiguration.expression: Invalid value: "1": must evaluate to Object but got int',
        ),
    ],
)
async def test_a_bad_expression_is_not_stored(
    autojump_clock: MockClock, kind: str, spec: dict[str, Any], problem: str
) -> None:
    async with running_apiserver() as api:
        with pytest.raises(ApiError) as refused:
            await policy(api, kind, spec)
        assert refused.value.code == 422
        assert problem in refused.value.message

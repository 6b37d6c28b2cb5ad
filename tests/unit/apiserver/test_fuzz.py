"""Whatever a client sends, the answer is a refusal or success, never a failure of ours."""

from __future__ import annotations

import json
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from kube_actors.api import schema
from kube_actors.api.messages import Answer, Request
from kube_actors.api.resources import Resource, builtin
from tests.kit.apiserver import TESTER, running_apiserver

KINDS = [
    resource
    for resource in builtin()
    if "create" in resource.verbs and schema.for_kind(*resource.gvk) is not None and "get" in resource.verbs
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.text(max_size=6), st.just("x"), st.just("80%"))
LIKELY = {
    "quantity": st.sampled_from(["1", "100m", "1Gi", "-1", "x", 2]),
    "time": st.sampled_from(["2026-01-01T00:00:00Z", "yesterday"]),
    "microtime": st.sampled_from(["2026-01-01T00:00:00.5Z", "soon"]),
    "string": st.sampled_from(["", "a", "A_b", "Always", "None", "ClusterIP", "10.96.0.9", "*/5 * * * *", "tcp"]),
    "int32": st.integers(-2, 70000),
    "int64": st.integers(-2, 70000),
    "bool": st.booleans(),
    "double": st.floats(allow_nan=False, allow_infinity=False, width=16),
    "intorstring": st.sampled_from([0, 1, "http", "25%", "x%"]),
    "bytes": st.sampled_from(["", "YQ==", "%%"]),
}


@st.composite
def value_of(draw: st.DrawFn, kind: schema.Type, depth: int) -> Any:
    """A value that the schema may or may not allow."""
    if draw(st.integers(0, 30)) == 0:
        return draw(SCALARS)
    if kind.kind in LIKELY:
        return draw(LIKELY[kind.kind])
    if kind.kind == "list" and kind.element is not None:
        return [draw(value_of(kind.element, depth - 1)) for _ in range(draw(st.integers(0, 2)))] if depth else []
    if kind.kind == "map" and kind.element is not None:
        keys = draw(st.lists(st.sampled_from(["a", "b/c", "cpu", "memory", "B C"]), max_size=2)) if depth else []
        return {key: draw(value_of(kind.element, depth - 1)) for key in keys}
    definition = schema.struct_of(kind)
    if definition is None or not depth:
        return {}
    return draw(object_of(definition, depth - 1))


@st.composite
def object_of(draw: st.DrawFn, definition: schema.Definition, depth: int) -> dict[str, Any]:
    names = list(definition.fields)
    chosen = draw(st.sets(st.sampled_from(names), max_size=6)) if names else set()
    chosen |= {name for name, field in definition.fields.items() if field.required and draw(st.booleans())}
    return {name: draw(value_of(definition.fields[name].type, depth)) for name in sorted(chosen)}


@st.composite
def body_for(draw: st.DrawFn, resource: Resource) -> dict[str, Any]:
    definition = schema.for_kind(*resource.gvk)
    assert definition is not None
    body = draw(object_of(definition, 6))
    body["apiVersion"], body["kind"] = resource.api_version, resource.kind
    body["metadata"] = {"name": draw(st.sampled_from(["a", "b"])), "labels": {"app": "a"}}
    if "spec" in definition.fields and "spec" not in body:
        body["spec"] = draw(value_of(definition.fields["spec"].type, 6))
    return body


async def play(steps: list[tuple[Resource, dict[str, Any]]]) -> None:
    async with running_apiserver() as api:
        for resource, body in steps:
            for verb, content, kind in (
                ("create", body, "application/json"),
                ("update", body, "application/json"),
                ("patch", {"spec": body.get("spec"), "status": body.get("status")}, "application/merge-patch+json"),
                ("patch", {"spec": body.get("spec")}, "application/strategic-merge-patch+json"),
                ("delete", {}, "application/json"),
            ):
                answer = await api.server.handle(
                    Request(
                        verb=verb,  # type: ignore[arg-type]
                        group=resource.group,
                        version=resource.version,
                        resource=resource.plural,
                        namespace="default" if resource.namespaced else "",
                        name="" if verb == "create" else body["metadata"]["name"],
                        body=json.dumps(content).encode(),
                        content_type=kind,
                        user=TESTER,
                    )
                )
                assert isinstance(answer, Answer)
                if answer.status == 500:
                    reason = json.loads(answer.body).get("reason")
                    assert reason != "InternalError", (verb, resource.name, answer.body)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_body_makes_the_server_fail(data: st.DataObject) -> None:
    resources = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    steps = [(resource, data.draw(body_for(resource))) for resource in resources]
    trio.run(play, steps, clock=MockClock(autojump_threshold=0))

"""The names of ReplicaSets are those that Kubernetes gives for the same templates."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest

from kube_actors.api import codec
from kube_actors.api.types.apps_v1 import Deployment
from kube_actors.api.types.core_v1 import PodTemplateSpec
from kube_actors.controllers.template_hash import _fields, _json_name, pod_template_hash, safe_encode
from tests.kit.apiserver import running_apiserver

from .conftest import deployment

FIRST: dict[str, Any] = {
    "containers": [
        {
            "name": "c",
            "image": "img:1",
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
            "ports": [{"containerPort": 80, "name": "http"}],
            "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "64Mi"}},
        }
    ],
    "terminationGracePeriodSeconds": 1,
}
TERM = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
# Each changes the template further, and the hash was seen on a real control plane.
STEPS: list[tuple[dict[str, Any], str]] = [
    ({}, "5f57c4bf57"),
    (
        {
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}},
            "securityContext": {"fsGroup": 3, "runAsUser": 1000},
        },
        "966dc5659",
    ),
    (
        {
            "initContainers": [{"image": "init:1", "name": "i", "restartPolicy": "Always"}],
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "volumes": [
                {"emptyDir": {"sizeLimit": "1Gi"}, "name": "v"},
                {"configMap": {"items": [{"key": "a", "path": "b"}], "name": "cm"}, "name": "c"},
            ],
        },
        "64cdc54d66",
    ),
    (
        {
            "dnsConfig": {"nameservers": ["1.1.1.1"]},
            "dnsPolicy": "None",
            "hostNetwork": False,
            "priorityClassName": "system-node-critical",
            "serviceAccountName": "sa1",
            "shareProcessNamespace": True,
        },
        "f7877c854",
    ),
]


async def test_hashes_seen_on_a_real_control_plane(autojump_clock: Any) -> None:
    async with running_apiserver() as api:
        template = {"metadata": {"labels": {"app": "web"}}, "spec": FIRST}
        await api.create(deployment(template=template, replicas=0))
        for change, expected in STEPS:
            body = {"spec": {"template": {"spec": change}}}
            patched = await api.ask(
                "patch",
                "deployments.apps",
                "default",
                "web",
                body=body,
                content_type="application/strategic-merge-patch+json",
            )
            found = codec.convert(patched, Deployment)
            assert pod_template_hash(found.spec.template, None) == expected


async def test_the_plain_template_and_collisions(autojump_clock: Any) -> None:
    async with running_apiserver() as api:
        made = codec.convert(await api.create(deployment()), Deployment)
        assert pod_template_hash(made.spec.template, None) == "56fcd86c8f"
        others = {pod_template_hash(made.spec.template, count) for count in range(3)}
        assert len(others | {"56fcd86c8f"}) == 4


@pytest.mark.parametrize(
    ("go", "json"),
    [("HTTPGet", "httpGet"), ("SELinuxOptions", "seLinuxOptions"), ("OS", "os"), ("Name", "name"), ("PdID", "pdID")],
)
def test_json_names_follow_from_go_names(go: str, json: str) -> None:
    assert _json_name(go) == json


def test_every_struct_that_is_named_is_there() -> None:
    known = _fields()
    for fields in known.values():
        for field in fields:
            kind = field[1:] if field.startswith("+") else field.partition(":")[2].lstrip("[]*")
            plain = ("string", "bool", "int32", "int64", "map", "Quantity", "IntOrString", "ResourceList", "Time")
            assert kind in known or kind in plain or kind.startswith("~") or kind == "ManagedFieldsEntry", kind


def test_letters_spell_no_words() -> None:
    assert len(set(safe_encode("0123456789"))) == 10
    assert not set("aeiou013") & set(safe_encode("0123456789"))


def test_no_field_of_a_template_is_left_out() -> None:
    """Every JSON field of the generated structs has its line in the table."""
    seen: set[str] = set()

    def json_names(struct: str) -> set[str]:
        names: set[str] = set()
        for field in _fields()[struct]:
            if field.startswith("+"):
                names |= json_names(field[1:])
                continue
            named, _, _ = field.partition(":")
            go, _, name = named.partition("=")
            names.add(name or _json_name(go))
        return names

    def walk(struct: type[msgspec.Struct]) -> None:
        if struct.__name__ in seen or struct.__name__ == "ManagedFieldsEntry":
            return
        seen.add(struct.__name__)
        fields = msgspec.structs.fields(struct)
        assert {field.encode_name for field in fields} == json_names(struct.__name__), struct.__name__
        hints = typing.get_type_hints(struct)
        for field in fields:
            visit(hints[field.name])

    def visit(hint: Any) -> None:
        for argument in typing.get_args(hint):
            visit(argument)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            walk(hint)

    walk(PodTemplateSpec)
    assert len(seen) > 90

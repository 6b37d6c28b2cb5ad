"""What is generated is up to date, and the schema table says what merging needs to know."""

import subprocess
import sys
from pathlib import Path

import pytest

from kube_actors.api import schema
from kube_actors.api.types.core_v1 import Container, PodSpec, Service
from kube_actors.api.types.meta_v1 import ObjectMeta

ROOT = Path(__file__).resolve().parents[3]


def test_generating_again_changes_nothing():
    pytest.importorskip("kubernetes_validate")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate_types.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_names():
    assert {"cluster_ip", "cluster_ips", "external_ips"} <= set(Service().spec.__struct_fields__)
    assert {"host_pid", "host_ipc", "set_hostname_as_fqdn"} <= set(PodSpec.__struct_fields__)
    assert ObjectMeta(name="x") == ObjectMeta(name="x")


def test_objects_are_frozen_and_hashable_when_their_parts_are():
    container = Container(name="a")
    with pytest.raises(AttributeError):
        container.name = "b"
    assert hash(container) == hash(Container(name="a"))


def test_how_lists_merge():
    spec = schema.definition("io.k8s.api.core.v1.PodSpec")
    containers = spec.fields["containers"]
    assert (containers.list_type, containers.list_map_keys) == ("map", ("name",))
    assert (containers.patch_strategy, containers.patch_merge_key) == (("merge",), "name")
    assert spec.fields["volumes"].patch_strategy == ("merge", "retainKeys")
    assert schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector").map_type == "atomic"


def test_types():
    pod = schema.for_kind("", "v1", "Pod")
    assert pod is not None
    template = schema.struct_of(pod.fields["spec"].type)
    assert template is not None
    assert template.fields["terminationGracePeriodSeconds"].type.kind == "int64"
    assert template.fields["nodeSelector"].type.kind == "map"
    quantity = schema.definition("io.k8s.api.core.v1.ResourceRequirements").fields["limits"].type
    assert quantity.element is not None and quantity.element.kind == "quantity"


def test_unknown_definitions():
    with pytest.raises(schema.SchemaError):
        schema.definition("io.example.Nope")
    assert schema.for_kind("apps", "v9", "Deployment") is None


def test_descriptions():
    pytest.importorskip("kubernetes_validate")
    found = schema.descriptions()["io.k8s.api.core.v1.Pod"]
    assert found.description.startswith("Pod is a collection of containers")
    assert "spec" in found.fields

"""The resource table: look-ups as kubectl does them, and agreement with the types and the schema."""

import pytest

from kube_actors.api import schema
from kube_actors.api.resources import Resource, Resources, UnknownResource, builtin, struct_for, version_priority
from kube_actors.api.types.apps_v1 import Deployment
from kube_actors.api.types.core_v1 import Pod


@pytest.mark.parametrize(
    ("argument", "name", "version"),
    [
        ("pods", "pods", "v1"),
        ("po", "pods", "v1"),
        ("Pod", "pods", "v1"),
        ("deploy", "deployments.apps", "v1"),
        ("deployments.apps", "deployments.apps", "v1"),
        ("deployments.v1.apps", "deployments.apps", "v1"),
        ("apps/v1/Deployment", "deployments.apps", "v1"),
        ("v1/Pod", "pods", "v1"),
        ("events", "events", "v1"),
        ("events.events.k8s.io", "events.events.k8s.io", "v1"),
        ("hpa", "horizontalpodautoscalers.autoscaling", "v2"),
        ("hpa.v1.autoscaling", "horizontalpodautoscalers.autoscaling", "v1"),
        ("crd", "customresourcedefinitions.apiextensions.k8s.io", "v1"),
    ],
)
def test_find(argument, name, version):
    found = Resources().find(argument)
    assert (found.name, found.version) == (name, version)


def test_unknown_says_so_as_kubectl_does():
    with pytest.raises(UnknownResource, match=r'the server doesn.t have a resource type "foos.example.com"'):
        Resources().find("foos.example.com")


def test_of_type_object_and_word():
    resources = Resources()
    assert resources.of(Pod) is resources.of(Pod()) is resources.of("Pod")
    assert resources.of(Deployment).api_version == "apps/v1"


def test_keys():
    resources = Resources()
    assert resources.of(Pod).key("default", "web") == "/registry/core/pods/default/web"
    assert resources.find("nodes").key("", "n1") == "/registry/core/nodes/n1"
    assert resources.find("deploy").list_prefix("a") == "/registry/apps/deployments/a/"
    assert resources.find("events.events.k8s.io").prefix == resources.find("events").prefix


def test_hashes_of_what_is_stored():
    resources = Resources()
    assert resources.find("pods").storage_version_hash == "xPOwRZ+Yhw8="
    assert resources.find("hpa.v1.autoscaling").storage_version_hash == "qwQve8ut294="
    assert resources.find("events.events.k8s.io").storage_version_hash == "r2yiGXH7wu8="
    assert resources.find("crd").storage_version_hash == "jfWCUB31mvA="
    assert resources.find("componentstatuses").storage_version_hash == ""


def test_every_builtin_has_a_struct_and_a_definition():
    for resource in builtin():
        struct = struct_for(resource)
        assert struct is not None, resource
        assert schema.for_kind(*resource.gvk) is not None


def test_custom_resources_come_and_go():
    resources = Resources()
    custom = Resource(
        group="example.com", version="v1", plural="pods", singular="pod", kind="Pod", list_kind="PodList",
        namespaced=True, stored_group="example.com", stored_version="v1", custom=True,
    )  # fmt: skip
    resources.add(custom)
    assert resources.find("pods").group == ""
    assert resources.find("pods.example.com") is custom
    assert struct_for(custom) is None
    resources.remove("example.com", "v1", "pods")
    with pytest.raises(UnknownResource):
        resources.find("pods.example.com")
    assert len(resources) == len(builtin())


def test_version_order():
    versions = ["v1alpha1", "foo", "v1", "v2beta1", "v2", "v11"]
    assert sorted(versions, key=version_priority) == ["v11", "v2", "v1", "v2beta1", "v1alpha1", "foo"]


def test_groups_and_categories():
    resources = Resources()
    assert resources.groups()[:3] == ("apiregistration.k8s.io", "apps", "events.k8s.io")
    assert resources.versions("autoscaling") == ("v2", "v1")
    assert [r.plural for r in resources.in_category("all")][:3] == ["pods", "replicationcontrollers", "services"]

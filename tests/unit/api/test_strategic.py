"""Strategic merge patch: directives and list order, as a recorded Kubernetes 1.36 server applies them."""

import pytest

from kube_actors.api import schema
from kube_actors.api.errors import ApiError
from kube_actors.api.strategic import apply_strategic_patch

DEPLOYMENT = schema.for_kind("apps", "v1", "Deployment")
SERVICE = schema.for_kind("", "v1", "Service")
POD = schema.for_kind("", "v1", "Pod")


def deployment(**pod_spec):
    containers = [
        {"name": "a", "image": "a:1", "env": [{"name": "E1", "value": "1"}, {"name": "E2", "value": "2"}]},
        {"name": "b", "image": "b:1"},
    ]
    volumes = [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "c"}}]
    return {"spec": {"template": {"spec": {"containers": containers, "volumes": volumes} | pod_spec}}}


def patched(**change):
    return apply_strategic_patch(deployment(), {"spec": {"template": {"spec": change}}}, DEPLOYMENT)["spec"][
        "template"
    ]["spec"]


def names(items):
    return [item["name"] for item in items]


def test_elements_merge_by_their_key():
    spec = patched(containers=[{"name": "b", "image": "b:2"}, {"name": "a", "env": [{"name": "E2", "value": None}]}])
    assert spec["containers"] == [
        {"name": "b", "image": "b:2"},
        {"name": "a", "image": "a:1", "env": [{"name": "E1", "value": "1"}, {"name": "E2"}]},
    ]


def test_a_new_element_comes_first():
    assert names(patched(containers=[{"name": "n", "image": "n:1"}])["containers"]) == ["n", "a", "b"]


def test_order_of_old_and_new():
    service = {"spec": {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 82, "name": "c"}]}}
    ports = apply_strategic_patch(service, patch, SERVICE)["spec"]["ports"]
    assert [port["port"] for port in ports] == [80, 82, 81]
    assert ports[0] == {"name": "a", "port": 80, "targetPort": 8080}


def test_delete_and_replace_elements():
    assert names(patched(containers=[{"name": "b", "$patch": "delete"}])["containers"]) == ["a"]
    assert names(patched(containers=[{"$patch": "replace"}, {"name": "z"}])["containers"]) == ["z"]
    assert patched(containers=[{"name": "a", "$patch": "replace"}])["containers"] == []


def test_delete_and_replace_maps():
    document = {"metadata": {"labels": {"a": "b"}}}
    assert apply_strategic_patch(document, {"metadata": {"labels": {"$patch": "delete"}}}, POD) == {
        "metadata": {"labels": {}}
    }
    replace = {"metadata": {"labels": {"$patch": "replace", "c": "d"}}}
    assert apply_strategic_patch(document, replace, POD) == {"metadata": {"labels": {"c": "d"}}}


def test_set_element_order():
    order = [{"name": "b"}, {"name": "a"}]
    spec = patched(**{"$setElementOrder/containers": order, "containers": [{"name": "a", "image": "a:9"}]})
    assert [(c["name"], c["image"]) for c in spec["containers"]] == [("b", "b:1"), ("a", "a:9")]
    assert names(patched(**{"$setElementOrder/containers": order})["containers"]) == ["b", "a"]


def test_set_element_order_must_name_what_changes():
    with pytest.raises(ApiError) as caught:
        patched(**{"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a", "image": "a:9"}]})
    assert caught.value.code == 500
    assert caught.value.message == (
        "The order in patch list:\n[map[image:a:9 name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n"
    )


def test_retain_keys():
    change = [{"name": "w", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/p"}}]
    assert patched(volumes=change)["volumes"][1] == {"name": "w", "hostPath": {"path": "/p"}}
    with pytest.raises(ApiError) as caught:
        patched(volumes=[{"name": "w", "$retainKeys": ["name"], "hostPath": {"path": "/p"}}])
    assert (caught.value.code, caught.value.message) == (400, "invalid patch format of retainKeys")


def test_missing_merge_key():
    with pytest.raises(ApiError) as caught:
        patched(containers=[{"image": "x"}])
    assert (caught.value.code, caught.value.message) == (
        500,
        "map: map[image:x] does not contain declared merge key: name",
    )


def test_scalar_lists():
    document = {"metadata": {"finalizers": ["a", "b"]}}

    def finalizers(change):
        return apply_strategic_patch(document, {"metadata": change}, POD)["metadata"]["finalizers"]

    assert finalizers({"finalizers": ["c", "a"]}) == ["c", "a", "b"]
    assert finalizers({"$deleteFromPrimitiveList/finalizers": ["a"]}) == ["b"]
    change = {"$setElementOrder/finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"]}
    assert finalizers(change | {"finalizers": ["c"]}) == ["b", "c"]


def test_lists_without_strategy_are_replaced():
    document = {"spec": {"tolerations": [{"key": "a"}]}}
    patch = {"spec": {"tolerations": [{"key": "b"}]}}
    assert apply_strategic_patch(document, patch, POD) == patch


def test_nulls_delete_and_never_arrive():
    patch = {"metadata": {"labels": {"a": None}, "annotations": {"x": None, "y": "1"}}}
    document = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert apply_strategic_patch(document, patch, POD) == {
        "metadata": {"labels": {"b": "2"}, "annotations": {"y": "1"}}
    }


def test_arguments_stay_as_they_were():
    document, patch = deployment(), {"spec": {"template": {"spec": {"containers": [{"name": "n", "args": ["x"]}]}}}}
    result = apply_strategic_patch(document, patch, DEPLOYMENT)
    result["spec"]["template"]["spec"]["containers"][0]["args"].append("y")
    result["spec"]["template"]["spec"]["volumes"].clear()
    assert document == deployment()
    assert patch["spec"]["template"]["spec"]["containers"] == [{"name": "n", "args": ["x"]}]


def test_unknown_directive():
    with pytest.raises(ApiError, match=r"unknown patch type: frob in map: map\[\$patch:frob\]"):
        apply_strategic_patch({}, {"$patch": "frob"}, POD)

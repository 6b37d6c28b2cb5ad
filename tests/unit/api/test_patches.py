"""JSON patch and merge patch, as a recorded Kubernetes 1.36 server applies and refuses them."""

import pytest

from kube_actors.api import patches
from kube_actors.api.errors import ApiError

DOCUMENT = {"metadata": {"finalizers": ["f"], "annotations": {"a/b": "c"}}, "data": {"a": "1", "b": "2"}}


@pytest.mark.parametrize(
    ("operations", "path", "value"),
    [
        ([{"op": "add", "path": "/data/c", "value": "3"}], "data", {"a": "1", "b": "2", "c": "3"}),
        ([{"op": "remove", "path": "/data/a"}], "data", {"b": "2"}),
        ([{"op": "replace", "path": "/data/zz", "value": "1"}], "data", {"a": "1", "b": "2", "zz": "1"}),
        ([{"op": "move", "from": "/data/a", "path": "/data/c"}], "data", {"b": "2", "c": "1"}),
        ([{"op": "copy", "from": "/data/a", "path": "/data/c"}], "data", {"a": "1", "b": "2", "c": "1"}),
        ([{"op": "test", "path": "/data/a", "value": "1"}], "data", {"a": "1", "b": "2"}),
        ([{"op": "add", "path": "data/a", "value": "x"}], "data", {"a": "1", "b": "2"}),
        ([{"op": "replace", "path": "", "value": {"data": 1}}], "data", 1),
    ],
)
def test_operations(operations, path, value):
    assert patches.apply_json_patch(DOCUMENT, operations)[path] == value


def test_lists():
    operations = [
        {"op": "add", "path": "/metadata/finalizers/-", "value": "g"},
        {"op": "add", "path": "/metadata/finalizers/0", "value": "h"},
        {"op": "remove", "path": "/metadata/finalizers/1"},
        {"op": "replace", "path": "/metadata/finalizers/-1", "value": "q"},
    ]
    assert patches.apply_json_patch(DOCUMENT, operations)["metadata"]["finalizers"] == ["h", "q"]


def test_escapes():
    operations = [
        {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "d"},
        {"op": "add", "path": "/metadata/annotations/x~0y", "value": "e"},
    ]
    assert patches.apply_json_patch(DOCUMENT, operations)["metadata"]["annotations"] == {"a/b": "d", "x~y": "e"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "frob", "path": "/data/a"},
        {"path": "/data/a", "value": "x"},
        {"op": "add", "value": "x"},
        {"op": "add", "path": "/data/a"},
        {"op": "add", "path": "/none/a", "value": "x"},
        {"op": "add", "path": "/metadata/finalizers/9", "value": "z"},
        {"op": "remove", "path": "/metadata/finalizers/9"},
        {"op": "remove", "path": "/data/none"},
        {"op": "replace", "path": "/metadata/finalizers/x", "value": "z"},
        {"op": "move", "from": "/data/none", "path": "/data/c"},
        {"op": "test", "path": "/data/a", "value": 1},
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "add", "path": "/data/a/b", "value": "x"},
        "add",
    ],
)
def test_refused_operations(operation):
    with pytest.raises(ApiError) as caught:
        patches.apply_json_patch(DOCUMENT, [operation])
    assert caught.value.code == 422
    assert caught.value.message == "the server rejected our request due to an error in our request"


def test_truth_is_not_one():
    with pytest.raises(ApiError):
        patches.apply_json_patch({"a": True}, [{"op": "test", "path": "/a", "value": 1}])


def test_arguments_stay_as_they_were():
    document = {"a": {"b": [1]}}
    operations = [{"op": "add", "path": "/c", "value": {"d": []}}, {"op": "add", "path": "/c/d/-", "value": 1}]
    assert patches.apply_json_patch(document, operations) == {"a": {"b": [1]}, "c": {"d": [1]}}
    assert document == {"a": {"b": [1]}}
    assert operations[0]["value"] == {"d": []}


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": ["c", None]}, {"a": ["c", None]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "foo"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_merge(document, patch, result):
    assert patches.apply_merge_patch(document, patch) == result


def test_a_merged_document_is_new_all_through():
    document, patch = {"a": {"b": [1]}, "c": [1]}, {"a": {"d": [2]}}
    merged = patches.apply_merge_patch(document, patch)
    merged["a"]["b"].append(9)
    merged["a"]["d"].append(9)
    merged["c"].append(9)
    assert (document, patch) == ({"a": {"b": [1]}, "c": [1]}, {"a": {"d": [2]}})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[", "error decoding patch: unexpected end of JSON input"),
        (b"", "error decoding patch: unexpected end of JSON input"),
        (b"[]", "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (b'"x"', "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"),
        (b"null", "Invalid JSON Patch"),
        (b"{a}", "error decoding patch: invalid character 'a' looking for beginning of object key string"),
    ],
)
def test_bad_merge_bodies(body, message):
    with pytest.raises(ApiError) as caught:
        patches.decode_merge_patch(body)
    assert (caught.value.code, caught.value.message) == (400, message)


def test_bad_json_patch_bodies():
    with pytest.raises(ApiError, match=r"json: cannot unmarshal object into Go value of type jsonpatch.Patch"):
        patches.decode_json_patch(b"{}")
    with pytest.raises(ApiError, match="The allowed maximum operations in a JSON patch is 10000, got 10001"):
        patches.decode_json_patch(b"[" + b",".join([b"{}"] * 10001) + b"]")

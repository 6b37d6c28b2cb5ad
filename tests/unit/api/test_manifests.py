"""YAML scalars, keys and documents as Kubernetes reads them."""

import pytest

from kube_actors.api.codec import CodecError
from kube_actors.api.manifests import DuplicateKeys, dump_yaml, load_documents, load_manifests


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("y", True), ("On", True), ("no", False), ("N", False), ("null", None), ("~", None),
        ("1", 1), ("-5", -5), ("0644", 420), ("0o17", 15), ("0x1f", 31), ("1_000", 1000), ("09", 9.0),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("1.2.3", "1.2.3"), ("100m", "100m"), ('"yes"', "yes"),
        ("'1'", "1"), ("-", [None]), ("=", "="), ("nginx:1.2", "nginx:1.2"),
    ],
)  # fmt: skip
def test_scalars(text, value):
    (document,) = load_documents(f"a: {text}") if text != "-" else load_documents("a:\n-")
    assert document == {"a": value}
    assert type(document["a"]) is type(value)


def test_documents_and_lists():
    text = """
# first
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
---
apiVersion: v1
kind: List
items:
- {kind: Pod, metadata: {name: b}}
- {kind: Pod, metadata: {name: c}}
"""
    assert [m["metadata"]["name"] for m in load_manifests(text)] == ["a", "b", "c"]


def test_keys_become_strings():
    assert load_documents("{1: a, true: b, null: c}") == [{"1": "a", "true": "b", "null": "c"}]


def test_anchors_and_merges():
    (document,) = load_documents("base: &b {x: 1, y2: 2}\nother:\n  <<: *b\n  x: 3\n")
    assert document["other"] == {"x": 3, "y2": 2}


def test_block_text():
    assert load_documents("a: |\n  one\n  two\nb: >\n  x\n  y\n") == [{"a": "one\ntwo\n", "b": "x y\n"}]


def test_duplicates():
    text = "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n"
    assert load_documents(text) == [{"a": 3, "b": {"c": 2}}]
    with pytest.raises(DuplicateKeys) as caught:
        load_documents(text, strict=True)
    assert set(caught.value.problems) == {'line 4: key "c" already set in map', 'line 5: key "a" already set in map'}


def test_json_is_yaml():
    assert load_manifests('{"kind": "Pod", "spec": {"a": [1, 2.5, "x", null, true]}}') == [
        {"kind": "Pod", "spec": {"a": [1, 2.5, "x", None, True]}}
    ]


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "- just\n- a list", "word"])
def test_what_is_no_manifest(text):
    with pytest.raises(CodecError):
        load_manifests(text)


def test_dump_reads_back():
    value = {"a": "yes", "b": ["1", 1, None, True, "x\ny\n", ""], "c": {"0644": "1:30", "n": "n"}}
    assert load_documents(dump_yaml(value)) == [value]

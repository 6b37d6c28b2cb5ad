"""Typed and plain decoding, the slow path that reads as Go does, lists, and kinds without a struct."""

import json

import pytest

from kube_actors.api import codec
from kube_actors.api.dynamic import Dynamic
from kube_actors.api.types.core_v1 import Container, Pod, PodSpec, Secret
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.api.types.partial import PartialObjectMetadata
from kube_actors.api.types.rbac_v1 import ClusterRole

POD = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"},"spec":{"containers":[{"image":"b","name":"a"}]}}'


def test_a_pod_goes_through_unchanged():
    pod = codec.decode(POD, Pod)
    assert pod.spec.containers[0].image == "b"
    assert codec.encode(pod) == POD


def test_kind_and_version_are_always_written():
    assert codec.encode(Pod()) == b'{"kind":"Pod","apiVersion":"v1"}'
    assert Pod.gvk == ("", "v1", "Pod")


def test_what_is_absent_has_its_zero_value():
    pod = Pod()
    assert pod.metadata.name == "" and pod.spec.containers == () and pod.status.phase is None


def test_nulls_are_read_as_go_reads_them():
    data = b'{"metadata":{"name":"x","creationTimestamp":null,"labels":null},"spec":{"containers":null},"status":null}'
    pod = codec.decode(data, Pod)
    assert pod == Pod(metadata=ObjectMeta(name="x"))


def test_a_missing_required_field_is_zero():
    assert codec.decode(b'{"spec":{"containers":[{}]}}', Pod).spec.containers[0].name == ""
    assert codec.decode(b'{"kind":"ClusterRole","rules":null}', ClusterRole).rules == ()


def test_numbers_are_quantities():
    data = b'{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":0.5,"memory":1024}}}]}}'
    resources = codec.decode(data, Pod).spec.containers[0].resources
    assert resources is not None
    assert resources.requests == {"cpu": "0.5", "memory": "1024"}


def test_what_go_refuses_is_refused():
    with pytest.raises(codec.CodecError, match=r"^Pod: Expected `bool \| null`, got `str` - at `\$.spec.hostNetwork`$"):
        codec.decode(b'{"spec":{"containers":null,"hostNetwork":"yes"}}', Pod)
    with pytest.raises(codec.CodecError):
        codec.decode(b"{", Pod)
    with pytest.raises(codec.CodecError):
        codec.decode_dict(b"[]")


def test_plain_data():
    pod = Pod(metadata=ObjectMeta(name="x"), spec=PodSpec(containers=(Container(name="a"),), host_ipc=True))
    plain = codec.to_dict(pod)
    assert plain["spec"] == {"containers": [{"name": "a"}], "hostIPC": True}
    assert codec.convert(plain, Pod) == pod
    copy = codec.to_dict(plain)
    copy["spec"]["containers"].clear()
    assert plain["spec"]["containers"]


def test_any_kind():
    assert isinstance(codec.decode_any(POD), Pod)
    widget = codec.decode_any(b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"a":1}}')
    assert isinstance(widget, Dynamic)
    assert (widget.gvk, widget.metadata.name, widget.get("spec", "a")) == (("example.com", "v1", "Widget"), "w", 1)
    assert widget.get("spec", "b", "c", default=3) == 3
    assert codec.decode_any(codec.encode(widget)) == widget


def test_lists_are_joined_and_split():
    joined = codec.join_list("v1", "PodList", [POD, POD], resource_version="7", continue_="t", remaining=3)
    assert json.loads(joined)["metadata"] == {"resourceVersion": "7", "continue": "t", "remainingItemCount": 3}
    meta, items = codec.split_list(joined)
    assert meta.continue_ == "t" and items == [POD, POD]
    assert codec.split_list(codec.join_list("v1", "PodList", []))[1] == []


def test_items_of_a_list_need_no_type():
    (bare,) = codec.without_type([POD], "v1", "Pod")
    assert bare.startswith(b'{"metadata"')
    assert codec.decode(bare, Pod) == codec.decode(POD, Pod)


def test_secret_bytes_stay_base64():
    assert codec.decode(b'{"data":{"a":"eA=="}}', Secret).data == {"a": "eA=="}


def test_only_the_metadata():
    partial = codec.decode(POD, PartialObjectMetadata)
    assert (partial.gvk, partial.metadata.name) == (("", "v1", "Pod"), "x")
    assert codec.encode(partial) == b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"x"}}'

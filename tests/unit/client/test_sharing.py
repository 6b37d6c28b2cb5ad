"""What several informers read from the same bytes is one object."""

from __future__ import annotations

from kube_actors.api.dynamic import Dynamic
from kube_actors.api.types.core_v1 import ConfigMap, Secret
from kube_actors.client import limits
from kube_actors.client.sharing import decode_shared


def test_the_same_bytes_are_one_object_of_a_type() -> None:
    data = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"x":"1"}}'
    found = decode_shared(data, ConfigMap)
    assert found.data == {"x": "1"}
    assert decode_shared(data, ConfigMap) is found
    assert isinstance(decode_shared(data, Secret), Secret)
    copy = bytes(bytearray(data))
    assert decode_shared(copy, ConfigMap) == found
    assert decode_shared(copy, ConfigMap) is not found


def test_what_may_be_changed_and_what_is_large_is_not_shared() -> None:
    small = b'{"kind":"Foo","apiVersion":"e.test/v1","metadata":{"name":"a"}}'
    assert decode_shared(small, Dynamic) is not decode_shared(small, Dynamic)
    large = b'{"metadata":{"name":"a"},"data":{"x":"%s"}}' % (b"1" * limits.SHARED_OBJECT_BYTES)
    assert decode_shared(large, ConfigMap) is not decode_shared(large, ConfigMap)


def test_a_place_taken_by_others_is_read_again() -> None:
    kept = [b'{"metadata":{"name":"n%d"}}' % number for number in range(2 * limits.SHARED_OBJECTS)]
    for _ in range(2):
        assert [decode_shared(data, ConfigMap).metadata.name for data in kept] == [f"n{at}" for at in range(len(kept))]

"""Protobuf bodies: the bytes that kubectl sends, and bytes that nobody should."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api import schema
from kube_actors.api.errors import ApiError
from kube_actors.apiserver import protobuf

# kubectl create configmap a --from-literal=x=y
CONFIG_MAP = bytes.fromhex(
    "6b3873000a0f0a02763112 09436f6e6669674d6170121b0a110a016112001a0022002a003200380042001206 0a0178120179 1a002200"
)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (2**64 - 1))
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    types = field(1, api_version.encode()) + field(2, kind.encode())
    return b"k8s\x00" + field(1, types) + field(2, raw)


def test_what_kubectl_sends() -> None:
    found = json.loads(protobuf.to_json(CONFIG_MAP))
    assert found["data"] == {"x": "y"}
    assert (found["kind"], found["apiVersion"], found["metadata"]["name"]) == ("ConfigMap", "v1", "a")


def test_every_type_of_field() -> None:
    probe = field(1, field(2, field(1, b"/") + field(2, field(1, 1) + field(3, b"http")))) + field(3, 5)
    container = (
        field(1, b"c")
        + field(8, field(1, field(1, b"cpu") + field(2, field(1, b"100m"))))  # resources.limits: map of quantities
        + field(10, probe)
        + field(6, field(2, -1 & (2**64 - 1)))
    )
    volume = field(1, b"v") + field(2, field(2, b""))  # VolumeSource stands inline: emptyDir
    spec = field(1, volume) + field(2, container) + field(4, 30) + field(11, 1)
    metadata = field(1, b"p") + field(8, field(1, 1_767_225_600))
    found = protobuf.decode(envelope("v1", "Pod", field(1, metadata) + field(2, spec)))
    assert found["metadata"] == {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert found["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert found["spec"]["terminationGracePeriodSeconds"] == 30
    assert found["spec"]["hostNetwork"] is True
    (made,) = found["spec"]["containers"]
    assert made["resources"] == {"limits": {"cpu": "100m"}}
    assert made["livenessProbe"]["httpGet"] == {"path": "/", "port": "http"}
    assert made["livenessProbe"]["timeoutSeconds"] == 5
    assert made["ports"][0]["hostPort"] == -1


def test_secrets_hold_base64_and_unknown_fields_are_skipped() -> None:
    entry = field(1, b"k") + field(2, b"\x00\xff")
    unknown = field(500, 7) + _varint(501 << 3 | 1) + struct.pack("<d", 1.5)
    found = protobuf.decode(envelope("v1", "Secret", field(2, entry) + unknown))
    assert found["data"] == {"k": "AP8="}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"k8s\x00",
        CONFIG_MAP[:-3],
        envelope("v1", "Nothing", b""),
        envelope("v1", "Pod", b"\x0b"),
        envelope("v1", "Pod", field(1, 7)),
        envelope("v1", "Pod", b"\xff" * 20),
    ],
)
def test_what_is_no_object_is_a_400(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        protobuf.to_json(body)
    assert raised.value.code == 400


@given(st.binary(max_size=60), st.sampled_from(["Pod", "ConfigMap", "Service", "DeleteOptions"]))
def test_no_bytes_break_it(raw: bytes, kind: str) -> None:
    for body in (raw, envelope("v1", kind, raw)):
        try:
            json.loads(protobuf.to_json(body))
        except ApiError as error:
            assert error.code == 400


def test_numbers_lead_to_fields_that_exist() -> None:
    numbers = protobuf._numbers()
    known = set(schema.names())
    for name in known & set(numbers):
        fields = schema.definition(name).fields
        for target in numbers[name].values():
            assert target.startswith("!") or target in fields or not fields, (name, target)

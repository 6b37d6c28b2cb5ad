"""The OpenAPI document in gnostic's wire format, read back with a reader that knows nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kube_actors.api.messages import RawRequest
from kube_actors.api.resources import Resources
from kube_actors.apiserver.openapi import OpenAPI
from kube_actors.apiserver.openapi_proto import MEDIA_TYPE, encode

ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each field; numbers as their bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        match key & 7:
            case 0:
                value, at = varint(data, at)
                yield key >> 3, str(value).encode()
            case 1:
                yield key >> 3, data[at : at + 8]
                at += 8
            case 2:
                size, at = varint(data, at)
                yield key >> 3, data[at : at + size]
                at += size
            case other:
                raise AssertionError(f"wire type {other}")


def at(data: bytes, *numbers: int) -> bytes:
    for number in numbers:
        data = next(value for found, value in fields(data) if found == number)
    return data


def entries(data: bytes, number: int = 1) -> dict[str, bytes]:
    return {at(one, 1).decode(): at(one, 2) for found, one in fields(data) if found == number}


def test_the_document_of_a_server_holds_what_its_json_holds() -> None:
    server = OpenAPI(Resources())
    document = msgspec.json.decode(server.answer(RawRequest(path="/openapi/v2", accept="application/json")).body)
    answer = server.answer(RawRequest(path="/openapi/v2", accept=ASKED))
    assert answer.content_type == MEDIA_TYPE
    assert at(answer.body, 1) == b"2.0"
    assert entries(at(answer.body, 8), 2).keys() == document["paths"].keys()
    definitions = entries(at(answer.body, 9))
    assert definitions.keys() == document["definitions"].keys()
    pod = definitions["io.k8s.api.core.v1.Pod"]
    properties = entries(at(pod, 25))
    assert properties.keys() == {"apiVersion", "kind", "metadata", "spec", "status"}
    extensions = entries(pod, 31)
    kinds = msgspec.json.decode(at(extensions["x-kubernetes-group-version-kind"], 2))
    assert kinds == [{"group": "", "kind": "Pod", "version": "v1"}]
    container = entries(at(definitions["io.k8s.api.core.v1.PodSpec"], 25))["containers"]
    assert at(container, 22, 1) == b"array" and at(container, 23, 1, 1).endswith(b"io.k8s.api.core.v1.Container")
    again = server.answer(RawRequest(path="/openapi/v2", accept=ASKED))
    assert again.body is answer.body


def test_what_can_be_one_of_several() -> None:
    body = {"in": "body", "name": "body", "required": True, "schema": {"type": "object", "additionalProperties": False}}
    query = {"in": "query", "name": "q", "type": "integer", "maximum": 1.5, "uniqueItems": True}
    operation = {"parameters": [body, query, {"$ref": "#/parameters/p"}], "responses": {"200": {"description": "OK"}}}
    encoded = encode({"paths": {"/x": {"patch": operation, "x-note": [1]}}, "unknown": 1})
    path = entries(at(encoded, 8), 2)["/x"]
    assert at(entries(path, 10)["x-note"], 2) == b"[1]\n"
    patch = at(path, 8)
    first, second, third = (value for number, value in fields(patch) if number == 8)
    assert at(first, 1, 1, 2) == b"body" and at(first, 1, 1, 4) == b"1"
    assert at(first, 1, 1, 5, 21, 2) == b"0"
    assert at(second, 1, 2, 3, 4) == b"q" and at(second, 1, 2, 3, 6) == b"integer"
    assert at(third, 2, 1) == b"#/parameters/p"
    assert at(entries(at(patch, 9))["200"], 1, 1) == b"OK"

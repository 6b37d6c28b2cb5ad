"""The OpenAPI v2 document as gnostic's protobuf: the only form in which kubectl asks for it.

Owns the field numbers of that format, as far as an API server's document goes. Pure; which document it is, and for how
long it is kept, is `openapi`'s business. What has no field there is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""Clients ask with an at sign for the last dot, which is no media type by the book."""

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_Fields = Mapping[str, tuple[int, str]]

_PRIMITIVE = ("type", "format", "items", "collectionFormat", "default", "maximum", "exclusiveMaximum", "minimum",
              "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "enum",
              "multipleOf")  # fmt: skip
_KINDS = {
    "items": "PrimitivesItems", "default": "any", "maximum": "double", "exclusiveMaximum": "bool", "minimum": "double",
    "exclusiveMinimum": "bool", "maxLength": "int", "minLength": "int", "maxItems": "int", "minItems": "int",
    "uniqueItems": "bool", "enum": "any*", "multipleOf": "double", "required": "bool", "allowEmptyValue": "bool",
}  # fmt: skip


def _row(*names: str) -> dict[str, tuple[int, str]]:
    return {name: (number, _KINDS.get(name, "string")) for number, name in enumerate(names, 1)}


# By message: the field's number and kind. "x-" stands for the extensions; "*" in a name's place for a map's entries.
_MESSAGES: dict[str, _Fields] = {
    "Document": {
        "swagger": (1, "string"), "info": (2, "Info"), "host": (3, "string"), "basePath": (4, "string"),
        "schemes": (5, "string*"), "consumes": (6, "string*"), "produces": (7, "string*"), "paths": (8, "Paths"),
        "definitions": (9, "Definitions"), "x-": (16, ""),
    },
    "Info": {"title": (1, "string"), "version": (2, "string"), "description": (3, "string"), "x-": (7, "")},
    "Paths": {"x-": (1, ""), "*": (2, "PathItem")},
    "PathItem": {
        "$ref": (1, "string"), "get": (2, "Operation"), "put": (3, "Operation"), "post": (4, "Operation"),
        "delete": (5, "Operation"), "options": (6, "Operation"), "head": (7, "Operation"), "patch": (8, "Operation"),
        "parameters": (9, "parameter*"), "x-": (10, ""),
    },
    "Operation": {
        "tags": (1, "string*"), "summary": (2, "string"), "description": (3, "string"), "operationId": (5, "string"),
        "produces": (6, "string*"), "consumes": (7, "string*"), "parameters": (8, "parameter*"),
        "responses": (9, "Responses"), "schemes": (10, "string*"), "deprecated": (11, "bool"), "x-": (13, ""),
    },
    "BodyParameter": {
        "description": (1, "string"), "name": (2, "string"), "in": (3, "string"), "required": (4, "bool"),
        "schema": (5, "Schema"), "x-": (6, ""),
    },
    "header": {**_row("required", "in", "description", "name", *_PRIMITIVE), "x-": (22, "")},
    "path": {**_row("required", "in", "description", "name", *_PRIMITIVE), "x-": (22, "")},
    "query": {**_row("required", "in", "description", "name", "allowEmptyValue", *_PRIMITIVE), "x-": (23, "")},
    "formData": {**_row("required", "in", "description", "name", "allowEmptyValue", *_PRIMITIVE), "x-": (23, "")},
    "PrimitivesItems": {**_row(*_PRIMITIVE), "x-": (18, "")},
    "JsonReference": {"$ref": (1, "string"), "description": (2, "string")},
    "Responses": {"*": (1, "response"), "x-": (2, "")},
    "Response": {"description": (1, "string"), "schema": (2, "answered"), "x-": (5, "")},
    "Definitions": {"*": (1, "Schema")},
    "Properties": {"*": (1, "Schema")},
    "Schema": {
        "$ref": (1, "string"), "format": (2, "string"), "title": (3, "string"), "description": (4, "string"),
        "default": (5, "any"), "multipleOf": (6, "double"), "maximum": (7, "double"), "exclusiveMaximum": (8, "bool"),
        "minimum": (9, "double"), "exclusiveMinimum": (10, "bool"), "maxLength": (11, "int"), "minLength": (12, "int"),
        "pattern": (13, "string"), "maxItems": (14, "int"), "minItems": (15, "int"), "uniqueItems": (16, "bool"),
        "maxProperties": (17, "int"), "minProperties": (18, "int"), "required": (19, "string*"), "enum": (20, "any*"),
        "additionalProperties": (21, "more"), "type": (22, "types"), "items": (23, "elements"),
        "allOf": (24, "Schema*"),
        "properties": (25, "Properties"), "discriminator": (26, "string"), "readOnly": (27, "bool"),
        "example": (30, "any"), "x-": (31, ""),
    },
}  # fmt: skip
_PLACES = {"header": 1, "formData": 2, "query": 3, "path": 4}


def encode(document: Mapping[str, Any]) -> bytes:
    """A document, plain data as in its JSON, in the wire format."""
    return _message("Document", document)


def _message(name: str, value: Mapping[str, Any]) -> bytes:
    fields = _MESSAGES[name]
    parts = []
    for key, one in value.items():
        found = fields.get(key)
        if found is not None:
            parts.append(_field(*found, one))
        elif key.startswith("x-") and "x-" in fields:
            parts.append(_bytes(fields["x-"][0], _entry(key, _any(one))))
        elif "*" in fields:
            number, kind = fields["*"]
            parts.append(_bytes(number, _entry(key, _inner(kind, one))))
    return b"".join(parts)


def _field(number: int, kind: str, value: Any) -> bytes:
    if kind.endswith("*"):
        return b"".join(_field(number, kind[:-1], one) for one in value)
    match kind:
        case "string":
            return _bytes(number, str(value).encode())
        case "bool" | "int":
            return _varint(number << 3 | _VARINT) + _varint(int(value))
        case "double":
            return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)
    return _bytes(number, _inner(kind, value))


def _inner(kind: str, value: Any) -> bytes:
    """The bytes of a message; of those which only say which of several they hold, too."""
    match kind:
        case "any":
            return _any(value)
        case "types":
            return _field(1, "string*", value if isinstance(value, list | tuple) else [value])
        case "elements":
            return _field(1, "Schema*", value if isinstance(value, list | tuple) else [value])
        case "more":
            return _field(2, "bool", value) if isinstance(value, bool) else _field(1, "Schema", value)
        case "answered":
            return _field(1, "Schema", value)
        case "response":
            return _reference(value) or _field(1, "Response", value)
        case "parameter":
            return _reference(value) or _bytes(1, _parameter(value))
    return _message(kind, value)


def _reference(value: Mapping[str, Any]) -> bytes:
    return _field(2, "JsonReference", value) if "$ref" in value else b""


def _parameter(value: Mapping[str, Any]) -> bytes:
    place = value["in"]
    if place == "body":
        return _field(1, "BodyParameter", value)
    return _bytes(2, _field(_PLACES[place], place, value))


def _any(value: Any) -> bytes:
    """Any value as YAML, of which JSON is a part."""
    return _bytes(2, msgspec.json.encode(value) + b"\n")


def _entry(name: str, value: bytes) -> bytes:
    return _bytes(1, name.encode()) + _bytes(2, value)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

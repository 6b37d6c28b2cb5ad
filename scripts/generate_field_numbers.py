"""Writes kube_actors/apiserver/field_numbers.json: the protobuf field numbers of Kubernetes' kinds.

kubectl sends what it creates by name (configmaps, deployments ...) as protobuf only, so the server must read it. The
numbers are part of the published interface; they are read from the file descriptors that every kubectl carries.

    python scripts/generate_field_numbers.py /usr/bin/kubectl

Only needed when kinds get new fields. Types are not written: the schema table has them.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from kube_actors.api import schema

TARGET = Path(__file__).parent.parent / "kube_actors" / "apiserver" / "field_numbers.json"
_MEMBER = re.compile(rb"\x1f\x8b\x08\x00")
_LONGEST = 1 << 20
_MESSAGE = 11


def descriptors(program: bytes) -> Iterator[bytes]:
    """Every gzipped file descriptor of a .proto file in a program."""
    for match in _MEMBER.finditer(program):
        inflate = zlib.decompressobj(31)
        try:
            raw = inflate.decompress(program[match.start() : match.start() + _LONGEST])
        except zlib.error:
            continue
        if inflate.eof and raw[:1] == b"\n" and b".proto" in raw[:120]:
            yield raw


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of one message."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2, "descriptors hold only varints and byte strings here"
            size = varint()
            yield key >> 3, data[position : position + size]
            position += size


def messages(raw: bytes) -> Iterator[tuple[str, dict[int, tuple[str, int, str]]]]:
    """Definition name and fields (number -> name, type, type name) of each message of a file."""
    package = ""
    for number, value in fields(raw):
        if number == 2 and isinstance(value, bytes):
            package = _definition(value.decode())
        if number == 4 and isinstance(value, bytes):
            name, found = "", {}
            for part, content in fields(value):
                if part == 1 and isinstance(content, bytes):
                    name = content.decode()
                if part == 2 and isinstance(content, bytes):
                    known = dict(fields(content))
                    kind = bytes(known.get(6, b"")).decode().lstrip(".")  # type: ignore[arg-type]
                    found[int(known[3])] = (bytes(known[1]).decode(), int(known[5]), _definition(kind))  # type: ignore[arg-type]
            yield f"{package}.{name}", found


def _definition(name: str) -> str:
    """k8s.io.api.core.v1.Pod -> io.k8s.api.core.v1.Pod, as the schema has it."""
    return "io.k8s." + name.removeprefix("k8s.io.") if name.startswith("k8s.io.") else name


def table(program: bytes) -> dict[str, dict[str, str]]:
    """Field numbers by definition. A name with "!" is a definition whose fields stand in the outer one."""
    everything = {name: found for raw in descriptors(program) for name, found in messages(raw)}
    known = set(schema.names())
    result: dict[str, dict[str, str]] = {}

    def add(name: str, json_fields: set[str]) -> None:
        entry: dict[str, str] = {}
        spelled = {field.lower(): field for field in json_fields}  # a few fields are capitalised in protobuf only
        for number, (field, kind, type_name) in sorted(everything[name].items()):
            field = spelled.get(field.lower(), field)
            inline = field not in json_fields and kind == _MESSAGE and type_name in everything
            entry[str(number)] = f"!{type_name}" if inline else field
            if inline and type_name not in result:
                add(type_name, json_fields)
        result[name] = entry

    for name in sorted(known & set(everything)):
        add(name, set(schema.definition(name).fields))
    return dict(sorted(result.items()))


def main() -> None:
    found = table(Path(sys.argv[1]).read_bytes())
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in found.items()
    )
    TARGET.write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()

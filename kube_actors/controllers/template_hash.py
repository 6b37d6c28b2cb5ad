"""The hash that names a pod template: label pod-template-hash, and the end of a ReplicaSet's name.

Kubernetes hashes the text by which Go's spew package prints the template's structs, so this writes that same text:
every field of every struct in Go's order, with its Go type. Pure; nothing else may depend on the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from kube_actors.api import codec, quantity
from kube_actors.api.types.core_v1 import PodTemplateSpec

from .template_fields import STRUCTS

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619
_CACHE_SIZE = 1024
_NO_TIME = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
_NUMBERS = ("int32", "int64")
_PACKAGES = {"Quantity": "resource.Quantity", "IntOrString": "intstr.IntOrString"}
_POWERS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

Dump = Callable[[Any], str]


def fnv1a(data: bytes, state: int = _FNV_OFFSET) -> int:
    """The 32-bit FNV-1a hash."""
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


def fnv1(data: bytes) -> int:
    """The 32-bit FNV-1 hash, which multiplies first."""
    state = _FNV_OFFSET
    for byte in data:
        state = (state * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return state


def safe_encode(text: str) -> str:
    """The text in letters that spell no words (apimachinery, util/rand)."""
    return "".join(_ALPHABET[ord(letter) % len(_ALPHABET)] for letter in text)


def pod_template_hash(template: PodTemplateSpec, collision_count: int | None) -> str:
    """The hash of a template; another one for every collision counted."""
    state = _state_of(codec.encode(template))
    if collision_count is not None:
        state = fnv1a(collision_count.to_bytes(8, "little"), state)
    return safe_encode(str(state))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _state_of(encoded: bytes) -> int:
    return fnv1a(dump_template(codec.decode_dict(encoded)).encode())


def dump_template(template: dict[str, Any]) -> str:
    """The text that is hashed, from a template as plain data."""
    return "(v1.PodTemplateSpec)" + _struct("PodTemplateSpec")(template)


def filled(template: dict[str, Any]) -> dict[str, Any]:
    """The template with every struct that Go's encoder writes even when it is empty, as resources: {}."""
    done: dict[str, Any] = _filler("PodTemplateSpec")(template)
    return done


@functools.cache
def _filler(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What completes one struct, and all structs below it."""
    parts: list[tuple[str, str, bool, str]] = []
    for field in _fields()[name]:
        if field.startswith("+"):
            parts += _embedded(field[1:])
            continue
        part = _part(field)
        if part is not None:
            parts.append(part)

    def fill(value: dict[str, Any]) -> dict[str, Any]:
        done = dict(value)
        for json_name, form, always, kind in parts:
            known = value.get(json_name)
            if known is None:
                if always:
                    done[json_name] = "0" if kind == "Quantity" else _filler(kind)({})
            elif kind == "Quantity":
                continue
            elif form == "list":
                done[json_name] = [_filler(kind)(item) for item in known]
            else:
                done[json_name] = _filler(kind)(known)
        return done

    return fill


def _embedded(name: str) -> list[tuple[str, str, bool, str]]:
    found: list[tuple[str, str, bool, str]] = []
    for field in _fields()[name]:
        found += _embedded(field[1:]) if field.startswith("+") else [part for part in (_part(field),) if part]
    return found


def _part(field: str) -> tuple[str, str, bool, str] | None:
    """A field that is a struct or a list of structs: its JSON name, form, whether it is always written, its type."""
    named, _, kind = field.partition(":")
    go_name, _, json_name = named.partition("=")
    form = "list" if kind.startswith("[]") else "pointer" if kind.startswith("*") else "struct"
    bare = kind.removeprefix("[]").removeprefix("*")
    if bare not in _fields() and not (bare == "Quantity" and form == "struct"):
        return None
    return json_name or _json_name(go_name), form, form == "struct", bare


@functools.cache
def _fields() -> dict[str, list[str]]:
    lines = (line.split() for line in STRUCTS.strip().splitlines())
    return {line[0]: line[1:] for line in lines}


def _json_name(name: str) -> str:
    """HTTPGet -> httpGet: the capitals in front are lowered, but not the one that begins the next word."""
    found = re.match(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+", name)
    assert found is not None
    return found.group().lower() + name[found.end() :]


@functools.cache
def _struct(name: str) -> Dump:
    """What prints a struct's fields in braces, without its type."""
    parts: list[tuple[str, str | None, Dump]] = []
    for field in _fields()[name]:
        if field.startswith("+"):
            embedded = field[1:]
            parts.append((f"{embedded}:(v1.{embedded})", None, _struct(embedded)))
            continue
        named, _, kind = field.partition(":")
        go_name, _, json_name = named.partition("=")
        parts.append((f"{go_name}:", json_name or _json_name(go_name), _typed(kind)))

    def dump(value: dict[str, Any]) -> str:
        texts = [head + write(value if json_name is None else value.get(json_name)) for head, json_name, write in parts]
        return "{" + " ".join(texts) + "}"

    return dump


def _go_type(kind: str) -> str:
    """The name of a type as Go's reflection gives it."""
    for prefix in ("[]", "*"):
        if kind.startswith(prefix):
            return prefix + _go_type(kind.removeprefix(prefix))
    if kind == "map":
        return "map[string]string"
    if kind in ("string", "bool", *_NUMBERS):
        return kind
    kind = kind.removeprefix("~")
    return kind if "." in kind else _PACKAGES.get(kind, f"v1.{kind}")


@functools.cache
def _typed(kind: str) -> Dump:
    """What prints a value (None: absent) with its type in front."""
    head = f"({_go_type(kind)})"
    if kind.startswith("*"):
        bare = _bare(kind[1:])
        return lambda value: head + ("<nil>" if value is None else bare(value))
    bare = _bare(kind)
    return lambda value: head + bare(value)


def _bare(kind: str) -> Dump:
    """What prints a value without its type; an absent one as Go's zero value."""
    if kind.startswith("[]"):
        element = _bare(kind[2:])
        return lambda value: "[" + " ".join(element(item) for item in value) + "]" if value else "<nil>"
    if kind.startswith("~") or kind == "string":
        return lambda value: value or ""
    if kind == "bool":
        return lambda value: "true" if value else "false"
    if kind in _NUMBERS:
        return lambda value: str(value or 0)
    if kind == "map":
        return lambda value: _map(value, str)
    special: dict[str, Dump] = {
        "ResourceList": lambda value: _map(value, _quantity),
        "Quantity": lambda value: _quantity("0" if value is None else value),
        "IntOrString": _int_or_string,
        "Time": lambda value: _NO_TIME,
        "ManagedFieldsEntry": lambda value: "",
    }
    if kind in special:
        return special[kind]
    return lambda value: _struct(kind)(value or {})


def _map(value: dict[str, Any] | None, dump: Dump) -> str:
    return "map[" + " ".join(f"{key}:{dump(value[key])}" for key in sorted(value)) + "]" if value else "<nil>"


def _int_or_string(value: int | str | None) -> str:
    if isinstance(value, str):
        return f"{{Type:(intstr.Type)1 IntVal:(int32)0 StrVal:(string){value}}}"
    return f"{{Type:(intstr.Type)0 IntVal:(int32){value or 0} StrVal:(string)}}"


def _quantity(value: str | int | float) -> str:
    """An amount as Go holds it after reading it: a number times a power of ten, and perhaps the text it was read from.

    The text is kept only where it is known to be canonical by a quick look, and that look is part of the hash.
    """
    text = quantity.canonical(value)
    found = re.fullmatch(r"(-?)(\d+)([numkMGTPE]|[KMGTPE]i|e-?\d+)?", text)
    assert found is not None, f"{text!r} is no canonical quantity"
    digits, suffix = found.group(2), found.group(3) or ""
    number, scale, form = int(digits), 0, "DecimalSI"
    if suffix.endswith("i"):
        form = "BinarySI"
        keeps = number & 7 != 0
        number <<= 10 * ("KMGTPE".index(suffix[0]) + 1)
    else:
        if suffix.startswith("e"):
            scale, form = int(suffix[1:]), "DecimalExponent"
        else:
            scale = _POWERS[suffix]
        keeps = scale % 3 == 0 and not digits.endswith("000") and (digits[0] != "0" or text == "0")
    return (
        f"{{i:(resource.int64Amount){{value:(int64){found.group(1)}{number} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text if keeps else ''} "
        f"Format:(resource.Format){form}}}"
    )

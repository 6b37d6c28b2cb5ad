"""YAML as Kubernetes reads it: several documents, and Go's idea of what a plain word means.

Owns the loader, whose scalars follow the YAML library of Kubernetes rather than PyYAML (1:30 and 2026-01-01 are
strings, 1e3 is a number, y is true, keys become strings). It never looks at what the documents mean, except that
a List is its items.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any

from kube_actors.api.codec import CodecError

_PLAIN = "tag:kube-actors,2026:plain"
"""The tag of a word without quotes and without a tag of its own."""

_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)")
_SPECIAL = {
    ".inf": "inf", ".Inf": "inf", ".INF": "inf", "+.inf": "inf", "+.Inf": "inf", "+.INF": "inf",
    "-.inf": "-inf", "-.Inf": "-inf", "-.INF": "-inf", ".nan": "nan", ".NaN": "nan", ".NAN": "nan",
}  # fmt: skip


class DuplicateKeys(CodecError):
    """A mapping gives a key twice; `problems` are go-yaml's lines about it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("yaml: unmarshal errors:\n" + "\n".join(f"  {p}" for p in problems))
        self.problems = tuple(problems)


def plain_scalar(text: str) -> Any:
    """What an unquoted word stands for."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    first = text[0]
    if first.isdigit() or first in "+-.":
        digits = text.replace("_", "")
        if len(digits) > _DIGITS:
            return text
        if _INT.fullmatch(digits):
            return _integer(digits)
        if _FLOAT.fullmatch(digits):
            number = float(digits)
            return text if math.isinf(number) else number
        if text in _SPECIAL:
            return float(_SPECIAL[text])
    return text


_DIGITS = 400
"""What is longer than any number that fits is text, as to Go's decoder."""


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


@functools.cache
def _loader() -> Any:
    import yaml  # lazy: heavy import

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc,valid-type]
        """Resolves scalars as Go does and notes keys that are given twice."""

        yaml_implicit_resolvers: dict[str | None, Any] = {
            "<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))],
            None: [(_PLAIN, re.compile("", re.DOTALL))],
        }

        def __init__(self, stream: Any) -> None:
            super().__init__(stream)
            self.problems: list[str] = []

        def plain(self, node: Any) -> Any:
            return plain_scalar(node.value)

        def mapping(self, node: Any) -> dict[str, Any]:
            lines: dict[str, int] = {}
            for key, value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    continue
                self.construct_object(value, deep=True)  # kept by the loader; what is within is complained of first
                name, line = _key(self.construct_object(key)), key.start_mark.line + 1
                if name in lines:
                    self.problems.append(f'line {line}: key "{name}" already set in map')
                lines[name] = line
            self.flatten_mapping(node)
            return {_key(self.construct_object(k)): self.construct_object(v, deep=True) for k, v in node.value}

        def sequence(self, node: Any) -> list[Any]:
            return [self.construct_object(item, deep=True) for item in node.value]

    Loader.add_constructor(_PLAIN, Loader.plain)
    Loader.add_constructor("tag:yaml.org,2002:map", Loader.mapping)
    Loader.add_constructor("tag:yaml.org,2002:seq", Loader.sequence)
    return Loader


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    raise CodecError(f"a mapping's key must be a scalar, not {type(value).__name__}")


def load_documents(text: str | bytes, *, strict: bool = False) -> list[Any]:
    """Every document that is not empty, as plain data. strict refuses repeated keys with DuplicateKeys."""
    import yaml  # lazy: heavy import

    loader = _loader()(text)
    documents = []
    try:
        while loader.check_data():
            document = loader.get_data()
            if document is not None:
                documents.append(document)
        if strict and loader.problems:
            raise DuplicateKeys(loader.problems)
    except yaml.YAMLError as error:
        raise CodecError(f"error converting YAML to JSON: yaml: {error}") from error
    finally:
        loader.dispose()
    return documents


def load_manifests(text: str | bytes, *, strict: bool = False) -> list[dict[str, Any]]:
    """Every object in a manifest (YAML or JSON), in order; a List is replaced by its items."""
    found: list[dict[str, Any]] = []
    for document in load_documents(text, strict=strict):
        if not isinstance(document, dict):
            raise CodecError(f"a manifest holds objects, not {type(document).__name__}")
        kind = document.get("kind")
        if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
            found.extend(document["items"])
        else:
            found.append(document)
    return found


def dump_yaml(value: Any) -> str:
    """Plain data as YAML, keys in their order, strings quoted wherever Kubernetes would read something else."""
    import yaml  # lazy: heavy import

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent(dumper: Any, text: str) -> Any:
        style = "|" if "\n" in text else None
        if style is None and plain_scalar(text) != text:
            style = '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent)
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)

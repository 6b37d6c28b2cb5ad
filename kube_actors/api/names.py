"""What a name, a label, a key may look like.

Owns the syntax rules and their messages. Every function returns the list of what is wrong, empty when all is
well, worded as Kubernetes words it. This module never says which rule a field follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

LABEL_KEY_LIMIT: Final = 63
LABEL_VALUE_LIMIT: Final = 63
DNS_LABEL_LIMIT: Final = 63
SUBDOMAIN_LIMIT: Final = 253
PORT_NAME_LIMIT: Final = 15

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_QUALIFIED})?"


class _Rule:
    """A pattern with its message."""

    def __init__(self, pattern: str, text: str, *examples: str) -> None:
        self._match = re.compile(pattern).fullmatch
        named = "".join(f"'{example}',  or " for example in examples).removesuffix("  or ")
        self.message = f"{text} (e.g. {named} regex used for validation is '{pattern}')"

    def allows(self, value: str) -> bool:
        return self._match(value) is not None


_DNS1123_LABEL = _Rule(
    _LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character",
    "my-name",
    "123-abc",
)
_DNS1123_SUBDOMAIN = _Rule(
    _SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character",
    "example.com",
)
_DNS1035_LABEL = _Rule(
    "[a-z]([-a-z0-9]*[a-z0-9])?",
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
_WILDCARD = _Rule(
    r"\*\." + _SUBDOMAIN,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
    "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
_NAME_PART_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_NAME_PART = _Rule(_QUALIFIED, "name part " + _NAME_PART_TEXT, "MyName", "my.name", "123-abc")
_LABEL_KEY = _Rule(_QUALIFIED, "a valid label key " + _NAME_PART_TEXT, "MyName", "my.name", "123-abc")
_LABEL_VALUE = _Rule(
    _VALUE,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character",
    "MyValue",
    "my_value",
    "12345",
)
_CONFIG_KEY = _Rule(
    "[-._a-zA-Z0-9]+",
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)
_HEADER = _Rule("[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name")
_PERCENT = _Rule("[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%")
_C_IDENTIFIER = _Rule(
    "[A-Za-z_][A-Za-z0-9_]*",
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    "my_name",
    "MY_NAME",
    "MyName",
)

_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_HTTP_PATH_TEXT = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"

EMPTY: Final = "must be non-empty"
ENV_NAME: Final = "a valid environment variable name must consist only of printable ASCII characters other than '='"
PORT_RANGE: Final = "must be between 1 and 65535, inclusive"


def too_long(limit: int, unit: str = "characters") -> str:
    return f"must be no more than {limit} {unit}"


def _size(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


def dns_label(value: str) -> list[str]:
    """RFC 1123 label: the name of a namespace, a container, a volume."""
    problems = [too_long(DNS_LABEL_LIMIT)] if _size(value) > DNS_LABEL_LIMIT else []
    if not _DNS1123_LABEL.allows(value):
        problems.append("must not contain dots" if _DNS1123_SUBDOMAIN.allows(value) else _DNS1123_LABEL.message)
    return problems


def dns_subdomain(value: str) -> list[str]:
    """RFC 1123 subdomain: the name of most objects."""
    problems = [too_long(SUBDOMAIN_LIMIT)] if _size(value) > SUBDOMAIN_LIMIT else []
    return problems if _DNS1123_SUBDOMAIN.allows(value) else [*problems, _DNS1123_SUBDOMAIN.message]


def dns1035_label(value: str) -> list[str]:
    """RFC 1035 label: starts with a letter."""
    problems = [too_long(DNS_LABEL_LIMIT)] if _size(value) > DNS_LABEL_LIMIT else []
    return problems if _DNS1035_LABEL.allows(value) else [*problems, _DNS1035_LABEL.message]


def wildcard_subdomain(value: str) -> list[str]:
    problems = [too_long(SUBDOMAIN_LIMIT)] if _size(value) > SUBDOMAIN_LIMIT else []
    return problems if _WILDCARD.allows(value) else [*problems, _WILDCARD.message]


def qualified_name(value: str) -> list[str]:
    """A label or annotation key, a resource or condition name: [prefix/]name."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [f"{_LABEL_KEY.message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems = []
    if slash:
        problems += ["prefix part " + problem for problem in _prefix(prefix)]
    if not name:
        problems.append(f"name part {EMPTY}")
    elif _size(name) > LABEL_KEY_LIMIT:
        problems.append("name part " + too_long(LABEL_KEY_LIMIT, "bytes"))
    if not _NAME_PART.allows(name):
        problems.append(_NAME_PART.message)
    return problems


def _prefix(prefix: str) -> list[str]:
    if not prefix:
        return [EMPTY]
    problems = [too_long(SUBDOMAIN_LIMIT, "bytes")] if _size(prefix) > SUBDOMAIN_LIMIT else []
    return problems if _DNS1123_SUBDOMAIN.allows(prefix) else [*problems, _DNS1123_SUBDOMAIN.message]


def label_value(value: str) -> list[str]:
    problems = [too_long(LABEL_VALUE_LIMIT, "bytes")] if _size(value) > LABEL_VALUE_LIMIT else []
    return problems if _LABEL_VALUE.allows(value) else [*problems, _LABEL_VALUE.message]


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret: a file name without mischief."""
    problems = [too_long(SUBDOMAIN_LIMIT)] if _size(value) > SUBDOMAIN_LIMIT else []
    if not _CONFIG_KEY.allows(value):
        problems.append(_CONFIG_KEY.message)
    if value in (".", ".."):
        problems.append(f"must not be '{value}'")
    elif value.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def env_name(value: str) -> list[str]:
    if not value or not value.isascii() or not value.isprintable() or "=" in value:
        return [ENV_NAME]
    return []


def http_header(value: str) -> list[str]:
    return [] if _HEADER.allows(value) else [_HEADER.message]


def percent(value: str) -> list[str]:
    return [] if _PERCENT.allows(value) else [_PERCENT.message]


def c_identifier(value: str) -> list[str]:
    return [] if _C_IDENTIFIER.allows(value) else [_C_IDENTIFIER.message]


def http_path(value: str) -> list[str]:
    return [] if _HTTP_PATH.fullmatch(value) else [_HTTP_PATH_TEXT]


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [PORT_RANGE]


def port_name(value: str) -> list[str]:
    problems = [too_long(PORT_NAME_LIMIT)] if _size(value) > PORT_NAME_LIMIT else []
    if not re.fullmatch("[-a-z0-9]+", value):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        problems.append("must contain at least one letter (a-z)")
    if "--" in value:
        problems.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def path_segment(value: str) -> list[str]:
    """The name of an RBAC object: anything that can stand in a URL path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def with_dashes_masked(value: str, rule: Callable[[str], Iterable[str]]) -> list[str]:
    """Check generateName: its last dash will be followed by something, so it counts as a letter."""
    return list(rule(value[:-1] + "a" if value.endswith("-") and len(value) > 1 else value))

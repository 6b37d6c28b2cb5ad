"""Kubernetes' named formats: format.dns1123Label().validate(text) gives optional errors."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final

from kube_actors.api import names
from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.library.addresses import is_url
from kube_actors.cel.values import NONE, Optional, parse_date, parse_timestamp

_UUID = re.compile(r"(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Format:
    """One named rule of text."""

    cel_type = "kubernetes.NamedFormat"
    __slots__ = ("name", "problems")

    def __init__(self, name: str, problems: Callable[[str], list[str]]) -> None:
        self.name = name
        self.problems = problems

    def validate(self, text: str) -> Optional:
        found = self.problems(text)
        return Optional(found) if found else NONE


def _prefix(rule: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: names.with_dashes_masked(text, rule)


def _uri(text: str) -> list[str]:
    return [] if is_url(text) else ["invalid URL format"]


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _parsed(parse: Callable[[str], Any], problem: str) -> Callable[[str], list[str]]:
    def test(text: str) -> list[str]:
        try:
            parse(text)
        except EvaluationError:
            return [problem]
        return []

    return test


FORMATS: Final[dict[str, Format]] = {
    name: Format(name, problems)
    for name, problems in {
        "dns1123Label": names.dns_label,
        "dns1123Subdomain": names.dns_subdomain,
        "dns1035Label": names.dns1035_label,
        "qualifiedName": names.qualified_name,
        "dns1123LabelPrefix": _prefix(names.dns_label),
        "dns1123SubdomainPrefix": _prefix(names.dns_subdomain),
        "dns1035LabelPrefix": _prefix(names.dns1035_label),
        "labelValue": names.label_value,
        "uri": _uri,
        "uuid": _uuid,
        "byte": _byte,
        "date": _parsed(parse_date, "invalid date"),
        "datetime": _parsed(parse_timestamp, "invalid datetime"),
    }.items()
}


def _named(name: str) -> Optional:
    found = FORMATS.get(name)
    return Optional(found) if found is not None else NONE


def _getter(found: Format) -> Callable[[], Format]:
    return lambda: found


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "@format.named(string) -> optional(kubernetes.NamedFormat)": _named,
    "kubernetes.NamedFormat.validate(string) -> optional(list(string))": Format.validate,
    **{f"@format.{name}() -> kubernetes.NamedFormat": _getter(found) for name, found in FORMATS.items()},
}

"""The string formats that schemas may name, and whether a text is in one. Unknown formats are satisfied by anything."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from kube_actors.api import names

_UUID: Final = "[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12}"
_SPAN = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)")
_WORD_SPAN = re.compile(r"(?i)([0-9]+)\s*(?:ns|nano|us|µs|micro|ms|milli|s|sec|m|min|h|hr|hour|d|day|w|week|wk)s?")


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text)
    return lambda value: compiled.fullmatch(value) is not None


def _address(version: int) -> Callable[[str], bool]:
    def test(value: str) -> bool:
        try:
            return ipaddress.ip_address(value).version == version
        except ValueError:
            return False

    return test


def _cidr(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[tT][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([zZ]|[+-][0-9]{2}:[0-9]{2})")


def _date_time(value: str) -> bool:
    if _MOMENT.fullmatch(value) is None:
        return False
    try:
        datetime.datetime.fromisoformat(re.sub(r"\.[0-9]+", "", value.upper()))
    except ValueError:
        return False
    return True


def _date(value: str) -> bool:
    return _date_time(f"{value}T00:00:00Z") and len(value) == 10


def _duration(value: str) -> bool:
    if value == "0":
        return True
    rest = value.lstrip("-+")
    return bool(rest) and (_SPAN.sub("", rest) == "" or _WORD_SPAN.sub("", rest).strip() == "")


def _uri(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return " " not in value and bool(parts.scheme or value.startswith("/"))


def _byte(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(value)


def _luhn(value: str) -> bool:
    digits = [int(c) for c in re.sub(r"[^0-9]", "", value)][::-1]
    if not 12 <= len(digits) <= 19:
        return False
    return sum(d if at % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for at, d in enumerate(digits)) % 10 == 0


def _isbn(length: int) -> Callable[[str], bool]:
    def test(value: str) -> bool:
        text = re.sub(r"[\s-]", "", value)
        if length == 10:
            if not re.fullmatch(r"[0-9]{9}[0-9X]", text):
                return False
            return sum((10 - at) * (10 if c == "X" else int(c)) for at, c in enumerate(text)) % 11 == 0
        if not re.fullmatch(r"[0-9]{13}", text):
            return False
        return sum(int(c) * (3 if at % 2 else 1) for at, c in enumerate(text)) % 10 == 0

    return test


_HOSTNAME = _pattern(r"(?=.{1,255}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})?)*\.?")

_TESTS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "uri": _uri,
    "email": _pattern(r"[^@\s<>]+@[^@\s<>]+"),
    "hostname": _HOSTNAME,
    "ipv4": _address(4),
    "ipv6": _address(6),
    "cidr": _cidr,
    "mac": _pattern(r"(?i)[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4,6}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2,3}[0-9a-f]{4}"),
    "uuid": _pattern("(?i)" + _UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _pattern("(?i)" + _UUID % ("3", "[0-9a-f]")),
    "uuid4": _pattern("(?i)" + _UUID % ("4", "[89ab]")),
    "uuid5": _pattern("(?i)" + _UUID % ("5", "[89ab]")),
    "isbn": lambda value: _isbn(10)(value) or _isbn(13)(value),
    "isbn10": _isbn(10),
    "isbn13": _isbn(13),
    "creditcard": _luhn,
    "ssn": _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _pattern("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(r"rgb\(\s*(?:\d{1,3}\s*,\s*){2}\d{1,3}\s*\)"),
    "byte": _byte,
    "password": lambda value: True,
    "date": _date,
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": _duration,
    "k8s-short-name": lambda value: not names.dns_label(value),
    "k8s-long-name": lambda value: not names.dns_subdomain(value),
}
NUMBERS: Final = frozenset({"int32", "int64", "float", "double"})
SUPPORTED: Final = frozenset(_TESTS) | NUMBERS


def satisfied(name: str, value: str) -> bool:
    """Whether the text is in the format."""
    test = _TESTS.get(name)
    return test is None or test(value)

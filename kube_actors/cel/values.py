"""Values that JSON does not have, equality, order and conversion of what a schema says is more than its JSON.

Owns Uint, Timestamp, Duration, Optional, TypeValue and the rules by which values are equal. JSON values are used as
they are (int, float, str, bool, None, list, dict); nothing here changes one.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kube_actors.api.quantity import Quantity
from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.types import Type

NANO: Final = 1_000_000_000
INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
UINT_MAX: Final = (1 << 64) - 1
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Uint(int):
    """An unsigned number, distinct from int for overloads, equal to it by value."""

    __slots__ = ()


class TypeValue(str):
    """A type as a value: type(1)."""

    __slots__ = ()


@functools.total_ordering
class Duration:
    """A signed span in nanoseconds."""

    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        if not INT_MIN <= nanos <= INT_MAX:
            raise EvaluationError("duration out of range")
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.nanos == other.nanos

    def __lt__(self, other: Duration) -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)


@functools.total_ordering
class Timestamp:
    """A point in time, in nanoseconds since 1970."""

    __slots__ = ("nanos",)

    def __init__(self, nanos: int) -> None:
        if not -62_135_596_800 * NANO <= nanos < 253_402_300_800 * NANO:
            raise EvaluationError("timestamp out of range")
        self.nanos = nanos

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and self.nanos == other.nanos

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def moment(self) -> datetime.datetime:
        return _EPOCH + datetime.timedelta(microseconds=self.nanos // 1000)


class Optional:
    """A value or none."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any = None, present: bool = True) -> None:
        self.value = value
        self.present = present


NONE: Final = Optional(present=False)


class Struct(dict[str, Any]):
    """An object made by a typed literal, e.g. Object.spec{...}; it is the JSON object it stands for."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = name


class SetList(list[Any]):
    """A list that its schema calls a set: order does not matter for equality, and + adds what is new."""

    __slots__ = ()


class MapList(list[Any]):
    """A list that its schema calls a map: elements are known by their keys."""

    def __init__(self, items: Sequence[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key_of(self, item: Any) -> tuple[Any, ...]:
        return tuple(freeze(item.get(key)) for key in self.keys) if isinstance(item, Mapping) else (freeze(item),)


def freeze(value: Any) -> Any:
    """A hashable stand-in by which equal values are equal."""
    if isinstance(value, Mapping):
        return ("m", frozenset((freeze(key), freeze(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("l", tuple(freeze(inner) for inner in value))
    return (type(value) is bool, value)


def type_name(value: Any) -> str:
    """The name of a value's type as CEL prints it."""
    match value:
        case None:
            return "null_type"
        case bool():
            return "bool"
        case Uint():
            return "uint"
        case int():
            return "int"
        case float():
            return "double"
        case TypeValue():
            return "type"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case Struct():
            return value.type_name
        case Mapping():
            return "map"
        case list():
            return "list"
        case Timestamp():
            return "google.protobuf.Timestamp"
        case Duration():
            return "google.protobuf.Duration"
        case Optional():
            return "optional_type"
        case Quantity():
            return "kubernetes.Quantity"
    return str(getattr(value, "cel_type", type(value).__name__))


_PLAIN: Final = frozenset({str, bool, int, float, bytes, type(None)})


def equal(a: Any, b: Any) -> bool:
    """CEL's equality: numbers compare by value across types, everything else only with its own kind."""
    if type(a) is type(b) and type(a) in _PLAIN:
        return bool(a == b)
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b
    if isinstance(a, list) and isinstance(b, list):
        return _equal_lists(a, b)
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return len(a) == len(b) and all(key in b and equal(value, b[key]) for key, value in a.items())
    if isinstance(a, Optional) and isinstance(b, Optional):
        return a.present == b.present and (not a.present or equal(a.value, b.value))
    if isinstance(a, TypeValue) != isinstance(b, TypeValue):
        return False
    return bool(a == b)


def _equal_lists(a: list[Any], b: list[Any]) -> bool:
    if len(a) != len(b):
        return False
    if isinstance(a, SetList) or isinstance(b, SetList):
        return {freeze(item) for item in a} == {freeze(item) for item in b}
    keyed = a if isinstance(a, MapList) else b
    if isinstance(keyed, MapList):
        other = {keyed.key_of(item): item for item in b}
        return all(keyed.key_of(item) in other and equal(item, other[keyed.key_of(item)]) for item in a)
    return all(equal(x, y) for x, y in zip(a, b, strict=True))


def add_lists(a: list[Any], b: list[Any]) -> list[Any]:
    """a + b; for sets and maps what b adds is appended and, for maps, what it shares replaces in place."""
    if isinstance(a, SetList):
        known = {freeze(item) for item in a}
        return SetList([*a, *(item for item in b if freeze(item) not in known)])
    if isinstance(a, MapList):
        merged = {a.key_of(item): item for item in a}
        merged.update((a.key_of(item), item) for item in b)
        return MapList(list(merged.values()), a.keys)
    return [*a, *b]


def checked(value: int) -> int:
    """The number, if 64 bits hold it."""
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def checked_uint(value: int) -> Uint:
    if not 0 <= value <= UINT_MAX:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_timestamp(text: str) -> Timestamp:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise EvaluationError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"')
    *parts, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(*(int(part) for part in parts), tzinfo=datetime.UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        raise EvaluationError(f'parsing time "{text}": out of range') from None
    seconds = (moment - _EPOCH) // datetime.timedelta(seconds=1)
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return Timestamp(seconds * NANO + int(((fraction or "") + "0" * 9)[:9]))


def parse_date(text: str) -> Timestamp:
    return parse_timestamp(f"{text}T00:00:00Z")


def format_timestamp(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanos, NANO)
    text = (_EPOCH + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{text}{fraction}Z"


_UNITS: Final = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 1_000_000,
    "s": NANO,
    "m": 60 * NANO,
    "h": 3600 * NANO,
}
_SPAN = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> Duration:
    """Go's form: 1h30m, -1.5s."""
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        match = _SPAN.match(rest, at)
        if match is None or not (match.group(1) or match.group(2)):
            break
        unit = _UNITS[match.group(3)]
        digits = match.group(2) or ""
        total += int(match.group(1) or 0) * unit + (int(digits) * unit // 10 ** len(digits) if digits else 0)
        at = match.end()
    if not rest or at != len(rest):
        raise EvaluationError(f'time: invalid duration "{text}"')
    return Duration(-total if text.startswith("-") else total)


def format_duration(value: Duration) -> str:
    """Seconds, as CEL's string() gives them: 90s, 1.5s."""
    sign = "-" if value.nanos < 0 else ""
    seconds, nanos = divmod(abs(value.nanos), NANO)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{sign}{seconds}{fraction}s"


Coercion = Callable[[Any], Any]


def coercion(kind: Type) -> Coercion | None:
    """How JSON becomes a value of this type, or None when it is one as it stands. Objects convert field by field."""
    match kind.kind:
        case "double":
            return lambda value: float(value) if type(value) is int else value
        case "timestamp":
            return _date_or_time
        case "duration":
            return lambda value: parse_duration(value) if type(value) is str else value
        case "bytes":
            return _bytes
        case "list" if kind.params:
            return _list_coercion(kind)
        case "map" if kind.params:
            inner = coercion(kind.params[1])
            if inner is not None:
                return lambda value: {k: inner(v) for k, v in value.items()} if type(value) is dict else value
    return None


def _list_coercion(kind: Type) -> Coercion | None:
    inner = coercion(kind.params[0])
    if kind.flavour == "set":
        wrap: Callable[[list[Any]], list[Any]] | None = SetList
    elif kind.flavour == "map":
        keys = kind.list_keys
        wrap = lambda items: MapList(items, keys)  # noqa: E731
    else:
        wrap = None
    if inner is None and wrap is None:
        return None

    def convert(value: Any) -> Any:
        if type(value) is not list:
            return value
        items = [inner(item) for item in value] if inner is not None else value
        return wrap(items) if wrap is not None else items

    return convert


def _date_or_time(value: Any) -> Any:
    if type(value) is not str:
        return value
    return parse_date(value) if len(value) == 10 else parse_timestamp(value)


def _bytes(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise EvaluationError("failed to decode base64") from None

"""Operators, conversions, sizes and regular expressions.

Owns arithmetic in 64 bits with its errors, comparison across number types and CEL's conversions.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, Final

from kube_actors.cel.errors import EvaluationError
from kube_actors.cel.values import (
    INT_MAX,
    INT_MIN,
    NANO,
    UINT_MAX,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    add_lists,
    checked,
    checked_uint,
    equal,
    format_duration,
    format_timestamp,
    freeze,
    parse_duration,
    parse_timestamp,
    type_name,
)

Number = int | float


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("division by zero")
    quotient = abs(a) // abs(b)
    return checked(quotient if (a < 0) == (b < 0) else -quotient)


def _modulo(a: int, b: int) -> int:
    if b == 0:
        raise EvaluationError("modulus by zero")
    return int(math.copysign(1, a)) * (abs(a) % abs(b)) if a else 0


def _divide_double(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def _unsigned(operation: Callable[[int, int], int]) -> Callable[[int, int], Uint]:
    return lambda a, b: checked_uint(operation(int(a), int(b)))


def _signed(operation: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda a, b: checked(operation(int(a), int(b)))


def contains(item: Any, items: Any) -> bool:
    """item in items, of a list or a map's keys."""
    if isinstance(items, list):
        return any(equal(item, other) for other in items)
    try:
        return item in items and not isinstance(item, bool)
    except TypeError:
        return False


@functools.lru_cache(maxsize=512)
def pattern(text: str) -> re.Pattern[str]:
    """A compiled regular expression; RE2's syntax as far as Python's is the same."""
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise EvaluationError(f"error parsing regexp: {error}: `{text}`") from None


def number_text(value: float) -> str:
    """A double as Go's %g prints it at full precision."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" in text:
        digits, _, power = text.partition("e")
        return f"{digits.removesuffix('.0')}e{power[0] if power[0] in '+-' else '+'}{power.lstrip('+-').zfill(2)}"
    return text


_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def _to_bool(text: str) -> bool:
    if text not in _BOOLS:
        raise EvaluationError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return _BOOLS[text]


def _to_int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text)
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def _to_uint(text: str) -> Uint:
    if not re.fullmatch(r"[0-9]+", text):
        raise EvaluationError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > UINT_MAX:
        raise EvaluationError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return Uint(int(text))


def _to_double(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise EvaluationError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None


def _truncate(value: float) -> int:
    if not INT_MIN < value < INT_MAX:
        raise EvaluationError("integer overflow")
    return int(value)


def _truncate_uint(value: float) -> Uint:
    if not 0 <= value < UINT_MAX:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None


def _unary_minus(value: int) -> int:
    return checked(-value)


def _index(items: Any, key: Any) -> Any:
    raise AssertionError("indexing belongs to the interpreter")


def _arithmetic() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {
        "_+_(string, string) -> string": lambda a, b: a + b,
        "_+_(bytes, bytes) -> bytes": lambda a, b: a + b,
        "_+_(list(A), list(A)) -> list(A)": add_lists,
        "_+_(timestamp, duration) -> timestamp": lambda a, b: Timestamp(a.nanos + b.nanos),
        "_+_(duration, timestamp) -> timestamp": lambda a, b: Timestamp(a.nanos + b.nanos),
        "_+_(duration, duration) -> duration": lambda a, b: Duration(a.nanos + b.nanos),
        "_-_(timestamp, timestamp) -> duration": lambda a, b: Duration(a.nanos - b.nanos),
        "_-_(timestamp, duration) -> timestamp": lambda a, b: Timestamp(a.nanos - b.nanos),
        "_-_(duration, duration) -> duration": lambda a, b: Duration(a.nanos - b.nanos),
        "_%_(int, int) -> int": _modulo,
        "_%_(uint, uint) -> uint": _unsigned(_modulo),
        "_/_(double, double) -> double": _divide_double,
        "-_(int) -> int": _unary_minus,
        "-_(double) -> double": lambda a: -a,
    }
    for sign, operation in {
        "_+_": lambda a, b: a + b,
        "_-_": lambda a, b: a - b,
        "_*_": lambda a, b: a * b,
        "_/_": _divide,
    }.items():
        found[f"{sign}(int, int) -> int"] = _signed(operation)
        found[f"{sign}(uint, uint) -> uint"] = _unsigned(operation)
        found.setdefault(f"{sign}(double, double) -> double", operation)
    return found


def _comparisons() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    numbers = ("int", "uint", "double")
    pairs = [(a, b) for a in numbers for b in numbers]
    pairs += [(kind, kind) for kind in ("bool", "string", "bytes", "timestamp", "duration")]
    for sign, operation in {
        "_<_": lambda a, b: a < b,
        "_<=_": lambda a, b: a <= b,
        "_>_": lambda a, b: a > b,
        "_>=_": lambda a, b: a >= b,
    }.items():
        for a, b in pairs:
            found[f"{sign}({a}, {b}) -> bool"] = operation
    return found


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    **_arithmetic(),
    **_comparisons(),
    "_==_(A, A) -> bool": equal,
    "_!=_(A, A) -> bool": lambda a, b: not equal(a, b),
    "@@in(A, list(A)) -> bool": contains,
    "@@in(A, map(A, B)) -> bool": contains,
    "_&&_(bool, bool) -> bool": lambda a, b: a and b,
    "_||_(bool, bool) -> bool": lambda a, b: a or b,
    "_?_:_(bool, A, A) -> A": lambda c, a, b: a if c else b,
    "!_(bool) -> bool": lambda a: not a,
    "_[_](list(A), int) -> A": _index,
    "_[_](map(A, B), A) -> B": _index,
    "_[_](optional(list(A)), int) -> optional(A)": _index,
    "_[_](optional(map(A, B)), A) -> optional(B)": _index,
    "_[?_](list(A), int) -> optional(A)": _index,
    "_[?_](map(A, B), A) -> optional(B)": _index,
    "_[?_](optional(list(A)), int) -> optional(A)": _index,
    "_[?_](optional(map(A, B)), A) -> optional(B)": _index,
    "size(string) -> int": len,
    "size(bytes) -> int": len,
    "size(list(A)) -> int": len,
    "size(map(A, B)) -> int": len,
    "string.size() -> int": len,
    "bytes.size() -> int": len,
    "list(A).size() -> int": len,
    "map(A, B).size() -> int": len,
    "type(A) -> type(A)": lambda a: TypeValue(type_name(a)),
    "dyn(A) -> dyn": lambda a: a,
    "bool(bool) -> bool": lambda a: a,
    "bool(string) -> bool": _to_bool,
    "int(int) -> int": lambda a: a,
    "int(uint) -> int": lambda a: checked(int(a)),
    "int(double) -> int": _truncate,
    "int(string) -> int": _to_int,
    "int(timestamp) -> int": lambda a: a.nanos // NANO,
    "int(duration) -> int": lambda a: a.nanos,
    "uint(uint) -> uint": lambda a: a,
    "uint(int) -> uint": checked_uint,
    "uint(double) -> uint": _truncate_uint,
    "uint(string) -> uint": _to_uint,
    "double(double) -> double": lambda a: a,
    "double(int) -> double": float,
    "double(uint) -> double": float,
    "double(string) -> double": _to_double,
    "string(string) -> string": lambda a: a,
    "string(bool) -> string": lambda a: "true" if a else "false",
    "string(int) -> string": str,
    "string(uint) -> string": lambda a: str(int(a)),
    "string(double) -> string": number_text,
    "string(bytes) -> string": _decode,
    "string(timestamp) -> string": format_timestamp,
    "string(duration) -> string": format_duration,
    "bytes(bytes) -> bytes": lambda a: a,
    "bytes(string) -> bytes": lambda a: a.encode(),
    "timestamp(timestamp) -> timestamp": lambda a: a,
    "timestamp(int) -> timestamp": lambda a: Timestamp(a * NANO),
    "timestamp(string) -> timestamp": parse_timestamp,
    "duration(duration) -> duration": lambda a: a,
    "duration(int) -> duration": lambda a: Duration(a),
    "duration(string) -> duration": parse_duration,
    "matches(string, string) -> bool": lambda text, expression: pattern(expression).search(text) is not None,
    "string.matches(string) -> bool": lambda text, expression: pattern(expression).search(text) is not None,
    "string.contains(string) -> bool": lambda text, part: part in text,
    "string.startsWith(string) -> bool": lambda text, part: text.startswith(part),
    "string.endsWith(string) -> bool": lambda text, part: text.endswith(part),
    "@sets.contains(list(A), list(A)) -> bool": lambda a, b: {freeze(x) for x in b} <= {freeze(x) for x in a},
    "@sets.equivalent(list(A), list(A)) -> bool": lambda a, b: {freeze(x) for x in b} == {freeze(x) for x in a},
    "@sets.intersects(list(A), list(A)) -> bool": lambda a, b: bool({freeze(x) for x in b} & {freeze(x) for x in a}),
}
